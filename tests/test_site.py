"""The built site: no warning, nothing loaded from another host, no dead link, no mute figure, no
heavy page.
"""

import copy
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import small
from run_chapters import NOTEBOOK_METADATA

ROOT = Path(__file__).resolve().parent.parent
# bytes of a page with its scripts, styles and fonts, less figures and MathJax
PAGE_LIMIT = 1.2e6
EXAM_LIMIT = 1.5e6  # the practice exam's, which holds each question of the book with its options

# <link> elements that only point somewhere; any other relation makes the browser fetch or connect
POINTERS = {
    "canonical",
    "alternate",
    "author",
    "license",
    "next",
    "prev",
    "index",
    "search",
    "help",
}


def run_build(source, folder, **environment):
    """Builds the book in `source`, with its pages in `folder/_build/html`; returns the finished
    process.
    """
    # the package has no __main__, and `python -m jupyter_book.cli.main` does nothing at all, with
    # exit status 0
    start = "from jupyter_book.cli.main import main; main()"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("COURSE_")}
    command = [
        sys.executable,
        "-c",
        start,
        "build",
        source,
        "--path-output",
        folder,
        "-W",
        "-n",
        "--keep-going",
    ]
    return subprocess.run(
        command, env=clean | environment, capture_output=True, encoding="utf8", errors="replace"
    )


@functools.cache
def _built():
    folder = tempfile.TemporaryDirectory(prefix="course_site_", ignore_cleanup_errors=True)
    return run_build(ROOT, folder.name), folder


def built_site():
    """Returns the folder of the built pages; builds once a process, however many modules ask."""
    process, folder = _built()
    assert process.returncode == 0, process.stdout[-3000:] + process.stderr[-3000:]
    return Path(folder.name) / "_build/html"


@pytest.fixture(scope="session")
def site():
    return built_site()


class Elements(HTMLParser):
    """Collects a page's elements as (tag, attributes, inside the article) and the text of its
    <style> elements.
    """

    def __init__(self, html):
        super().__init__()
        self.elements, self.style, self.articles, self.in_style = [], "", 0, False
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.articles += tag == "article"
        self.in_style = tag == "style"
        self.elements.append(
            (tag, {key: value or "" for key, value in attributes}, self.articles > 0)
        )

    def handle_endtag(self, tag):
        self.articles -= tag == "article"
        self.in_style = False

    def handle_data(self, data):
        if self.in_style:
            self.style += data


def urls_in_css(css):
    """Returns the addresses that a style sheet makes the browser load."""
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.S)
    found = re.findall(
        r"""url\(\s*(?:"([^"]*)"|'([^']*)'|([^)"']*))\s*\)|@import\s+["']([^"']+)""", css
    )
    return ["".join(groups).strip() for groups in found]


def loads(html):
    """Returns the addresses that a page makes the browser load or connect to by itself."""
    page = Elements(html)
    found = urls_in_css(page.style)
    for tag, attributes, _ in page.elements:
        if tag == "link":
            if not set(attributes.get("rel", "").lower().split()) <= POINTERS:
                found.append(attributes.get("href", ""))
        elif tag != "a":
            found += [attributes[key] for key in ("src", "data", "poster") if key in attributes]
            found += [
                entry.split()[0]
                for entry in attributes.get("srcset", "").split(",")
                if entry.strip()
            ]
        found += urls_in_css(attributes.get("style", ""))
    return [address for address in found if address]


def foreign(addresses):
    """Returns those of the addresses that name a host."""
    return [address for address in addresses if urlsplit(address.strip()).netloc]


def dead_links(folder):
    """Returns `page -> address` for each link or load of the pages in `folder` that leads to no
    file or anchor.
    """
    pages = {
        path: Elements(path.read_text(encoding="utf8"))
        for path in folder.rglob("*.html")
        if "_static" not in path.relative_to(folder).parts
    }
    anchors = {
        path: {attributes.get("id") for _, attributes, _ in page.elements}
        | {attributes.get("name") for tag, attributes, _ in page.elements if tag == "a"}
        for path, page in pages.items()
    }
    dead = []
    for path, page in pages.items():
        addresses = [
            attributes["href"]
            for tag, attributes, _ in page.elements
            if tag == "a" and "href" in attributes
        ]
        for address in addresses + loads(path.read_text(encoding="utf8")):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.is_file() or (
                anchor and target in anchors and anchor not in anchors[target]
            ):
                dead.append(f"{path.relative_to(folder).as_posix()} -> {address}")
    return dead


