"""The course's own Sphinx extension: boxes from quotes, framed questions, local assets, accessible
pages.

The notebooks hold plain Markdown only, so that they read well in JupyterLab; what the site adds, it
adds here.
"""

import base64
import importlib.util
import json
import os
import re
import shutil
import zipfile
import zlib
from collections import Counter
from html import escape
from pathlib import Path

import yaml
from course_files import course_files
from docutils import nodes
from fontTools import subset
from fontTools.ttLib import TTFont
from sphinx.transforms import SphinxTransform

# the line of facts of a chapter
FACTS = re.compile(
    r"^\*(?P<minutes>\d+) minutes to read,.*exam_map\.ipynb\): (?P<skills>.+?) ·", re.M
)
KINDS = ("Note", "Tip", "Warning", "Exam", "Claim", "Predict", "Recall")
HERE = Path(__file__).resolve().parent


class QuoteBoxes(SphinxTransform):
    """Turns a quote that begins with a bold kind, as in `> **Note.** …`, into a titled box of that
    kind.

    The whole of the bold text is the title, and a claim's number its anchor: `> **Claim 144-02:
    wrong.** …` is `#claim-144-02`. Any other quote stays one.
    """

    default_priority = 210

    def apply(self, **kwargs):
        for quote in list(self.document.findall(nodes.block_quote)):
            first = quote.children[0] if quote.children else None
            if not isinstance(first, nodes.paragraph):
                continue
            while (
                first.children and not first[0].astext()
            ):  # markdown-it leaves an empty text in front
                first.pop(0)
            if not first.children or not isinstance(first[0], nodes.strong):
                continue
            title = first[0].astext().strip().rstrip(".:")
            kind = title.split(" ")[0]
            if kind not in KINDS:
                continue
            first.pop(0)
            if first.children and isinstance(first[0], nodes.Text):
                first.replace(first[0], nodes.Text(str(first[0]).lstrip(" .:\n")))
            box = nodes.admonition("", nodes.title("", title), classes=["box", kind.lower()])
            if kind == "Claim":
                box["names"].append(nodes.make_id(title.partition(":")[0]))
                self.document.note_explicit_target(box)  # also warns when two boxes hold one claim
            box += quote.children if first.children else quote.children[1:]
            quote.replace_self(box)


class SummaryMath(SphinxTransform):
    """Turns `$…$` inside the `<summary>` of a fold, where Markdown leaves raw HTML alone, into
    mathematics.
    """

    default_priority = 211

    def apply(self, **kwargs):
        for raw in list(self.document.findall(nodes.raw)):
            html = raw.astext()
            if "<summary" not in html or "$" not in html:
                continue
            parts = re.split(r"(?<!\\)\$([^$\n]+)\$", html)
            raw.parent.replace(
                raw,
                [
                    nodes.math(part, part) if i % 2 else nodes.raw("", part, format="html")
                    for i, part in enumerate(parts)
                ],
            )


class ClaimNumbers(SphinxTransform):
    """Marks the table cells that hold only a claim's number (`144-02`), which is not to be broken
    at its hyphen.
    """

    default_priority = 212

    def apply(self, **kwargs):
        for cell in self.document.findall(nodes.entry):
            if re.fullmatch(r"\d{3}-\d{2}", cell.astext().strip()):
                cell["classes"].append("claim-number")


class Filmstrips(SphinxTransform):
    """Marks the outputs of each filmstrip, gives its frames their alternative texts and the whole
    its caption and name, as `describe_filmstrips` has kept them.
    """

    default_priority = 213

    def apply(self, **kwargs):
        strips = self.env.metadata[self.env.docname].pop("filmstrips", [])
        containers = list(self.document.findall(nodes.container))
        cells = [one for one in containers if "tag_filmstrip" in one["classes"]]
        for cell, (name, caption, alts) in zip(cells, strips, strict=True):
            inside = cell.findall(nodes.container)
            output = next(one for one in inside if "cell_output" in one["classes"])
            output["classes"].append("filmstrip")
            if name:
                output["names"].append(name)
                self.document.note_explicit_target(output)
            for image, alt in zip(output.findall(nodes.image), alts, strict=True):
                image["alt"] = alt
            output += nodes.paragraph("", caption, classes=["filmstrip-caption"])


