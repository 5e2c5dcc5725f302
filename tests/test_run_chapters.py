"""The tool that executes notebooks: their stored form, cells that run twice, chapters that are left
out on a platform.
"""

import base64
import io

import nbformat
import numpy as np
import pytest
from notebooks import CHAPTERS, ROOT, code_cells, read
from PIL import Image
from run_chapters import compact, left_out, main, needs, normalise, save


@pytest.fixture
def run(monkeypatch):
    """A function that runs the tool with arguments and returns its exit status."""

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["run_chapters.py", *map(str, arguments)])
        return main()

    return run


@pytest.fixture
def store(tmp_path):
    """A function that stores a notebook of code cells, {id: source}; it returns the path."""

    def store(**sources):
        notebook = nbformat.v4.new_notebook()
        for name, source in sources.items():
            notebook.cells.append(nbformat.v4.new_code_cell(source, id=name))
        path = tmp_path / "141_1_small.ipynb"
        save(notebook, path)
        return path

    return store


def test_a_cell_that_cannot_run_twice_is_reported(store, run, capsys):
    path = store(make="x = 1", drop="del x", again="x = 2")
    before = path.read_bytes()
    assert run("--twice", path) == 1
    told = (
        "141_1_small.ipynb, cell drop raises when it is run for the second time: "
        "NameError: name 'x' is not defined\n"
    )
    assert capsys.readouterr().out == told and path.read_bytes() == before


def test_a_cell_that_cannot_run_at_all_is_reported_both_times(store, run, capsys):
    path = store(wrong="1 / 0", right="print(2)")
    assert run("--twice", path) == 1
    told = "".join(
        f"141_1_small.ipynb, cell wrong raises when it is run for the {which} time: "
        "ZeroDivisionError: division by zero\n"
        for which in ["first", "second"]
    )
    assert capsys.readouterr().out == told


def test_a_kernel_that_ends_is_reported(store, run, capsys):
    path = store(end="import os\nos._exit(1)")
    assert run("--twice", path) == 1
    assert capsys.readouterr().out == "141_1_small.ipynb does not run to its end: Kernel died\n"


def test_cells_that_run_twice_pass(store, run, capsys):
    path = store(make="x = 1", error="1 / 0", use="assert x == 1")
    notebook = read(path)
    notebook.cells[1].metadata["tags"] = ["raises-exception"]
    save(notebook, path)
    assert run("--twice", path) == 0
    assert capsys.readouterr().out == f"{path}: each cell ran twice\n"


def test_stored_form_keeps_what_the_course_says_of_notebook_and_cells():
    notebook = nbformat.v4.new_notebook(metadata={"course": {"needs": ["gloo"]}, "toc": {}})
    metadata = {"course": {"key": "B"}, "collapsed": True}
    notebook.cells = [nbformat.v4.new_markdown_cell("Which?", metadata=metadata)]
    normalise(notebook)
    assert sorted(notebook.metadata) == ["course", "kernelspec", "language_info"]
    assert notebook.metadata.course == {"needs": ["gloo"]}
    assert notebook.cells[0].metadata == {"course": {"key": "B"}}


def stored_form(pixels):
    """Return the stored form of colours (height, width, 4), as text and as a picture."""
    Image.fromarray(pixels.astype(np.uint8)).save(drawn := io.BytesIO(), "PNG")
    text = compact(base64.b64encode(drawn.getvalue()).decode() + "\n")
    return text, Image.open(io.BytesIO(base64.b64decode(text)))


def test_pictures_are_stored_with_few_colours_where_nobody_sees_it():
    gray = np.full((60, 256, 4), 255)
    gray[..., :3] = np.arange(256)[:, None]
    text, picture = stored_form(gray)
    assert picture.mode == "P" and np.abs(np.asarray(picture.convert("RGBA")) - gray).max() <= 6
    assert compact(text) == text
    rng = np.random.default_rng(0)
    noise = np.dstack([rng.integers(0, 256, (60, 256, 3)), np.full((60, 256), 255)])
    text, picture = stored_form(noise)
    assert picture.mode == "RGB" and np.array_equal(picture, noise[..., :3])
    assert compact(text) == text
    gray[0, 0, 3] = 254
    assert stored_form(gray)[1].mode == "RGBA"


def test_jupyterlab_folds_the_output_that_the_site_folds():
    fold, solution, shown = (
        nbformat.v4.new_code_cell("1", metadata={"tags": tags})
        for tags in (["hide-output"], ["hide-cell", "solution"], ["hide-input"])
    )
    normalise(nbformat.v4.new_notebook(cells=[fold, solution, shown]))
    assert fold.metadata.jupyter == {"outputs_hidden": True}
    assert solution.metadata.jupyter == {"source_hidden": True, "outputs_hidden": True}
    assert "jupyter" not in shown.metadata


@pytest.mark.parametrize(
    "folder, command",
    [("chapters", "python course.py run 141.1"), ("reference", "python course.py run")],
)
def test_the_command_for_a_notebook_that_is_not_in_its_stored_form(
    folder, command, store, run, capsys
):
    path = store(make="x = 1")
    (path.parent / folder).mkdir()
    path = path.rename(path.parent / folder / path.name)
    assert run("--check", path) == 0 and capsys.readouterr().out == ""
    path.write_text(path.read_text(encoding="utf8") + "\n", encoding="utf8")
    assert run("--check", path) == 1
    assert capsys.readouterr().out == f"{path} is not stored as run: execute it with `{command}`.\n"


def test_windows_leaves_out_the_chapters_that_need_gloo(monkeypatch, tmp_path):
    (tmp_path / "chapters").mkdir()
    for name, metadata in {
        "144_plain.ipynb": {},
        "163_processes.ipynb": {"course": {"needs": ["gloo"]}},
    }.items():
        save(nbformat.v4.new_notebook(metadata=metadata), tmp_path / "chapters" / name)
    monkeypatch.setattr("run_chapters.ROOT", tmp_path)
    assert left_out("win32") == [tmp_path / "chapters" / "163_processes.ipynb"]
    assert left_out("linux") == left_out("darwin") == []


def silent_about_gloo(paths):
    """Return those of the notebooks that run a script with JAX processes and do not say that they
    need gloo.
    """
    scripts = [
        script.name
        for script in (ROOT / "chapters/scripts").glob("*.py")
        if "jax.distributed.initialize" in script.read_text(encoding="utf8")
    ]
    found = []
    for path in paths:
        source = "\n".join(cell.source for cell in code_cells(read(path)))
        if any(name in source for name in scripts) and "gloo" not in needs(path):
            found.append(path)
    return found


def test_chapters_that_need_gloo_say_so():
    assert silent_about_gloo(CHAPTERS) == []


def test_a_chapter_that_is_silent_about_gloo_is_found(store):
    path = store(launch='command = ["python", "scripts/train_parallel.py"]')
    assert silent_about_gloo([path]) == [path]
    notebook = read(path)
    notebook.metadata["course"] = {"needs": ["gloo"]}
    save(notebook, path)
    assert silent_about_gloo([path]) == []
