"""What the pages of mixed questions, of mirrored pairs and of the exam's answers promise."""

import re
from collections import Counter
from difflib import SequenceMatcher

import pytest
import small
import yaml
from notebooks import (
    CHAPTERS,
    ROOT,
    claims,
    code_cells,
    course,
    markdown,
    number,
    printed,
    questions,
    read,
    sections,
    tags,
)
from test_questions import options

PARTS = [
    part["caption"]
    for part in yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf8"))["parts"]
    if part["caption"] != "Reference"
]
# each has one pair
GUIDE = (ROOT / "reference/decision_guide.md").read_text(encoding="utf8")
DECISIONS = re.findall(r'(?m)^<a id="([\w-]+)"></a>$', GUIDE)
IN_PART, FEWEST_ITEMS, MOST_WORDS = 10, 20, 12
TAUGHT = re.compile(r"\]\(\.\./chapters/[^)\s]+#[^)\s]+\)\.$")  # a link to a section ends a text
FIGURE = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
FOLD = re.compile(r"<details><summary>(.+?)</summary>\n\n(.+?)\n\n</details>", re.S)


def untaught(notebook):
    """Yield questions whose right options do not end with a link to the section that teaches."""
    for cell in questions(notebook):
        if not all(TAUGHT.search(why) for _, _, mark, why in options(cell) if mark == "✔"):
            yield f"a right option of {cell.id} does not end with a link to a section"


def mixed(notebook, parts):
    """Yield what is wrong with the mixed questions; parts are the captions of the contents."""
    found = {
        name: sum("question" in tags(cell) for cell in cells)
        for name, cells in sections(notebook)
        if name
    }
    if list(found) != parts:
        yield f"the sections are {', '.join(found)}, not the parts of the book"
    for name, n in found.items():
        if n != IN_PART:
            yield f"{n} questions in {name}, not {IN_PART}"
    yield from untaught(notebook)


def stem(cell):
    """Return the words of a question before its options, without its number."""
    return cell.source.partition("<details")[0].split()[2:]


def changed(first, second):
    """Return how many words of two lists are replaced, inserted or deleted between them."""
    steps = SequenceMatcher(None, first, second, autojunk=False).get_opcodes()
    return sum(max(b - a, d - c) for kind, a, b, c, d in steps if kind != "equal")


def pairs(notebook, decisions):
    """Yield what is wrong with the mirrored pairs; decisions are the names of what they turn on."""
    names = [course(cell).get("pair") for cell in questions(notebook)]
    for name in decisions:
        if name not in names:
            yield f"no pair for {name}"
    for name in dict.fromkeys(names):
        mine = [cell for cell in questions(notebook) if course(cell).get("pair") == name]
        if name not in decisions:
            yield f"{name} is no decision of the guide"
        if len(mine) != 2:
            yield f"{len(mine)} questions on {name}, not two"
            continue
        one, two = mine
        if notebook.cells.index(two) != notebook.cells.index(one) + 1:
            yield f"something stands between the two questions on {name}"
        n = changed(stem(one), stem(two))
        if not 1 <= n <= MOST_WORDS:
            yield f"the questions on {name} differ in {n} words, not 1 to {MOST_WORDS}"
        if course(one)["key"] == course(two)["key"]:
            yield f"both questions on {name} have the key {course(one)['key']}"
        if [text for _, text, *_ in options(one)] != [text for _, text, *_ in options(two)]:
            yield f"the two questions on {name} have different options"
    yield from untaught(notebook)


def figures(text):
    """Return the numbers in a Markdown text, addresses left out."""
    return set(FIGURE.findall(re.sub(r"\]\([^)]*\)", "]", text)))