class Anchors(SphinxTransform):
    """Turns an `<a id="…"></a>` on a line of its own into an anchor of what follows it, which links
    on every page can reach.
    """

    default_priority = 214

    def apply(self, **kwargs):
        for paragraph in list(self.document.findall(nodes.paragraph)):
            found = re.fullmatch(r'<a id="([\w-]+)"></a>', paragraph.astext().strip())
            if found:
                # not by a target of docutils, whose names are those of the whole book
                self.document.myst_slugs[found[1]] = (0, found[1], "")
                paragraph.next_node(descend=False, ascend=True)["ids"].append(found[1])
                paragraph.parent.remove(paragraph)


def frame_questions(app, docname, source):
    """Puts a labelled group around each Markdown cell tagged `question` (Sphinx event
    `source-read`).
    """
    if not str(app.env.doc2path(docname)).endswith(".ipynb") or '"question"' not in source[0]:
        return
    notebook = json.loads(source[0])
    questions = [
        c
        for c in notebook["cells"]
        if c["cell_type"] == "markdown" and "question" in c["metadata"].get("tags", [])
    ]
    for number, cell in enumerate(questions, 1):
        text = "".join(cell["source"])
        cell["source"] = (
            f'<div class="question" role="group" aria-label="Question {number}">'
            f"\n\n{text}\n\n</div>"
        )
    source[0] = json.dumps(notebook)


def describe_filmstrips(app, docname, source):
    """Take caption and name from the cells tagged `filmstrip`, which would be given to every frame,
    and keep them with the alternative texts for `Filmstrips` (Sphinx event `source-read`).
    """
    path = str(app.env.doc2path(docname))
    if not path.endswith(".ipynb") or '"filmstrip"' not in source[0]:
        return
    notebook = json.loads(source[0])
    strips = []
    for cell in notebook["cells"]:
        if "filmstrip" in cell["metadata"].get("tags", []):
            figure = cell["metadata"].get("mystnb", {}).pop("figure", {})
            alts = cell["metadata"]["course"]["alts"]
            strips.append((figure.get("name"), figure.get("caption", ""), alts))
    app.env.metadata[docname]["filmstrips"] = strips
    source[0] = json.dumps(notebook)


def add_anchors(app, doctree):
    """Lets `[text](page.md#id)` reach every id of a page, and `-W` fail on an unknown one (event
    `doctree-read`).
    """
    slugs = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for node in doctree.findall(nodes.Element):
        for anchor in node.get("ids", []):
            slugs.setdefault(anchor, (0, anchor, ""))


def set_options(app, config):
    """Sets the theme's options (event `config-inited`).

    The repository, launch, edit and issue buttons appear when the environment variable
    COURSE_REPOSITORY holds the repository's address (https://github.com/owner/name); COURSE_BRANCH
    names its branch, `main` if unset.
    """
    # a value under `sphinx: config: html_theme_options` would replace what Jupyter Book computes,
    # hence here
    options = config.html_theme_options
    # pydata-sphinx-theme puts a second search field into the otherwise empty header, hence the
    # empty list
    options.update(
        navbar_persistent=[],
        pygments_light_style="a11y-high-contrast-light",
        pygments_dark_style="github-dark",
    )
    config.html_context.setdefault("default_mode", "auto")  # unset, each page logs an error
    address = os.environ.get("COURSE_REPOSITORY", "").strip().rstrip("/")
    if address:
        options.update(
            repository_url=address,
            repository_branch=os.environ.get("COURSE_BRANCH", "").strip() or "main",
            use_repository_button=True,
            use_edit_page_button=True,
            use_issues_button=True,
            launch_buttons={
                "notebook_interface": "jupyterlab",
                "binderhub_url": "https://mybinder.org",
            },
        )


def number(path):
    """Return a chapter's number from its path: 145_1_transformers.ipynb is "145.1"."""
    first, second = path.stem.split("_")[:2]
    return f"{first}.{second}" if second.isdigit() else first


