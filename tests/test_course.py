"""The command line: what it installs, builds and runs, and the sentences with which it stops."""

import shutil
import subprocess
import sys
import zipfile

import pytest
from notebooks import ROOT

import course


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A small course in a folder of its own, without git; return the folder.

    Its Python is a file, and what would run it is kept in `course.run.calls` and succeeds.
    """
    for name, text in {
        "intro.md": "# Course",
        "requirements.txt": "numpy",
        "lock.txt": "numpy==2",
        "chapters/141_1_one_job.ipynb": '"../data/table.csv"',
        "chapters/144_convolution.ipynb": "",
        "chapters/145_recurrence.ipynb": "",
        "chapters/145_1_transformers.ipynb": "",
        "chapters/scripts/train.py": "",
        "reference/map.ipynb": '"../data/map.yaml"',
        "data/table.csv": "1",
        "data/map.yaml": "",
        "tests/test_it.py": "",
        ".venv/bin/python": "",
    }.items():
        write(tmp_path / name, text)
    monkeypatch.setattr(course, "ROOT", tmp_path)
    monkeypatch.setattr(course, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(course, "PYTHON", tmp_path / ".venv/bin/python")
    monkeypatch.setattr(course, "SITE", tmp_path / "_build/html/index.html")
    monkeypatch.delenv("COURSE_REPOSITORY", raising=False)
    monkeypatch.delenv("COURSE_BRANCH", raising=False)
    answer(monkeypatch)
    return tmp_path


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf8")


def answer(monkeypatch, status=0, work=lambda: None):
    """Let the course's Python do `work` and end with a status, whatever it is asked to run."""

    def run(*arguments, **options):
        run.calls.append(arguments)
        work()
        return status

    run.calls = []
    monkeypatch.setattr(course, "run", run)


def sentence(function, *arguments):
    """Return the sentence with which a function stops the program."""
    with pytest.raises(SystemExit) as stopped:
        function(*arguments)
    return stopped.value.code


# Digests, and what is installed


def test_a_fingerprint_tells_names_and_contents_but_not_order(root):
    one, two = root / "one", root / "two"
    write(one, "a")
    write(two, "b")
    first = course.fingerprint([one, two])
    assert course.fingerprint([two, one]) == first
    write(two, "c")
    changed = course.fingerprint([one, two])
    write(two, "b")
    renamed = course.fingerprint([one, two.rename(root / "three")])
    assert len({first, changed, renamed}) == 3


def test_packages_are_installed_once_and_again_when_a_pin_changes(root):
    for pins in ["numpy==2", "numpy==3"]:
        write(root / "lock.txt", pins)
        course.run.calls.clear()
        course.install()
        (call,) = course.run.calls
        assert call[:3] == ("-m", "pip", "install") and "requirements.txt" in call
        course.install()
        assert len(course.run.calls) == 1


def test_a_failed_installation_is_tried_again(root, monkeypatch):
    answer(monkeypatch, status=1)
    told = "course.py: the installation failed; mend what pip says above and run me again."
    assert sentence(course.install) == told
    assert not (root / ".venv/installed").exists()


def test_an_environment_that_cannot_be_made(root, monkeypatch):
    def create(*arguments, **options):
        raise OSError("no ensurepip")

    (root / ".venv/bin/python").unlink()
    monkeypatch.setattr(course.venv, "create", create)
    what = f"no {root / '.venv'} (no ensurepip)"
    told = f"course.py: {what}; on Debian and Ubuntu, install python3-venv."
    assert sentence(course.install) == told


def test_data_that_a_notebook_names_must_be_there(root):
    course.need_data()
    for name in ["table.csv", "map.yaml"]:
        (root / "data" / name).unlink()
    assert sentence(course.need_data) == (
        "course.py: missing: data/map.yaml, data/table.csv; "
        "`git checkout -- data` or a new copy has them."
    )


# The site


def build(monkeypatch, root):
    """Let the course's Python build a site, call book, and return how often it was asked to."""
    answer(monkeypatch, work=lambda: write(root / "_build/html/index.html", "built"))
    assert course.book() == 0
    return len(course.run.calls)


