"""Write questions.csv: the questions and claims of this course, with the part of the book each
belongs to.

`python make_questions.py` in this folder takes them from the chapters as they are. The stored copy
is that of 27 November 2026 and stays as it is, so that what chapters 145.2 and 145.3 measure does
not change with every new question.
"""

import json
import re
from pathlib import Path

import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]


def parts(toc):
    """Return {name of a chapter's file: its part of the book}, from the text of _toc.yml."""
    found = {}
    for part in yaml.safe_load(toc)["parts"]:
        for chapter in part["chapters"]:
            for entry in [chapter, *chapter.get("sections", [])]:
                found[Path(entry["file"]).name] = part["caption"]
    return found


def plain(text):
    """Return Markdown as one line of text without marks, links and tags."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"<[^>]+>|[`*]", "", text)
    return " ".join(text.split())


def make(root=ROOT):
    """Return a table (pandas.DataFrame): kind ("question" or "claim"), part, chapter (its number)
    and text, a question without its options.
    """
    of, rows = parts((root / "_toc.yml").read_text(encoding="utf8")), []
    for path in sorted(root.glob("chapters/*.ipynb")):
        number = ".".join(re.match(r"(\d+)(?:_(\d)_)?", path.stem).groups(default="")).strip(".")
        for cell in json.loads(path.read_text(encoding="utf8"))["cells"]:
            if "question" in cell["metadata"].get("tags", []):
                stem = "".join(cell["source"]).split("<details>")[0]
                text = plain(re.sub(r"\*\*Question \d+\.\*\*", "", stem))
                rows.append(("question", of[path.stem], number, text))
        claims = root / "data" / "claims" / f"{number.replace('.', '_')}.yaml"
        if claims.exists():
            for claim in yaml.safe_load(claims.read_text(encoding="utf8")):
                rows.append(("claim", of[path.stem], number, plain(claim["claim"])))
    return pd.DataFrame(rows, columns=["kind", "part", "chapter", "text"])


if __name__ == "__main__":
    table = make()
    table.to_csv(Path(__file__).with_name("questions.csv"), index=False)
    print(table.groupby(["part", "kind"]).size().unstack().to_string())
