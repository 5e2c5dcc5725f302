"""Other editions of the pages, made when the site is built: Markdown, and cards to learn with.

`PAGE.md` stands beside `PAGE.html`, `llms.txt` lists them. `cards.apkg` (Anki) and `cards.csv` hold
the glossary, the tables of "Facts for the exam" and the claims.
"""

import csv
import hashlib
import json
import re
from collections import Counter
from html import escape
from pathlib import Path

import filled_pages
import genanki
import glossary
import markdown_it
import yaml

LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)")
# a table, and the line in bold above it
TABLE = re.compile(r"(?:^\*\*([^*\n]+?)[.:]?\*\*[.:]?\n+)?((?:^\|.*\|\n?){3,})", re.M)
PLAIN = ("", "check", "fact", "member", "topic", "what")  # heads that tell nothing of a row
DECKS = ("Glossary", "Facts for the exam", "Claims")


def pages(root):
    """Return [(part, [path of each page])] in the order of the table of contents."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf8"))
    parts = [("", [toc["root"]])]
    for part in toc.get("parts", [toc]):  # a small book has no parts
        parts.append(
            (part.get("caption", "Pages"), [one["file"] for one in part.get("chapters", [])])
        )
    return [
        (caption, [next(root.glob(f"{file}.[im][pd]*")) for file in files])
        for caption, files in parts
    ]


def cells(path):
    """Return the cells of a notebook, dicts."""
    return json.loads(path.read_text(encoding="utf8"))["cells"]


def text_of(output):
    """Return what an output of a cell shows, as Markdown."""
    data = output.get("data", {})
    if "text" in output:
        return "```text\n" + "".join(output["text"]).rstrip() + "\n```"
    if "text/markdown" in data:
        return to_markdown("".join(data["text/markdown"]))
    if "image/png" in data or "text/plain" not in data:
        return ""
    return "```text\n" + "".join(data["text/plain"]).rstrip() + "\n```"


def twin(root, path):
    """Return a page as Markdown: text, code, what it printed, and what its figures show."""
    if path.suffix == ".md":
        text = path.read_text(encoding="utf8")
        page = path.relative_to(root).with_suffix("").as_posix()
        if page in filled_pages.FILLED:
            text = filled_pages.FILLED[page](root, text)
        return to_markdown(text)
    parts = []
    for cell in cells(path):
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(to_markdown(source))
            continue
        parts.append(f"```python\n{source}\n```")
        parts += filter(None, map(text_of, cell["outputs"]))
        about = cell["metadata"].get("mystnb", {})
        caption = about.get("figure", {}).get("caption", "")
        alts = [about.get("image", {}).get("alt", "")]
        alts += cell["metadata"].get("course", {}).get("alts", [])
        shown = " ".join(filter(None, [caption, *alts]))
        if shown:
            parts.append(f"*Figure.* {shown}")
    return "\n\n".join(parts) + "\n"


def to_markdown(text):
    """Return Markdown with links that lead to the Markdown edition, and without tags of folds."""
    text = LINK.sub(lambda m: f"]({re.sub(r'[.]ipynb$', '.md', m[1])}{m[2] or ''})", text)
    text = re.sub(r"<details><summary>(.*?)</summary>", r"**\1**", text)
    return re.sub(r"</?(?:details|b|div)\b[^>]*>", "", text)


def lead(path):
    """Return the first sentence of a page below its title, or nothing."""
    text = "".join(cells(path)[0]["source"]) if path.suffix == ".ipynb" else path.read_text("utf8")
    lines = [line for line in text.splitlines()[1:] if line.strip() and line[0] not in "*<#"]
    plain = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", (lines or [""])[0])
    return re.match(r".*?[.?!:](?= |$)|.*", plain)[0]


def title(path):
    """Return the title of a page."""
    text = "".join(cells(path)[0]["source"]) if path.suffix == ".ipynb" else path.read_text("utf8")
    return text.partition("\n")[0].lstrip("# ")


def write_markdown(root, out):
    """Write the Markdown edition and llms.txt into the folder `out`."""
    listed = []
    for caption, files in pages(root):
        if caption:
            listed.append(f"\n## {caption}\n")
        for path in files:
            place = path.relative_to(root).with_suffix(".md")
            (out / place).parent.mkdir(parents=True, exist_ok=True)
            (out / place).write_text(twin(root, path), encoding="utf8")
            if caption:
                listed.append(f"- [{title(path)}]({place.as_posix()}): {lead(path)}")
            else:
                listed.append(f"# {title(path)}\n\n> {lead(path)}")
    (out / "llms.txt").write_text("\n".join(listed) + "\n", encoding="utf8")


def unlinked(text):
    """Return Markdown without its links."""
    return re.sub(r"\[([^\]]+)\]\((?:[^()]|\([^)]*\))*\)", r"\1", text).strip()


def terms(root):
    """Return the cards of the glossary, without its other names: (front, back, page, tag)."""
    found = [one for one in glossary.read(root) if not one.others]
    pages = [title(root / f"reference/{one.places[0][0]}.ipynb") for one in found]
    return [
        (one.term, unlinked(one.text), page, "glossary")
        for one, page in zip(found, pages, strict=True)
    ]


def rows(table):
    """Return the header and the rows of a Markdown table, lists of cells."""
    split = [
        [one.strip().replace(r"\|", "|") for one in re.split(r"(?<!\\)\|", line.strip()[1:-1])]
        for line in table.strip().splitlines()
    ]
    return split[0], split[2:]


def facts(root):
    """Return the cards of the tables of "Facts for the exam": (front, back, page, tag)."""
    found = []
    for path in sorted((root / "chapters").glob("*.ipynb")):
        name = title(path).partition(". ")[2]
        within = False
        for cell in cells(path):
            source = "".join(cell["source"])
            if source.startswith("## "):
                within = source.startswith("## Facts for the exam")
            if not within or cell["cell_type"] != "markdown":
                continue
            for over, table in TABLE.findall(source):
                head, lines = rows(table)
                for above, line in zip(lines, lines[1:], strict=False):
                    if not line[0]:  # the row goes on
                        line[:] = above[0], *map("; ".join, zip(above[1:], line[1:], strict=True))
                        above[0] = ""
                lines = [line for line in lines if line[0]]
                # as many cells ask as it takes to tell the rows apart
                asking = Counter(tuple(line[:n]) for line in lines for n in range(1, len(line)))
                topic = over or name
                kind = f" ({head[0]})" if head[0] not in PLAIN else ""
                for line in lines:
                    asks = 1
                    while asking[tuple(line[:asks])] > 1 and asks < len(line) - 1:
                        asks += 1
                    asked = "; ".join(filter(None, [line[0], *line[1:asks]]))
                    columns = head[asks:] if len(head) > asks + 1 else [""]
                    back = "; ".join(
                        f"{column}: {one}" if column else one
                        for column, one in zip(columns, line[asks:], strict=False)
                        if one
                    )
                    found.append((topic, asked + kind, unlinked(back), title(path)))
    twice = Counter((topic, asked) for topic, asked, *_ in found)
    cards = []
    for topic, asked, back, page in found:
        number, _, name = page.partition(". ")
        where = f"{name}, {topic}" if twice[topic, asked] > 1 and topic != name else topic
        between = " " if where.endswith("?") else ": "
        cards.append((unlinked(f"{where}{between}{asked}"), back, page, f"chapter-{number}"))
    return cards


def claims(root):
    """Return the cards of the claims of chapters that are written: (front, back, page, tag)."""
    found = []
    names = map(title, (root / "chapters").glob("*.ipynb"))
    pages = {page.partition(". ")[0].replace(".", "_"): page for page in names}
    for path in sorted((root / "data/claims").glob("*.yaml")):
        if path.stem not in pages:
            continue
        for one in yaml.safe_load(path.read_text(encoding="utf8")):
            back = f"{one['verdict'][0].upper()}{one['verdict'][1:]}. {one['reason']}"
            if "exam_answer" in one:
                back += f" In the exam: {one['exam_answer']}."
            front, tag = f"Right, or not? {one['claim']}", f"claim-{one['id']}"
            found.append((front, back, pages[path.stem], tag))
    return found


def number_of(text):
    """Return a number that stays the same for a text, as Anki wants them."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16) % (1 << 30) + (1 << 30)


