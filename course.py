"""Build, read, run and check the course. Needs Python 3.11, 3.12 or 3.13 and nothing else.

python course.py book          build the site and say where to open it
python course.py test          check that every printed number is what the code prints
python course.py lab           open the chapters in JupyterLab
python course.py run 144       execute a chapter and store it (for authors)
python course.py experiments   redo the long comparisons behind the tables in data/experiments
"""

import argparse
import hashlib
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent / "_ext"))

from course_files import course_files, files_below

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
SITE = ROOT / "_build" / "html" / "index.html"
PYTHONS = [(3, 11), (3, 12), (3, 13)]


def stop(sentence):
    """End the program with one sentence that says what to do."""
    sys.exit(f"course.py: {sentence}")


def fingerprint(paths):
    """Return a digest of the names and contents of some files."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        name = path.relative_to(ROOT).as_posix().encode()
        digest.update(name + b"\0" + path.read_bytes())
    return digest.hexdigest()


def install():
    """Make .venv with the pinned packages, unless the one that is there already holds them."""
    pins = [ROOT / "requirements.txt", ROOT / "lock.txt"]
    stamp, wanted = VENV / "installed", fingerprint(pins)
    if stamp.exists() and stamp.read_text() == wanted and PYTHON.exists():
        return
    print("Installing into .venv (about 2.8 GB, once, a few minutes) ...", flush=True)
    if not PYTHON.exists():
        try:
            venv.create(VENV, with_pip=True)
        except (subprocess.CalledProcessError, OSError) as error:
            stop(f"no {VENV} ({error}); on Debian and Ubuntu, install python3-venv.")
    options = ["--disable-pip-version-check", "-q", "-r", "requirements.txt"]
    if run("-m", "pip", "install", *options):
        stop("the installation failed; mend what pip says above and run me again.")
    stamp.write_text(wanted)


def run(*arguments, folder=ROOT):
    """Run the course's own Python with these arguments and return the exit status."""
    return subprocess.run([PYTHON, *arguments], cwd=folder).returncode


def need_data():
    """Stop if a data file that a notebook names is not there."""
    named = set()
    for path in [*ROOT.glob("chapters/*.ipynb"), *ROOT.glob("reference/*.ipynb")]:
        text = path.read_text(encoding="utf8")
        named.update(re.findall(r"\.\./(data/[\w/]+\.\w+)", text))
    missing = ", ".join(sorted(name for name in named if not (ROOT / name).exists()))
    if missing:
        stop(f"missing: {missing}; `git checkout -- data` or a new copy has them.")


def sources():
    """Return the paths of all files that the site shows or that course.zip packs, a set."""
    paths = set(course_files(ROOT))
    for folder in ("chapters", "reference", "data", "_ext"):
        paths.update(files_below(ROOT / folder))
    return paths


def book():
    """Build the site if anything in it has changed, and return the exit status."""
    stamp = ROOT / "_build" / "built"
    settings = [os.environ.get(name, "") for name in ("COURSE_REPOSITORY", "COURSE_BRANCH")]
    wanted = " ".join([fingerprint(sources()), *settings])
    if not (SITE.exists() and stamp.exists() and stamp.read_text() == wanted):
        stamp.unlink(missing_ok=True)
        # jupyter_book has no __main__, and its script lies elsewhere on Windows
        start = "from jupyter_book.cli.main import main; main()"
        options = ["build", ".", "-W", "-n", "--keep-going", "-q"]
        if run("-c", start, *options) or not SITE.exists():
            stop("the site was not built; the warnings above say which page to mend.")
        stamp.write_text(wanted)
    print(f"The book is ready. Open it with your browser: {SITE.as_uri()}")
    return 0


def test(options):
    """Run every check, on two processes, and return the exit status; options go on to pytest."""
    return run("-m", "pytest", "--nbval", "-n", "2", "--dist", "loadscope", *options)


def number(notebook):
    """Return a chapter's number from its path: 145_1_transformers.ipynb is "145.1"."""
    first, second = notebook.stem.split("_")[:2]
    return f"{first}.{second}" if second.isdigit() else first


def command_to_run(notebook):
    """Return the command that executes and stores a notebook, a path below chapters/ or reference/.

    The reference notebooks are run together.
    """
    if notebook.resolve().parent.name == "chapters":
        return f"python course.py run {number(notebook)}"
    return "python course.py run"


def chapters(numbers):
    """Return the notebooks of chapters with these numbers; 145.1 is 145_1_transformers.ipynb."""
    paths = sorted((ROOT / "chapters").glob("*.ipynb"), key=lambda path: float(number(path)))
    written = {number(path): path for path in paths}
    found = []
    for asked in (text.replace("_", ".") for text in numbers):
        if asked not in written:
            near = [one for one in written if one.startswith(f"{asked}.")] or list(written)
            stop(
                f"there is no chapter {asked} yet; the written ones are {', '.join(written)}, "
                f"for example `{command_to_run(written[near[0]])}`."
            )
        found.append(written[asked])
    return found


def experiments(names, check):
    """Redo the experiment tables (all, or the named ones), or with check compare them; return the
    exit status.
    """
    arguments = ["--check"] if check else []
    return run("tools/run_experiments.py", *arguments, *names)


def main():
    """Read the command line and do what it asks."""
    if sys.version_info[:2] not in PYTHONS:
        this, *known = [f"{x}.{y}" for x, y in [sys.version_info[:2], *PYTHONS]]
        stop(f"this is Python {this}; run me with one of {', '.join(known)}.")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("book", help="build the site")
    commands.add_parser("test", help="run every check; further options go to pytest")
    commands.add_parser("lab", help="open JupyterLab in chapters/")
    runner = commands.add_parser("run", help="execute and store chapters")
    runner.add_argument("numbers", nargs="*", help="for example 144; none: the reference notebooks")
    repeat = commands.add_parser("experiments", help="redo the experiment tables")
    repeat.add_argument("names", nargs="*", help="for example shift; none: all")
    repeat.add_argument(
        "--check", action="store_true", help="compare with the stored tables, write nothing"
    )
    arguments, rest = parser.parse_known_args()
    if rest and arguments.command != "test":
        parser.error(f"unknown option: {' '.join(rest)}")
    need_data()
    install()
    if arguments.command == "book":
        return book()
    if arguments.command == "test":
        return test(rest)
    if arguments.command == "lab":
        return run("-m", "jupyterlab", folder=ROOT / "chapters")
    if arguments.command == "run":
        notebooks = chapters(arguments.numbers) or sorted((ROOT / "reference").glob("*.ipynb"))
        return run("tools/run_chapters.py", *[str(path.relative_to(ROOT)) for path in notebooks])
    return experiments(arguments.names, arguments.check)


if __name__ == "__main__":
    sys.exit(main())
