"""One small chapter that passes every check, into which the tests plant one fault at a time."""

import copy

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)
EXPLANATION = "It says so, and names what would change it."
OPTION = "<details><summary>{}. {}</summary>\n\n{} " + EXPLANATION + "\n\n</details>"


def text(source, cell_id, *tags, **course):
    """Return a Markdown cell."""
    metadata = {"tags": list(tags)} if tags else {}
    if course:
        metadata["course"] = course
    return new_markdown_cell(source, id=cell_id, metadata=metadata)


def code(source, cell_id, *tags, shows="", figure=None, **course):
    """Return an executed code cell that shows some text, or a figure of this name."""
    cell = new_code_cell(source, id=cell_id, metadata={"tags": list(tags)} if tags else {})
    if course:
        cell.metadata["course"] = course
    if shows:
        cell.outputs.append(new_output("stream", text=shows))
    if figure:
        cell.outputs.append(
            new_output("display_data", {"image/png": PNG, "text/plain": "<Figure>"})
        )
        cell.metadata["mystnb"] = {
            "figure": {"name": figure, "caption": "A line."},
            "image": {"alt": "A line that rises from left to right"},
        }
    return cell


def question(n, key):
    """Return a question whose key is the given letter."""
    marks = {letter: "✔" if letter == key else "✘" for letter in "ABCD"}
    options = "\n\n".join(
        OPTION.format(letter, "some option" + " of some length" * (letter != key), mark)
        for letter, mark in marks.items()
    )
    source = f"**Question {n}.** Which is it?\n\n{options}"
    return text(source, f"q-{n}", "question", "skill-2.3.6", key=key)


def chapter():
    """Return the small chapter, 142, as a notebook of its own."""
    facts = (
        "*7 minutes to read, 30 with questions and exercises · 5 seconds to run, 0.3 GB · "
        "[exam](../reference/exam_map.ipynb): 2.3.6 named; 2.1.3 background · "
        "before this: nothing*"
    )
    recall = "<details><summary><b>Recall (141).</b> What is it?</summary>\n\nIt.\n\n</details>"
    often = (
        "## Often said, checked\n\n<details>\n\n| id | claim | verdict | reason | shown |\n"
        "|---|---|---|---|---|\n"
        "| 142-02 | Less is more. | right | Eight words or more are needed for a good reason. "
        "| [here](#one) |"
    )
    cells = [
        text(f"# 142. A small chapter\n\nA lead.\n\n{facts}\n\n{recall}", "title"),
        text("## Setup", "setup-text"),
        code("import math", "setup"),
        text(
            "## One\n\n" + "word " * 1400 + "\n\nThe half is 0.50, or 50 %.", "one", "skill-2.1.3"
        ),
        code("x = 1 / 2\nprint(x)\nassert x < 1", "half", "claim-142-01", shows="0.5\n"),
        text('> **Claim 142-01: wrong.** *"More is more."* It is 0.5.', "box"),
        *(code("plt.plot([1, 2])", f"draw-{n}", "hide-input", figure=f"fig-{n}") for n in "abcd"),
        code("n = 2\nprint(n)", "what-if", "what-if", shows="2\n", needs=[], cases={"n = 3": "3"}),
        code("print('kind  value')\nprint(x)", "fold", "hide-output", shows="kind  value\n0.5\n"),
        text("## Facts for the exam\n\nNone.", "facts"),
        text(often, "often"),
        text("## Pitfalls\n\nNone.", "pitfalls"),
        text("## Summary\n\nSo it is.\n\n**On Monday.** Look.", "summary"),
        text("## Check yourself", "check"),
        *(question(n, "ABCD"[n % 4]) for n in range(1, 13)),
        text("## Exercises", "exercises"),
        text("## Further reading", "further"),
    ]
    notebook = new_notebook(cells=cells)
    for count, cell in enumerate((c for c in cells if c.cell_type == "code"), 1):
        cell.execution_count = count
    nbformat.validate(notebook)
    return notebook


def capstone():
    """Return a small capstone, 142.9, as a notebook of its own."""
    facts = (
        "*4 minutes to read, 30 with all steps · 5 seconds to run, 0.3 GB · "
        "[exam](../reference/exam_map.ipynb): 2.1.3 indirect · before this: nothing*"
    )
    rubric = "| criterion | 0 | 1 | 2 |\n|---|---|---|---|\n"
    rubric += "".join(f"| {n} | none | some | all |\n" for n in range(10))
    graded = "| criterion | points | why |\n|---|---|---|\n"
    graded += "".join(f"| {n} | {min(n, 2)} | so |\n" for n in range(9)) + "| 9 | 2 | so |\n"
    cells = [
        text(f"# 142.9. Capstone: a small one\n\nA lead.\n\n{facts}", "title"),
        text("## Setup", "setup-text"),
        code("import math", "setup"),
        text(f"## Rubric\n\n{rubric}", "rubric"),
        text("## 1. One\n\n" + "word " * 660, "step", "skill-2.1.3"),
        code("x = 1\nprint('solved')", "step-solution", "hide-cell", "solution", shows="solved\n"),
        code("plt.plot([1, 2])", "draw", "hide-input", figure="fig-d"),
        text(f"## The worked solution, graded\n\n{graded}\n**17 of 20.** Enough.", "graded"),
        text("## Further reading", "further"),
    ]
    notebook = new_notebook(cells=cells)
    for count, cell in enumerate((c for c in cells if c.cell_type == "code"), 1):
        cell.execution_count = count
    nbformat.validate(notebook)
    return notebook


def ledger():
    """Return the claims of the small chapter."""
    common = {"reason": "Eight words or more are needed for a good reason."}
    return copy.deepcopy(
        [
            {
                "id": "142-01",
                "claim": "More is more.",
                "verdict": "wrong",
                "evidence": "measured",
                "cells": ["half"],
                "place": "box",
            }
            | common,
            {
                "id": "142-02",
                "claim": "Less is more.",
                "verdict": "right",
                "evidence": "cited",
                "source": "Rohe 1959",
                "checked": "2026-11-24",
                "place": "table",
            }
            | common,
        ]
    )


def cell(notebook, cell_id):
    """Return the cell of this id."""
    return next(cell for cell in notebook.cells if cell.id == cell_id)
