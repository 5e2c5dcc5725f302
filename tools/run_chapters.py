"""Execute notebooks and store them so that a second run leaves no diff.

python tools/run_chapters.py chapters/144_*.ipynb          execute, normalise, save
python tools/run_chapters.py --check chapters/*.ipynb      fail on a notebook that is not stored in
this form
python tools/run_chapters.py --twice chapters/*.ipynb      run each cell twice in a row and fail on
one that raises; store nothing
"""

import argparse
import asyncio
import base64
import io
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from PIL import Image, ImageChops

sys.path.append(str(Path(__file__).resolve().parents[1]))

from course import ROOT, command_to_run

NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
FOLDS = {  # what JupyterLab folds of a cell with a tag of the site
    "hide-output": {"outputs_hidden": True},
    "hide-cell": {"source_hidden": True, "outputs_hidden": True},
}
# compare_outputs.py allows a drawn figure 8 levels, and machines differ by one
PALETTE_LEVELS = 6
CELL_METADATA = {"course", "tags", "mystnb", "jupyter"}


def normalise(notebook):
    """Bring an executed notebook into its stored form, in place, and return it.

    Cell ids stay. Code cells are counted 1..n. Of the metadata, the notebook keeps course, and a
    cell course, tags, mystnb and jupyter. An output that the site folds JupyterLab folds too.
    Pieces of one stream are joined, and stderr is dropped: TensorFlow's start-up lines reach
    JupyterLab but never nbval. Pictures are made compact.
    """
    about = {key: value for key, value in notebook.metadata.items() if key == "course"}
    notebook.metadata = nbformat.from_dict(NOTEBOOK_METADATA | about)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    count = 0
    for cell in notebook.cells:
        kept = {key: value for key, value in sorted(cell.metadata.items()) if key in CELL_METADATA}
        cell.metadata = nbformat.from_dict(kept)
        for tag, folds in FOLDS.items():
            if tag in cell.metadata.get("tags", []):
                cell.metadata["jupyter"] = nbformat.from_dict(folds)
        if cell.cell_type != "code":
            cell.pop("attachments", None)
            continue
        count += 1
        cell.execution_count = count
        outputs = []
        for output in cell.outputs:
            if output.output_type == "stream":
                if output.name == "stderr":
                    continue
                if outputs and outputs[-1].output_type == "stream":
                    outputs[-1].text += output.text
                    continue
            elif "execution_count" in output:
                output.execution_count = count
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = compact(output.data["image/png"])
            outputs.append(output)
        cell.outputs = outputs
    return notebook


def compact(png):
    """Return a picture, as text in base64, smaller if it is opaque everywhere: with a palette of
    256 colours where no colour moves by more than PALETTE_LEVELS, else without the alpha channel.
    A picture that has none stays as it is.
    """
    picture = Image.open(io.BytesIO(base64.b64decode(png)))
    if picture.mode != "RGBA" or picture.getextrema()[3] != (255, 255):
        return png
    picture = picture.convert("RGB")
    palette = picture.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=0)
    moved = ImageChops.difference(picture, palette.convert("RGB"))
    if max(most for _, most in moved.getextrema()) <= PALETTE_LEVELS:
        picture = palette
    picture.save(smaller := io.BytesIO(), "PNG", optimize=True)
    return base64.b64encode(smaller.getvalue()).decode() + "\n"


def client(notebook, path, **options):
    """Return a client that runs a notebook in the folder of `path`, in a kernel of this Python."""
    return NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": path.parent}},
        **options,
    )


def execute(path):
    """Run a notebook in a fresh kernel of this Python and save it in its stored form.

    Raises nbclient's CellExecutionError when a cell fails; the file is then left as it was.
    """
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client(notebook, path).execute()
    save(notebook, path)


def run_twice(path):
    """Run each code cell of a notebook twice in a row, in one kernel.

    Return a list of sentences about cells that raised, first or second time, or about a kernel that
    did not get to the end. Cells tagged raises-exception may raise. The file is left as it was.
    """
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    runs = nbformat.v4.new_notebook()
    for cell in cells:
        runs.cells += [nbformat.v4.new_code_cell(cell.source) for _ in range(2)]
    try:
        client(runs, path, allow_errors=True).execute()
    except (CellTimeoutError, DeadKernelError) as error:
        return [f"{path.name} does not run to its end: {error}"]
    problems = []
    for cell, *both in zip(cells, runs.cells[::2], runs.cells[1::2]):
        if "raises-exception" in cell.metadata.get("tags", []):
            continue
        for which, run in zip(["first", "second"], both):
            problems += [
                f"{path.name}, cell {cell.id} raises when it is run for the {which} time: "
                f"{output.ename}: {output.evalue}"
                for output in run.outputs
                if output.output_type == "error"
            ]
    return problems


def left_out(platform=sys.platform):
    """Return the chapters that cannot run on a platform, a list of paths.

    A chapter names what it needs in its notebook's metadata. gloo is the one thing that may be
    missing: JAX has none for Windows.
    """
    if platform != "win32":
        return []
    chapters = sorted((ROOT / "chapters").glob("*.ipynb"))
    return [path for path in chapters if "gloo" in needs(path)]


def needs(path):
    """Return what a notebook needs beside the installed packages, a list such as ["gloo"]."""
    notebook = nbformat.read(path, as_version=4)
    return notebook.metadata.get("course", {}).get("needs", [])


def save(notebook, path):
    """Write a notebook in its stored form, with Unix line ends on every system."""
    with open(path, "w", encoding="utf8", newline="\n") as file:
        nbformat.write(normalise(notebook), file)


def is_normalised(path):
    """Return whether the file is, byte for byte, what `save` would write and every code cell has
    been run.
    """
    text = Path(path).read_text(encoding="utf8")
    notebook = nbformat.reads(text, as_version=4)
    if any(cell.cell_type == "code" and cell.execution_count is None for cell in notebook.cells):
        return False
    return nbformat.writes(normalise(notebook)) + "\n" == text


def check(path):
    """Print what to do about a notebook that is not in its stored form; return whether it is."""
    if is_normalised(path):
        return True
    print(f"{path} is not stored as run: execute it with `{command_to_run(path)}`.")
    return False


def check_twice(path):
    """Print which cells raise when each runs twice; return whether none does."""
    problems = run_twice(path)
    print(*problems or [f"{path}: each cell ran twice"], sep="\n", flush=True)
    return not problems


def run_and_save(path):
    """Execute a notebook and save it, or print which cell failed; return whether none did."""
    try:
        execute(path)
    except CellExecutionError as error:
        print(f"{path}: a cell failed, and the file is left as it was.\n{error}")
        return False
    print(f"{path}: executed and saved", flush=True)
    return True


def main():
    """Run or check the notebooks named on the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--check", action="store_true", help="check the stored form, run nothing")
    ways.add_argument("--twice", action="store_true", help="run each cell twice, store nothing")
    parser.add_argument("notebooks", nargs="+", type=Path)
    arguments = parser.parse_args()
    if sys.platform == "win32":
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    if arguments.check:
        passed = [check(path) for path in arguments.notebooks]
    elif arguments.twice:
        passed = [check_twice(path) for path in arguments.notebooks]
    else:
        passed = [run_and_save(path) for path in arguments.notebooks]
    return int(not all(passed))


if __name__ == "__main__":
    sys.exit(main())
