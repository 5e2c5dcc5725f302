"""The form of the notebooks: executed, normalised, quiet, with alternative texts and in the order
a reader expects.
"""

import itertools
import re
import statistics
import tokenize
from io import StringIO

import nbformat
import pytest
import small
from notebooks import (
    CHAPTERS,
    NOTEBOOKS,
    ROOT,
    before_exercises,
    code_cells,
    draws,
    markdown,
    number,
    printed,
    questions,
    read,
    section,
    sections,
    tags,
)
from run_chapters import is_normalised, main, save

TAGS = re.compile(
    r"question|solution|what-if|filmstrip|hide-output|hide-cell|hide-input|remove-input|trained-figure"
    r"|raises-exception|nbval-ignore-output|claim-\d+-\d\d|skill-(none|\d\.\d\.\d+)"
)
# in the metadata of cells
COURSE = {"key", "numeric", "pair", "claim", "needs", "cases", "prose", "alts"}
VOLATILE = re.compile(r" at 0x[0-9a-f]{6,}|\d ?m?s/step|/home/|/tmp/|/Users/|site-packages")
MYST = re.compile(r"^(:::|```+)\{|\{(term|ref|numref|cite|doc|eq|math)(:\w+)?\}`", re.M)
NOTHING_BUT_CODE = re.compile(
    r"^\s*[%!]|\bpip install\b|filterwarnings|NBVAL_|;\s*$", re.M
)  # magics, installations, filters, marks, final semicolons
FOLDED = re.compile(
    r"plt\.|assert |request = \{|tarfile|subprocess|_waiter\(|def show|read_text"
)  # what a folded cell may do: draw, assert, ask AWS, pack, launch, list a file
SECTIONS = [
    "Setup",
    "Facts for the exam",
    "Often said, checked",
    "Pitfalls",
    "Summary",
    "Check yourself",
    "Exercises",
    "Further reading",
]
OPTIONAL = {"Often said, checked"}
RUBRIC, GRADED, POINTS = "Rubric", "The worked solution, graded", 20  # of a capstone
CAPSTONE = ["Setup", RUBRIC, GRADED, "Further reading"]  # its sections, beside its steps
FACTS = re.compile(
    r"^\*(?P<read>\d+) minutes to read, (?P<all>\d+) with (?:questions and exercises|all steps) · "
    r"(?P<seconds>\d+) seconds to run(?: \([^)]+\))?, (?P<memory>\d\.\d) GB(?: [^·]+)? · "
    r"\[exam\]\(\.\./reference/exam_map\.ipynb\): (?P<skills>.+?) · before this: .+\*$",
    re.M,
)
SKILLS = re.compile(r"\d\.\d\.\d+(, \d\.\d\.\d+)* (named|indirect|background)")
WORDS_A_MINUTE, MINUTES_A_QUESTION, MINUTES_A_EXERCISE, MINUTES_A_STEP = 200, 2, 15, 25
SUITE_SECONDS = 20 * len(CHAPTERS) + 240  # 15 minutes on two processes for 40 chapters
IGNORED_OUTPUTS = 5  # in the whole course


def outputs(notebook):
    """Yield what is wrong with what is stored as output."""
    for count, cell in enumerate(code_cells(notebook), 1):
        if cell.execution_count != count:
            yield f"cell {cell.id} has the execution count {cell.execution_count}, not {count}"
        for output in cell.outputs:
            data = output.get("data", {})
            if output.get("name") == "stderr":
                yield f"cell {cell.id} has output on stderr"
            if output.output_type == "error" and "raises-exception" not in tags(cell):
                yield f"cell {cell.id} ends in an error"
            if {"image/svg+xml", "application/vnd.jupyter.widget-view+json"} & set(data):
                yield f"cell {cell.id} shows an SVG or a widget, which differ at every run"
            volatile = VOLATILE.search(
                output.get("text", "") + data.get("text/plain", "") + data.get("text/html", "")
            )
            if volatile:
                yield f"cell {cell.id} shows something volatile: {volatile.group()}"
        # JupyterLab shows the first line of a folded output
        first = printed(cell).strip().partition("\n")[0]
        folded = {"hide-output", "hide-cell"} & set(tags(cell))
        if folded and re.search(r"\d|\b(True|False)\b", re.sub(r"<Figure.*", "", first)):
            yield f"cell {cell.id} is folded, and its first line gives away: {first}"


