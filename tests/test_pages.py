"""The pictures of trackers' pages, with small stand-ins: only a CI job installs MLflow's pages."""

import struct

import pages
import pytest
from notebooks import CHAPTERS, markdown, read


def test_cells_run_up_to_the_last_one_and_know_their_source(tmp_path):
    notebook = tmp_path / "small.ipynb"
    cells = [
        ("import inspect", "setup"),
        ("def double(x):\n    return 2 * x", "define"),
        ("told = inspect.getsource(double)", "ask"),
        ("late = 1", "after"),
    ]
    new = pages.nbformat.v4
    made = [new.new_code_cell(source, id=name) for source, name in cells]
    pages.nbformat.write(new.new_notebook(cells=made), notebook)
    names = pages.run_cells(notebook, "ask")
    assert names["double"](2) == 4 and names["told"].startswith("def double(x):")
    assert "late" not in names
    with pytest.raises(LookupError, match="small.ipynb has no cell gone"):
        pages.run_cells(notebook, "gone")


def test_what_a_page_does_not_show_is_told():
    assert pages.missing(["0.743", "seed"], "seed 10 gave 0.7431") == []
    assert pages.missing(["0.743", "seed"], "0.7") == [
        "the page does not show 0.743",
        "the page does not show seed",
    ]


@pytest.mark.parametrize("page", pages.PAGES.values(), ids=pages.PAGES)
def test_the_picture_stands_in_its_chapter(page):
    [path] = [path for path in CHAPTERS if path.name == page.notebook]
    picture = path.parent / "pages" / f"{path.stem}.png"
    notebook, data = read(path), picture.read_bytes()
    assert struct.unpack(">II", data[16:24]) == page.size
    assert len(data) < 200_000
    assert f"](pages/{picture.name})" in markdown(notebook)
    assert page.last_cell in [cell.id for cell in notebook.cells]
