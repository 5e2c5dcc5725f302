"""The claims ledger and the chapters agree: every decided claim stands in its chapter, with its
evidence.
"""

import copy
import re

import pytest
from notebooks import CHAPTERS, ROOT, claims, code_cells, markdown, number, read, section, tags

TOTAL = 307
VERDICT = re.compile(r"right|right when .+|wrong|dated|not reproduced here")
NEEDED = {"id", "chapter", "claim", "verdict", "reason", "evidence", "status"}
OPTIONAL = {"exam_answer", "source", "checked", "place"}
BOXES = 6  # at most, in a chapter


def entries(ledger):
    """Return a list of problems within the ledger itself."""
    problems = []
    if len(ledger) != TOTAL or len({claim["id"] for claim in ledger}) != TOTAL:
        problems.append(f"{len(ledger)} claims, not {TOTAL} different ones")
    for claim in ledger:
        name, keys = claim.get("id"), set(claim)
        if not NEEDED <= keys or keys - NEEDED - OPTIONAL:
            problems.append(f"{name} has the keys {sorted(keys)}")
            continue
        if not re.fullmatch(r"\d{3}-\d\d", name) or not re.fullmatch(
            r"\d{3}(\.\d)?", claim["chapter"]
        ):
            problems.append(f"{name} has a strange id or chapter")
        if not VERDICT.fullmatch(claim["verdict"]):
            problems.append(f"{name} has the verdict {claim['verdict']}")
        if claim["evidence"] not in {"measured", "derived", "cited"} or claim["status"] not in {
            "open",
            "decided",
        }:
            problems.append(f"{name} has strange evidence or status")
        if not 8 <= len(claim["reason"].split()) <= 40:
            problems.append(f"{name} has a reason of {len(claim['reason'].split())} words")
        if claim["status"] == "decided" and claim["evidence"] == "cited" and "source" not in claim:
            problems.append(f"{name} is cited without a source")
        if claim["status"] == "decided" and claim.get("place") not in {"box", "table"}:
            problems.append(f"{name} is decided and has no place")
        if claim["status"] == "decided" and "source" in claim and "checked" not in claim:
            problems.append(f"{name} has a source without the date it was checked")
    return problems


def in_chapter(ledger, chapter, notebook):
    """Return a list of problems between the ledger and one chapter."""
    problems = []
    mine = {claim["id"]: claim for claim in ledger if claim["chapter"] == chapter}
    found = re.findall(r"^> \*\*Claim (\d{3}-\d\d)\.\*\*(.*)", markdown(notebook), re.M)
    boxes = [name for name, _ in found]
    rows = {}
    for line in section(notebook, "Often said, checked").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and re.fullmatch(r"\d{3}-\d\d", cells[0]):
            rows[cells[0]] = cells[1:]
    if len(boxes) > BOXES or len(set(boxes)) != len(boxes):
        problems.append(f"boxes: {boxes}")
    problems += [
        f"the box of {name} does not give its verdict"
        for name, text in found
        if name in mine and f"**As taught:** {mine[name]['verdict']}." not in text
    ]
    for name, claim in mine.items():
        if claim["status"] != "decided":
            problems.append(f"{name} is still open")
        if (name in boxes) != (claim.get("place") == "box") or (name in rows) != (
            claim.get("place") == "table"
        ):
            problems.append(f"{name} does not stand in the {claim.get('place')}")
        if name in rows:
            where = rows[name].pop()
            if rows[name] != [claim["claim"].strip(), claim["verdict"], claim["reason"].strip()]:
                problems.append(f"the row of {name} says something else than the ledger")
            if not re.fullmatch(r"\[.+\]\(#[\w-]+\)", where):
                problems.append(f"the row of {name} has no link to a section")
        deciding = [cell for cell in code_cells(notebook) if f"claim-{name}" in tags(cell)]
        if claim["evidence"] in {"measured", "derived"} and not deciding:
            problems.append(f"no cell decides {name}")
        if claim["evidence"] == "measured" and not any(ends_in_assert(cell) for cell in deciding):
            problems.append(f"no cell that decides {name} ends with an assert")
    stray = (
        set(boxes)
        | set(rows)
        | {t[6:] for c in code_cells(notebook) for t in tags(c) if t.startswith("claim-")}
    )
    problems += [f"{name} is not a claim of this chapter" for name in sorted(stray - set(mine))]
    return problems


def ends_in_assert(cell):
    """Return whether the last statement of a cell is an assert about something computed."""
    last = re.split(r"\n(?=\S)", cell.source.strip())[-1]
    return bool(re.match(r"assert .*[a-z]", last)) and not re.match(r"assert (True|1)\b", last)


def test_the_ledger_is_sound():
    assert entries(claims()) == []


def test_a_claim_is_decided_when_its_chapter_is_written():
    written = {number(path) for path in CHAPTERS}  # some have no claims of their own
    assert {claim["chapter"] for claim in claims() if claim["status"] == "decided"} == written & {
        claim["chapter"] for claim in claims()
    }


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_chapter_keeps_its_claims(path):
    assert in_chapter(claims(), number(path), read(path)) == []


def test_links_of_rows_and_boxes_lead_to_the_ledger():
    text = (ROOT / "reference" / "claims_ledger.ipynb").read_text(encoding="utf8")
    decided = [claim["id"] for claim in claims() if claim["status"] == "decided"]
    assert decided and all(name in text for name in decided)


@pytest.mark.parametrize(
    "key, value",
    [
        ("verdict", "mostly right"),
        ("evidence", "felt"),
        ("reason", "Because."),
        ("id", "144-02"),
        ("place", "footnote"),
    ],
)
def test_a_broken_entry_is_rejected(key, value):
    ledger = claims()
    broken = copy.deepcopy(ledger)
    next(claim for claim in broken if claim["id"] == "144-05")[key] = value
    assert entries(ledger) == [] != entries(broken)


def test_a_verdict_changed_in_the_chapter_is_rejected():
    path = next(path for path in CHAPTERS if number(path) == "144")
    notebook = read(path)
    cell = next(cell for cell in notebook.cells if cell.source.startswith("## Often said, checked"))
    cell.source = cell.source.replace("| right |", "| wrong |", 1)
    assert in_chapter(claims(), "144", notebook) != []


@pytest.mark.parametrize("name, verdict", [("144-14", "wrong"), ("144-05", "right")])
def test_a_verdict_changed_in_the_ledger_is_rejected(name, verdict):
    ledger = claims()
    next(claim for claim in ledger if claim["id"] == name)["verdict"] = verdict
    path = next(path for path in CHAPTERS if number(path) == "144")
    assert in_chapter(ledger, "144", read(path)) != []


def test_a_claim_without_its_assert_is_rejected():
    path = next(path for path in CHAPTERS if number(path) == "144")
    notebook = read(path)
    for cell in code_cells(notebook):
        if "claim-144-01" in tags(cell):
            cell.source = cell.source.rsplit("assert", 1)[0]
    assert in_chapter(claims(), "144", notebook) != []
