"""The cheat sheet takes its lines from the chapters."""

import shutil
import sys

import pytest
import yaml
from notebooks import ROOT

sys.path.append(str(ROOT / "_ext"))

import cheat_sheet


def test_every_line_is_a_row_of_a_chapter():
    groups = yaml.safe_load((ROOT / "data/cheat_sheet.yaml").read_text(encoding="utf8"))
    rows = [one for group in groups for some in group["rows"].values() for one in some]
    wanted = sum(not (isinstance(one, dict) and "note" in one) for one in rows)
    text = cheat_sheet.sheet(ROOT)
    assert text.count("\n- ") == wanted > 150 and "read in" not in text
    assert (
        "- [151](../chapters/151_precision_recall_f1_auc.ipynb#facts-for-the-exam) **recall** TP /"
        in text
    )


def test_sources_and_links_are_left_out():
    text = "12 by default ([guide](https://a.b), read in November 2026); see [151](151_x.ipynb)"
    assert cheat_sheet.plain(text) == "12 by default; see 151"


@pytest.mark.parametrize(
    ("beginning", "problem"),
    [
        ("nothing", "0 facts of 150 begin with nothing"),
        ("true-", "2 facts of 150 begin with true-"),
    ],
)
def test_a_beginning_of_no_row_or_of_several_is_refused(tmp_path, beginning, problem):
    for name in ("chapters", "data"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / "chapters/150_confusion_matrix.ipynb", tmp_path / "chapters")
    groups = [{"title": "One", "rows": {"150": [beginning]}}]
    (tmp_path / "data/cheat_sheet.yaml").write_text(yaml.safe_dump(groups), encoding="utf8")
    with pytest.raises(ValueError, match=f"^{problem}$"):
        cheat_sheet.sheet(tmp_path)
