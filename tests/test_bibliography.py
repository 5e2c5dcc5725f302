"""The bibliography: each work has an address, the same one wherever it stands, and says what it
is cited for; each section is linked, and each source of a claim is there.
"""

import re
from urllib.parse import unquote

import pytest
import yaml
from docutils.nodes import make_id
from notebooks import NOTEBOOKS, ROOT, markdown, read

PAGE = (ROOT / "reference/bibliography.md").read_text(encoding="utf8")
# the works without an address
WITHOUT = {
    # printed proceedings without a DOI; no page of the publisher or the authors was found
    "Provost, F., Fawcett, T., and Kohavi, R. (1998)"
}
LINK = re.compile(r"\[([^\]]+)\]\((http\S+?)\)(?=[\s.,:;]|$)")
# links that lead to the work itself: doi:10.1000/1, arXiv:1512.03385, jmlr.org
ADDRESS = re.compile(r"(doi|arXiv):\S+|[\w-]+(\.[\w-]+)+(/\S*)?")
STARTS = {"doi:10.": "https://doi.org/10.", "arXiv:": "https://arxiv.org/abs/"}
# "Fawcett 2006", "Lin et al. 2014", "Friedman, Hastie & Tibshirani 2000"; a number follows some
SOURCE = re.compile(r"([A-Z][\w'-]+)(?: et al\.|(?:, \w+)? & \w+)? (\d{4})\b(?! \(arXiv)")
ARXIV = re.compile(r"(?i)arxiv(?:\.org/abs/|:)([\d.]+\d)")


def parsed(entry):
    """Return authors with year, title, and links (text, address) of an entry."""
    by = re.match(r"([^*\[]*?\(\d[\d-]*\))\. ", entry) or re.match(r"(.*?)\. (?=[*\[A-Z])", entry)
    title = re.match(r"\*[^*]+\*|[^.?]+[.?]?", entry[by.end() :])[0]
    links = [(text, unquote(address)) for text, address in LINK.findall(entry)]
    return by[1], title.strip("*.?"), links


def problems(page, linked):
    """Yield what is wrong with a page; linked are the anchors to which other pages link."""
    known = {}
    for section in page.split("\n### ")[1:]:
        heading, _, text = section.partition("\n")
        if make_id(heading) not in linked:
            yield f"no page links to the section {heading}"
        for entry in re.findall(r"(?m)^- (.+)$", text):
            by, title, links = parsed(entry)
            if not entry.endswith("."):
                yield f"{by} does not end with a full stop"
            told = re.split(LINK, entry, maxsplit=1)[-1] if links else entry.rpartition("*")[2]
            if not re.search(r"[^\W\d]{2}", LINK.sub("", told)):
                yield f"{by} does not say what it is cited for"
            if not links and by not in WITHOUT:
                yield f"{by} has no DOI, arXiv number or address"
            for name, address in links:
                for mark, start in STARTS.items():
                    if mark in name or start.split("/")[2] in address:
                        if name != mark + address.removeprefix(start):
                            yield f"{by}: {name} leads to {address}"
            places = [link for link in links if ADDRESS.fullmatch(link[0])]
            work = (title, by, places)
            if known.setdefault(title.lower(), work) != work:
                yield f"{title} has another spelling, author, year or address under {heading}"


def missing(sources, page):
    """Yield the works that sources, a dict of texts by place, name and a page does not have."""
    entries = re.findall(r"(?m)^- (.+)$", page)
    for place, source in sources.items():
        for number in ARXIV.findall(source):
            if f"[arXiv:{number}]" not in page:
                yield f"{place}: arXiv:{number} is not in the bibliography"
        for name, year in SOURCE.findall(source):
            if not any(re.match(rf".*{name}.*\({year}\)", parsed(entry)[0]) for entry in entries):
                yield f"{place}: {name} {year} is not in the bibliography"


def test_the_bibliography_is_in_order():
    pages = [markdown(read(path)) for path in NOTEBOOKS]
    pages += [path.read_text(encoding="utf8") for path in (ROOT / "reference").glob("*.md")]
    linked = set(re.findall(r"bibliography\.md#([\w-]+)", "\n".join(pages)))
    assert list(problems(PAGE, linked)) == []


def test_every_work_that_is_named_is_there():
    sources = {
        claim["id"]: claim["source"]
        for path in sorted((ROOT / "data/claims").glob("*.yaml"))
        for claim in yaml.safe_load(path.read_text(encoding="utf8"))
        if "source" in claim
    }
    for path in NOTEBOOKS:
        numbers = ARXIV.findall(markdown(read(path)))
        sources[path.stem] = " ".join(f"arXiv:{number}" for number in numbers)
    assert list(missing(sources, PAGE)) == []


SMALL = """# Bibliography

### 142. A small chapter

- Rohe, M. (1959). Less is more. *Press*. [doi:10.1000/1](https://doi.org/10.1000/1). Less.
- Frank, A., and others (2020). *More*, chapter 2. [more.org](https://more.org/book/). More.

### 143. Another one

- Frank, A., and others (2020). *More*. [more.org](https://more.org/book/). Still more.
"""


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (" Less.\n", " Less\n", "Rohe, M. (1959) does not end with a full stop"),
        (" Less.\n", "\n", "Rohe, M. (1959) does not say what it is cited for"),
        (
            " [doi:10.1000/1](https://doi.org/10.1000/1).",
            "",
            "Rohe, M. (1959) has no DOI, arXiv number or address",
        ),
        (
            "org/10.1000/1",
            "org/10.1000/2",
            "Rohe, M. (1959): doi:10.1000/1 leads to https://doi.org/10.1000/2",
        ),
        (
            "[doi:10.1000/1](https://doi.org/10.1000/1)",
            "[arXiv:1512.03385](https://arxiv.org/pdf/1512.03385)",
            "Rohe, M. (1959): arXiv:1512.03385 leads to https://arxiv.org/pdf/1512.03385",
        ),
        (
            "https://more.org/book/). Still",
            "https://more.org/). Still",
            "More has another spelling, author, year or address under 143. Another one",
        ),
        ("### 143. Another", "### 143. One more", "no page links to the section 143. One more one"),
    ],
)
def test_a_fault_in_the_bibliography_is_told(old, new, problem):
    linked = {"a-small-chapter", "another-one"}
    assert list(problems(SMALL, linked)) == []
    assert SMALL.count(old) == 1
    assert list(problems(SMALL.replace(old, new), linked)) == [problem]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("Rohe 1960", "142-01: Rohe 1960 is not in the bibliography"),
        (
            "Frank et al. 2020 (arXiv:2001.00001)",
            "142-01: arXiv:2001.00001 is not in the bibliography",
        ),
    ],
)
def test_a_source_that_is_not_there_is_told(source, problem):
    assert list(missing({"142-01": "Rohe 1959; Frank et al. 2020"}, SMALL)) == []
    assert list(missing({"142-01": source}, SMALL)) == [problem]
