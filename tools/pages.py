"""Take the picture of a tracker's own page that a chapter shows: run the chapter's cells that write
what the page shows, start the real server, open the page in Chromium, and compare its text with
what the cells have computed.

python tools/pages.py mlflow          in the environment of requirements-mlflow.txt
python tools/pages.py tensorboard     in the environment of the course
python tools/pages.py mlflow --check  the same, without keeping the picture

Prints one sentence a problem, keeps no picture then, and exits with 1.
"""

import argparse
import inspect
import linecache
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat

CHAPTERS = Path(__file__).resolve().parents[1] / "chapters"
WAIT = 90  # seconds for a server to answer and for a page to be drawn
# the text of a page with that of its web components, which body does not include
TEXT = """() => {
    const inside = (root) => [...root.querySelectorAll("*")].flatMap((one) =>
        one.shadowRoot
            ? [...[...one.shadowRoot.children].map((child) => child.innerText || ""),
               ...inside(one.shadowRoot)]
            : []);
    return [document.body.innerText, ...inside(document)].join("\\n");
}"""


class MLflow:
    """The page of the run that chapter 157 logs first."""

    notebook, last_cell = "157_studio_and_experiments.ipynb", "read-back"
    size = (1200, 880)
    program = "mlflow"

    def options(self, names, port):
        """Return what follows the program, a list, to serve the database of the cells' `names`."""
        store = f"sqlite:///{names['folder']}/runs.db"
        return ["server", "--backend-store-uri", store, "--port", str(port), "--workers", "1"]

    def address(self, names):
        """Return the part of the address behind the port."""
        run = names["found"].info
        return f"/#/experiments/{run.experiment_id}/runs/{run.run_id}"

    def texts(self, names):
        """Return what has to stand on the page, a list of str."""
        run = names["found"]
        score = run.data.metrics["average_precision"]
        return [run.info.run_id, str(score), *run.data.params, *run.data.params.values()]

    def tidy(self, page):
        """Close what covers the page."""
        for name in ["Close", "Toggle sidebar"]:
            for button in page.get_by_role("button", name=name).all():
                button.click()


class TensorBoard:
    """The tab Scalars with the trainings of chapter 160."""

    notebook, last_cell = "160_tensorboard.ipynb", "trace-read"
    size = (1200, 880)
    program = "tensorboard"

    def options(self, names, port):
        """Return what follows the program, a list, to serve the folder of the cells' logs."""
        logs = Path(tempfile.gettempdir()) / "mine"  # the page shows the folder's name
        shutil.rmtree(logs, ignore_errors=True)
        shutil.copytree(names["logs"], logs)
        return ["--logdir", logs.name, "--port", str(port), "--load_fast", "false"]

    def address(self, names):
        """Return the part of the address behind the port."""
        return "/?darkMode=false#scalars"

    def texts(self, names):
        """Return what has to stand on the page, a list of str."""
        runs = [f"{run}/train" for run in ["ana", "ben", "carla"]]
        return [*runs, "epoch_learning_rate", "epoch_loss", "Smoothing"]

    def tidy(self, page):
        """Nothing covers the page."""


PAGES = {"mlflow": MLflow, "tensorboard": TensorBoard}


def run_cells(notebook, last_cell):
    """Run the code cells of a notebook, a Path, up to the one with the id `last_cell`; return
    their names, a dict. Raises LookupError if there is no such cell.
    """
    cells = [cell for cell in nbformat.read(notebook, 4).cells if cell.cell_type == "code"]
    ids = [cell.id for cell in cells]
    if last_cell not in ids:
        raise LookupError(f"{notebook.name} has no cell {last_cell}")
    names = {"__name__": "__main__"}
    for cell in cells[: ids.index(last_cell) + 1]:
        # a cell may ask for the source of its functions
        lines = cell.source.splitlines(keepends=True)
        linecache.cache[cell.id] = (len(cell.source), None, lines, cell.id)
        exec(compile(cell.source, cell.id, "exec"), names)
    return names


def missing(texts, seen):
    """Return one sentence for each of `texts` that is not in the text of a page."""
    return [f"the page does not show {text}" for text in texts if text not in seen]


def free_port():
    """Return a port of this computer that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(server, url):
    """Return once a server, a Popen, answers at `url`. Ends the program if it does not."""
    for _ in range(WAIT):
        try:
            urllib.request.urlopen(url, timeout=5)
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            if server.poll() is not None:
                break
            time.sleep(1)
    sys.exit(f"The server does not answer at {url}.")


def look(page, browser, url, texts):
    """Return the text of a page once all `texts` stand there, or what stands there after WAIT
    seconds, and its picture, as bytes.
    """
    width, height = page.size
    window = browser.new_page(viewport={"width": width, "height": height})
    window.goto(url)
    for _ in range(WAIT):
        seen = window.evaluate(TEXT)
        if not missing(texts, seen):
            break
        time.sleep(1)
    page.tidy(window)
    time.sleep(2)  # for what moves
    return seen, window.screenshot()


def main(name, check):
    """Take the picture of the page `name`; return the status of the program."""
    from playwright.sync_api import sync_playwright

    page = PAGES[name]()
    os.chdir(CHAPTERS)
    os.environ |= {"MPLBACKEND": "agg", "LOGNAME": "colleague"}
    sys.path.insert(0, str(CHAPTERS))
    sys.argv = [page.notebook]
    names = run_cells(CHAPTERS / page.notebook, page.last_cell)
    port = free_port()
    program = Path(sys.executable).with_name(page.program)
    with tempfile.TemporaryFile() as log:
        command = [program, *page.options(names, port)]
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=tempfile.gettempdir())
        try:
            url = f"http://127.0.0.1:{port}"
            wait_for(server, url)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
                seen, picture = look(page, browser, url + page.address(names), page.texts(names))
        finally:
            server.terminate()
            server.wait()
    problems = missing(page.texts(names), seen)
    print("\n".join(problems) or f"The page of {name} shows what the cells have written.")
    if not problems and not check:
        path = CHAPTERS / "pages" / f"{Path(page.notebook).stem}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture)
    return int(bool(problems))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=inspect.cleandoc(__doc__).partition(":")[0])
    parser.add_argument("page", choices=PAGES)
    parser.add_argument("--check", action="store_true", help="keep no picture")
    options = parser.parse_args()
    sys.exit(main(options.page, options.check))
