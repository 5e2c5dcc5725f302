"""The table of contents, the files, the titles and the landing page agree; each of the 25 lectures
stands there once; and a chapter that exists is linked wherever it is named.
"""

import re

import pytest
import yaml
from notebooks import CHAPTERS, NOTEBOOKS, ROOT, markdown, number, read

LECTURES = [str(n) for n in range(141, 166)]
NUMBER = r"\d{3}(?:\.\d)?"
LISTED = re.compile(rf"^- (?:\[({NUMBER}) (.+?)\]\((.+?)\)|({NUMBER}) (.+?) \(planned\))", re.M)
NAMED = re.compile(rf"\b[Cc]hapters? ({NUMBER})|\(({NUMBER})\)")

LINKED = re.compile(r"\[[^\]]*\]\([^)]*\)|<a .*?</a>|<summary>.*?</summary>|`[^`]*`", re.S)


def title(path):
    """Return the H1 of a notebook or Markdown page."""
    notebook = path.suffix == ".ipynb"
    text = read(path).cells[0].source if notebook else path.read_text(encoding="utf8")
    return re.match(r"# (.+)", text).group(1)


def written():
    """Return {number: (title without the number, address from the landing page)}."""
    titles = {number(path): title(path).partition(". ")[2] for path in CHAPTERS}
    return {number(path): (titles[number(path)], f"chapters/{path.name}") for path in CHAPTERS}


def in_toc():
    """Return the files named in _toc.yml, without the root."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf8"))
    return [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]


def landing(intro, written):
    """Yield what is wrong with the landing page's list of chapters."""
    rows = [(a or d, b or e, link) for a, b, link, d, e in LISTED.findall(intro)]
    numbers = [n for n, *_ in rows]
    for n in sorted({n for n in numbers if numbers.count(n) > 1}):
        yield f"{n} stands twice"
    for n in sorted({*LECTURES, *written} - set(numbers)):
        yield f"{n} is missing"
    for n in sorted(set(numbers) - {*LECTURES, *written}):
        if n.partition(".")[0] not in LECTURES:
            yield f"{n} is no lecture of the course"
    for n, name, link in rows:
        if n in written and not link:
            yield f"{n} is written and listed as planned"
        elif n in written and (name, link) != written[n]:
            yield f"{n} is listed as {name} at {link}"
        elif link and n not in written:
            yield f"{n} is not written and listed as if it were"


def unlinked(text, numbers, own=None):
    """Yield the chapters that a Markdown text names without a link, of those that exist."""
    text = re.sub(
        r"\[[^\]]*\]\([^)]*\)|<a .*?</a>|<summary>.*?</summary>|`[^`]*`", "", text, flags=re.S
    )
    for found in NAMED.finditer(text):
        n = found[1] or found[2]
        if n in numbers and n != own:
            yield f"chapter {n} is named without a link: {found.group()}"


def test_toc_and_files_agree():
    files = [path.relative_to(ROOT).with_suffix("").as_posix() for path in CHAPTERS]
    references = [
        path.relative_to(ROOT).with_suffix("").as_posix()
        for path in (ROOT / "reference").glob("[!.]*.*")
    ]
    assert sorted(in_toc()) == sorted(files + references)
    assert [name for name in in_toc() if name.startswith("chapters")] == files


def test_claims_files_belong_to_listed_chapters():
    listed = {row[0] or row[3] for row in LISTED.findall((ROOT / "intro.md").read_text("utf8"))}
    files = {path.stem.replace("_", ".") for path in (ROOT / "data/claims").glob("*.yaml")}
    assert files <= listed


def named_for(stem, title):
    """Return whether a file has the name that its title gives; a capstone's leaves words out."""
    name = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")
    words = iter(name.split("_"))
    if "Capstone: " in title:
        return "_capstone_" in stem and all(word in words for word in stem.split("_"))
    return stem in {name, name.replace("_and_", "_")}


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_titles_and_file_names_agree(path):
    assert named_for(path.stem, title(path))


@pytest.mark.parametrize(
    "stem, title, agree",
    [
        ("144_red_and_blue", "144. Red and blue", True),
        ("144_red_blue", "144. Red and blue", True),
        ("144_blue", "144. Red and blue", False),
        ("144_2_capstone_blue", "144.2. Capstone: red and blue", True),
        ("144_2_blue", "144.2. Capstone: red and blue", False),
        ("144_2_capstone_blue_red", "144.2. Capstone: red and blue", False),
        ("144_2_capstone_green", "144.2. Capstone: red and blue", False),
    ],
)
def test_a_file_that_is_named_otherwise_is_rejected(stem, title, agree):
    assert named_for(stem, title) == agree


def test_landing_page():
    assert list(landing((ROOT / "intro.md").read_text(encoding="utf8"), written())) == []


PAGES = NOTEBOOKS + sorted((ROOT / "reference").glob("*.md")) + [ROOT / "intro.md"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_chapters_are_linked_where_they_are_named(path):
    notebook = path.suffix == ".ipynb"
    text = markdown(read(path)) if notebook else path.read_text(encoding="utf8")
    own = number(path) if path in CHAPTERS else None
    assert list(unlinked(text, set(written()), own)) == []


LIST = "\n".join(f"- {n} Name (planned)" for n in LECTURES)
SMALL = {"144": ("Name", "chapters/144_name.ipynb")}
ROW = "- [144 Name](chapters/144_name.ipynb)"


@pytest.mark.parametrize(
    "old, new, sentence",
    [
        ("- 165 Name (planned)", "", "165 is missing"),
        ("- 165", "- 165 Name (planned)\n- 165", "165 stands twice"),
        ("- 165", "- 166 Name (planned)\n- 165", "166 is no lecture of the course"),
        (ROW, "- 144 Name (planned)", "144 is written and listed as planned"),
        ("[144 Name]", "[144 Nam]", "144 is listed as Nam at chapters/144_name.ipynb"),
        (
            "- 145 Name (planned)",
            "- [145 Name](chapters/145_name.ipynb)",
            "145 is not written and listed as if it were",
        ),
    ],
)
def test_a_wrong_landing_page_is_rejected(old, new, sentence):
    intro = LIST.replace("- 144 Name (planned)", ROW)
    assert list(landing(intro, SMALL)) == [] and old in intro
    assert list(landing(intro.replace(old, new, 1), SMALL)) == [sentence]


@pytest.mark.parametrize(
    "text, sentences",
    [
        ("as chapter 144 shows", ["chapter 144 is named without a link: chapter 144"]),
        ("what a filter is (144)", ["chapter 144 is named without a link: (144)"]),
        ("[chapter 144](144_name.ipynb), `(144)`, chapter 145, 144 images", []),
        ('<a href="144_name.html">chapter 144</a>', []),
        ("<summary><b>Recall (144).</b> What?</summary>", []),
    ],
)
def test_a_chapter_that_is_not_linked_is_found(text, sentences):
    assert list(unlinked(text, {"144"})) == sentences
    assert list(unlinked(text, {"144"}, own="144")) == []
