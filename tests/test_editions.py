"""The Markdown edition, the list of its pages, and the cards hold what the pages hold."""

import csv
import json
import re
import sqlite3
import sys
import zipfile

import pytest
import yaml
from notebooks import CHAPTERS, ROOT, read

sys.path.append(str(ROOT / "_ext"))

import editions
import glossary


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("editions")
    editions.write_markdown(ROOT, folder)
    editions.write_cards(ROOT, folder)
    return folder


def without_code(text):
    """Return Markdown without its blocks and words of code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"(?ms)^```.*?^```$", "", text))


def test_every_page_has_a_twin_that_is_listed(out):
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf8"))
    files = [toc["root"]] + [one["file"] for part in toc["parts"] for one in part["chapters"]]
    listed = (out / "llms.txt").read_text(encoding="utf8")
    for file in files:
        text = (out / f"{file}.md").read_text(encoding="utf8")
        assert text.startswith("# ") and len(text) > 500
        assert not re.search(r"\[\[[a-z]+\]\]|<details", without_code(text))
        assert file == toc["root"] or f"]({file}.md): " in listed
    assert listed.count("](") == len(files) - 1


def test_links_of_the_edition_lead_to_its_pages(out):
    for path in out.rglob("*.md"):
        for target in editions.LINK.findall(without_code(path.read_text(encoding="utf8"))):
            name = target[0]
            if name.endswith(".md"):
                assert (path.parent / name).resolve().exists(), f"{path.name}: {name}"
            else:
                assert not name.endswith(".ipynb")


def notebook(*cells):
    return json.dumps(
        {"cells": [{"id": f"c{n}", "metadata": {}, **cell} for n, cell in enumerate(cells)]}
    )


def test_a_twin_shows_code_output_and_figure(tmp_path):
    printed = {"output_type": "stream", "name": "stdout", "text": ["3\n"]}
    picture = {"output_type": "display_data", "data": {"image/png": "x", "text/plain": "<Figure>"}}
    table = {"output_type": "execute_result", "data": {"text/markdown": ["| a |"]}}
    about = {"figure": {"caption": "A caption."}, "image": {"alt": "A line."}}
    path = tmp_path / "150_x.ipynb"
    fold = "# 150. X\n\n<details><summary><b>Recall.</b> Why?</summary>\n\n"
    fold += "[So](1.ipynb#a).\n\n</details>"
    path.write_text(
        notebook(
            {"cell_type": "markdown", "source": [fold]},
            {"cell_type": "code", "source": ["1 + 2"], "outputs": [printed, table]},
            {
                "cell_type": "code",
                "source": ["draw()"],
                "outputs": [picture],
                "metadata": {"mystnb": about},
            },
        ),
        encoding="utf8",
    )
    assert editions.twin(tmp_path, path) == (
        "# 150. X\n\n**Recall. Why?**\n\n[So](1.md#a).\n\n\n\n```python\n1 + 2\n```\n\n"
        "```text\n3\n```\n\n| a |\n\n```python\ndraw()\n```\n\n*Figure.* A caption. A line.\n"
    )


def test_cards_hold_terms_facts_and_claims(out):
    with (out / "cards.csv").open(encoding="utf8", newline="") as file:
        found = list(csv.DictReader(file))
    decks = {name: [one for one in found if one["deck"] == name] for name in editions.DECKS}
    terms = [one.term for one in glossary.read(ROOT) if not one.others]
    assert [one["front"] for one in decks["Glossary"]] == terms and len(terms) > 600
    assert len(decks["Claims"]) > 200 and len(decks["Facts for the exam"]) > 500
    with_facts = {
        read(path).cells[0].source.split(".")[0]
        for path in CHAPTERS
        if any(c.source.startswith("## Facts for the exam") for c in read(path).cells)
    }
    tags = {
        one["tag"].removeprefix("chapter-").partition(".")[0] for one in decks[editions.DECKS[1]]
    }
    assert tags <= {name.lstrip("# ") for name in with_facts}
    assert all(one["front"] and one["back"] and "](" not in one["back"] for one in found)
    promised = re.search(
        r"more than ([\d,]+) <a href=\"cards.apkg\"", (ROOT / "intro.md").read_text("utf8")
    )[1]
    assert 0 <= len(found) - int(promised.replace(",", "")) < 100
    assert all(re.match(r"\d{3}\.|[A-Z]", one["page"]) for one in found)


def test_a_card_asks_one_thing():
    """No front is that of another card, none lacks what it is about."""
    fronts = [front for front, back, *_ in editions.facts(ROOT) if back]
    assert len(set(fronts)) == len(fronts) == len(editions.facts(ROOT)) > 1000
    assert not [front for front in fronts if re.search(r"\(\)|^[(;:]|: [(;]", front)]


def test_rows_with_one_name_ask_with_more_cells(tmp_path):
    table = "| seen | on | try |\n|---|---|---|\n| good | a | x |\n| good | b | y |\n| | c | z |\n"
    more = "**More**\n\n| | |\n|---|---|\n| limit | 5 |\n"
    (tmp_path / "chapters").mkdir()
    cells = ["# 150. X", f"## Facts for the exam\n\n{table}\n{more}"]
    text = notebook(*({"cell_type": "markdown", "source": [one]} for one in cells))
    (tmp_path / "chapters/150_x.ipynb").write_text(text, encoding="utf8")
    assert editions.facts(tmp_path) == [
        ("X: good; a (seen)", "x", "150. X", "chapter-150"),
        ("X: good; b; c (seen)", "y; z", "150. X", "chapter-150"),
        ("More: limit", "5", "150. X", "chapter-150"),
    ]


def test_the_package_holds_the_same_cards(out, tmp_path):
    with zipfile.ZipFile(out / "cards.apkg") as package:
        package.extract("collection.anki2", tmp_path)
    with sqlite3.connect(tmp_path / "collection.anki2") as database:
        notes = database.execute("select flds, guid from notes").fetchall()
    with (out / "cards.csv").open(encoding="utf8", newline="") as file:
        cards = list(csv.DictReader(file))
    assert len(notes) == len(cards) == len({guid for _, guid in notes})
    assert any(r"\(" in fields for fields, _ in notes) and not any("$" in f for f, _ in notes[:50])


def test_a_table_becomes_cards():
    head, lines = editions.rows(r"""
| | L1 | L2 |
|---|---|---|
| penalty | $\lvert w\rvert$ \| x | |
""")
    assert head == ["", "L1", "L2"] and lines == [["penalty", r"$\lvert w\rvert$ | x", ""]]


def test_formulas_are_written_for_anki():
    assert editions.as_html("**a** < $x < 1$ `b`") == (
        r"<strong>a</strong> &lt; \(x &lt; 1\) <code>b</code>"
    )
