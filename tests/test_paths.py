"""The page of paths leads to chapters that exist, and adds up their minutes."""

import re
import sys

import pytest
from notebooks import ROOT

sys.path.append(str(ROOT / "_ext"))

import course_site
import paths

PAGE = (ROOT / "reference/paths.md").read_text(encoding="utf8")


def test_fourteen_days_have_their_minutes():
    text = paths.filled(ROOT, PAGE)
    assert "[[" not in text
    days = re.split(r"(?m)^### Day (\d+)\.", text.partition("\n## New to")[0])
    assert days[1::2] == [str(day) for day in range(1, 15)]
    for day in days[2:27:2]:
        total = sum(map(int, re.findall(r", (\d+) minutes$", day, re.M)))
        assert f"\n{total} minutes of reading.\n" in day and 20 <= total <= 80


def test_every_lecture_lies_on_a_path():
    on_paths = {n for _, n in paths.ENTRY.findall(PAGE)}
    lectures = {n for n in course_site.chapters(ROOT) if "." not in n}
    assert lectures <= on_paths


def test_a_missing_chapter_is_named():
    with pytest.raises(ValueError, match=r"^a path leads to chapter 199, which does not exist$"):
        paths.filled(ROOT, "[[read 199]]")