def mute_images(html):
    """Returns the sources of the article's images whose alternative text is missing, empty or a
    file name.
    """
    return [
        attributes.get("src", "")
        for tag, attributes, in_article in Elements(html).elements
        if tag == "img"
        and in_article
        and re.fullmatch(r"\s*|\S+\.(png|jpe?g|svg|gif|webp)", attributes.get("alt", ""), re.I)
    ]


def weight(path):
    """Returns the bytes of a page with its scripts and styles; the browser's test counts the fonts
    too.
    """
    html = path.read_text(encoding="utf8")
    files = {path} | {
        (path.parent / unquote(urlsplit(address).path)).resolve()
        for address in loads(html)
        if not urlsplit(address).scheme
    }
    return sum(
        file.stat().st_size
        for file in files
        if file.is_file() and not {"mathjax", "_images"} & set(file.parts)
    )


def written_pages(folder):
    return [
        path
        for path in sorted(folder.rglob("*.html"))
        if "_static" not in path.relative_to(folder).parts
    ]


@pytest.fixture
def small_book(tmp_path):
    """A book of one page with the course's configuration; returns its folder."""
    book = tmp_path / "book"
    book.mkdir()
    shutil.copy(ROOT / "_config.yml", book)
    shutil.copytree(ROOT / "_ext", book / "_ext")
    (book / "_toc.yml").write_text("format: jb-book\nroot: intro\n")
    return book


def test_builds_without_a_warning(site):
    assert (site / "intro.html").is_file()


def test_dead_anchor_fails_the_build(small_book, tmp_path):
    (small_book / "intro.md").write_text("# Title\n\n[nowhere](intro.md#nowhere)\n")
    process = run_build(small_book, tmp_path / "out")
    assert process.returncode != 0 and "nowhere" in process.stdout + process.stderr


def test_nothing_is_loaded_from_another_host(site):
    found = {
        page.name: foreign(loads(page.read_text(encoding="utf8"))) for page in written_pages(site)
    }
    found |= {
        sheet.name: foreign(urls_in_css(sheet.read_text(encoding="utf8")))
        for sheet in site.rglob("*.css")
    }
    assert not {name: addresses for name, addresses in found.items() if addresses}


@pytest.mark.parametrize(
    "planted",
    [
        '<script src="https://cdn.example.org/x.js"></script>',
        '<script src="//cdn.example.org/x.js"></script>',
        '<link rel="stylesheet" href="https://example.org/x.css">',
        '<link rel="preconnect" href="https://example.org">',
        '<img src="a.png" srcset="a.png 1x, https://example.org/b.png 2x">',
        '<iframe src="https://example.org"></iframe>',
        "<style>@font-face { src: url('https://example.org/f.woff2') }</style>",
        '<p style="background: url(https://example.org/b.png)">',
        '<style>@import "https://example.org/x.css";</style>',
    ],
)
def test_foreign_load_is_rejected(planted):
    assert foreign(loads(planted))


def test_link_to_another_host_is_no_load():
    assert not foreign(
        loads(
            '<a href="https://example.org">x</a><script src="x.js"></script>'
            '<link rel="next" href="b.html">'
        )
    )


def test_links_and_anchors_resolve(site):
    assert dead_links(site) == []


def test_dead_link_is_rejected(tmp_path):
    (tmp_path / "a.html").write_text(
        '<p id="here"><a href="#here">1</a> <a href="b.html#no">2</a> <a href="c.html">3</a>'
        '<img src="gone.png"> <a href="#no">4</a> <a href="b.html#yes">5</a>'
    )
    (tmp_path / "b.html").write_text('<p id="yes">')
    assert dead_links(tmp_path) == [
        f"a.html -> {address}" for address in ("b.html#no", "c.html", "#no", "gone.png")
    ]


def test_figures_have_alternative_text(site):
    found = {
        page.name: mute_images(page.read_text(encoding="utf8")) for page in written_pages(site)
    }
    assert not {name: sources for name, sources in found.items() if sources}