def chapters(root):
    """Return {number: notebook as a dict} of the chapters below the folder `root`."""
    paths = (root / "chapters").glob("*.ipynb")
    return {number(path): json.loads(path.read_text(encoding="utf8")) for path in paths}


def counts(root):
    """Return what the course has, {name: number}: chapters, minutes to read them, questions, claims
    and the verdicts of those decided, tables of experiments, the skills of the exam's second
    domain, those served, and those named, and what `left_out` says of the whole exam.
    """
    notebooks = chapters(root)
    pages = [json.loads(p.read_text(encoding="utf8")) for p in root.glob("reference/*.ipynb")]
    cells = [cell for page in [*notebooks.values(), *pages] for cell in page["cells"]]
    claims = {
        path.stem.replace("_", "."): yaml.safe_load(path.read_text(encoding="utf8"))
        for path in (root / "data/claims").glob("*.yaml")
    }
    decided = [one for chapter in notebooks for one in claims.get(chapter, [])]
    kinds = Counter(re.sub(" when .*", " when", one["verdict"]) for one in decided)
    facts = [FACTS.search("".join(one["cells"][0]["source"])) for one in notebooks.values()]
    exam = yaml.safe_load((root / "data/exam.yaml").read_text(encoding="utf8"))
    domain = {one["skill"] for one in exam["skills"] if one["skill"].startswith("2.")}
    skills = [part for one in facts for part in one["skills"].split("; ")]
    named = [part for part in skills if part.endswith("named")]
    helped = set(re.findall(r"\d\.\d\.\d+", " ".join(skills)))
    return left_out(exam, helped) | {
        "chapters": len(notebooks),
        "minutes": sum(int(one["minutes"]) for one in facts),
        "questions": sum("question" in cell["metadata"].get("tags", []) for cell in cells),
        "decided": len(decided),
        "claims": sum(map(len, claims.values())),
        "right": kinds["right"],
        "conditional": kinds["right when"],
        "wrong": kinds["wrong"],
        "dated": kinds["dated"],
        "unseen": kinds["not reproduced here"],
        "experiments": len(list((root / "data/experiments").glob("*.csv"))),
        "domain": len(domain),
        "served": len(domain & helped),
        "named": len(domain & set(re.findall(r"\d\.\d\.\d+", " ".join(named)))),
    }


def left_out(exam, helped):
    """Return how much of the exam no chapter helps with, {name: number}: the percent of its weight,
    the skills without a chapter, all its skills, and those of the second domain that have none.

    The weight of a domain is spread evenly over its skills. Of the other three domains the course
    knows how many skills they have together, so these count as one.
    """
    skills = {one["skill"] for one in exam["skills"]}
    second = {skill for skill in skills if skill.startswith("2.")}
    others = exam["all_skills"] - len(second)
    weight = exam["weights"][2]
    open_here = len(second - helped)
    open_there = others - len((skills - second) & helped)
    share = weight * open_here / len(second) + (100 - weight) * open_there / others
    return {
        "out": round(share),
        "open": open_here + open_there,
        "skills": len(second) + others,
        "homeless": open_here,
    }


def filled(root, text):
    """Return the landing page with counts in the place of `[[name]]`, and minutes behind the
    chapters of its list. An unknown name raises KeyError.
    """
    if "[[" in text:
        numbers = counts(root)
        text = re.sub(r"\[\[(\w+)\]\]", lambda found: f"{numbers[found[1]]:,}", text)
    for n, notebook in chapters(root).items():
        minutes = FACTS.search("".join(notebook["cells"][0]["source"]))["minutes"]
        text = re.sub(rf"^(- \[{re.escape(n)} .+)$", rf"\1 · {minutes} min", text, flags=re.M)
    return text


def state(entry):
    """Return what a table says of an entry of data/aws_status.yaml: whether the service is open to
    new customers, since when not, until when at most, what AWS names instead, and the day that was
    read.
    """
    if entry["status"] == "current":
        text = "open"
    else:
        text = f"**{entry['status']}**"
        text += f", since {entry['since']}" if "since" in entry else ""
    if entry["maintained"].startswith("until"):
        text += f", maintained {entry['maintained']}"
    text += f"; instead: {entry['instead']}" if "instead" in entry else ""
    return f"{text} ({entry['checked']})"


