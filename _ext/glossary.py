"""The glossary on the site: the first mention of a term in the running text of a chapter leads to
the term's entry and shows it on hover and on keyboard focus; a page ends with the terms it teaches.

The chapters hold no such links, so that they stay readable in JupyterLab. An entry of
`reference/glossary.md` begins `### Term` and ends with links to the sections that teach it; an
entry "See [other]." gives another name.
"""

import re
import zlib
from html import escape
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from practice_exam import slug

DOCNAME = "reference/glossary"
ENTRY = re.compile(r"^### (.+)\n+((?:(?!^#).*\n?)+)", re.M)
LINK = re.compile(r"\[([^\]]+)\]\(((?:[^()]|\([^)]*\))*)\)")
PLACE = re.compile(r"\[[^\]]+\]\(([^)\s]+)\.ipynb#?([^)\s]*)\)")
PLACES = re.compile(rf"(?:,?\s*{PLACE.pattern})+\s*$")  # at the end of an entry
WORD = re.compile(r"[^\W_]+")
BETWEEN = re.compile(r"\s?[-/×'’]?\s?")  # what may stand between the words of a term
LAST = "Facts for the exam"  # from here on a page collects and asks, and no mention is linked
# Terms whose mentions are not linked. Words of every day, or with another sense in some chapter:
EVERYDAY = """Activation, Activations, Agent, Alarm, Alias, Artifact, Baseline, Bracket, Bubble,
    Bucket, Canary, Channel, Chunk, Classification, Confidence, Configuration, Coverage,
    Early stopping, Endpoint, Event, Example, Experiment, Feature, Filter, Flatten, Fold, Frozen,
    Head, Hook, Hop, Instance, Joint, Label, Lambda, Layer, Lemon, Mask, Metric, Neuron, Node,
    Padding, Patience, Pipeline, Precision, Probe, Profile, Rank, Region, Regression, Residual,
    Role, Run, Rung, Sandbox, Schedule, Seed, Step, Threshold, Token, Top-k, Unit, Weight, Worker"""
# Words that chapter 141 explains and nearly every page has:
BASIC = "Accuracy, Batch, Gradient, Loss, Parameter, Test data, Training data, Validation data"
COMMON = set(re.split(r",\s+", f"{EVERYDAY}, {BASIC}"))


class Entry(NamedTuple):
    """An entry: term, what it says in Markdown without its places, the places that teach it, (path
    of the page from `reference` without suffix, anchor or ""), and its own anchor.
    """

    term: str
    text: str
    places: list
    anchor: str

    @property
    def plain(self):
        """Return what the entry says, as plain text."""
        return re.sub("[`*]", "", LINK.sub(r"\1", self.text))

    @property
    def others(self):
        """Return the terms to which a "See" leads, a list."""
        return [term for term, _ in LINK.findall(self.text)] if self.text[:5] == "See [" else []


def entries(text):
    """Return the entries of the glossary's Markdown text, a list of Entry."""
    return [
        Entry(term, PLACES.sub("", body).strip(), PLACE.findall(body), slug(term))
        for term, body in ENTRY.findall(text)
    ]


def read(root):
    """Return the entries of the glossary below the folder `root`, a list of Entry."""
    path = root / f"{DOCNAME}.md"
    return entries(path.read_text(encoding="utf8")) if path.exists() else []


def index(found):
    """Return {first word in lower case: [(words, Entry)], longest first} of the names in the list
    `found` of Entry whose mentions are linked. Another name has the entry that it leads to.
    """
    by_term, names = {one.term: one for one in found}, {}
    for one in found:
        words = WORD.findall(one.term)
        if one.term not in COMMON and "(" not in one.term and len(one.others) < 2:
            entry = by_term[one.others[0]] if one.others else one
            names.setdefault(words[0].lower(), []).append((words, entry))
    return {first: sorted(rest, key=lambda name: -len(name[0])) for first, rest in names.items()}


def same(written, word):
    """Return whether a word of a text is that of a term: as it is or in the plural, and in capital
    letters where the term has them behind its first letter.
    """
    if word[1:] == word[1:].lower():
        written, word = written.lower(), word.lower()
    return written in (word, f"{word}s", f"{word}es")


def begins(text, found, names):
    """Return (how many words, Entry) of the longest term with which the words `found` of a text,
    matches, begin; (1, None) if there is none.
    """
    first = found[0][0].lower()
    for start in (first, first.removesuffix("s"), first.removesuffix("es")):
        for words, entry in names.get(start, ()):
            part = found[: len(words)]
            pairs = zip(part, part[1:], strict=False)
            if (
                len(part) == len(words)
                and all(same(one[0], word) for one, word in zip(part, words, strict=True))
                and all(BETWEEN.fullmatch(text, a.end(), b.start()) for a, b in pairs)
            ):
                return len(words), entry
    return 1, None


def mentions(text, names):
    """Yield (start, end, Entry) of each mention of a term in a text."""
    found, n = list(WORD.finditer(text)), 0
    while n < len(found):
        count, entry = begins(text, found[n : n + 8], names)
        if entry:
            yield found[n].start(), found[n + count - 1].end(), entry
        n += count


