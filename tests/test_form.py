"""The form of the notebooks: executed, normalised, quiet, with alternative texts and in the order a
reader expects.
"""

import re
import statistics
import tokenize
from io import StringIO

import nbformat
import pytest
from notebooks import CHAPTERS, NOTEBOOKS, ROOT, changed, code_cells, markdown, read, tags
from run_chapters import is_normalised, main, save

TAGS = re.compile(
    r"question|solution|what-if|hide-output|hide-cell|hide-input|trained-figure|raises-exception|nbval-ignore-output"
    r"|claim-\d+-\d\d|skill-(none|\d\.\d\.\d+)"
)
VOLATILE = re.compile(r" at 0x[0-9a-f]{6,}|\d ?m?s/step|/home/|/tmp/|/Users/|site-packages")
MYST = re.compile(r"^(:::|```+)\{|\{(term|ref|numref|cite|doc|eq|math)(:\w+)?\}`", re.M)
SECTIONS = [
    "Setup",
    "Often said, checked",
    "Pitfalls",
    "Summary",
    "Check yourself",
    "Exercises",
    "Further reading",
]
IGNORED_OUTPUTS = 5  # in the whole course


def outputs(notebook):
    """Return a list of problems with what is stored as output."""
    problems = []
    for count, cell in enumerate(code_cells(notebook), 1):
        if cell.execution_count != count:
            problems.append(f"cell {count} has the execution count {cell.execution_count}")
        for output in cell.outputs:
            if output.get("name") == "stderr":
                problems.append(f"cell {count} has output on stderr")
            if output.output_type == "error" and "raises-exception" not in tags(cell):
                problems.append(f"cell {count} ends in an error")
            data = output.get("data", {})
            if "image/svg+xml" in data or "application/vnd.jupyter.widget-view+json" in data:
                problems.append(f"cell {count} shows an SVG or a widget, which differ at every run")
            text = output.get("text", "") + data.get("text/plain", "") + data.get("text/html", "")
            if VOLATILE.search(text):
                problems.append(
                    f"cell {count} shows something volatile: {VOLATILE.search(text).group()}"
                )
    return problems


def figures(notebook):
    """Return a list of problems with alternative texts and captions."""
    problems, names = [], set()
    for count, cell in enumerate(code_cells(notebook), 1):
        if not any("image/png" in output.get("data", {}) for output in cell.outputs):
            continue
        mystnb = cell.metadata.get("mystnb", {})
        alt = mystnb.get("image", {}).get("alt", "")
        if len(alt.split()) < 5:
            problems.append(f"cell {count} draws a figure without an alternative text")
        figure = mystnb.get("figure", {})
        if (
            not figure.get("caption")
            or not figure.get("name", "").startswith("fig-")
            or figure["name"] in names
        ):
            problems.append(f"cell {count} draws a figure without a caption and a name of its own")
        names.add(figure.get("name"))
    return problems


def code(notebook):
    """Return a list of problems with the code cells."""
    problems = []
    for count, cell in enumerate(code_cells(notebook), 1):
        lines = [line for line in cell.source.splitlines() if line.strip()]
        longest = 15
        if re.search(r"^def |plt\.|keras\.(Sequential|Model)\(", cell.source, re.M):
            longest = 20
        if re.search(r"^request = \{", cell.source, re.M):
            longest = 36  # a whole request to AWS, one member a line
        if len(lines) > longest:
            problems.append(f"cell {count} has {len(lines)} lines")
        if re.search(r"^\s*[%!]|\bpip install\b|filterwarnings|NBVAL_|;\s*$", cell.source, re.M):
            problems.append(
                f"cell {count} has a magic, an installation, a filter of warnings, a mark or a "
                "final semicolon"
            )
        comments = [
            t
            for t in tokenize.generate_tokens(StringIO(cell.source).readline)
            if t.type == tokenize.COMMENT
        ]
        if len(comments) > 2:
            problems.append(f"cell {count} tells its story in comments")
    shown = [
        len(c.source.splitlines())
        for c in code_cells(notebook)
        if "hide-input" not in tags(c) and "request = {" not in c.source
    ]
    if shown and statistics.median(shown) > 11:
        problems.append(
            "half of the code cells that are not folded have more than "
            f"{statistics.median(shown)} lines"
        )
    return problems