@pytest.mark.parametrize("alt", ['alt=""', "", 'alt="../_images/3f2a.png"', 'alt="loss.png"'])
def test_mute_figure_is_rejected(alt):
    assert mute_images(f'<img src="logo.png"><article><img src="x.png" {alt}></article>') == [
        "x.png"
    ]


def page_limit(name):
    """Returns how many bytes a page may have, by its file's name."""
    return EXAM_LIMIT if name == "practice_exam.html" else PAGE_LIMIT


def test_pages_are_light(site):
    heavy = {
        page.name: size
        for page in written_pages(site)
        if (size := weight(page)) > page_limit(page.name)
    }
    assert not heavy


def test_heavy_page_is_seen(tmp_path):
    (tmp_path / "big.js").write_bytes(b" " * 1_300_000)
    (tmp_path / "a.html").write_text('<script src="big.js?v=1"></script>')
    assert weight(tmp_path / "a.html") > PAGE_LIMIT


FACTS = "*7 minutes to read, 9 with · [exam](../reference/exam_map.ipynb): 2.1.3 indirect · x*"


def page_of(*cells):
    """Return a notebook of these cells as text."""
    book = nbformat.v4.new_notebook(cells=list(cells))
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.execution_count = 1
    book.metadata = nbformat.from_dict(NOTEBOOK_METADATA)
    return nbformat.writes(book)


def test_what_the_extension_adds(small_book, tmp_path):
    """Boxes, claim anchors and others, mathematics in a summary, framed questions, filmstrips,
    counts on the landing page, repairs, and buttons with an address.
    """
    page = "142_a_small_page"
    (small_book / "chapters").mkdir()
    (small_book / "data/claims").mkdir(parents=True)
    (small_book / "data/claims/142.yaml").write_text(
        "- {id: 142-01, claim: It., verdict: right when small, reason: So.}\n"
        "- {id: 142-02, claim: It., verdict: wrong, reason: So.}\n"
    )
    (small_book / "data/claims/145_1.yaml").write_text("- {id: 145-16, verdict: right}\n")
    (small_book / "data/exam.yaml").write_text(
        "weights: {1: 76, 2: 24}\nall_skills: 12\nskills: [{skill: 2.1.3}, {skill: 2.1.4}]\n"
    )
    (small_book / "reference").mkdir()
    asked = small.text("Which?", "q-1", "question")
    (small_book / "reference/exam_map.ipynb").write_text(page_of(small.text("# Map", "map"), asked))
    (small_book / "data/experiments").mkdir()
    (small_book / "data/experiments/one.csv").write_text("seed,score\n0,1\n")
    (small_book / "_toc.yml").write_text(
        f"format: jb-book\nroot: intro\nchapters:\n- file: chapters/{page}\n"
        "- file: reference/exam_map\n"
    )
    (small_book / "intro.md").write_text(
        "# Title\n\n[[chapters]], [[questions]] questions, "
        "[[decided]] of [[claims]], "
        "[[experiments]]; [[conditional]] [[wrong]] [[right]]; "
        "[[served]] of [[domain]], [[named]], [[minutes]]; "
        "[[out]] %, [[open]] of [[skills]], [[homeless]].\n\n"
        f"- [142 A small page](chapters/{page}.ipynb)\n- [deep](chapters/{page}.ipynb#deep)\n"
        '- 143 Another (planned)\n\n<img src="_images/fig-a.png" alt="a line that rises">\n'
    )
    table = "<table><tr><th></th><th>a</th></tr></table>"
    frame = small.code("frame", "frame", "hide-input")
    frame.outputs.append(nbformat.v4.new_output("display_data", {"text/html": table}))
    strip = small.code("strip", "strip", "filmstrip", figure="fig-strip", alts=["One", "Two"])
    strip.outputs.append(copy.deepcopy(strip.outputs[0]))
    question = "Which?\n\n<details><summary>A. $x^2$</summary>\n\n✔ Yes.\n\n</details>"
    box = '> **Claim 142-02: wrong.** *"It is."* The fact.\n\n> **Bold** but no kind.'
    (small_book / f"chapters/{page}.ipynb").write_text(
        page_of(
            small.text(f"# 142. A small page\n\n{FACTS}\n\n{box}", "title"),
            small.text("[it](#claim-142-02) and [that](#fig-strip)", "links"),
            small.text('<a id="deep"></a>\n\n## Below it\n\n[up](#deep)', "anchor"),
            small.text("| id | claim |\n|---|---|\n| 142-02 | c |", "table"),
            small.text("| a | b | *c* |\n|---|---|---|\n| 1 | 2 | 3 |", "wide"),
            small.text(question, "q-1", "question"),
            frame,
            strip,
            small.code("figure", "figure", figure="fig-a"),
        )
    )
    process = run_build(
        small_book,
        tmp_path,
        COURSE_REPOSITORY="https://github.com/owner/name",
        COURSE_BRANCH="trunk",
    )
    assert process.returncode == 0, process.stdout[-2000:] + process.stderr[-2000:]
    built = tmp_path / "_build/html"
    html = re.sub(r"\s+", " ", (built / f"chapters/{page}.html").read_text(encoding="utf8"))
    for part in (
        r'\bclaim\b[^"]*" id="claim-142-02"> <p class="admonition-title">Claim 142-02: wrong</p> '
        r"<p><em>“It is.”</em> The fact.</p>",
        r"<blockquote> <div><p><strong>Bold</strong> but no kind.</p>",
        r'<td class="claim-number"><p>142-02</p>',
        r'<section id="below-it"> <span id="deep"></span><h2>.*href="#deep"',
        r'<div class="question" role="group" aria-label="Question 1"> <p>Which\?</p> <details>',
        r'<summary>A. <span class="math notranslate nohighlight">\\\(x\^2\\\)</span></summary>',
        r'<details class="admonition hide above-input"> <summary> '
        r'<p class="[^"]*">Show the source</p>',
        r"<tr><td></td><th>a</th></tr>",
        r'<td data-label="a"><p>1</p></td> <td data-label="b"><p>2</p></td> <td data-label="c">',
        r'cell_output[^"]*filmstrip[^"]*" id="fig-strip">.*<img alt="One".*<img alt="Two".*'
        r'<p class="filmstrip-caption">A line.</p>',
        r'<script defer="defer" src="[^"]*course.js',
        rf'href="https://github.com/owner/name/edit/trunk/chapters/{page}.ipynb"',
        r'href="https://github.com/owner/name/issues/new',
        r"https://mybinder.org/v2/gh/owner/name/trunk\?urlpath=lab/tree/chapters/142_a_small_page",
    ):
        assert re.search(part, html), part
    landing = re.sub(r"\s+", " ", (built / "intro.html").read_text(encoding="utf8"))
    assert "1, 2 questions, 2 of 3, 1; 1 1 0; 1 of 2, 0, 7; 88 %, 11 of 12, 1." in landing
    assert re.search(r"142 A small page</span></a> · 7 min", landing)
    assert (built / "_images/fig-a.png").is_file() and (built / "_static/course.js").is_file()