def figures(notebook):
    """Yield what is wrong with alternative texts, captions and names of figures."""
    names = set()
    for cell in filter(draws, code_cells(notebook)):
        mystnb = cell.metadata.get("mystnb", {})
        figure = mystnb.get("figure", {})
        frames = sum("image/png" in output.get("data", {}) for output in cell.outputs)
        alts = cell.metadata.get("course", {}).get("alts", [])
        if "filmstrip" in tags(cell):
            if len(alts) != frames or any(len(alt.split()) < 5 for alt in alts):
                yield f"cell {cell.id} draws {frames} frames with {len(alts)} alternative texts"
        elif len(mystnb.get("image", {}).get("alt", "").split()) < 5:
            yield f"cell {cell.id} draws a figure without an alternative text"
        if not figure.get("caption"):
            yield f"cell {cell.id} draws a figure without a caption"
        name = figure.get("name", "")
        if not name.startswith("fig-") or name in names:
            yield f"cell {cell.id} draws a figure without a name of its own"
        names.add(name)


def lines(cell):
    """Return the number of lines of a cell that are not empty."""
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def allowed(cell):
    """Return how many lines a code cell may have."""
    if "request = {" in cell.source:
        return 60 if "hide-input" in tags(cell) else 36
    short = re.search(r"^def |^class |plt\.|keras\.(Sequential|Model)\(", cell.source, re.M)
    return 20 if short else 15


def comments(cell):
    """Return the comments of a code cell."""
    tokens = tokenize.generate_tokens(StringIO(cell.source).readline)
    return [token for token in tokens if token.type == tokenize.COMMENT]


def code(notebook):
    """Yield what is wrong with the code cells."""
    for cell in code_cells(notebook):
        if lines(cell) > allowed(cell):
            yield f"cell {cell.id} has {lines(cell)} lines, more than {allowed(cell)}"
        found = NOTHING_BUT_CODE.search(cell.source)
        if found:
            yield f"cell {cell.id} has something that does not belong there: {found.group()!r}"
        if len(comments(cell)) > 2:
            yield f"cell {cell.id} tells its story in comments"


def text(notebook):
    """Yield what is wrong with headings, tags, metadata and Markdown."""
    for cell in notebook.cells:
        for tag in tags(cell):
            if not TAGS.fullmatch(tag):
                yield f"cell {cell.id} has the unknown tag {tag}"
        unknown = set(cell.metadata.get("course", {})) - COURSE
        if unknown:
            yield f"cell {cell.id} has the unknown metadata {', '.join(sorted(unknown))}"
        serves = any(tag.startswith("skill-") for tag in tags(cell))
        if serves and "question" not in tags(cell) and not cell.source.startswith("#"):
            yield f"cell {cell.id} serves a skill and has no heading, which the exam map links"
    levels = [len(found) for found in re.findall(r"^(#+) ", markdown(notebook), re.M)]
    if levels[:1] != [1] or levels.count(1) != 1:
        yield "there is not one H1, at the top"
    if any(below > above + 1 for above, below in zip(levels, levels[1:], strict=False)):
        yield "a level of headings is left out"
    found = MYST.search(markdown(notebook))
    if found:
        yield f"MyST syntax, raw text in JupyterLab: {found.group()}"
    if re.search(r"\w!(?!\[)", markdown(notebook)):
        yield "an exclamation mark"
    if re.search(r"</details>\n<details", markdown(notebook)):
        yield "two <details> without a blank line between them show the answer in JupyterLab"
    if found := re.search(r"<summary>[^\n]*?`[^`\n]+`", markdown(notebook)):
        yield f"a summary is HTML, where backticks stay what they are: {found.group()}"


