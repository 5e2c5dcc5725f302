"""Execute notebooks and store them so that a second run leaves no diff.

python tools/run_chapters.py chapters/144_*.ipynb          execute, normalise, save
python tools/run_chapters.py --check chapters/*.ipynb      fail on a notebook that is not stored in
this form
"""

import argparse
import asyncio
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
CELL_METADATA = {"course", "jupyter", "mystnb", "tags"}


def normalise(notebook):
    """Bring an executed notebook into its stored form, in place, and return it.

    Cell ids stay. Code cells are counted 1..n, only course, jupyter, mystnb and tags metadata are
    kept, pieces of one stream are joined, and stderr is dropped: TensorFlow's start-up lines reach
    JupyterLab but never nbval.
    """
    notebook.metadata = nbformat.from_dict(NOTEBOOK_METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    count = 0
    for cell in notebook.cells:
        kept = {key: value for key, value in sorted(cell.metadata.items()) if key in CELL_METADATA}
        cell.metadata = nbformat.from_dict(kept)
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
            outputs.append(output)
        cell.outputs = outputs
    return notebook


def execute(path):
    """Run a notebook in a fresh kernel of this Python and save it in its stored form.

    Raises nbclient's CellExecutionError when a cell fails; the file is then left as it was.
    """
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": path.parent}},
    )
    client.execute()
    save(notebook, path)


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


def main():
    """Run or check the notebooks named on the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="check the stored form, run nothing")
    parser.add_argument("notebooks", nargs="+", type=Path)
    arguments = parser.parse_args()
    if sys.platform == "win32":
        asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())
    failed = False
    for path in arguments.notebooks:
        if arguments.check:
            if not is_normalised(path):
                print(
                    f"{path} is not stored as run: "
                    f"execute it with `python course.py run {path.name[:3]}`."
                )
                failed = True
            continue
        try:
            execute(path)
            print(f"{path}: executed and saved")
        except CellExecutionError as error:
            print(f"{path}: a cell failed, and the file is left as it was.\n{error}")
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
