"""Every decimal, percentage and number of points in a chapter's text, boxes, tables, captions and
alternative texts occurs in what a cell of its section prints or, with decimals, holds.

The closing sections may name what any cell of the chapter shows; lead, pitfalls, summary and the
grade of a capstone say again what the text of a section says. A number of p decimals occurs when
some printed number with decimals is it after rounding to p decimals; a percentage or a number of
points also when a printed share is, or a whole number. What has another source is listed in the
metadata of its cell, `prose`, with the reason. Questions, recalls, predictions and the line of
facts are left out: the first two set cases of their own, the third guess, and the fourth is
measured from outside.
"""

import re

import pytest
import small
from notebooks import ASKING, code_cells, course, printed, read, sections, tags
from test_form import FACTS, GRADED

SAID_AGAIN = {"", "Pitfalls", "Summary", GRADED}
OF_THE_WHOLE = {"Facts for the exam", "Often said, checked", "Check yourself", "Further reading"}
DECIMAL = r"(?<![\w.,/])\d[\d,]*\.\d+(?!\.?\d)"
SHARE = r"(?<![\w.,/])\d[\d,]*(?:\.\d+)?(?= ?(?:%|percent\b|points?\b))"
ASSERT = re.compile(r"^ *assert .*?(?=\n\S|\Z)", re.M | re.S)
BEFORE, AFTER = 3, 1  # code cells beside a text
NUMBER = re.compile(f"(?P<share>{SHARE})|(?P<decimal>{DECIMAL})")
CHAPTER = re.compile(r"1[4-6]\d\.\d")
PRINTED = re.compile(r"\d[\d,]*\.?\d*(?:e-?\d+)?")
PREDICT = re.compile(r"^> \*\*Predict.*?</details>(?!\s*<details)", re.M | re.S)
RECALL = re.compile(r"^<details><summary><b>Recall.*?</details>", re.M | re.S)
WORDS = "two three four five six seven eight nine ten eleven twelve fifteen twenty thirty"
SPELLED = re.compile(
    rf"\b({'|'.join(WORDS.split())})(-\w+)? (?:\w+-)?(points?|percent|hundredths?|thousandths?)\b"
    r"|\b(hundredths|thousandths)\b"
)


def values(text):
    """Return the numbers in a text as two sets: whole ones from 2 on, and those with decimals.

    0 and 1 stand in all code and prove nothing.
    """
    found = [number.strip(",").replace(",", "") for number in PRINTED.findall(text)]
    whole = {float(number) for number in found if number.isdigit() and int(number) > 1}
    return whole, {float(number) for number in found if number and not number.isdigit()}


def evidence(cells):
    """Return the numbers that code cells print, a what-if's other cases included, and the decimals
    that they hold, unless they are folded. Whole numbers of a source, and what an assert compares
    with, prove nothing.
    """
    shown, held = [], []
    for cell in cells:
        held.append("" if "hide-input" in tags(cell) else ASSERT.sub("", cell.source))
        shown.append(f"{printed(cell)}\n{course(cell).get('cases', '')}")
    whole, decimals = values("\n".join(shown))
    return whole, decimals | values("\n".join(held))[1]


def beside(cells, place):
    """Return the code cells of a section that stand beside its cell of this place: the three before
    it, itself, and the one after it.
    """
    before = [cell for cell in cells[: place + 1] if cell.cell_type == "code"]
    after = [cell for cell in cells[place + 1 :] if cell.cell_type == "code"]
    return before[-BEFORE:] + after[:AFTER]


def plain(text):
    """Return a Markdown text without addresses, code, formulas and tags."""
    return re.sub(r"\]\([^)]*\)|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|<[^>]+>", " ", text, flags=re.S)


def written(cell):
    """Return what a cell says to its reader: its text, or caption and alternative texts."""
    if cell.cell_type == "markdown":
        return plain(PREDICT.sub("", RECALL.sub("", FACTS.sub("", cell.source))))
    mystnb = cell.metadata.get("mystnb", {})
    caption, alt = mystnb.get("figure", {}).get("caption"), mystnb.get("image", {}).get("alt")
    return "\n".join(filter(None, [caption, alt, *course(cell).get("alts", [])]))


def occurs(number, is_share, known):
    """Return whether a number, as written, is one of the known ones after rounding.

    A number with decimals is proven by such numbers only, a share by whole ones too.
    """
    whole, decimals = known
    places = len(number.partition(".")[2])
    value, half = float(number.replace(",", "")), 0.5000001 * 10**-places
    others = decimals | {100 * other for other in decimals} | whole if is_share else decimals
    return any(abs(value - other) <= half for other in others)


def said(notebook):
    """Return the numbers that the text of the sections says, questions left out."""
    texts = [
        written(cell)
        for heading, cells in sections(notebook)
        if heading not in SAID_AGAIN | OF_THE_WHOLE
        for cell in cells
        if "question" not in tags(cell)
    ]
    return values("\n".join(texts))


