"""The questions: form, keys, explanations of every option, and numeric keys computed."""

import re
from collections import Counter

import pytest
import small
from notebooks import ASKING, CHAPTERS, NOTEBOOKS, course, number, questions, read, skills, tags

FEWEST = {"151": 14, "141": 8, "157": 8, "159": 8, "160": 8}  # of a lecture and its companions
OTHERWISE = 12
OPTION = re.compile(
    r"<details><summary>([A-F])\. (.+?)</summary>\n\n([✔✘]) (.+?)\n\n</details>", re.S
)


def options(cell):
    """Return (letter, text, mark, explanation) of every option of a question."""
    return OPTION.findall(cell.source)


def key(cell):
    """Return the letters of the options that are marked right."""
    return "".join(letter for letter, _, mark, _ in options(cell) if mark == "✔")


def one_question(cell, known):
    """Yield what is wrong with a single question; known are the skills of the exam."""
    found, stated = options(cell), course(cell).get("key")
    if len(found) < 4:
        yield f"{cell.id} has {len(found)} options in the usual form, not four or more"
    if len(found) != cell.source.count("<details"):
        yield f"{cell.id} has an option that is not in the usual form"
    if "".join(letter for letter, *_ in found) != "ABCDEF"[: len(found)]:
        yield f"the options of {cell.id} are not lettered in order"
    if key(cell) != stated:
        yield f"the marks of {cell.id} say {key(cell) or 'nothing'}, its metadata say {stated}"
    wanted = 2 if "TWO" in cell.source.partition("<details")[0] else 1
    if len(stated or "") != wanted:
        yield f"{cell.id} asks for {wanted} and has the key {stated}"
    if any(len(explanation.split()) < 5 for *_, explanation in found):
        yield f"{cell.id} has an option without an explanation"
    named = [tag[6:] for tag in tags(cell) if tag.startswith("skill-")]
    if len(named) != 1 or named[0] not in {"none", *known}:
        yield f"{cell.id} has the skills {named}, not one of the exam's or none"
    if "numeric" in course(cell):
        computed = eval(f"f{course(cell)['numeric']!r}")
        right = [text for _, text, mark, _ in found if mark == "✔"]
        if right != [computed]:
            yield f"the numeric key of {cell.id} is {computed}"


def together(notebook):
    """Yield what is wrong with the questions of a chapter taken together."""
    cells = questions(notebook)
    titles = [cell.source.partition(".**")[0] for cell in cells]
    if titles != [f"**Question {n}" for n in range(1, len(cells) + 1)]:
        yield "the questions are not numbered in order"
    letters = Counter("".join(course(cell).get("key", "") for cell in cells))
    most = max(letters.values(), default=0)
    if cells and (len(letters) < 4 or most > sum(letters.values()) / 2):
        yield f"the keys are not spread: {', '.join(sorted(letters.elements()))}"
    longest = [max(options(cell), key=lambda option: len(option[1])) for cell in cells]
    right = sum(mark == "✔" for _, _, mark, _ in longest)
    if right > 0.6 * len(cells):
        yield f"the longest option is right in {right} of {len(cells)} questions"


def enough(counts):
    """Yield lectures with too few questions; counts is {number of a chapter: its questions}."""
    for lecture in counts:
        wanted = FEWEST.get(lecture, OTHERWISE)
        n = sum(count for other, count in counts.items() if other.partition(".")[0] == lecture)
        if "." not in lecture and n < wanted:
            yield f"{n} questions in {lecture} and its companions, not {wanted} or more"


@pytest.mark.parametrize("path", ASKING, ids=lambda path: path.stem)
def test_questions(path):
    notebook, known = read(path), skills()
    problems = [problem for cell in questions(notebook) for problem in one_question(cell, known)]
    assert problems + list(together(notebook)) == []


def test_no_other_notebook_has_questions():
    assert [path.stem for path in NOTEBOOKS if path not in ASKING and questions(read(path))] == []


