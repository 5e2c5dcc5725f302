"""The claims and the chapters agree: every claim of a written chapter stands in its place, with its
evidence.
"""

import ast
import builtins
import re
from collections import Counter

import pytest
import small
from notebooks import CHAPTERS, claims, code_cells, markdown, number, read, section, tags

VERDICT = re.compile(r"right|right when .+|wrong|dated|not reproduced here")
NEEDED = {"id", "claim", "verdict", "reason", "evidence"}
OPTIONAL = {"cells", "exam_answer", "source", "text_of", "checked", "place"}
BOX = re.compile(
    r'^> \*\*Claim (?P<id>\d{3}-\d\d): (?P<verdict>.+?)\.\*\* \*"(?P<claim>.+?)"\* ', re.M
)
BOXES, ROWS = 6, 14  # at most, in a chapter


def kinds(claim):
    """Return what a claim's verdict rests on, a set: "cited and measured" are two."""
    return set(claim["evidence"].split(" and "))


def entry(claim, written):
    """Yield what is wrong with one claim; written says whether its chapter is."""
    name, keys = claim.get("id"), set(claim)
    if not NEEDED <= keys:
        yield f"{name} lacks {', '.join(sorted(NEEDED - keys))}"
        return
    if keys - NEEDED - OPTIONAL:
        yield f"{name} has the unknown keys {', '.join(sorted(keys - NEEDED - OPTIONAL))}"
    if not re.fullmatch(r"\d{3}-\d\d", name):
        yield f"{name} is no id of a claim"
    if not VERDICT.fullmatch(claim["verdict"]):
        yield f"{name} has the verdict {claim['verdict']}"
    if not kinds(claim) <= {"measured", "derived", "cited"}:
        yield f"{name} has the evidence {claim['evidence']}"
    length = len(claim["reason"].split())
    if not 8 <= length <= 40:
        yield f"{name} has a reason of {length} words, not 8 to 40"
    if not written:
        return
    if claim.get("place") not in {"box", "table", "ledger"}:
        yield f"{name} is decided and stands in no box, table or ledger"
    if "cited" in kinds(claim) and "source" not in claim:
        yield f"{name} is cited without a source"
    if "source" in claim and "checked" not in claim:
        yield f"{name} has a source without the day it was checked"
    if "docs.aws.amazon.com" in claim.get("source", "") and "text_of" not in claim:
        yield f"{name} cites AWS without the date of the text"


def twice(ledger):
    """Yield ids that stand twice, over all chapters."""
    ids = Counter(claim.get("id") for mine in ledger.values() for claim in mine)
    for name, n in ids.items():
        if n > 1:
            yield f"{name} stands {n} times"


def rows(notebook):
    """Return {id: cells of the row} of the closing table."""
    found = {}
    for line in section(notebook, "Often said, checked").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and re.fullmatch(r"\d{3}-\d\d", cells[0]):
            found[cells[0]] = cells[1:]
    return found


def in_boxes(notebook, mine):
    """Yield what is wrong with a chapter's boxes; mine is {id: claim}."""
    begun = re.findall(r"^> \*\*Claim (\d{3}-\d\d)", markdown(notebook), re.M)
    found = {box["id"]: box for box in BOX.finditer(markdown(notebook))}
    for name in begun:
        if name not in found:
            yield f"the box of {name} does not begin with verdict and claim"
    if len(begun) > BOXES:
        yield f"{len(begun)} boxes, not {BOXES} at most"
    for name, box in found.items():
        if name not in mine:
            yield f"the box of {name} holds no claim of this chapter"
            continue
        told = markdown(notebook)[box.end() :].partition("\n")[0]
        if ("**In the exam" in told) != ("exam_answer" in mine[name]):
            yield f"the box of {name} and its entry differ about an answer in the exam"
        for what in ("verdict", "claim"):
            if box[what].rstrip(".") != mine[name][what].strip().rstrip("."):
                yield f"the box of {name} has another {what}: {box[what]}"
    for name, claim in mine.items():
        if (name in begun) != (claim.get("place") == "box"):
            yield f"{name} {'stands in' if name in begun else 'has no'} box"


