"""The practice exam: one page with every question of the course, by skill.

The page works as a plain list; `practice_exam.js` makes an exam of it.
"""

import json
import re
from html import escape

import course_site
import yaml

# pages of the reference part whose questions count too; a pair of mirrored_pairs would tell its key
PAGES = ("beyond_the_lectures", "mixed_questions")
STEM = re.compile(r"^\*\*Question \d+\.\*\*\s*")
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)\s]+)\)")
HERE = re.compile(r"\b(?:([Oo])n (?=this page\b(?!'s)))?th(?:is|e) (?:page|chapter)\b")
# a link of a right option's explanation to a section of its chapter
RIGHT = re.compile(r"✔ (?:(?!</details>)[^✘])*?\]\(#([^)]+)\)")
# the link at the end of a right option's explanation
TAUGHT = re.compile(r"✔ [^✔✘]*\[([^\]]+)\]\((\S+)\)\.\n\n</details>")


def slug(heading):
    """Return the anchor that MyST gives a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def from_here(text, chapter):
    """Return Markdown of a chapter with links that lead to the same places from `reference`."""
    if chapter in PAGES:
        return re.sub(r"\]\(#", f"]({chapter}.ipynb#", text)

    def led(found):
        target = found[1]
        if target.startswith("../reference/"):
            return f"]({target.removeprefix('../reference/')})"
        return (
            f"](../{target.removeprefix('../')})" if "../" in target else f"](../chapters/{target})"
        )

    return LINK.sub(led, re.sub(r"\]\(#", f"]({chapter}.ipynb#", text))


def named(text, chapter):
    """Return Markdown for readers who are elsewhere: "on this page" becomes "in chapter 151"."""
    within = {None: "", "O": "In ", "o": "in "}
    return HERE.sub(lambda found: within[found[1]] + chapter, text)


def questions(root):
    """Return the questions of all chapters, then those of the reference part, dicts: id, source,
    number, skill, key, text in Markdown, place (title and address of the section to read).

    That place is the section of a question, or one of its skill if it stands under "Check
    yourself"; in the reference part a link at the end of a right option names it.
    """
    found = []
    paths = {path.stem: path for path in (root / "chapters").glob("*.ipynb")}
    stems = sorted(paths, key=order)
    paths |= {page: root / f"reference/{page}.ipynb" for page in PAGES}
    for stem in stems + [page for page in PAGES if paths[page].is_file()]:
        address = f"{stem}.ipynb" if stem in PAGES else f"../chapters/{stem}.ipynb"
        cells = json.loads(paths[stem].read_text(encoding="utf8"))["cells"]
        title = "".join(cells[0]["source"]).partition("\n")[0].lstrip("# ")
        number, _, name = title.partition(". ")
        sections, anchors, own, section = {}, {}, [], None
        for cell in cells:
            source, tags = "".join(cell["source"]), cell["metadata"].get("tags", [])
            skill = next((tag[6:] for tag in tags if tag.startswith("skill-")), None)
            heading = re.match(r"## (.+)", source)
            if heading:
                section = (heading[1], f"{address}#{slug(heading[1])}")
                sections.setdefault(skill, section)
                anchors[slug(heading[1])] = section
            if "question" in tags:
                own.append((cell, source, skill or "none", section))
        for place, (cell, source, skill, section) in enumerate(own, 1):
            last = section[0] == "Check yourself"
            named_there = RIGHT.search(source) if last else None
            home = sections.get(skill) if last else section
            home = anchors.get(named_there[1], home) if named_there else home
            home = home or anchors.get("facts-for-the-exam") or (name or title, address)
            taught = stem in PAGES and TAUGHT.search(source)
            home = taught.groups() if taught else home
            text = from_here(STEM.sub("", source), stem)
            found.append(
                {
                    "id": f"{number if name else stem}-{cell['id']}",
                    "source": f"Chapter {number}" if name else title,
                    "number": place,
                    "skill": skill,
                    "key": cell["metadata"]["course"]["key"],
                    "text": named(text, f"chapter {number}") if name else text,
                    "place": (f"{number} {home[0]}" if name else home[0], home[1]),
                }
            )
    return found


def order(stem):
    """Return what sorts chapters by their numbers: 145_1_transformers is (145, 1)."""
    first, second = stem.split("_")[:2]
    return int(first), int(second) if second.isdigit() else 0


def listing(root):
    """Return the Markdown of all questions, a section for each skill."""
    exam = yaml.safe_load((root / "data/exam.yaml").read_text(encoding="utf8"))
    words = {one["skill"]: one["words"] for one in exam["skills"]}
    words["none"] = "beyond the exam's list"
    every, parts = questions(root), []
    unknown = {one["skill"] for one in every} - words.keys()
    if unknown:
        raise ValueError(f"data/exam.yaml has no skill {min(unknown)}")
    for skill, said in words.items():
        mine = [one for one in every if one["skill"] == skill]
        if not mine:
            continue
        title = said[0].upper() + said[1:]
        parts.append(f"## {'' if skill == 'none' else skill + ' '}{title}")
        for one in mine:
            data = {"id": one["id"], "skill": skill, "key": one["key"]}
            attributes = " ".join(f'data-{k}="{escape(v)}"' for k, v in data.items())
            label = f"{one['source']}, question {one['number']}"
            parts.append(
                f'<div class="question" role="group" aria-label="{label}" {attributes}>\n\n'
                f"**{label}.** {one['text']}\n\n"
                f"[Read: {one['place'][0]}]({one['place'][1]})\n\n</div>"
            )
    return "\n\n".join(parts)


def filled(root, text):
    """Return the page with the questions in the place of `[[questions]]`, their count, and the
    counts of the landing page that it names.
    """
    text = text.replace("[[questions]]", listing(root))
    text = text.replace("[[count]]", str(len(questions(root))))
    return course_site.filled(root, text)
