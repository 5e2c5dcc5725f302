"""The comparison tables lead to their evidence, each decision of the guide can be followed to its
end, numbers stand where the links lead, and each AWS service of the status page has a row.
"""

import functools
import re
import sys

import pytest
import small
import yaml
from notebooks import NOTEBOOKS, ROOT, printed, read

sys.path.append(str(ROOT / "_ext"))

import course_site
from practice_exam import slug

GUIDE, TABLES, SERVICES = (
    (ROOT / f"reference/{name}.md").read_text(encoding="utf8")
    for name in ("decision_guide", "comparison_tables", "which_service")
)
STATUS = yaml.safe_load((ROOT / "data/aws_status.yaml").read_text(encoding="utf8"))
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
LISTED = re.compile(r"^- \[([^\]]+)\]\(#([\w-]+)\)$", re.M)
DECISION = re.compile(r'^<a id="([\w-]+)"></a>\n\n### (.+)\n((?:(?!<a id|^## ).*\n?)+)', re.M)
# a fold without a fold inside
ANSWER = re.compile(
    r"<details><summary>([^\n]+)</summary>\n\n((?:(?!<details).)+?)</details>", re.S
)
TABLE = re.compile(r"(?:^\|.*\|\n?){3,}", re.M)
# with decimals, of several digits, or a percentage
NUMBER = re.compile(r"(?<![\w.,/-])\d[\d,]*(?:\.\d+|(?<=\d)\d|(?= ?%))(?!\w|\.\d)")
HEADINGS = re.compile(r"^(?=#{1,4} )", re.M)
CHAPTER = re.compile(r"\[(?:chapter )?1[4-6]\d(?:\.\d)?\]")


def below(text):
    """Return [(heading, what stands below it)] of the third-level headings of a page."""
    parts = re.split(r"^#{2,3} (.+)$", text, flags=re.M)[1:]
    return [(name, part) for name, part in zip(parts[::2], parts[1::2]) if part.strip()]


def undecided(text):
    """Yield what is wrong with the decisions of a guide."""
    decisions = DECISION.findall(text)
    if LISTED.findall(text) != [(question, name) for name, question, _ in decisions]:
        yield "the list and the decisions differ"
    names = re.findall(r'<a id="([\w-]+)">', text)
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name} stands twice"
    for name, _, tree in decisions:
        answers = ANSWER.findall(tree)
        if not 2 <= len(answers) <= 5:
            yield f"{name} has answers: {len(answers)}"
        for condition, answer in answers:
            for part in ("**Choose ", "because", "unless"):
                if part not in answer:
                    yield f"{name}, {condition}: no {part.strip('* ')}"
            if not any("#" in target for target in LINK.findall(answer)):
                yield f"{name}, {condition}: no link to a section"


def unfounded(text):
    """Yield what is wrong with the tables of comparisons."""
    for name, part in below(text):
        if not (table := TABLE.search(part)):
            yield f"{name}: no table"
            continue
        if not re.search(r"[.:]\s*$", part[: table.start()]):
            yield f"{name}: no sentence above the table"
        if not re.search(r"\]\(\.\./chapters/\w+\.ipynb", part[table.end() :]):
            yield f"{name}: no chapter below the table"
        for target in LINK.findall(table[0]):
            if "#" not in target:
                yield f"{name}: a cell leads to a whole page, {target}"


def homeless(text, services):
    """Yield the services that a page lacks or that are none, and rows that lead nowhere."""
    named = re.findall(r"\[\[([^\]]+)\]\]", text)
    for service in services:
        if service not in named:
            yield f"{service} is missing"
    for service in sorted(set(named) - set(services)):
        yield f"{service} is not on the status page"
    for table in TABLE.findall(text):
        for row in table.strip().splitlines()[2:]:
            cells = row.strip("|").split(" | ")
            if "#" not in "".join(LINK.findall(cells[-1])):
                yield f"{cells[0].strip()}: no section"