def in_table(notebook, mine):
    """Yield what is wrong with a chapter's closing table; mine is {id: claim}."""
    found = rows(notebook)
    if found and "<details>" not in section(notebook, "Often said, checked"):
        yield "the table of claims is not folded"
    simply_right = [cells[1] == "right" for cells in found.values()]
    if simply_right != sorted(simply_right):
        yield "a claim that is simply right stands before one that is not"
    if len(found) > ROWS:
        yield f"{len(found)} rows of claims, not {ROWS} at most"
    for name, cells in found.items():
        if name not in mine:
            yield f"the row of {name} holds no claim of this chapter"
            continue
        claim = mine[name]
        if cells[:3] != [claim["claim"].strip(), claim["verdict"], claim["reason"].strip()]:
            yield f"the row of {name} says something else than its claim"
        if not re.fullmatch(r"\[.+\]\(#[\w-]+\)", cells[-1]):
            yield f"the row of {name} has no link to a section"
    for name, claim in mine.items():
        if (name in found) != (claim.get("place") == "table"):
            yield f"{name} {'stands in' if name in found else 'has no row of'} the table"


def depends_on_the_cell(source):
    """Return whether a cell ends with an assert about a name that the cell gives a value, or about
    the result of a function.
    """
    *before, last = ast.parse(source).body or [None]
    if not isinstance(last, ast.Assert):
        return False
    given = {
        node.id
        for statement in before
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    used = {node.id for node in ast.walk(last.test) if isinstance(node, ast.Name)}
    called = {
        node.func.id
        for node in ast.walk(last.test)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return bool(used & given or called - set(dir(builtins)))


def in_code(notebook, mine):
    """Yield what is wrong with the cells that decide a chapter's claims; mine is {id: claim}."""
    deciding = {}
    for cell in code_cells(notebook):
        for tag in tags(cell):
            if tag.startswith("claim-"):
                deciding.setdefault(tag[6:], []).append(cell)
    for name in sorted(set(deciding) - set(mine)):
        yield f"a cell decides {name}, which is no claim of this chapter"
    for name, claim in mine.items():
        cells = deciding.get(name, [])
        if sorted(cell.id for cell in cells) != sorted(claim.get("cells", [])):
            found = ", ".join(cell.id for cell in cells) or "none"
            yield f"{name} names {', '.join(claim.get('cells', [])) or 'none'}, tagged: {found}"
        if kinds(claim) & {"measured", "derived"} and not cells:
            yield f"no cell decides {name}"
        depending = any(depends_on_the_cell(cell.source) for cell in cells)
        if "measured" in kinds(claim) and cells and not depending:
            yield f"no cell of {name} ends with an assert about what it computed"


def in_chapter(notebook, mine):
    """Yield what is wrong between a chapter and its claims, a list of dicts."""
    mine = {claim["id"]: claim for claim in mine}
    for check in (in_boxes, in_table, in_code):
        yield from check(notebook, mine)


def test_the_ledger_is_sound():
    written = {number(path) for path in CHAPTERS}
    problems = [
        problem
        for chapter, mine in claims().items()
        for claim in mine
        for problem in entry(claim, chapter in written)
    ]
    assert problems + list(twice(claims())) == []


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_chapter_keeps_its_claims(path):
    assert list(in_chapter(read(path), claims().get(number(path), []))) == []


def test_the_small_ledger_passes():
    for claim in small.ledger():
        assert list(entry(claim, written=True)) == []
    assert list(twice({"142": small.ledger()})) == []
    assert list(in_chapter(small.chapter(), small.ledger())) == []


REASON = "142-02 has a reason of 1 words, not 8 to 40"
AWS = "Rohe 1959; https://docs.aws.amazon.com/x.html"


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"id": "142-2"}, "142-2 is no id of a claim"),
        ({"verdict": "mostly right"}, "142-02 has the verdict mostly right"),
        ({"evidence": "felt"}, "142-02 has the evidence felt"),
        ({"evidence": "cited and felt"}, "142-02 has the evidence cited and felt"),
        ({"reason": "Because."}, REASON),
        ({"place": "footnote"}, "142-02 is decided and stands in no box, table or ledger"),
        ({"status": "open"}, "142-02 has the unknown keys status"),
        ({"source": AWS}, "142-02 cites AWS without the date of the text"),
        ({"verdict": None}, "142-02 lacks verdict"),
        ({"source": None, "checked": None}, "142-02 is cited without a source"),
        ({"checked": None}, "142-02 has a source without the day it was checked"),
    ],
)
def test_a_broken_entry_is_rejected(change, sentence):
    claim = small.ledger()[1] | change
    kept = {key: value for key, value in claim.items() if value is not None}
    assert list(entry(kept, written=True)) == [sentence]


def test_an_open_claim_needs_no_source_yet():
    claim = small.ledger()[1]
    del claim["source"], claim["checked"], claim["place"]
    assert list(entry(claim, written=False)) == []


def test_a_claim_that_stands_twice_is_rejected():
    first, second = small.ledger()
    assert list(twice({"142": [first, second], "143": [first]})) == ["142-01 stands 2 times"]