def above(node):
    """Yield the nodes in which a node stands, from the inside."""
    while node.parent:
        node = node.parent
        yield node


def running_text(doctree):
    """Yield (node, {anchors of its sections}) for each text and link of a chapter's running text,
    up to `LAST`; nothing out of folds, questions, tables or what cells show.
    """
    inside = 0  # folds and questions are raw HTML around their paragraphs
    kinds = (nodes.raw, nodes.section, nodes.Text, nodes.reference)
    for node in list(doctree.findall(lambda one: isinstance(one, kinds))):
        if isinstance(node, nodes.section):
            if node[0].astext() == LAST:
                return
        elif isinstance(node, nodes.raw):
            html = node.astext()
            inside += len(re.findall("<details|<div", html))
            inside -= len(re.findall("</details|</div", html))
        elif not inside:
            around = list(above(node))
            within = {type(one) for one in around}
            if nodes.paragraph in within and not within & {nodes.entry, nodes.container}:
                sections = [one for one in around if isinstance(one, nodes.section)]
                yield node, {at for one in sections for at in [one.get("slug"), *one["ids"]]}


def link(text, entry, address):
    """Return HTML that links a text to an entry and describes it by what the entry says."""
    return (
        f'<a class="term" href="{address}#{entry.anchor}" '
        f'aria-description="{escape(entry.plain)}">{escape(text)}</a>'
    )


def link_mentions(doctree, page, names, address):
    """Link the first mention of each term in the doctree of a chapter. `page` is its path as in
    `Entry.places`, `names` what `index` returns, `address` that of the glossary.

    Where the first mention stands in a section that teaches the term, or is set in bold or italics
    and so explained, or is a link, none of the page is linked.
    """
    seen = set()
    for node, anchors in running_text(doctree):
        if isinstance(node, nodes.reference):
            target, _, anchor = node.get("refuri", "").partition("#")
            if target == address:
                seen.add(anchor)
            continue
        plain = isinstance(node.parent, nodes.paragraph)
        if not plain and not isinstance(node.parent, nodes.emphasis | nodes.strong):
            continue
        text, parts, end = str(node), [], 0
        for start, stop, entry in mentions(text, names):
            if entry.anchor in seen or not plain and text[start:stop] != text.strip(" .:"):
                continue
            seen.add(entry.anchor)
            taught = any(at == page and (not a or a in anchors) for at, a in entry.places)
            if plain and not taught:
                html = link(text[start:stop], entry, address)
                parts += [nodes.Text(text[end:start]), nodes.raw("", html, format="html")]
                end = stop
        if parts:
            node.parent.replace(node, [*parts, nodes.Text(text[end:])])


def show_links(doctree, found, address):
    """Let a page's own links to entries, where they stand in a paragraph, show what these say."""
    by_anchor = {one.anchor: one for one in found}
    for node in list(doctree.findall(nodes.reference)):
        target, _, anchor = node.get("refuri", "").partition("#")
        entry = by_anchor.get(anchor) if target == address else None
        within = {type(one) for one in above(node)}
        if entry and isinstance(node.parent, nodes.paragraph) and nodes.entry not in within:
            node.replace_self(nodes.raw("", link(node.astext(), entry, address), format="html"))


def list_terms(doctree, page, found, address):
    """Add the terms that a page teaches to the end of its doctree, folded."""
    terms = [link(one.term, one, address) for one in found if page in dict(one.places)]
    if terms:
        html = f"<details><summary>Terms of this page</summary><p>{' · '.join(terms)}</p></details>"
        doctree[0] += nodes.raw("", html, format="html")


def add_links(app, doctree, docname):
    """Link the terms of a chapter and list those of a page (event `doctree-resolved`)."""
    if app.builder.format != "html" or DOCNAME not in app.env.found_docs:
        return
    if not hasattr(app, "glossary"):
        # in HTML a heading has the anchor of docutils, which may differ
        sections = app.env.get_doctree(DOCNAME).findall(nodes.section)
        anchors = {one.get("slug"): one["ids"][0] for one in sections}
        found = [one._replace(anchor=anchors[one.anchor]) for one in read(Path(app.srcdir))]
        app.glossary = found, index(found)
    found, names = app.glossary
    folder, _, stem = docname.partition("/")
    page = stem if folder == "reference" else f"../{docname}"
    address = app.builder.get_relative_uri(docname, DOCNAME)
    if folder == "chapters":
        link_mentions(doctree, page, names, address)
    if docname != DOCNAME:
        show_links(doctree, found, address)
    list_terms(doctree, page, found, address)


def written_again(app, env, added, changed, removed):
    """Return all pages when the glossary has changed, since they show its entries (event
    `env-get-outdated`).
    """
    return env.found_docs if DOCNAME in changed else []


def setup(app):
    """Register with Sphinx."""
    app.connect("doctree-resolved", add_links)
    app.connect("env-get-outdated", written_again)
    return {
        "version": "1",
        "env_version": zlib.crc32(Path(__file__).read_bytes()),  # as in course_site
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
