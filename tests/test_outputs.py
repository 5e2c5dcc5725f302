"""Stored figures are compared with freshly drawn ones: pictures that differ are rejected, redrawn
ones are not.
"""

import base64
import io

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import nbformat
import pytest
from compare_figures import TRAINED, figures, same_figure
from notebooks import CHAPTERS, NOTEBOOKS, ROOT, code_cells, read, tags
from run_chapters import execute

LOOSE = 40  # in the whole course


def draw(values):
    """Return a base64 PNG of a line through these values."""
    fig, ax = plt.subplots(figsize=(6.4, 3.4), dpi=105)
    ax.plot(values)
    file = io.BytesIO()
    fig.savefig(file)
    plt.close(fig)
    return base64.b64encode(file.getvalue()).decode()


def test_the_same_picture_passes():
    assert same_figure(draw([1, 3, 2, 4]), draw([1, 3, 2, 4]))


@pytest.mark.parametrize("values", [[1, 3, 2.3, 4], [4, 2, 3, 1]])
def test_another_curve_is_rejected(values):
    assert not same_figure(draw([1, 3, 2, 4]), draw(values))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_swapped_figures_are_rejected(path):
    stored = [png for cell in code_cells(read(path)) for png in figures(cell.outputs)]
    assert not any(same_figure(a, b, TRAINED) for a, b in zip(stored, stored[1:], strict=False))


def test_only_figures_of_trained_networks_are_compared_loosely():
    loose = [
        cell
        for path in NOTEBOOKS
        for cell in code_cells(read(path))
        if "trained-figure" in tags(cell)
    ]
    assert all(figures(cell.outputs) for cell in loose)
    assert len(loose) <= LOOSE


def test_nbval_run_rejects_a_wrong_figure_and_a_wrong_number(pytester, monkeypatch):
    """Check a small notebook as stored, and with two figures swapped and a number changed."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tools"))
    notebook = nbformat.v4.new_notebook()
    sources = [
        "import matplotlib.pyplot as plt",
        "plt.plot([1, 2])\nplt.show()",
        "plt.plot([2, 1])\nplt.show()",
        "1 + 1",
    ]
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    path = pytester.path / "small.ipynb"
    nbformat.write(notebook, path)
    execute(path)
    arguments = ["-p", "compare_figures", "--nbval", "--nbval-current-env", path.name]
    pytester.runpytest_subprocess(*arguments).assert_outcomes(passed=4)
    wrong = read(path)
    wrong.cells[1].outputs, wrong.cells[2].outputs = (
        wrong.cells[2].outputs,
        wrong.cells[1].outputs,
    )
    wrong.cells[3].outputs[0]["data"]["text/plain"] = "3"
    nbformat.write(wrong, path)
    pytester.runpytest_subprocess(*arguments).assert_outcomes(passed=1, failed=3)
