"""The figures of `reference/concept_maps.md`: each of its tables is drawn as a map whose boxes are
links, when the site is built.

A row names a term, with its link, what it rests on, by the terms of other rows above it, and why.
"""

import re
import textwrap
import zlib
from html import escape
from pathlib import Path

from editions import rows

DOCNAME = "reference/concept_maps"
TABLE = re.compile(r"(?:^\|.*\|\n){3,}", re.M)
LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")
IN_A_ROW = 4  # a fifth box of a level goes to the next one
WIDTH, HEIGHT, GAP, DOWN = 95, 46, 5, 84  # of a box, between boxes, and from level to level


def terms(table):
    """Return {term: (address, [the terms that it rests on])} of a table in Markdown.

    Raises KeyError for a term that stands in no row above.
    """
    found = {}
    for first, needs, _ in rows(table)[1]:
        term, address = LINK.search(first).groups()
        below = [one.strip() for one in needs.split(";") if one.strip(" –")]
        for one in below:
            found[one]  # a row above
        found[term] = address, below
    return found


def levels(found):
    """Return [[terms of a level]], from what rests on nothing to what rests on most."""
    level, count = {}, {}
    for term, (_, below) in found.items():
        n = 1 + max((level[one] for one in below), default=-1)
        while count.get(n, 0) == IN_A_ROW:
            n += 1
        level[term], count[n] = n, count.get(n, 0) + 1
    return [[term for term in found if level[term] == n] for n in sorted(count)]


def draw(title, table):
    """Return a map as SVG: its boxes lead to the addresses of the table."""
    found, at = terms(table), {}
    whole = IN_A_ROW * (WIDTH + GAP)
    for n, level in enumerate(levels(found)):
        for k, term in enumerate(level):
            at[term] = (k + 0.5) * whole / len(level), 4 + n * DOWN
    # an arrow falls to the level above its term, and only then turns
    lines = [
        f'<path d="M{at[one][0]:.0f} {at[one][1] + HEIGHT}V{y - DOWN + HEIGHT}'
        f'C{at[one][0]:.0f} {y - 16} {x:.0f} {y - DOWN + HEIGHT + 16} {x:.0f} {y - 5}"/>'
        for term, (x, y) in at.items()
        for one in found[term][1]
    ]
    boxes = []
    for term, (x, y) in at.items():
        words = textwrap.wrap(term, 14)
        top = y + HEIGHT / 2 + 4 - 6.5 * (len(words) - 1)
        texts = "".join(
            f'<text x="{x:.0f}" y="{top + 13 * n:.1f}">{escape(one)}</text>'
            for n, one in enumerate(words)
        )
        address = found[term][0].replace(".md", ".html").replace(".ipynb", ".html")
        boxes.append(
            f'<a href="{address}"><rect x="{x - WIDTH / 2:.0f}" y="{y}" width="{WIDTH}" '
            f'height="{HEIGHT}" rx="6"/>{texts}</a>'
        )
    name = re.sub(r"\W+", "-", title.lower())
    high = max(y for _, y in at.values()) + HEIGHT + 4
    return (
        f'<svg class="concept-map" viewBox="0 0 {whole} {high}" role="group" '
        f'aria-label="{escape(title)}: {len(found)} terms, as in the table below">'
        f'<marker id="tip-{name}" viewBox="0 0 8 8" refX="4" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker>'
        f'<g marker-end="url(#tip-{name})">{"".join(lines)}</g>{"".join(boxes)}</svg>'
    )


def with_figures(text):
    """Return the page's Markdown with a figure before each table."""
    parts, end = [], 0
    for table in TABLE.finditer(text):
        title = re.findall(r"^## (.+)$", text[: table.start()], re.M)[-1]
        parts += [text[end : table.start()], draw(title, table[0]), "\n\n"]
        end = table.start()
    return "".join([*parts, text[end:]])


def fill_in(app, docname, source):
    """Draw the figures of the page (Sphinx event `source-read`)."""
    if docname == DOCNAME:
        source[0] = with_figures(source[0])


def setup(app):
    """Register with Sphinx."""
    app.connect("source-read", fill_in)
    return {
        "version": "1",
        "env_version": zlib.crc32(Path(__file__).read_bytes()),  # as in course_site
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
