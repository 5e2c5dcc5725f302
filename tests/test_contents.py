"""The table of contents, the files, the titles and the landing page agree; each of the 25 lectures
stands there once.
"""

import re

import pytest
import yaml
from notebooks import CHAPTERS, ROOT, number, read

LECTURES = [str(n) for n in range(141, 166)]
COMPANIONS = ["141.1", "145.1", "145.2", "151.1", "156.1"]


def in_toc():
    """Return the files named in _toc.yml, without the root."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf8"))
    return [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]


def title(path):
    """Return the H1 of a notebook or Markdown page."""
    text = (
        read(path).cells[0].source if path.suffix == ".ipynb" else path.read_text(encoding="utf8")
    )
    return re.match(r"# (.+)", text).group(1)


def listing(intro):
    """Return {number: (title, link or None)} from the landing page, and a list of numbers that
    stand there twice.
    """
    rows = re.findall(
        r"^- (?:\[(\d{3}(?:\.\d)?)\.? (.+?)\]\((.+?)\)|(\d{3}(?:\.\d)?)\.? (.+?) \(planned\))$",
        intro,
        re.M,
    )
    found = [(a or d, b or e, link or None) for a, b, link, d, e in rows]
    numbers = [n for n, *_ in found]
    return {n: (name, link) for n, name, link in found}, sorted(
        {n for n in numbers if numbers.count(n) > 1}
    )


def landing(intro):
    """Return a list of problems with the landing page's list of chapters."""
    listed, twice = listing(intro)
    problems = [f"{n} stands twice" for n in twice]
    if sorted(listed) != sorted(LECTURES + COMPANIONS):
        problems.append(f"missing or unknown: {sorted(set(listed) ^ set(LECTURES + COMPANIONS))}")
    written = {number(path): path for path in CHAPTERS}
    for n, (name, link) in listed.items():
        if (n in written) != (link is not None):
            problems.append(
                f"{n} is {'' if n in written else 'not '}written and listed as the other"
            )
        if n in written and (
            f"{n}. {name}" != title(written[n]) or (ROOT / link).resolve() != written[n]
        ):
            problems.append(f"{n} has another title or place than on the landing page")
    return problems


def test_toc_and_files_agree():
    files = [path.relative_to(ROOT).with_suffix("").as_posix() for path in CHAPTERS]
    references = [
        path.relative_to(ROOT).with_suffix("").as_posix()
        for path in (ROOT / "reference").glob("[!.]*.*")
    ]
    assert sorted(in_toc()) == sorted(files + references)
    assert [name for name in in_toc() if name.startswith("chapters")] == files


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_titles_and_file_names_agree(path):
    name = re.sub(r"[^a-z0-9]+", "_", title(path).lower()).strip("_")
    assert path.stem in {name, name.replace("_and_", "_")}


def test_landing_page():
    assert landing((ROOT / "intro.md").read_text(encoding="utf8")) == []


@pytest.mark.parametrize(
    "old, new",
    [
        ("165 Elastic", "164 Elastic"),
        (" (planned)", ""),
        ("Convolutional neural", "Convoluted neural"),
    ],
)
def test_a_wrong_landing_page_is_rejected(old, new):
    intro = (ROOT / "intro.md").read_text(encoding="utf8")
    assert old in intro
    assert landing(intro.replace(old, new, 1)) != []
