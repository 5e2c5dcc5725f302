"""What the tests share: the notebooks, their cells and a way to plant a fault in a copy."""

import copy
import re
from pathlib import Path

import nbformat
import yaml

ROOT = Path(__file__).resolve().parents[1]


def number(path):
    """Return a chapter's number from its file name: 145_1_transformers.ipynb is "145.1"."""
    first, second = path.stem.split("_")[:2]
    return f"{first}.{second}" if second.isdigit() else first


CHAPTERS = sorted((ROOT / "chapters").glob("*.ipynb"), key=lambda path: float(number(path)))
NOTEBOOKS = CHAPTERS + sorted((ROOT / "reference").glob("*.ipynb"))


def read(path):
    """Return a notebook as nbformat reads it."""
    return nbformat.read(path, as_version=4)


def tags(cell):
    """Return the tags of a cell."""
    return cell.metadata.get("tags", [])


def code_cells(notebook):
    """Return the code cells of a notebook."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown(notebook):
    """Return the text of all Markdown cells, joined."""
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def section(notebook, heading):
    """Return the Markdown below a second-level heading, up to the next one, or ""."""
    found = re.search(
        rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", markdown(notebook), re.M | re.S
    )
    return found.group(1) if found else ""


def changed(notebook, change):
    """Return a deep copy of a notebook after change(copy) has been called."""
    other = copy.deepcopy(notebook)
    change(other)
    return other


def claims():
    """Return the claims ledger, a list of dicts."""
    return yaml.safe_load((ROOT / "data" / "claims.yaml").read_text(encoding="utf8"))