def test_the_book_is_built_when_something_has_changed(root, monkeypatch, capsys):
    assert (build(monkeypatch, root), build(monkeypatch, root)) == (1, 0)
    address = (root / "_build/html/index.html").as_uri()
    told = f"The book is ready. Open it with your browser: {address}\n"
    assert capsys.readouterr().out == 2 * told
    # shown, packed, new, and gone
    write(root / "chapters/144_convolution.ipynb", "{}")
    assert (build(monkeypatch, root), build(monkeypatch, root)) == (1, 0)
    write(root / "tests/test_it.py", "assert True")
    assert (build(monkeypatch, root), build(monkeypatch, root)) == (1, 0)
    write(root / "chapters/146_new.ipynb", "{}")
    assert (build(monkeypatch, root), build(monkeypatch, root)) == (1, 0)
    (root / "data/map.yaml").unlink()
    assert (build(monkeypatch, root), build(monkeypatch, root)) == (1, 0)
    (root / "_build/html/index.html").unlink()
    assert (build(monkeypatch, root), build(monkeypatch, root)) == (1, 0)


def test_the_book_is_not_built_for_what_it_does_not_hold(root, monkeypatch):
    build(monkeypatch, root)
    write(root / "notes.md", "a draft")
    write(root / "chapters/__pycache__/x.pyc", "")
    write(root / "chapters/.ipynb_checkpoints/144_convolution.ipynb", "")
    assert build(monkeypatch, root) == 0


@pytest.mark.parametrize("name", ["COURSE_REPOSITORY", "COURSE_BRANCH"])
def test_the_book_is_built_for_another_address(name, root, monkeypatch):
    build(monkeypatch, root)
    monkeypatch.setenv(name, "another")
    assert (build(monkeypatch, root), build(monkeypatch, root)) == (1, 0)


def test_a_book_that_was_not_built_is_built_again(root, monkeypatch):
    build(monkeypatch, root)
    write(root / "intro.md", "# Another course")
    told = "course.py: the site was not built; the warnings above say which page to mend."
    for _ in range(2):
        answer(monkeypatch, status=1)
        assert sentence(course.book) == told and len(course.run.calls) == 1
    write(root / "intro.md", "# Course")  # as when the last build was complete
    assert build(monkeypatch, root) == 1


# Chapters by their numbers


def test_chapters_have_their_numbers(root):
    paths = course.chapters(["145", "145.1", "145_1", "141.1"])
    names = [path.name for path in paths]
    transformers = "145_1_transformers.ipynb"
    assert names == ["145_recurrence.ipynb", transformers, transformers, "141_1_one_job.ipynb"]
    assert course.chapters([]) == []


@pytest.mark.parametrize(
    "asked, example", [("141", "141.1"), ("14", "141.1"), ("145.2", "141.1"), ("aws", "141.1")]
)
def test_a_chapter_that_is_not_written(asked, example, root):
    assert sentence(course.chapters, ["144", asked]) == (
        f"course.py: there is no chapter {asked} yet; the written ones are 141.1, 144, 145, 145.1, "
        f"for example `python course.py run {example}`."
    )


def test_a_companion_is_suggested_in_place_of_its_lecture(root):
    (root / "chapters/145_recurrence.ipynb").unlink()
    assert sentence(course.chapters, ["145"]).endswith("for example `python course.py run 145.1`.")


def test_the_command_to_run_a_notebook(root):
    commands = {
        "chapters/144_convolution.ipynb": "python course.py run 144",
        "chapters/145_1_transformers.ipynb": "python course.py run 145.1",
        "reference/map.ipynb": "python course.py run",
    }
    for name, command in commands.items():
        assert course.command_to_run(root / name) == command


# The command line


def call(monkeypatch, *arguments):
    """Call the program with arguments and return its exit status."""
    monkeypatch.setattr(sys, "argv", ["course.py", *arguments])
    return course.main()


def test_another_python_is_refused(monkeypatch):
    monkeypatch.setattr(course.sys, "version_info", (3, 10, 4))
    told = "course.py: this is Python 3.10; run me with one of 3.11, 3.12, 3.13."
    assert sentence(course.main) == told