def in_cell(cell_id, old, new):
    """Return a function that replaces text in one cell of a notebook."""

    def apply(notebook, ledger):
        cell = small.cell(notebook, cell_id)
        assert old in cell.source
        cell.source = cell.source.replace(old, new)

    return apply


def in_claim(n, **change):
    """Return a function that changes one claim of the small ledger."""
    return lambda notebook, ledger: ledger[n].update(change)


def untagged(notebook, ledger):
    small.cell(notebook, "half").metadata["tags"] = []


def another_tag(notebook, ledger):
    small.cell(notebook, "fold").metadata["tags"] = ["claim-142-07"]


def boxes(notebook, ledger):
    for n in range(11, 17):
        ledger.append(ledger[0] | {"id": f"142-{n}", "evidence": "cited", "cells": []})
        box = f'> **Claim 142-{n}: wrong.** *"More is more."* It is.'
        notebook.cells.append(small.text(box, f"box-{n}"))


def table(notebook, ledger):
    row = "\n| 142-{} | Less is more. | right | " + ledger[1]["reason"] + " | [here](#one) |"
    for n in range(11, 25):
        ledger.append(ledger[1] | {"id": f"142-{n}"})
        small.cell(notebook, "often").source += row.format(n)


def wrong_last(notebook, ledger):
    row = "\n| 142-03 | Least is most. | wrong | " + ledger[1]["reason"] + " | [here](#one) |"
    ledger.append(ledger[1] | {"id": "142-03", "claim": "Least is most.", "verdict": "wrong"})
    small.cell(notebook, "often").source += row


@pytest.mark.parametrize(
    "fault, sentences",
    [
        (
            in_cell("box", '*"More is more."*', "More is more."),
            ["the box of 142-01 does not begin with verdict and claim"],
        ),
        (boxes, ["7 boxes, not 6 at most"]),
        (
            in_cell("box", "142-01", "142-09"),
            ["the box of 142-09 holds no claim of this chapter", "142-01 has no box"],
        ),
        (in_cell("box", "wrong", "right"), ["the box of 142-01 has another verdict: right"]),
        (
            in_cell("box", "It is 0.5.", "**In the exam** (inferred): more."),
            ["the box of 142-01 and its entry differ about an answer in the exam"],
        ),
        (
            in_cell("box", "More is", "Most is"),
            ["the box of 142-01 has another claim: Most is more."],
        ),
        (in_claim(0, place="ledger"), ["142-01 stands in box"]),
        (table, ["15 rows of claims, not 14 at most"]),
        (
            in_cell("often", "142-02", "142-09"),
            ["the row of 142-09 holds no claim of this chapter", "142-02 has no row of the table"],
        ),
        (
            in_cell("often", "| right |", "| wrong |"),
            ["the row of 142-02 says something else than its claim"],
        ),
        (in_claim(1, verdict="wrong"), ["the row of 142-02 says something else than its claim"]),
        (in_cell("often", "[here](#one)", "here"), ["the row of 142-02 has no link to a section"]),
        (in_cell("often", "<details>", ""), ["the table of claims is not folded"]),
        (wrong_last, ["a claim that is simply right stands before one that is not"]),
        (in_claim(1, place="ledger"), ["142-02 stands in the table"]),
        (untagged, ["142-01 names half, tagged: none", "no cell decides 142-01"]),
        (in_claim(0, cells=["half", "gone"]), ["142-01 names half, gone, tagged: half"]),
        (another_tag, ["a cell decides 142-07, which is no claim of this chapter"]),
        (
            in_cell("half", "assert x < 1", "assert 'ok'"),
            ["no cell of 142-01 ends with an assert about what it computed"],
        ),
    ],
)
def test_a_chapter_that_disagrees_is_rejected(fault, sentences):
    notebook, ledger = small.chapter(), small.ledger()
    fault(notebook, ledger)
    assert list(in_chapter(notebook, ledger)) == sentences


@pytest.mark.parametrize(
    "source, depends",
    [
        ("x = 1\nassert x < 2", True),
        ("assert accuracy(3) > 0.5", True),
        ("for k in range(3):\n    s = k\nassert s == 2", True),
        ("x = 1\nassert 'ok'", False),
        ("x = 1\nassert y < 2", False),
        ("assert len('ok') == 2", False),
        ("assert x < 2\nprint(x)", False),
        ("x = 1", False),
        ("", False),
    ],
)
def test_an_assert_depends_on_what_the_cell_computes(source, depends):
    assert depends_on_the_cell(source) == depends
