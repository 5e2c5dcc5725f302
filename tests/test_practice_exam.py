"""The practice exam holds every question of the chapters, of the page beyond them and of the mixed
questions, under its skill, and no mirrored pairs.
"""

import json
import re
import sys

import pytest
from notebooks import ASKING, ROOT, course, questions, read

sys.path.append(str(ROOT / "_ext"))

import practice_exam


def test_every_question_stands_once_under_its_skill():
    found = practice_exam.questions(ROOT)
    wanted = [
        (course(cell)["key"], next(t[6:] for t in cell.metadata.tags if t.startswith("skill-")))
        for path in ASKING
        if path.stem != "mirrored_pairs"
        for cell in questions(read(path))
    ]
    assert [(one["key"], one["skill"]) for one in found] == wanted and len(wanted) > 300
    assert len({one["id"] for one in found}) == len(found)
    listing = practice_exam.listing(ROOT)
    assert re.findall(r'data-id="([^"]+)"', listing) == [
        one["id"]
        for skill in re.findall(r"(?m)^## (\d\.\d\.\d+|)", listing)
        for one in found
        if one["skill"] == (skill or "none")
    ]


def points_elsewhere(question):
    """Return what a question without its page points at in vain, or None."""
    asked = question.partition("<details>")[0] + " ".join(
        re.findall("<summary>(.+?)</summary>", question)
    )
    found = re.search(r"\b(this page|this chapter|figure above|this section)\b", asked)
    return found and found[0]


def test_a_question_stands_without_its_page():
    found = practice_exam.questions(ROOT)
    assert [one["id"] for one in found if points_elsewhere(one["text"])] == []
    assert points_elsewhere("What does this chapter show?<details>") == "this chapter"
    assert points_elsewhere("<details><summary>A. As on this page</summary>") == "this page"


def test_links_lead_to_the_same_places_from_the_reference():
    text = "[a](#here) [b](144_x.ipynb#c) [d](../reference/glossary.md#e) "
    text += "[f](https://g.h) [i](../data/README.md)"
    assert practice_exam.from_here(text, "143_z") == (
        "[a](../chapters/143_z.ipynb#here) [b](../chapters/144_x.ipynb#c) [d](glossary.md#e) "
        "[f](https://g.h) [i](../data/README.md)"
    )
    text = "[a](#here) [b](../chapters/144_x.ipynb#c) [d](glossary.md#e)"
    assert practice_exam.from_here(text, "beyond_the_lectures") == (
        "[a](beyond_the_lectures.ipynb#here) [b](../chapters/144_x.ipynb#c) [d](glossary.md#e)"
    )


def small(folder, skill):
    """Write a book of one chapter with one question of a skill."""
    for name in ("chapters", "data"):
        (folder / name).mkdir()
    cells = [
        ("# 150. Matrix", {}),
        ("## One", {"tags": ["skill-2.3.6"]}),
        ("## Check yourself", {}),
        (
            "**Question 1.** What?\n\n<details><summary>A. It</summary>\n\n✔ Yes.\n\n</details>",
            {"tags": ["question", f"skill-{skill}"], "course": {"key": "A"}},
        ),
    ]
    notebook = {
        "cells": [
            {"cell_type": "markdown", "id": f"c{n}", "source": [source], "metadata": metadata}
            for n, (source, metadata) in enumerate(cells)
        ]
    }
    (folder / "chapters/150_matrix.ipynb").write_text(json.dumps(notebook), encoding="utf8")
    words = "skills: [{skill: 2.3.6, words: evaluation}]"
    (folder / "data/exam.yaml").write_text(words, encoding="utf8")


def test_a_question_names_the_section_to_read(tmp_path):
    small(tmp_path, "2.3.6")
    text = practice_exam.listing(tmp_path)
    assert text.startswith("## 2.3.6 Evaluation\n")
    assert "**Chapter 150, question 1.** What?" in text
    assert "[Read: 150 One](../chapters/150_matrix.ipynb#one)" in text


def test_a_question_of_the_reference_part_names_the_section_that_its_key_names(tmp_path):
    small(tmp_path, "2.3.6")
    text = (tmp_path / "chapters/150_matrix.ipynb").read_text(encoding="utf8")
    text = text.replace("# 150. Matrix", "# Mixed questions").replace("## Check yourself", "## Two")
    linked = text.replace("Yes.", "See [150 One](../chapters/150_m.ipynb#one).")
    (tmp_path / "reference").mkdir()
    for name, page in [("mixed_questions", linked), ("mirrored_pairs", text)]:
        (tmp_path / f"reference/{name}.ipynb").write_text(page, encoding="utf8")
    chapter, mixed = practice_exam.questions(tmp_path)
    assert chapter["place"] == ("150 One", "../chapters/150_matrix.ipynb#one")
    assert mixed["id"] == "mixed_questions-c3" and mixed["source"] == "Mixed questions"
    assert mixed["place"] == ("150 One", "../chapters/150_m.ipynb#one")
    (tmp_path / "reference/mixed_questions.ipynb").write_text(text, encoding="utf8")
    assert practice_exam.questions(tmp_path)[1]["place"] == ("Two", "mixed_questions.ipynb#two")


def test_an_unknown_skill_is_refused(tmp_path):
    small(tmp_path, "2.9.9")
    with pytest.raises(ValueError, match="data/exam.yaml has no skill 2.9.9"):
        practice_exam.listing(tmp_path)