def as_html(text):
    """Return Markdown as HTML, with formulas as Anki's MathJax wants them."""
    parts = re.split(r"(?<!\\)\$([^$\n]+)\$", text)
    render = markdown_it.MarkdownIt().renderInline
    return "".join(
        rf"\({escape(part)}\)" if k % 2 else render(part) for k, part in enumerate(parts)
    )


def write_cards(root, out):
    """Write cards.csv and cards.apkg into the folder `out`."""
    model = genanki.Model(
        number_of("model"),
        "Course",
        fields=[{"name": "Front"}, {"name": "Back"}, {"name": "Page"}],
        templates=[
            {
                "name": "Card",
                "qfmt": "{{Front}}",
                "afmt": '{{FrontSide}}<hr id="answer">{{Back}}<p><small>{{Page}}</small></p>',
            }
        ],
        css=".card { font-family: sans-serif; font-size: 20px; text-align: left; }",
    )
    decks, lines, seen = [], [], Counter()
    for name, cards in zip(DECKS, (terms(root), facts(root), claims(root)), strict=True):
        deck = genanki.Deck(number_of(name), f"Training models on AWS::{name}")
        for front, back, page, tag in cards:
            seen[name, front, tag] += 1
            guid = genanki.guid_for(name, front, tag, seen[name, front, tag])
            fields = [as_html(front), as_html(back), as_html(page)]
            deck.add_note(genanki.Note(model=model, fields=fields, tags=[tag], guid=guid))
            lines.append([name, front, back, page, tag])
        decks.append(deck)
    genanki.Package(decks).write_to_file(out / "cards.apkg")
    with (out / "cards.csv").open("w", encoding="utf8", newline="") as file:
        csv.writer(file).writerows([["deck", "front", "back", "page", "tag"], *lines])


def finish(app, error):
    """Write the other editions beside the built HTML (event `build-finished`)."""
    if not error and app.builder.format == "html":
        write_markdown(Path(app.srcdir), Path(app.outdir))
        write_cards(Path(app.srcdir), Path(app.outdir))


def setup(app):
    """Register with Sphinx."""
    app.connect("build-finished", finish)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