def items(notebook, ledger, pages):
    """Yield what is wrong with the exam's answers and ours; ledger is {chapter: claims}, pages
    {chapter: (file name, notebook)}.
    """
    home = {claim["id"]: (chapter, claim) for chapter, mine in ledger.items() for claim in mine}
    names = [course(cell)["claim"] for cell in notebook.cells if "claim" in course(cell)]
    if len(names) < FEWEST_ITEMS:
        yield f"{len(names)} items, not {FEWEST_ITEMS} or more"
    for name, n in Counter(names).items():
        if n > 1:
            yield f"{n} items on claim {name}"
    for cell in notebook.cells:
        name = course(cell).get("claim")
        if name is None:
            continue
        chapter, claim = home.get(name, (None, {}))
        if "exam_answer" not in claim:
            yield f"{cell.id}: claim {name} has no answer in the exam"
            continue
        answer, how = re.fullmatch(r"(.+) \((inferred|sourced).*\)", claim["exam_answer"]).groups()
        folds = FOLD.findall(cell.source)
        heads = [f"What the exam probably wants ({how})", "What the measurement says"]
        if [head for head, _ in folds] != heads:
            yield f"{cell.id}: the folds are not {' and '.join(heads)}"
            continue
        (_, exam), (_, ours) = folds
        if not exam.lower().startswith(answer.lower()):
            yield f"{cell.id}: the exam's answer is another one in the claim: {answer}"
        told = f'*"{claim["claim"]}"* **{claim["verdict"]}.**'
        if not ours.lower().startswith(told.lower()):
            yield f"{cell.id}: the second fold does not begin with {told}"
        file, page = pages[chapter]
        if not re.search(rf"\]\(\.\./chapters/{re.escape(file)}#[\w-]+\)", ours):
            yield f"{cell.id}: no link to a section of {file}"
        shown = markdown(page) + "\n".join(map(printed, code_cells(page)))
        for figure in sorted(figures(ours) - figures(shown)):
            yield f"{cell.id}: {file} does not show {figure}"


def page(name):
    return read(ROOT / f"reference/{name}.ipynb")


def test_mixed_questions():
    assert list(mixed(page("mixed_questions"), PARTS)) == [] and len(PARTS) == 7


def test_mirrored_pairs():
    assert list(pairs(page("mirrored_pairs"), DECISIONS)) == []


def test_exam_or_measurement():
    pages = {number(path): (path.name, read(path)) for path in CHAPTERS}
    assert list(items(page("exam_or_measurement"), claims(), pages)) == []


# Each check above rejects something.


LINK = "It is so. See [142 One](../chapters/142_a.ipynb#one)."


def small_question(n, key, **more):
    """Return a question of the small chapter whose right option names a section."""
    cell = small.question(n, key)
    cell.source = re.sub(r"(?<=✔ ).+", LINK, cell.source)
    cell.metadata["course"] |= more
    return cell


def small_mixed():
    """Return a page with the two parts Ensembles and Scale, of ten questions each."""
    cells = [small.text("# Mixed", "title")]
    for k, name in enumerate(["Ensembles", "Scale"]):
        cells.append(small.text(f"## {name}", f"part-{k}"))
        cells += [small_question(n, "ABCD"[n % 4]) for n in range(10 * k + 1, 10 * k + 11)]
    return small.new_notebook(cells=cells)


def small_pairs():
    """Return a page with one pair, on input."""
    one, two = small_question(1, "A", pair="input"), small_question(2, "B", pair="input")
    for cell in (one, two):
        cell.source = re.sub(r"some option( of some length)?", "some option", cell.source)
    two.source = two.source.replace("Which is it?", "Which one is it?")
    return small.new_notebook(cells=[small.text("## Input", "input"), one, two])


def small_items():
    """Return a page of twenty items and the claims that they are about."""
    common = {"verdict": "wrong", "claim": "It.", "exam_answer": "More is more (inferred)"}
    ledger = [common | {"id": f"142-{n}"} for n in range(11, 31)]
    source = (
        "**1.** What?\n\n<details><summary>What the exam probably wants (inferred)</summary>\n\n"
        "More is more.\n\n</details>\n\n<details><summary>What the measurement says</summary>\n\n"
        '*"It."* **Wrong.** It is 0.50. [Claim](../chapters/142_a.ipynb#claim-142-01)\n\n</details>'
    )
    cells = [small.text(source, f"item-{one['id']}", claim=one["id"]) for one in ledger]
    pages = {"142": ("142_a.ipynb", small.chapter())}
    return small.new_notebook(cells=cells), {"142": ledger}, pages


def test_the_small_pages_pass():
    assert list(mixed(small_mixed(), ["Ensembles", "Scale"])) == []
    assert list(pairs(small_pairs(), ["input"])) == []
    assert list(items(*small_items())) == []