def words(text):
    """Return how many words a Markdown text has, without formulas and tags."""
    text = re.sub(r"\$\$.*?\$\$|<[^>]+>", "", text, flags=re.S)
    return len(re.findall(r"\S*\w\S*", text))


def running_text(notebook):
    """Return the text without boxes, facts, tables, folds, questions and exercises."""
    kept = []
    for heading, cells in sections(notebook):
        if heading == "Exercises":
            break
        if heading == "Facts for the exam":
            continue
        for cell in cells:
            if cell.cell_type == "markdown" and "question" not in tags(cell):
                source = re.sub(r"<details.*?</details>", "", cell.source, flags=re.S)
                kept += [
                    line
                    for line in FACTS.sub("", source).splitlines()
                    if not line.startswith((">", "|", "#"))
                ]
    return "\n".join(kept)


def minutes(notebook):
    """Return the minutes that a chapter takes to read, and with its questions and exercises."""
    text = [
        cell.source
        for cell in before_exercises(notebook)
        if cell.cell_type == "markdown" and "question" not in tags(cell)
    ]
    reading = max(1, round(words("\n".join(text)) / WORDS_A_MINUTE))
    solved = itertools.groupby("solution" in tags(cell) for cell in notebook.cells)
    solutions = sum(is_one for is_one, _ in solved)  # cells in a row are one solution
    each = MINUTES_A_STEP if is_capstone(notebook) else MINUTES_A_EXERCISE
    more = MINUTES_A_QUESTION * len(questions(notebook)) + each * solutions
    return reading, 5 * round((reading + more) / 5)


def facts(notebook):
    """Yield what is wrong with the line of facts."""
    found = FACTS.search(notebook.cells[0].source)
    if not found:
        yield "the line of facts has another form"
        return
    reading, everything = minutes(notebook)
    if abs(int(found["read"]) - reading) > 1:
        yield f"it takes {reading} minutes to read, not {found['read']}"
    if abs(int(found["all"]) - everything) > 5:
        yield f"it takes {everything} minutes with questions and exercises, not {found['all']}"
    for part in found["skills"].split("; "):
        if not SKILLS.fullmatch(part):
            yield f"no skills of the exam, named, indirect or background: {part}"
    told = set(re.findall(r"\d\.\d\.\d+", found["skills"]))
    tagged = {tag[6:] for cell in notebook.cells for tag in tags(cell) if tag.startswith("skill-")}
    for skill in sorted(tagged - told - {"none"}):
        yield f"a section or question serves {skill}, the line of facts does not name it"
    for skill in sorted(told - tagged):
        yield f"the line of facts names {skill}, which no section or question serves"
    if int(found["seconds"]) > 60 or float(found["memory"]) > 1.5:
        yield f"{found['seconds']} seconds and {found['memory']} GB are more than 60 and 1.5"


def is_capstone(notebook):
    """Return whether a notebook is a capstone: a task in steps, each with a check and a solution,
    and a rubric. It has no questions, predictions, claims and facts for the exam.
    """
    return re.match(r"# [\d.]+ Capstone: ", notebook.cells[0].source) is not None