def text(notebook):
    """Return a list of problems with headings, tags and Markdown."""
    problems = [
        f"unknown tag {tag}"
        for cell in notebook.cells
        for tag in tags(cell)
        if not TAGS.fullmatch(tag)
    ]
    levels = [len(found) for found in re.findall(r"^(#+) ", markdown(notebook), re.M)]
    if (
        levels[:1] != [1]
        or levels.count(1) != 1
        or any(b > a + 1 for a, b in zip(levels, levels[1:], strict=False))
    ):
        problems.append(f"headings do not start with one H1, or skip a level: {levels}")
    if MYST.search(markdown(notebook)):
        problems.append(
            f"MyST syntax, raw text in JupyterLab: {MYST.search(markdown(notebook)).group()}"
        )
    if re.search(r"\w!(?!\[)", markdown(notebook)):
        problems.append("an exclamation mark")
    if re.search(r"</details>\n<details", markdown(notebook)):
        problems.append(
            "two <details> without a blank line between them, which show the answer in JupyterLab"
        )
    return problems


def prose(notebook):
    """Return the running text: no boxes, facts, tables, folds, questions, exercises, formulas or
    code.
    """
    kept = []
    for cell in notebook.cells:
        if cell.cell_type != "markdown" or "question" in tags(cell):
            continue
        if cell.source.startswith("## Exercises"):
            break
        source = re.sub(r"<details.*?</details>|\$\$.*?\$\$", "", cell.source, flags=re.S)
        kept += [
            line for line in source.splitlines() if not line.startswith((">", "|", "#", "*1", "*2"))
        ]
    return "\n".join(kept)


def chapter(notebook):
    """Return a list of problems with the make-up of a chapter: sections and sizes."""
    headings = re.findall(r"^## (.+)$", markdown(notebook), re.M)
    problems = [f"no section {name}" for name in SECTIONS if name not in headings]
    if [name for name in headings if name in SECTIONS] != SECTIONS:
        problems.append("the closing sections are out of order")
    before_exercises = []
    for cell in notebook.cells:
        if cell.source.startswith("## Exercises"):
            break
        before_exercises.append(cell)
    titles = [cell.source.partition("\n")[0] for cell in before_exercises]
    here = "## In SageMaker"
    sagemaker = titles.index(here) if here in titles else len(titles)
    drawn = [
        c
        for c in before_exercises
        if c.cell_type == "code" and any("image/png" in o.get("data", {}) for o in c.outputs)
    ]
    sizes = {
        "words": (len(re.findall(r"\S*\w\S*", prose(notebook))), 1200, 2200),
        "unfolded code cells before In SageMaker": (
            sum(
                c.cell_type == "code" and "hide-input" not in tags(c)
                for c in before_exercises[:sagemaker]
            ),
            12,
            32,
        ),
        "figures": (len(drawn), 4, 9),
    }
    problems += [
        f"{n} {what}, not {low} to {high}"
        for what, (n, low, high) in sizes.items()
        if not low <= n <= high
    ]
    problems += [
        f"cell {cell.id} is folded although it does more than draw"
        for cell in code_cells(notebook)
        if "hide-input" in tags(cell) and "plt." not in cell.source
    ]
    if "**On Monday.**" not in markdown(notebook):
        problems.append("no On Monday")
    return problems


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path):
    notebook = read(path)
    assert outputs(notebook) + figures(notebook) + code(notebook) + text(notebook) == []
    assert is_normalised(path), f"run it with: python course.py run {path.name[:3]}"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter(path):
    assert chapter(read(path)) == []


