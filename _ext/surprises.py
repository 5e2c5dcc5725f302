"""The page of surprises: each entry names a claim and a figure, and the rest comes from the ledger
and the chapter.
"""

import re
from html import escape
from pathlib import Path

import course_site
import yaml

ENTRY = re.compile(r"^\[\[surprise (\S+) (fig-[\w-]+)\]\]$", re.M)


def entry(root, claim_id, figure):
    """Return claim, picture and verdict as Markdown.

    Raises ValueError if no written chapter has the claim or the figure.
    """
    pages = {course_site.number(path): path.stem for path in (root / "chapters").glob("*.ipynb")}
    claims = {
        claim["id"]: (claim, pages.get(path.stem.replace("_", ".")))
        for path in (root / "data/claims").glob("*.yaml")
        if claim_id in (text := path.read_text(encoding="utf8"))  # to parse all takes long
        for claim in yaml.safe_load(text)
    }
    claim, page = claims.get(claim_id, (None, None))
    if page is None:
        raise ValueError(f"no written chapter has the claim {claim_id}")
    drawn = [
        (cell["metadata"], pages[n])
        for n, notebook in course_site.chapters(root).items()
        for cell in notebook["cells"]
        if cell["metadata"].get("mystnb", {}).get("figure", {}).get("name") == figure
    ]
    if not drawn:
        raise ValueError(f"no chapter has the figure {figure}")
    metadata, drawn_in = drawn[0]
    about = metadata["mystnb"]
    # a filmstrip has an alternative text a frame, and its first frame is shown
    alt = about["image"]["alt"] if "image" in about else metadata["course"]["alts"][0]
    anchor = {"box": f"claim-{claim_id}", "table": "often-said-checked"}.get(claim["place"], "")
    shown = f'<a href="../chapters/{drawn_in}.html#{figure}">'
    shown += f'<img src="../_images/{figure}.png" alt="{escape(alt)}"></a>'
    verdict = claim["verdict"][0].upper() + claim["verdict"][1:]
    exam = claim.get("exam_answer")
    return (
        f"Often said: *“{claim['claim']}”*\n\n"
        f"<details><summary>What came out</summary>\n\n"
        f"<figure>\n{shown}\n<figcaption>{escape(about['figure']['caption'])}</figcaption>\n"
        f"</figure>\n\n**{verdict}.** {claim['reason']}\n\n"
        + (f"In the exam: {exam}.\n\n" if exam else "")
        + f"[Chapter {course_site.number(Path(page))}](../chapters/{page}.ipynb#{anchor}), "
        f"claim {claim_id}; {claim['evidence']}.\n\n</details>"
    )


def filled(root, text):
    """Return the page with its entries in the place of `[[surprise CLAIM FIGURE]]`."""
    return ENTRY.sub(lambda found: entry(root, *found.groups()), text)