def in_cell(name, old, new):
    """Return a function that replaces text in one cell, which must be there."""

    def apply(notebook):
        cell = small.cell(notebook, name)
        assert old in cell.source
        cell.source = cell.source.replace(old, new, 1)

    return apply


def without(name):
    return lambda notebook: notebook.cells.remove(small.cell(notebook, name))


@pytest.mark.parametrize(
    "fault, sentences",
    [
        (
            in_cell("part-1", "Scale", "Scales"),
            ["the sections are Ensembles, Scales, not the parts of the book"],
        ),
        (without("q-5"), ["9 questions in Ensembles, not 10"]),
        (
            in_cell("q-5", "One](../chapters/142_a.ipynb#one).", "One](x.md)."),
            ["a right option of q-5 does not end with a link to a section"],
        ),
    ],
)
def test_a_broken_page_of_mixed_questions_is_rejected(fault, sentences):
    notebook = small_mixed()
    fault(notebook)
    assert list(mixed(notebook, ["Ensembles", "Scale"])) == sentences


def between(notebook):
    notebook.cells.insert(2, small.text("Think.", "between"))


def same_key(notebook):
    small.cell(notebook, "q-2").metadata["course"]["key"] = "A"


@pytest.mark.parametrize(
    "fault, sentence",
    [
        (without("q-2"), "1 questions on input, not two"),
        (between, "something stands between the two questions on input"),
        (
            in_cell("q-2", "one is it?", "is it?"),
            "the questions on input differ in 0 words, not 1 to 12",
        ),
        (
            in_cell("q-2", "one", "of " * 13),
            "the questions on input differ in 13 words, not 1 to 12",
        ),
        (same_key, "both questions on input have the key A"),
        (
            in_cell("q-2", "C. some", "C. another"),
            "the two questions on input have different options",
        ),
        (
            in_cell("q-2", LINK, "It says so, and why."),
            "a right option of q-2 does not end with a link to a section",
        ),
    ],
)
def test_a_broken_pair_is_rejected(fault, sentence):
    notebook = small_pairs()
    fault(notebook)
    assert list(pairs(notebook, ["input"])) == [sentence]


def test_decisions_and_pairs_that_lack_each_other_are_rejected():
    assert list(pairs(small_pairs(), ["input", "price"])) == ["no pair for price"]
    assert list(pairs(small_pairs(), [])) == ["input is no decision of the guide"]


@pytest.mark.parametrize(
    "fault, sentence",
    [
        (without("item-142-11"), "19 items, not 20 or more"),
        (
            lambda notebook: (
                small.cell(notebook, "item-142-12").metadata["course"].update(claim="142-11")
            ),
            "2 items on claim 142-11",
        ),
        (
            lambda notebook: (
                small.cell(notebook, "item-142-12").metadata["course"].update(claim="142-99")
            ),
            "item-142-12: claim 142-99 has no answer in the exam",
        ),
        (
            in_cell("item-142-12", "(inferred)", "(sourced)"),
            "item-142-12: the folds are not What the exam probably wants (inferred) and What the "
            "measurement says",
        ),
        (
            in_cell("item-142-12", "More", "Less"),
            "item-142-12: the exam's answer is another one in the claim: More is more",
        ),
        (
            in_cell("item-142-12", "Wrong", "Right"),
            'item-142-12: the second fold does not begin with *"It."* **wrong.**',
        ),
        (
            in_cell("item-142-12", "142_a.ipynb", "143_b.ipynb"),
            "item-142-12: no link to a section of 142_a.ipynb",
        ),
        (in_cell("item-142-12", "0.50", "0.51"), "item-142-12: 142_a.ipynb does not show 0.51"),
    ],
)
def test_a_broken_item_is_rejected(fault, sentence):
    notebook, ledger, pages = small_items()
    fault(notebook)
    assert list(items(notebook, ledger, pages)) == [sentence]


def test_a_claim_without_an_answer_in_the_exam_is_rejected():
    notebook, ledger, pages = small_items()
    del ledger["142"][3]["exam_answer"]
    assert list(items(notebook, ledger, pages)) == [
        "item-142-14: claim 142-14 has no answer in the exam"
    ]
