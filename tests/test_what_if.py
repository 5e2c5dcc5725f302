"""The what-if cells do what their note says for other values of their constant."""

import nbformat
import pytest
from nbclient import NotebookClient
from notebooks import CHAPTERS, code_cells, number, read, tags

# chapter: the cells that its what-if needs, the line with the constant, and other lines with what
# must be printed then
CASES = {
    "141.1": (
        [],
        "DISCOUNT, LOST_HOURS = 0.6, 2",
        {
            "DISCOUNT, LOST_HOURS = 0.6, 14": "cheaper: True",
            "DISCOUNT, LOST_HOURS = 0.6, 16": "cheaper: False",
            "DISCOUNT, LOST_HOURS = 0.9, 20": "cheaper: True",
        },
    ),
    "144": (
        ["setup", "load", "scenes", "draw", "classic"],
        "FROM, TO = 0, 17",
        {"FROM, TO = 0, 6": "below 0.2: True", "FROM, TO = 0, 17": "above 0.8: True"},
    ),
    "151": (
        [],
        "prevalence, sensitivity, specificity = 0.01, 0.99, 0.99",
        {
            "prevalence, sensitivity, specificity = 0.01, 0.99, 0.999": "precision 0.91",
            "prevalence, sensitivity, specificity = 0.01, 1, 0.99": "precision 0.50",
        },
    ),
    "151.1": (
        ["setup", "load", "models", "cost"],
        "miss, alarm = 200, 10",
        {
            "miss, alarm = 20, 10": "twenty alerts a day: True",
            "miss, alarm = 200, 10": "twenty alerts a day: True",
            "miss, alarm = 2000, 10": "twenty alerts a day: False",
        },
    ),
    "153": (
        ["setup", "digits"],
        "NOISE = 0.2",
        {"NOISE = 0": "ahead: True", "NOISE = 0.1": "ahead: False"},
    ),
    "154": (
        ["setup", "replay"],
        "LOW, HIGH = 0.05, 0.5",
        {"LOW, HIGH = 0.05, 0.5": "ahead: True", "LOW, HIGH = 0.2, 1": "ahead: False"},
    ),
    "163": (
        [],
        "DEVICES, GBIT = 8, 100",
        {
            "DEVICES, GBIT = 8, 25": "faster than one GPU: False",
            "DEVICES, GBIT = 1024, 25": "faster than one GPU: False",
            "DEVICES, GBIT = 8, 400": "each used to 67%",
            "DEVICES, GBIT = 64, 400": "each used to 18%",
        },
    ),
}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_what_if(path):
    notebook = read(path)
    cells = [cell for cell in code_cells(notebook) if "what-if" in tags(cell)]
    assert len(cells) == (number(path) in CASES)
    if not cells:
        return
    needed, line, variants = CASES[number(path)]
    assert cells[0].source.startswith(line)
    small = nbformat.v4.new_notebook(
        cells=[cell for cell in code_cells(notebook) if cell.id in needed]
    )
    small.cells += [
        nbformat.v4.new_code_cell(cells[0].source.replace(line, other)) for other in variants
    ]
    NotebookClient(
        small, timeout=300, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute()
    for cell, wanted in zip(small.cells[-len(variants) :], variants.values(), strict=True):
        printed = "".join(
            output.get("text", "") for output in cell.outputs if output.get("name") == "stdout"
        )
        assert wanted in printed