def table(notebook, heading):
    """Return the rows of the table in a section, lists of cells, without its head."""
    lines = [line for line in section(notebook, heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def capstone(notebook):
    """Yield what is wrong with a capstone's steps, its rubric and the grade of its solution."""
    for heading, cells in sections(notebook):
        if heading[:1].isdigit() and not any("solution" in tags(cell) for cell in cells):
            yield f"the step {heading} has no worked solution"
    rubric = {name: levels for name, *levels in table(notebook, RUBRIC)}
    if 2 * len(rubric) != POINTS:
        yield f"the rubric gives {2 * len(rubric)} points, not {POINTS}"
    for name, levels in rubric.items():
        if len(levels) != 3 or not all(levels):
            yield f"the rubric does not say what earns 0, 1 and 2 points for {name}"
    graded = {name: points for name, points, *_ in table(notebook, GRADED)}
    if list(graded) != list(rubric):
        yield "the graded criteria are not those of the rubric"
    if not set(graded.values()) <= {"0", "1", "2"}:
        yield "a criterion is graded with something else than 0, 1 or 2 points"
    elif f"**{sum(map(int, graded.values()))} of {POINTS}.**" not in section(notebook, GRADED):
        yield f"the grades add up to {sum(map(int, graded.values()))}, and the text does not say it"


def chapter(notebook, companion=False):
    """Yield what is wrong with the make-up of a chapter: sections and sizes."""
    headings = [heading for heading, _ in sections(notebook)]
    wanted = CAPSTONE if is_capstone(notebook) else SECTIONS
    for name in wanted:
        if name not in headings and name not in OPTIONAL:
            yield f"no section {name}"
    for cell in code_cells(notebook):
        if "remove-input" in tags(cell):
            yield f"cell {cell.id} hides its code from a reader of the site"
    known = [name for name in headings if name in wanted]
    if known != [name for name in wanted if name in known]:
        yield "the closing sections are out of order"
    if is_capstone(notebook):
        yield from capstone(notebook)
    elif "**On Monday.**" not in markdown(notebook):
        yield "no On Monday"
    before = [cell for cell in before_exercises(notebook) if cell.cell_type == "code"]
    for cell in before:
        if "hide-input" in tags(cell) and not FOLDED.search(cell.source):
            yield f"cell {cell.id} is folded, and neither draws nor packs, launches or asserts"
    seen = [cell for cell in before if not {"hide-input", "hide-cell"} & set(tags(cell))]
    sizes = {
        "words": (words(running_text(notebook)), 600 if companion else 1200, 2600),
        "code cells that a reader sees": (len(seen), 1, 35),
        "lines in half of them": (round(statistics.median(map(lines, seen))), 1, 10),
        "figures": (sum(map(draws, before)), 1 if companion else 4, 9),
    }
    for what, (n, low, high) in sizes.items():
        if not low <= n <= high:
            yield f"{n} {what}, not {low} to {high}"


def recalls(notebook, own):
    """Yield recall questions of later chapters; own is the chapter's number, "151.1"."""
    for other in re.findall(r"<b>Recall \((\d{3}(?:\.\d)?)\)", notebook.cells[0].source):
        if float(other) >= float(own):
            yield f"a recall of chapter {other}, which comes later"


def time_of_all(chapters):
    """Return the seconds that notebooks say they take, together."""
    found = [FACTS.search(notebook.cells[0].source) for notebook in chapters]
    return sum(int(facts["seconds"]) for facts in found)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path):
    notebook = read(path)
    problems = [*outputs(notebook), *figures(notebook), *code(notebook), *text(notebook)]
    assert problems == []
    assert is_normalised(path), "execute it with course.py run"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter(path):
    notebook, own = read(path), number(path)
    problems = [*chapter(notebook, "." in own), *facts(notebook), *recalls(notebook, own)]
    assert problems == []


def test_few_outputs_are_ignored():
    texts = [path.read_text(encoding="utf8") for path in NOTEBOOKS]
    assert sum(text.count('"nbval-ignore-output"') for text in texts) <= IGNORED_OUTPUTS


def test_the_chapters_fit_the_suites_time():
    assert time_of_all(map(read, CHAPTERS)) <= SUITE_SECONDS


def test_time_is_added_up():
    assert time_of_all([small.chapter(), small.chapter()]) == 10


def test_a_small_chapter_passes():
    notebook = small.chapter()
    for check in (outputs, figures, code, text, chapter, facts):
        assert list(check(notebook)) == []
    assert list(recalls(notebook, "142")) == []


def plant(cell_id, **change):
    """Return a function that changes attributes of a cell in place."""

    def apply(notebook):
        small.cell(notebook, cell_id).update(change)

    return apply


def tagged(cell_id, *names):
    """Return a function that gives a cell other tags."""
    return lambda notebook: small.cell(notebook, cell_id).metadata.update(tags=list(names))


def replaced(cell_id, old, new):
    """Return a function that replaces text in a cell, which must be there."""

    def apply(notebook):
        cell = small.cell(notebook, cell_id)
        assert old in cell.source
        cell.source = cell.source.replace(old, new, 1)

    return apply


def shows(cell_id, kind, **content):
    """Return a function that appends an output to a cell."""
    output = nbformat.v4.new_output(kind, **content)
    return lambda notebook: small.cell(notebook, cell_id).outputs.append(output)


def without(cell_id, *keys):
    """Return a function that takes something out of a cell's metadata, by its path of keys."""

    def apply(notebook):
        inside = small.cell(notebook, cell_id).metadata
        for key in keys[:-1]:
            inside = inside[key]
        del inside[keys[-1]]

    return apply


def dropped(cell_id):
    """Return a function that takes a cell out."""

    def apply(notebook):
        notebook.cells.remove(small.cell(notebook, cell_id))

    return apply


def moved_down(notebook):
    cell = small.cell(notebook, "summary")
    notebook.cells.remove(cell)
    notebook.cells.insert(-1, cell)


def many_cells(notebook):
    notebook.cells[2:2] = [small.code("x = 1", f"more-{n}") for n in range(36)]


def many_lines(notebook):
    for name in ("setup", "half", "what-if", "fold"):
        small.cell(notebook, name).source = "x = 1\n" * 12


def many_figures(notebook):
    more = [small.code("plt.", f"m-{n}", "hide-input", figure=f"fig-m{n}") for n in range(6)]
    notebook.cells[2:2] = more


ADDRESS = "<object at 0x7f00deadbeef>"
SVG = {"image/svg+xml": "<svg/>"}
FAULTS = [
    (outputs, plant("half", execution_count=None), "cell half has the execution count None, not 2"),
    (outputs, shows("half", "stream", name="stderr", text="w"), "cell half has output on stderr"),
    (outputs, shows("half", "error", ename="E", evalue="e"), "cell half ends in an error"),
    (
        outputs,
        shows("half", "display_data", data=SVG),
        "cell half shows an SVG or a widget, which differ at every run",
    ),
    (
        outputs,
        shows("half", "stream", text=ADDRESS),
        "cell half shows something volatile:  at 0x7f00deadbeef",
    ),
    (
        outputs,
        tagged("half", "hide-output"),
        "cell half is folded, and its first line gives away: 0.5",
    ),
    (
        figures,
        without("draw-a", "mystnb", "image"),
        "cell draw-a draws a figure without an alternative text",
    ),
    (
        figures,
        without("draw-a", "mystnb", "figure", "caption"),
        "cell draw-a draws a figure without a caption",
    ),
    (
        figures,
        without("draw-a", "mystnb", "figure", "name"),
        "cell draw-a draws a figure without a name of its own",
    ),
    (
        figures,
        lambda notebook: small.cell(notebook, "draw-b").metadata.mystnb.figure.update(name="fig-a"),
        "cell draw-b draws a figure without a name of its own",
    ),
    (figures, tagged("draw-a", "filmstrip"), "cell draw-a draws 1 frames with 0 alternative texts"),
    (code, plant("half", source="x = 1\n" * 16), "cell half has 16 lines, more than 15"),
    (
        code,
        plant("half", source="plt.plot([1, 2])\n" + "x = 1\n" * 20),
        "cell half has 21 lines, more than 20",
    ),
    (
        code,
        plant("half", source="request = {\n" + "'a': 1,\n" * 36 + "}"),
        "cell half has 38 lines, more than 36",
    ),
    (
        code,
        plant("half", source="plt.plot([1, 2]);"),
        "cell half has something that does not belong there: ';'",
    ),
    (code, plant("half", source="# a\n# b\n# c"), "cell half tells its story in comments"),
    (code, tagged("half", "hide-input", "claim-142-01"), None),
    (
        chapter,
        tagged("what-if", "hide-input"),
        "cell what-if is folded, and neither draws nor packs, launches or asserts",
    ),
    (text, tagged("half", "nbval-skip"), "cell half has the unknown tag nbval-skip"),
    (
        text,
        lambda notebook: small.cell(notebook, "half").metadata.update(course={"kye": "A"}),
        "cell half has the unknown metadata kye",
    ),
    (
        text,
        tagged("box", "skill-2.1.3"),
        "cell box serves a skill and has no heading, which the exam map links",
    ),
    (text, replaced("setup-text", "## S", "# S"), "there is not one H1, at the top"),
    (text, replaced("one", "## O", "#### O"), "a level of headings is left out"),
    (text, replaced("one", "word", "{term}`ReLU`"), "MyST syntax, raw text in JupyterLab: {term}`"),
    (text, replaced("one", "word", "word!"), "an exclamation mark"),
    (
        text,
        replaced("q-1", "</details>\n\n<details", "</details>\n<details"),
        "two <details> without a blank line between them show the answer in JupyterLab",
    ),
    (
        text,
        replaced("one", "word", "<details><summary>A. `word`</summary>\n\nNo.\n\n</details>"),
        "a summary is HTML, where backticks stay what they are: <summary>A. `word`",
    ),
    (
        facts,
        replaced("title", "*7 minutes", "*Seven minutes"),
        "the line of facts has another form",
    ),
    (facts, replaced("title", "*7 min", "*5 min"), "it takes 7 minutes to read, not 5"),
    (
        facts,
        replaced("title", "read, 30", "read, 60"),
        "it takes 30 minutes with questions and exercises, not 60",
    ),
    (
        facts,
        replaced("title", "2.1.3 background", "2.1.3"),
        "no skills of the exam, named, indirect or background: 2.1.3",
    ),
    (
        facts,
        replaced("title", "2.1.3 b", "2.1.3, 2.1.4 b"),
        "the line of facts names 2.1.4, which no section or question serves",
    ),
    (
        facts,
        tagged("one", "skill-2.1.3", "skill-2.1.4"),
        "a section or question serves 2.1.4, the line of facts does not name it",
    ),
    (
        facts,
        replaced("title", "5 seconds", "90 seconds"),
        "90 seconds and 0.3 GB are more than 60 and 1.5",
    ),
    (chapter, dropped("setup-text"), "no section Setup"),
    (
        chapter,
        tagged("what-if", "remove-input"),
        "cell what-if hides its code from a reader of the site",
    ),
    (chapter, moved_down, "the closing sections are out of order"),
    (chapter, replaced("summary", "On Monday", "Soon"), "no On Monday"),
    (chapter, replaced("one", "word " * 400, ""), "1015 words, not 1200 to 2600"),
    (chapter, replaced("one", "word", "word " * 1300), "2714 words, not 1200 to 2600"),
    (chapter, many_cells, "40 code cells that a reader sees, not 1 to 35"),
    (chapter, many_lines, "12 lines in half of them, not 1 to 10"),
    (chapter, many_figures, "10 figures, not 4 to 9"),
    (chapter, dropped("draw-a"), "3 figures, not 4 to 9"),
]


def named(value):
    """Return what stands for a value in the name of a test: xdist wants the same everywhere."""
    return getattr(value, "__name__", value)


@pytest.mark.parametrize("check, fault, sentence", FAULTS, ids=named)
def test_a_fault_is_rejected(check, fault, sentence):
    notebook = small.chapter()
    fault(notebook)
    assert list(check(notebook)) == ([sentence] if sentence else [])


def test_a_companion_may_be_short():
    notebook = small.chapter()
    replaced("one", "word " * 700, "")(notebook)
    assert list(chapter(notebook)) == ["715 words, not 1200 to 2600"]
    assert list(chapter(notebook, companion=True)) == []


def test_the_small_capstone_passes():
    notebook = small.capstone()
    assert is_capstone(notebook) and not is_capstone(small.chapter())
    for check in (outputs, figures, code, text, facts):
        assert list(check(notebook)) == []
    assert list(chapter(notebook, companion=True)) == []


@pytest.mark.parametrize(
    "fault, sentence",
    [
        (
            replaced("title", "Capstone: a", "A"),
            "no section Facts for the exam, no section Pitfalls, no section Summary, "
            "no section Check yourself, no section Exercises, no On Monday",
        ),
        (dropped("further"), "no section Further reading"),
        (tagged("step-solution"), "the step 1. One has no worked solution"),
        (
            replaced("rubric", "| 9 | none | some | all |\n", ""),
            "the rubric gives 18 points, not 20, the graded criteria are not those of the rubric",
        ),
        (
            replaced("rubric", "| 9 | none | some | all |", "| 9 | none | all |"),
            "the rubric does not say what earns 0, 1 and 2 points for 9",
        ),
        (
            replaced("graded", "| 9 | 2 |", "| 8 | 2 |"),
            "the graded criteria are not those of the rubric, "
            "the grades add up to 15, and the text does not say it",
        ),
        (
            replaced("graded", "| 9 | 2 |", "| 9 | 3 |"),
            "a criterion is graded with something else than 0, 1 or 2 points",
        ),
        (
            replaced("graded", "| 9 | 2 |", "| 9 | 1 |"),
            "the grades add up to 16, and the text does not say it",
        ),
        (replaced("step", "word " * 100, ""), "566 words, not 600 to 2600"),
    ],
)
def test_a_fault_of_a_capstone_is_rejected(fault, sentence):
    notebook = small.capstone()
    fault(notebook)
    assert ", ".join(chapter(notebook, companion=True)) == sentence


def test_solutions_in_a_row_are_one():
    notebook = small.capstone()
    assert minutes(notebook) == (4, 30)
    notebook.cells[5:5] = [small.code("x = 2", "more", "hide-cell", "solution")]
    assert minutes(notebook) == (4, 30)
    notebook.cells[6:6] = [small.text("Between.", "between")]
    assert minutes(notebook) == (4, 55)


def test_a_recall_of_a_later_chapter_is_rejected():
    sentences = list(recalls(small.chapter(), "141"))
    assert sentences == ["a recall of chapter 141, which comes later"]


def test_a_file_that_is_not_normalised_is_rejected(tmp_path, monkeypatch, capsys):
    notebook, path = small.chapter(), tmp_path / "142_a_small_chapter.ipynb"
    save(notebook, path)
    assert is_normalised(path)
    notebook.cells[2].metadata["collapsed"] = True
    nbformat.write(notebook, path)
    monkeypatch.setattr("sys.argv", ["run_chapters.py", "--check", str(path)])
    assert main() == 1
    assert "is not stored as run: execute it with" in capsys.readouterr().out


def private_places(text):
    """Return what a text names of places that no reader has."""
    return re.findall(r"\.\./shared|/work/|knowledge/|prototypes/", text)


def test_nothing_in_the_project_names_a_private_place():
    folders = ["chapters", "reference", "data", "tests", "tools", "_ext", ".github", ".ci"]
    files = [p for folder in folders for p in (ROOT / folder).rglob("*") if p.is_file()]
    files += [*ROOT.glob("*.md"), ROOT / "course.py"]
    kinds = {".ipynb", ".md", ".py", ".yaml", ".yml", ""}
    texts = {p: p.read_text(encoding="utf8") for p in files if p.suffix in kinds}
    del texts[ROOT / "tests" / "test_form.py"]
    assert len(texts) > 10
    assert [p.name for p, text in texts.items() if private_places(text)] == []
    assert private_places("see ../shared/x") == ["../shared"]
