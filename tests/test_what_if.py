"""The what-if cells do what their note says for other values of their constant.

The metadata of such a cell hold `needs`, the ids of the cells that it needs, and `cases`: other
first lines, each with what must be printed then.
"""

import nbformat
import pytest
import small
from nbclient import NotebookClient
from notebooks import CHAPTERS, code_cells, course, read, tags

WITH = [path for path in CHAPTERS if '"what-if"' in path.read_text(encoding="utf8")]


def form(notebook):
    """Yield what is wrong with what-if cells before any is run."""
    cells = [cell for cell in code_cells(notebook) if "what-if" in tags(cell)]
    if len(cells) > 1:
        yield f"{len(cells)} what-if cells, not one"
    for cell in cells:
        cases, first = course(cell).get("cases", {}), cell.source.partition("\n")[0]
        if len(cases) < 1 or len({first.partition(" =")[0], *map(constant, cases)}) > 1:
            yield f"the cases of {cell.id} do not set {constant(first)}"
        unknown = set(course(cell).get("needs", [])) - {one.id for one in notebook.cells}
        if unknown:
            yield f"{cell.id} needs {', '.join(sorted(unknown))}, which is no cell"


def constant(line):
    """Return the names that a line gives values to."""
    return line.partition(" =")[0]


def wrong(notebook, folder):
    """Run a chapter's what-if with each of its other lines, in a kernel in this folder; return a
    list of sentences about what is printed and should not be.
    """
    cell = next(cell for cell in code_cells(notebook) if "what-if" in tags(cell))
    first, cases = cell.source.partition("\n")[0], course(cell)["cases"]
    needed = [one for one in code_cells(notebook) if one.id in course(cell)["needs"]]
    tried = [nbformat.v4.new_code_cell(cell.source.replace(first, line, 1)) for line in cases]
    small_notebook = nbformat.v4.new_notebook(cells=needed + tried)
    resources = {"metadata": {"path": folder}}
    NotebookClient(
        small_notebook, timeout=300, kernel_name="python3", resources=resources
    ).execute()
    sentences = []
    for line, wanted, done in zip(cases, cases.values(), tried, strict=True):
        told = "".join(one.text for one in done.outputs if one.get("name") == "stdout")
        if wanted not in told:
            sentences.append(f"with {line} it prints {told.strip()!r} and not {wanted}")
    return sentences


@pytest.mark.parametrize("path", WITH, ids=lambda path: path.stem)
def test_what_if(path):
    notebook = read(path)
    assert list(form(notebook)) == []
    assert wrong(notebook, path.parent) == []


def two(notebook):
    notebook.cells.append(small.cell(notebook, "what-if").copy())


def described(**metadata):
    """Return a function that gives the what-if cell other metadata."""
    return lambda notebook: small.cell(notebook, "what-if").metadata.update(course=metadata)


@pytest.mark.parametrize(
    "fault, sentences",
    [
        (two, ["2 what-if cells, not one"]),
        (described(needs=[], cases={"k = 3": "3"}), ["the cases of what-if do not set n"]),
        (described(needs=[]), ["the cases of what-if do not set n"]),
        (described(needs=["gone"], cases={"n = 3": "3"}), ["what-if needs gone, which is no cell"]),
    ],
)
def test_a_what_if_of_another_form_is_rejected(fault, sentences):
    notebook = small.chapter()
    assert list(form(notebook)) == []
    fault(notebook)
    assert list(form(notebook)) == sentences


def test_a_what_if_that_prints_something_else_is_rejected(tmp_path):
    notebook = small.chapter()
    cases = {"n = 3": "3", "n = 4": "5"}
    small.cell(notebook, "what-if").metadata["course"] = {"needs": [], "cases": cases}
    assert wrong(notebook, tmp_path) == ["with n = 4 it prints '4' and not 5"]
