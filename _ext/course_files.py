"""Which files the course consists of. The standard library only: course.py asks as well."""

import subprocess

TOP = (
    ".gitattributes",
    ".gitignore",
    "CONTRIBUTING.md",
    "README.md",
    "_config.yml",
    "_toc.yml",
    "conftest.py",
    "course.py",
    "intro.md",
    "lock.txt",
    "pyproject.toml",
    "requirements-gpu.txt",
    "requirements-mlflow.txt",
    "requirements-sdk.txt",
    "requirements-torch.txt",
    "requirements.txt",
)
FOLDERS = (".ci", ".github", "_ext", "chapters", "data", "reference", "tests", "tools")
CACHES = {".ipynb_checkpoints", "__pycache__"}


def files_below(folder):
    """Return the paths of all files below a folder, a Path, less caches."""
    return [
        path for path in folder.rglob("*") if path.is_file() and not CACHES.intersection(path.parts)
    ]


def course_files(root):
    """Return the paths of the files of the course in the folder `root`, a Path, sorted.

    They are what git tracks. Where there is no git, as in an unpacked course.zip, they are what TOP
    names and what lies in FOLDERS.
    """
    paths = tracked_files(root)
    if paths is None:
        paths = [root / name for name in TOP]
        for folder in FOLDERS:
            paths += files_below(root / folder)
    return sorted(path for path in paths if path.is_file())


def tracked_files(root):
    """Return the paths that git tracks in `root`, or None where `root` is no repository of its own
    or git does not answer.
    """
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", root, "ls-files", "-z"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True, encoding="utf8").stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return [root / name for name in listed.split("\0") if name]