def test_run_executes_chapters_or_the_reference_notebooks(root, monkeypatch):
    course.install()
    course.run.calls.clear()
    assert call(monkeypatch, "run", "145.1", "144") == 0
    assert call(monkeypatch, "run") == 0
    assert [names for tool, *names in course.run.calls] == [
        ["chapters/145_1_transformers.ipynb", "chapters/144_convolution.ipynb"],
        ["reference/map.ipynb"],
    ]
    assert {tool for tool, *_ in course.run.calls} == {"tools/run_chapters.py"}


def test_lab_opens_in_the_chapters(root, monkeypatch):
    course.install()
    folders = []
    monkeypatch.setattr(course, "run", lambda *arguments, folder: folders.append(folder) or 3)
    assert call(monkeypatch, "lab") == 3 and folders == [root / "chapters"]


def test_an_unknown_option_is_refused(root, monkeypatch, capsys):
    with pytest.raises(SystemExit) as stopped:
        call(monkeypatch, "book", "--fast")
    assert stopped.value.code == 2 and not course.run.calls
    assert capsys.readouterr().err.endswith("error: unknown option: --fast\n")


# What belongs to the course


def git(folder, *arguments):
    """Run git in a folder."""
    subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True)


def names(folder):
    """Return the names of the course's files in a folder, relative to it."""
    return [path.relative_to(folder).as_posix() for path in course.course_files(folder)]


@pytest.fixture
def repository(root):
    """The small course in git, with a draft, a secret and a draft of a chapter beside it."""
    git(root, "init", "-q")
    git(root, "add", "intro.md", "chapters", "data", "reference", "tests")
    for name in ["draft.md", ".env", "chapters/146_draft.ipynb"]:
        write(root / name, "secret")
    return root


TRACKED = [
    "chapters/141_1_one_job.ipynb",
    "chapters/144_convolution.ipynb",
    "chapters/145_1_transformers.ipynb",
    "chapters/145_recurrence.ipynb",
    "chapters/scripts/train.py",
    "data/map.yaml",
    "data/table.csv",
    "intro.md",
    "reference/map.ipynb",
    "tests/test_it.py",
]


def test_the_course_is_what_git_tracks(repository):
    assert names(repository) == TRACKED
    (repository / "data/map.yaml").unlink()
    assert names(repository) == [name for name in TRACKED if name != "data/map.yaml"]


@pytest.mark.parametrize("fault", ["no repository", "another's repository", "no git", "git fails"])
def test_without_git_the_course_is_what_is_named(fault, repository, monkeypatch):
    folder = repository
    if fault == "no repository":
        shutil.rmtree(folder / ".git")
    if fault == "another's repository":  # an unpacked course.zip inside some other repository
        unpacked = [path for path in repository.iterdir() if path.name != ".git"]
        folder = repository / "course"
        folder.mkdir()
        for path in unpacked:
            path.rename(folder / path.name)
    if fault == "no git":
        monkeypatch.setenv("PATH", "")
    if fault == "git fails":
        (folder / ".git/HEAD").unlink()
    write(folder / "chapters/__pycache__/x.pyc", "")
    write(folder / "chapters/.ipynb_checkpoints/144_convolution.ipynb", "")
    named = [*TRACKED, "chapters/146_draft.ipynb", "lock.txt", "requirements.txt"]
    assert names(folder) == sorted(named)


def test_the_book_is_built_for_a_chapter_that_git_does_not_track_yet(repository, monkeypatch):
    build(monkeypatch, repository)
    write(repository / "chapters/146_draft.ipynb", "{}")
    assert build(monkeypatch, repository) == 1


def test_the_archive_holds_the_course_and_no_more(repository, tmp_path):
    from course_site import pack

    pack(repository, tmp_path / "course.zip")
    with zipfile.ZipFile(tmp_path / "course.zip") as archive:
        assert archive.namelist() == [f"course/{name}" for name in TRACKED]
        assert archive.read("course/intro.md") == b"# Course"


def test_the_named_files_are_those_that_git_tracks(tmp_path):
    files = course.course_files(ROOT)
    for path in files:
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    assert names(tmp_path) == [path.relative_to(ROOT).as_posix() for path in files]