def with_states(root, text):
    """Return a page with the state of a service in the place of `[[its name]]`. An unknown name
    raises KeyError.
    """
    entries = yaml.safe_load((root / "data/aws_status.yaml").read_text(encoding="utf8"))
    states = {entry["service"]: state(entry) for entry in entries}
    return re.sub(r"\[\[([^\]]+)\]\]", lambda found: states[found[1]], text)


def copy_pictures(root, out):
    """Write the figures that pages in Markdown show, `_images/fig-name.png`, into the folder `out`.

    Raises ValueError for a name that no chapter's figure has.
    """
    pages = [root / "intro.md", *(root / "reference").glob("*.md")]
    text = "\n".join(page.read_text("utf8") for page in pages)
    wanted = set(re.findall(r"_images/(fig-[\w-]+)\.png|\[\[surprise \S+ (fig-[\w-]+)\]\]", text))
    wanted = {first or second for first, second in wanted}
    for notebook in chapters(root).values():
        for cell in notebook["cells"]:
            name = cell["metadata"].get("mystnb", {}).get("figure", {}).get("name")
            if name in wanted:
                data = [output.get("data", {}) for output in cell["outputs"]]
                picture = next(one["image/png"] for one in data if "image/png" in one)
                (out / "_images").mkdir(exist_ok=True)
                (out / f"_images/{name}.png").write_bytes(base64.b64decode("".join(picture)))
                wanted.remove(name)
    if wanted:
        raise ValueError(f"no chapter has the figure {', '.join(sorted(wanted))}")


def copy_mathjax(static):
    """Copies MathJax 3 and its fonts out of the installed package sphinx-mathjax-offline below the
    folder `static`.
    """
    source = (
        Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static/mathjax"
    )
    target = static / "mathjax"
    fonts = "output/chtml/fonts/woff-v2"
    shutil.copytree(source / fonts, target / fonts, dirs_exist_ok=True)
    shutil.copy(source / "tex-chtml.js", target)


def repair_page(html):
    """Returns a page's HTML without what the theme and pandas do wrong; repairing twice changes
    nothing.
    """
    # the index of all words, which grows with the book, is of use to the page of results only
    if 'id="search-results"' not in html:
        html = re.sub(
            r'<script src="[^"]*(?:searchtools|language_data|searchindex)\.js"></script>', "", html
        )
    if " sd-" not in html and '"sd-' not in html:  # the cards of the landing page
        html = re.sub(
            r"<link[^>]*sphinx-design[^>]*>|<script[^>]*design-tabs[^>]*></script>", "", html
        )
    html = html.replace(".woff2", ".woff")  # what subset_fonts writes
    # Sphinx loads MathJax, 1.2 MB, also where only a page further down the contents has a formula
    if 'class="math ' not in html:
        html = re.sub(
            r"<script>window\.MathJax = .*?</script>"
            r"|<script[^>]*mathjax/tex-chtml\.js[^>]*></script>",
            "",
            html,
        )
    html = re.sub(r"<th([^>]*)></th>", r"<td\1></td>", html)  # the corner of a data frame
    html = html.replace(
        '<summary aria-label="Toggle hidden content">', "<summary>"
    )  # differs from what one sees
    # a fold that holds a solution says so before it is opened
    fold = r"(tag_solution[^>]*>\s*<details[^>]*>\s*<summary>(?:(?!</summary>).)*?"
    for word in ("Show", "Hide"):
        html = re.sub(rf"{fold}{word} the )content", r"\1solution", html, flags=re.S)
    html = re.sub(
        r'(<button class="btn search-button-field[^>]*?)\s+aria-label="Search"', r"\1", html
    )
    return html