def test_a_count_that_is_unknown_fails_the_build(small_book, tmp_path):
    (small_book / "data").mkdir()
    shutil.copy(ROOT / "data/exam.yaml", small_book / "data")
    (small_book / "intro.md").write_text("# Title\n\n[[lectures]]\n")
    process = run_build(small_book, tmp_path / "out")
    assert process.returncode != 0 and "KeyError" in process.stdout + process.stderr


def test_a_picture_that_is_unknown_fails_the_build(small_book, tmp_path):
    (small_book / "intro.md").write_text('# Title\n\n<img src="_images/fig-x.png" alt="x y">\n')
    process = run_build(small_book, tmp_path / "out")
    told = process.stdout + process.stderr
    assert process.returncode != 0 and "no chapter has the figure fig-x" in told


def unlinked_terms(glossary, pages):
    """Yield the entries of the built glossary, HTML, to which none of the pages' HTML leads. What
    only leads to another entry is none.
    """
    linked = {anchor for html in pages for anchor in re.findall(r'glossary\.html#([^"]+)"', html)}
    for anchor, body in re.findall(
        r'<section id="([^"]+)">\s*<h\d>.*?</h\d>(.*?)</sec', glossary, re.S
    ):
        if not body.strip().startswith("<p>See <a") and anchor not in linked:
            yield f"no page leads to {anchor}"