def test_few_outputs_are_ignored():
    ignored = [
        cell.id
        for path in NOTEBOOKS
        for cell in read(path).cells
        if "nbval-ignore-output" in tags(cell)
    ]
    assert len(ignored) <= IGNORED_OUTPUTS
    assert not [path.name for path in NOTEBOOKS if "nbval-skip" in path.read_text(encoding="utf8")]


def plant(change):
    """Return the first chapter with a fault planted in a copy of it."""
    return changed(read(CHAPTERS[0]), change)


def first_figure(notebook):
    return next(
        c for c in code_cells(notebook) if any("image/png" in o.get("data", {}) for o in c.outputs)
    )


def unrun(notebook):
    code_cells(notebook)[3].execution_count = None


def stderr(notebook):
    code_cells(notebook)[0].outputs.append(
        nbformat.v4.new_output("stream", name="stderr", text="a warning")
    )


def address(notebook):
    code_cells(notebook)[0].outputs.append(
        nbformat.v4.new_output("stream", text="<object at 0x7f00deadbeef>")
    )


def no_alt(notebook):
    del first_figure(notebook).metadata["mystnb"]["image"]


def no_caption(notebook):
    del first_figure(notebook).metadata["mystnb"]["figure"]


def semicolon(notebook):
    code_cells(notebook)[0].source += "\nplt.plot([1, 2]);"


def wall(notebook):
    code_cells(notebook)[0].source += "\na = 1" * 20


def role(notebook):
    notebook.cells[0].source += "\n{term}`ReLU`"


def second_title(notebook):
    notebook.cells[1].source = "# Another title"


def strange_tag(notebook):
    notebook.cells[2].metadata["tags"] = ["nbval-skip"]


def no_summary(notebook):
    notebook.cells = [cell for cell in notebook.cells if not cell.source.startswith("## Summary")]


def folded_code(notebook):
    code_cells(notebook)[0].metadata["tags"] = ["hide-input"]


def long_winded(notebook):
    notebook.cells[0].source += "\n" + "word " * 2200


@pytest.mark.parametrize(
    "check, fault",
    [
        (outputs, unrun),
        (outputs, stderr),
        (outputs, address),
        (figures, no_alt),
        (figures, no_caption),
        (code, semicolon),
        (code, wall),
        (text, role),
        (text, second_title),
        (text, strange_tag),
        (chapter, no_summary),
        (chapter, folded_code),
        (chapter, long_winded),
    ],
    ids=lambda f: f.__name__,
)
def test_checks_reject(check, fault):
    assert check(read(CHAPTERS[0])) == []
    assert check(plant(fault)) != []


def test_check_rejects_a_file_that_is_not_normalised(tmp_path, monkeypatch, capsys):
    notebook = read(CHAPTERS[0])
    path = tmp_path / CHAPTERS[0].name
    save(notebook, path)
    assert is_normalised(path)
    notebook.cells[2].metadata["collapsed"] = True
    nbformat.write(notebook, path)
    monkeypatch.setattr("sys.argv", ["run_chapters.py", "--check", str(path)])
    assert main() == 1
    assert "course.py run" in capsys.readouterr().out


def test_nothing_in_the_project_names_a_private_place():
    words = re.compile(r"\.\./shared|/work/|knowledge/|prototypes/")
    folders = ["chapters", "reference", "data", "tests", "tools", "_ext", ".github", ".ci"]
    files = [
        p
        for folder in folders
        for p in (ROOT / folder).rglob("*")
        if p.suffix in {".ipynb", ".md", ".py", ".yaml", ".yml"}
    ]
    files += list(ROOT.glob("*.md")) + [ROOT / "course.py"]
    assert len(files) > 10
    assert [
        p.name
        for p in files
        if p != ROOT / "tests" / "test_form.py" and words.search(p.read_text(encoding="utf8"))
    ] == []
