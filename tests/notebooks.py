"""What the tests share: the notebooks, their cells, the claims, and the parts of a page."""

import sys
from pathlib import Path

import nbformat
import yaml

sys.path.append(str(Path(__file__).resolve().parents[1]))

from course import ROOT, number

CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"), key=lambda path: float(number(path)))
NOTEBOOKS = CHAPTERS + sorted((ROOT / "reference").glob("*.ipynb"))
# those with questions
EXTRA = ["beyond_the_lectures", "mixed_questions", "mirrored_pairs"]
ASKING = [*CHAPTERS, *(ROOT / f"reference/{name}.ipynb" for name in EXTRA)]


def read(path):
    """Return a notebook as nbformat reads it."""
    return nbformat.read(path, as_version=4)


def tags(cell):
    """Return the tags of a cell."""
    return cell.metadata.get("tags", [])


def course(cell):
    """Return what a cell's metadata holds under the key of the course, a dict."""
    return cell.metadata.get("course", {})


def code_cells(notebook):
    """Return the code cells of a notebook."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def questions(notebook):
    """Return the question cells of a notebook."""
    return [cell for cell in notebook.cells if "question" in tags(cell)]


def markdown(notebook):
    """Return the text of all Markdown cells, joined."""
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def sections(notebook):
    """Return a list of (heading, cells): what stands before the first second-level heading, under
    the heading "", and each section.
    """
    found = [("", [])]
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            found.append((cell.source.partition("\n")[0][3:], []))
        found[-1][1].append(cell)
    return found


def section(notebook, heading):
    """Return the Markdown below a second-level heading, up to the next one, or ""."""
    text = [
        cell.source
        for name, cells in sections(notebook)
        for cell in cells
        if name == heading and cell.cell_type == "markdown"
    ]
    return "\n\n".join(text).removeprefix(f"## {heading}")


def before_exercises(notebook):
    """Return the cells before the exercises."""
    cells = []
    for heading, inside in sections(notebook):
        if heading == "Exercises":
            break
        cells += inside
    return cells


def draws(cell):
    """Return whether a code cell shows a picture."""
    return any("image/png" in output.get("data", {}) for output in cell.outputs)


def printed(cell):
    """Return the text that a code cell shows: streams and plain results, joined."""
    return "\n".join(
        output.get("text", "") + output.get("data", {}).get("text/plain", "")
        for output in cell.outputs
    )


def claims(folder=ROOT / "data" / "claims"):
    """Return {number of a chapter: its claims, a list of dicts}, from one file a chapter."""
    return {
        path.stem.replace("_", "."): yaml.safe_load(path.read_text(encoding="utf8"))
        for path in sorted(folder.glob("*.yaml"))
    }


def skills():
    """Return the skills of the exam, {number: dict}."""
    text = (ROOT / "data" / "exam.yaml").read_text(encoding="utf8")
    return {str(skill["skill"]): skill for skill in yaml.safe_load(text)["skills"]}