def test_pages_lead_to_all_terms(site):
    glossary = (site / "reference/glossary.html").read_text(encoding="utf8")
    pages = [page.read_text(encoding="utf8") for page in written_pages(site)]
    assert list(unlinked_terms(glossary, pages)) == []
    assert glossary.count("<p>See <a") > 50
    assert "".join(pages).count('<a class="term" href="../reference/glossary.html#') > 1000


def test_a_term_without_a_link_is_found():
    entry = '<section id="{0}">\n<h3>{0}<a>#</a></h3>\n<p>{1}</p>\n</section>\n'
    glossary = entry.format("a", "So.") + entry.format("b", "So.") + entry.format("c", "See <a>.")
    pages = ['<a href="../reference/glossary.html#b">']
    assert list(unlinked_terms(glossary, pages)) == ["no page leads to a"]


def test_terms_are_linked_once_and_not_where_they_are_taught(small_book, tmp_path):
    page = "142_a_small_page"
    for folder in ("chapters", "reference"):
        (small_book / folder).mkdir()
    (small_book / "_toc.yml").write_text(
        f"format: jb-book\nroot: intro\nchapters:\n- file: chapters/{page}\n"
        "- file: reference/glossary\n- file: reference/exam_map\n"
    )
    (small_book / "intro.md").write_text("# Title\n\nAdam.\n")
    (small_book / "reference/exam_map.ipynb").write_text(page_of(small.text("# Map", "map")))
    here = f"../chapters/{page}.ipynb"
    (small_book / "reference/glossary.md").write_text(
        f"# Glossary\n\n### Adam\n\nA rule with [ReLU](#relu) & `m`. [142]({here}#two)\n\n"
        f"### Mesh\n\nA grid. [142]({here}#two)\n\n### Rectifier\n\nSee [ReLU](#relu).\n\n"
        f"### ReLU\n\nA bend. [142]({here}#two)\n\n### Step\n\nOne. [142]({here}#two)\n\n"
        f"### XLA\n\nIt. [142]({here}#two)\n\n### ZeRO\n\nNone. [142]({here}#two)\n\n"
        f"### Zoo\n\nAnimals. [142]({here}#two)\n"
    )
    fold = "<details><summary>ReLU?</summary>\n\nReLU.\n\n</details>"
    (small_book / f"chapters/{page}.ipynb").write_text(
        page_of(
            small.text(
                f"# 142. Adam\n\n{FACTS}\n\nA *mesh*, [ZeRO](../reference/glossary.md#zero).", "a"
            ),
            small.text(f"## ReLU\n\n{fold}\n\n| ReLU |\n|---|\n| ReLU |", "b"),
            small.text("ReLU, which of them?", "c", "question"),
            small.text("`ReLU`, rectifiers, Adam & a step. Mesh, ReLU, ZeRO.", "d"),
            small.text("## Two\n\n### Three\n\nXLA.", "e"),
            small.text("## Four\n\nXLA.\n\n## Facts for the exam\n\nXLA, zoo.", "f"),
        )
    )
    process = run_build(small_book, tmp_path)
    assert process.returncode == 0, process.stdout[-2000:] + process.stderr[-2000:]
    html = (tmp_path / f"_build/html/chapters/{page}.html").read_text(encoding="utf8")
    text, _, listed = html.partition("<summary>Terms of this page</summary>")
    link = '<a class="term" href="../reference/glossary.html#{}" aria-description="{}">{}</a>'
    adam = "A rule with ReLU &amp; m."
    assert (
        f"{link.format('relu', 'A bend.', 'rectifiers')}, {link.format('adam', adam, 'Adam')}"
        in (text)
    )
    assert link.format("zero", "None.", "ZeRO") in text  # the page's own link
    assert text.count('class="term"') == 3 and "<h2>ReLU<" in text
    assert re.findall(r'glossary.html#(\w+)" aria', listed) == [
        "adam",
        "mesh",
        "relu",
        "step",
        "xla",
        "zero",
        "zoo",
    ]
    assert 'class="term"' not in (tmp_path / "_build/html/intro.html").read_text(encoding="utf8")


def test_no_repository_is_made_up(site):
    """Without an address no page shows a button that would need one."""
    for page in written_pages(site):
        html = page.read_text(encoding="utf8")
        assert not re.search(
            r"btn-source-|btn-launch-|mybinder|github\.com/[^\"]*/(edit|issues/new)", html
        ), page.name