def label_cells(html):
    """Return a page's HTML in which each cell of a table of three columns or more holds the name of
    its column, for phones, where a row becomes a card.
    """

    def labelled(found):
        table = found[0]
        heads = re.findall(r"<th[^>]*>(.*?)</th>", table.partition("</thead>")[0], re.S)
        names = [escape(re.sub(r"<[^>]+>", "", head).strip(), quote=True) for head in heads]
        if len(names) < 3 or "data-label" in table:
            return table

        def row(one):
            n = iter(names)
            return re.sub(r"<td\b", lambda _: f'<td data-label="{next(n, "")}"', one[0])

        return re.sub(r"<tr[ >].*?</tr>", row, table, flags=re.S)

    return re.sub(r'<table class="table">.*?</table>', labelled, html, flags=re.S)


def pack(root, target):
    """Pack the files of the course from the folder `root` into the ZIP file `target`."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in course_files(root):
            archive.write(path, Path("course") / path.relative_to(root))


def drop_icons(css, pages):
    """Returns the theme's CSS without the rules of the 1,800 icons that occur in none of the pages'
    HTML.
    """
    used = set(re.findall(r"fa-[a-z0-9-]+", " ".join(pages)))
    icon = r"\.fa-[a-z0-9-]+:before"
    return re.sub(
        rf'({icon}(?:,{icon})*)\{{content:"[^"]*"\}}',
        lambda rule: rule[0] * bool(used & set(re.findall(r"fa-[a-z0-9-]+", rule[1]))),
        css,
    )


def subset_fonts(css, folder):
    """Write the icon fonts in a folder anew, with the icons that the CSS names only (WOFF, for
    which nothing else has to be installed), and return the CSS that loads these.
    """
    wanted = {int(code, 16) for code in re.findall(r'"\\([0-9a-f]{3,5})"', css)}
    for font in folder.glob("*.ttf"):
        subsetter, file = subset.Subsetter(), TTFont(font)
        subsetter.populate(unicodes=wanted)
        subsetter.subset(file)
        file.flavor = "woff"
        file.save(font.with_suffix(".woff"))
        for old in (font, font.with_suffix(".woff2")):
            old.unlink()
    return re.sub(
        r'(url\([^)]*)\.woff2\) ?format\("woff2"\),url\([^)]*\.ttf\) ?format\("truetype"\)',
        r'\1.woff) format("woff")',
        css,
    )


def finish(app, error):
    """Completes the built HTML (event `build-finished`)."""
    if error or app.builder.format != "html":
        return
    out = Path(app.outdir)
    static = out / "_static"
    copy_mathjax(static)
    for path in (*HERE.glob("*.css"), *HERE.glob("*.js")):
        shutil.copy(path, static)
    copy_pictures(Path(app.srcdir), out)
    pack(Path(app.srcdir), out / "course.zip")
    # 1.5 MB on every page; the same icons come from the theme's font
    (static / "scripts/fontawesome.js").write_text("", encoding="utf8")
    pages = {page: page.read_text(encoding="utf8") for page in out.rglob("*.html")}
    for page, html in pages.items():
        repaired = label_cells(repair_page(html))
        if repaired != html:
            page.write_text(repaired, encoding="utf8")
    theme = static / "styles/pydata-sphinx-theme.css"
    css = theme.read_text(encoding="utf8")
    css = drop_icons(css, pages.values())
    fonts = static / "vendor/fontawesome/webfonts"
    if any(fonts.glob("*.ttf")):  # else they are those of the last build
        css = subset_fonts(css, fonts)
    theme.write_text(css, encoding="utf8")


def setup(app):
    """Registers the extension with Sphinx."""
    app.add_css_file("course.css", priority=900)
    app.add_js_file("course.js", loading_method="defer")
    app.add_transform(QuoteBoxes)
    app.add_transform(SummaryMath)
    app.add_transform(ClaimNumbers)
    app.add_transform(Filmstrips)
    app.add_transform(Anchors)
    app.connect("config-inited", set_options)
    app.connect("source-read", frame_questions)
    app.connect("source-read", describe_filmstrips)
    app.connect("doctree-read", add_anchors)
    app.connect("build-finished", finish)
    return {
        "version": "1",
        # pages that an older extension has read are read again
        "env_version": zlib.crc32(Path(__file__).read_bytes()),
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