def test_every_lecture_has_enough_questions():
    assert list(enough({number(path): len(questions(read(path))) for path in CHAPTERS})) == []


def test_the_small_questions_pass():
    notebook = small.chapter()
    assert [p for cell in questions(notebook) for p in one_question(cell, skills())] == []
    assert list(together(notebook)) == []


def replaced(old, new):
    """Return a function that replaces text in a question, which must be there, once."""

    def apply(cell):
        assert old in cell.source
        cell.source = cell.source.replace(old, new, 1)

    return apply


def described(**metadata):
    """Return a function that gives a question other metadata."""
    return lambda cell: cell.metadata.update(metadata)


def three_options(cell):
    cell.source = cell.source[: cell.source.index("<details><summary>D.")]


@pytest.mark.parametrize(
    "fault, sentence",
    [
        (three_options, "q-1 has 3 options in the usual form, not four or more"),
        (
            lambda cell: cell.update(source=cell.source + "\n\n<details>E</details>"),
            "q-1 has an option that is not in the usual form",
        ),
        (replaced("<summary>C.", "<summary>D."), "the options of q-1 are not lettered in order"),
        (replaced("✘", "✔"), "the marks of q-1 say AB, its metadata say B"),
        (replaced("✔", "✘"), "the marks of q-1 say nothing, its metadata say B"),
        (described(course={"key": "C"}), "the marks of q-1 say B, its metadata say C"),
        (replaced("Which", "Which TWO"), "q-1 asks for 2 and has the key B"),
        (
            replaced("✘ It says so, and names what would change it.", "✘ No."),
            "q-1 has an option without an explanation",
        ),
        (
            described(tags=["question", "skill-9.9.9"]),
            "q-1 has the skills ['9.9.9'], not one of the exam's or none",
        ),
        (described(tags=["question"]), "q-1 has the skills [], not one of the exam's or none"),
        (
            described(course={"key": "B", "numeric": "{1 / 4:.2f}"}),
            "the numeric key of q-1 is 0.25",
        ),
    ],
)
def test_a_broken_question_is_rejected(fault, sentence):
    cell = small.cell(small.chapter(), "q-1")
    fault(cell)
    assert list(one_question(cell, skills())) == [sentence]


def test_a_right_numeric_key_passes():
    cell = small.cell(small.chapter(), "q-1")
    cell.source = cell.source.replace("B. some option<", "B. 0.25<")
    cell.metadata["course"] = {"key": "B", "numeric": "{1 / 4:.2f}"}
    assert list(one_question(cell, skills())) == []


def one_letter(notebook):
    for cell in questions(notebook):
        cell.metadata["course"] = {"key": "B"}


def long_keys(notebook):
    for cell in questions(notebook):
        for letter, text, mark, _ in options(cell):
            if mark == "✔":
                cell.source = cell.source.replace(
                    f"{letter}. {text}<", f"{letter}. {text} of quite some length<"
                )


@pytest.mark.parametrize(
    "fault, sentence",
    [
        (one_letter, f"the keys are not spread: {', '.join('B' * 12)}"),
        (long_keys, "the longest option is right in 12 of 12 questions"),
    ],
)
def test_questions_that_are_alike_are_rejected(fault, sentence):
    notebook = small.chapter()
    fault(notebook)
    assert list(together(notebook)) == [sentence]


def test_questions_out_of_order_are_rejected():
    notebook = small.chapter()
    notebook.cells.remove(small.cell(notebook, "q-5"))
    assert list(together(notebook)) == ["the questions are not numbered in order"]


def test_too_few_questions_are_rejected():
    assert list(enough({"151": 8, "151.1": 6, "145": 12, "141.1": 3})) == []
    assert list(enough({"151": 8, "151.1": 5})) == [
        "13 questions in 151 and its companions, not 14 or more"
    ]
    assert list(enough({"144": 11})) == ["11 questions in 144 and its companions, not 12 or more"]