def places(notebook):
    """Return {anchor of a heading or claim: what its section says and shows}."""
    found, opened, around = {}, {}, {}
    for cell in notebook.cells:
        written = cell.cell_type == "markdown"
        for part in re.split(HEADINGS, cell.source) if written else [printed(cell)]:
            if written and (heading := re.match(r"(#+) (.+)", part)):
                level = len(heading[1])
                opened = {k: name for k, name in opened.items() if k < level}
                opened[level] = slug(re.sub(r"[`*]", "", heading[2]))
            for anchor in opened.values():
                found[anchor] = f"{found.get(anchor, '')}{part}\n"
            for claim in re.findall(r"^> \*\*Claim ([\d-]+)", part, flags=re.M):
                around[f"claim-{claim}"] = opened[max(opened)]
    return found | {claim: found[anchor] for claim, anchor in around.items()}


@functools.cache
def evidence():
    """Return {(name of a notebook, anchor): what stands there}."""
    return {
        (path.name, anchor): text
        for path in NOTEBOOKS
        for anchor, text in places(read(path)).items()
    }


def unshown(text, evidence):
    """Yield the numbers of a text that no section linked in it has."""
    linked = [tuple(target.rpartition("/")[2].split("#")) for target in LINK.findall(text)]
    shown = " ".join(evidence.get(target, "") for target in linked)
    said = LINK.sub(lambda link: link[0].partition("](")[0], CHAPTER.sub("", text))
    for number in NUMBER.findall(said):
        if not re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", shown):
            yield number


def test_each_decision_can_be_followed_to_its_end():
    assert list(undecided(GUIDE)) == []
    assert len(DECISION.findall(GUIDE)) == 30


def test_each_table_has_a_sentence_and_its_evidence():
    assert list(unfounded(TABLES)) == []


def test_each_service_has_a_row():
    assert list(homeless(SERVICES, [entry["service"] for entry in STATUS])) == []


def test_numbers_stand_where_the_links_lead():
    answers = [
        (f"{name}, {condition}", answer)
        for name, _, tree in DECISION.findall(GUIDE)
        for condition, answer in ANSWER.findall(tree)
    ]
    wrong = {name: list(unshown(text, evidence())) for name, text in answers + below(TABLES)}
    assert {name: numbers for name, numbers in wrong.items() if numbers} == {}


LEAF = (
    "<details><summary>It is {}</summary>\n\n**Choose one**, because [it fits](a.md#b), unless not."
)
LEAF += "\n\n</details>\n\n"
SMALL_GUIDE = (
    "# Guide\n\n- [Which one?](#one)\n- [Which two?](#two)\n\n## Part\n\n"
    '<a id="one"></a>\n\n### Which one?\n\n'
    + LEAF.format("so")
    + f"<details><summary>Else</summary>\n\n{LEAF.format('hot')}{LEAF.format('cold')}</details>\n\n"
    + '<a id="two"></a>\n\n### Which two?\n\n'
    + LEAF.format("wet")
    + LEAF.format("dry")
)


@pytest.mark.parametrize(
    "old, new, sentences",
    [
        ("[Which two?]", "[Which?]", ["the list and the decisions differ"]),
        ("(#two)", "(#three)", ["the list and the decisions differ"]),
        ("## Part", '## Part\n\n<a id="one"></a>', ["one stands twice"]),
        (LEAF.format("dry"), "", ["two has answers: 1"]),
        (LEAF.format("dry"), "".join(map(LEAF.format, "abcde")), ["two has answers: 6"]),
        ("[it fits](a.md#b)", "it fits", ["one, It is so: no link to a section"]),
        ("a.md#b", "a.md", ["one, It is so: no link to a section"]),
        ("**Choose one**", "Take one", ["one, It is so: no Choose"]),
        (", because", ":", ["one, It is so: no because"]),
        (", unless not", "", ["one, It is so: no unless"]),
    ],
)
def test_a_decision_that_ends_nowhere_is_found(old, new, sentences):
    assert list(undecided(SMALL_GUIDE)) == [] and old in SMALL_GUIDE
    assert list(undecided(SMALL_GUIDE.replace(old, new, 1))) == sentences