def unproven(notebook):
    """Yield the numbers of the prose that nothing shows, and exceptions that nobody needs."""
    known = dict.fromkeys(OF_THE_WHOLE, evidence(code_cells(notebook)))
    known |= dict.fromkeys(SAID_AGAIN, said(notebook))
    for heading, cells in sections(notebook):
        for place, cell in enumerate(cells):
            if "question" in tags(cell):
                continue
            near = known.get(heading) or evidence(beside(cells, place))
            needless = dict(course(cell).get("prose", {}))
            for found in NUMBER.finditer(written(cell)):
                number, is_share = found.group(), bool(found["share"])
                if CHAPTER.fullmatch(number) or occurs(number, is_share, near):
                    continue
                if number in course(cell).get("prose", {}):
                    needless.pop(number, None)
                elif heading in SAID_AGAIN:
                    yield f"no section says the {number} of cell {cell.id}"
                else:
                    yield f"nothing in its section shows the {number} of cell {cell.id}"
            for number in needless:
                yield f"cell {cell.id} need not except {number}"


def spelled(notebook):
    """Yield results that are written in words, which no test can compare."""
    for cell in notebook.cells:
        if "question" not in tags(cell):
            for found in SPELLED.finditer(written(cell)):
                yield f"cell {cell.id} spells a result: {found.group()}"


@pytest.mark.parametrize("path", ASKING, ids=lambda path: path.stem)
def test_prose(path):
    notebook = read(path)
    assert [*unproven(notebook), *spelled(notebook)] == []


def says(cell_id, text):
    """Return a function that adds text to a Markdown cell of a notebook."""

    def apply(notebook):
        small.cell(notebook, cell_id).source += f"\n{text}"

    return apply


def only_held(line, text):
    """Return a function that adds a line to a code cell of a notebook, and text beside it."""

    def apply(notebook):
        small.cell(notebook, "half").source += f"\n{line}"
        says("one", text)(notebook)

    return apply


def held_but_not_said(notebook):
    only_held("rate = 0.79", "")(notebook)
    says("summary", "It is 0.79.")(notebook)


def captioned(notebook):
    small.cell(notebook, "draw-a").metadata.mystnb.figure.caption = "It reaches 0.79."


def described(notebook):
    small.cell(notebook, "draw-a").metadata.mystnb.image.alt = "A line that rises to 0.79"


def needless(notebook):
    small.cell(notebook, "one").metadata["course"] = {"prose": {"0.79": "read in a paper"}}


@pytest.mark.parametrize(
    "fault, sentence",
    [
        (says("one", "It is 0.79."), "nothing in its section shows the 0.79 of cell one"),
        (says("one", "It is 0.51."), "nothing in its section shows the 0.51 of cell one"),
        (says("one", "About 79 %."), "nothing in its section shows the 79 of cell one"),
        (says("one", "By 7 points."), "nothing in its section shows the 7 of cell one"),
        (says("one", "It has 1,234.5."), "nothing in its section shows the 1,234.5 of cell one"),
        (says("title", "It is 0.79."), "no section says the 0.79 of cell title"),
        (held_but_not_said, "no section says the 0.79 of cell summary"),
        (
            says("setup-text", "It is 0.5."),
            "nothing in its section shows the 0.5 of cell setup-text",
        ),
        (says("box", "It is 0.79."), "nothing in its section shows the 0.79 of cell box"),
        (
            only_held("assert x < 0.79", "It is 0.79."),
            "nothing in its section shows the 0.79 of cell one",
        ),
        (only_held("n = 79", "About 79 %."), "nothing in its section shows the 79 of cell one"),
        (captioned, "nothing in its section shows the 0.79 of cell draw-a"),
        (described, "nothing in its section shows the 0.79 of cell draw-a"),
        (needless, "cell one need not except 0.79"),
    ],
)
def test_a_number_without_evidence_is_rejected(fault, sentence):
    notebook = small.chapter()
    assert list(unproven(notebook)) == []
    fault(notebook)
    assert list(unproven(notebook)) == [sentence]


def test_a_grade_says_again_what_a_step_says():
    notebook = small.capstone()
    says("graded", "It is 0.79.")(notebook)
    assert list(unproven(notebook)) == ["no section says the 0.79 of cell graded"]
    small.cell(notebook, "step-solution").source += "\nx = 0.79"
    says("step", "It is 0.79.")(notebook)
    assert list(unproven(notebook)) == []


@pytest.mark.parametrize(
    "text",
    ["0.5, 0.50 or 50 %", "chapter 151.1", "`0.79`", "$p = 0.79$", "[x](y.md#0.79)", "50 points"],
)
def test_what_a_cell_shows_may_be_said(text):
    notebook = small.chapter()
    says("one", text)(notebook)
    assert list(unproven(notebook)) == []


def test_a_decimal_of_the_source_may_be_said():
    notebook = small.chapter()
    only_held("rate = 0.79", "It is 0.79.")(notebook)
    assert list(unproven(notebook)) == []


def test_an_exception_is_listed():
    notebook = small.chapter()
    says("one", "It is 0.79.")(notebook)
    needless(notebook)
    assert list(unproven(notebook)) == []


@pytest.mark.parametrize(
    "text, found",
    [
        ("It fell by four hundredths.", "four hundredths"),
        ("It fell by four to five hundredths.", "five hundredths"),
        ("It is twenty-five points better.", "twenty-five points"),
        ("A matter of thousandths.", "thousandths"),
    ],
)
def test_a_spelled_result_is_rejected(text, found):
    notebook = small.chapter()
    assert list(spelled(notebook)) == []
    says("one", text)(notebook)
    assert list(spelled(notebook)) == [f"cell one spells a result: {found}"]