SMALL_TABLES = (
    "# Tables\n\n## Part\n\n### Kinds\n\nWhat they are.\n\n"
    "| kind | use |\n|---|---|\n| a | [b](../chapters/144_name.ipynb#c) |\n\n"
    "*More: [144](../chapters/144_name.ipynb).*\n"
)


@pytest.mark.parametrize(
    "old, new, sentence",
    [
        ("|---|---|\n", "", "Kinds: no table"),
        ("What they are.\n\n", "", "Kinds: no sentence above the table"),
        ("*More: [144](../chapters/144_name.ipynb).*", "", "Kinds: no chapter below the table"),
        ("#c)", ")", "Kinds: a cell leads to a whole page, ../chapters/144_name.ipynb"),
    ],
)
def test_a_table_without_evidence_is_found(old, new, sentence):
    assert list(unfounded(SMALL_TABLES)) == [] and old in SMALL_TABLES
    assert list(unfounded(SMALL_TABLES.replace(old, new, 1))) == [sentence]


SMALL_SERVICES = (
    "# Services\n\n| need | service | status | more |\n|---|---|---|---|\n"
    "| speed | a [fast](c.md#d) one | [[Fast]] | [144](a.ipynb#b) |\n"
)


@pytest.mark.parametrize(
    "old, new, sentences",
    [
        ("[[Fast]]", "open", ["Fast is missing"]),
        ("[[Fast]]", "[[Fast]] [[Slow]]", ["Slow is not on the status page"]),
        ("a.ipynb#b", "a.ipynb", ["speed: no section"]),
        ("[144](a.ipynb#b)", "–", ["speed: no section"]),
    ],
)
def test_a_service_without_a_row_is_found(old, new, sentences):
    assert list(homeless(SMALL_SERVICES, ["Fast"])) == [] and old in SMALL_SERVICES
    assert list(homeless(SMALL_SERVICES.replace(old, new, 1), ["Fast"])) == sentences


@pytest.mark.parametrize(
    "text, numbers",
    [
        ("Half, 0.50 or 50 % ([half](../chapters/142_x.ipynb#one)).", []),
        ("It is 0.50 ([box](../chapters/142_x.ipynb#claim-142-01), [142](x.ipynb#y)).", []),
        ("It is 0.5 and 0.51 ([half](../chapters/142_x.ipynb#one)).", ["0.51"]),
        ("It is 0.50 ([two](../chapters/142_x.ipynb#summary)), or 7 % of 2.", ["0.50", "7"]),
    ],
)
def test_a_number_that_no_linked_section_has_is_found(text, numbers):
    shown = {("142_x.ipynb", anchor): text for anchor, text in places(small.chapter()).items()}
    assert list(unshown(text, shown)) == numbers


ENTRY = {"service": "Fast", "status": "current", "maintained": "yes", "checked": "2026-11-27"}


@pytest.mark.parametrize(
    "change, text",
    [
        ({}, "open (2026-11-27)"),
        ({"since": "2025-12-03"}, "open (2026-11-27)"),
        ({"maintained": "until 2027-07-10"}, "open, maintained until 2027-07-10 (2026-11-27)"),
        (
            {"status": "legacy", "since": "2026-07-30", "instead": "Slow"},
            "**legacy**, since 2026-07-30; instead: Slow (2026-11-27)",
        ),
    ],
)
def test_the_state_of_a_service(change, text, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/aws_status.yaml").write_text(yaml.safe_dump([ENTRY | change]))
    assert course_site.with_states(tmp_path, "It is [[Fast]].") == f"It is {text}."
    with pytest.raises(KeyError, match="Slow"):
        course_site.with_states(tmp_path, "[[Slow]]")
