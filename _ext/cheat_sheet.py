"""The cheat sheet: rows of the chapters' "Facts for the exam" on two printed pages."""

import re

import course_site
import yaml

READ = re.compile(r" ?\([^()]*(?:\[[^\]]*\]\([^)]*\)[^()]*)*read [io]n[^()]*\)")
LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


def rows(cells):
    """Return the rows of the tables of "Facts for the exam", [first cell, …] each."""
    found = []
    for cell in cells:
        source = "".join(cell["source"])
        if source.startswith("## Facts for the exam"):
            # a | within a formula is written \|
            lines = [line for line in source.split("\n") if line.startswith("|")]
            found += [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if "---" not in line]
    return [[text.strip() for text in row] for row in found]


def plain(text):
    """Return the text of a cell without links and without the source in brackets."""
    return LINK.sub(r"\1", READ.sub("", text)).strip()


def sheet(root):
    """Return the sheet in Markdown, a list for each title.

    Raises ValueError if a beginning of data/cheat_sheet.yaml is that of no row, or of several.
    """
    pages = {course_site.number(path): path.name for path in (root / "chapters").glob("*.ipynb")}
    facts = {n: rows(one["cells"]) for n, one in course_site.chapters(root).items()}
    parts = []
    for group in yaml.safe_load((root / "data/cheat_sheet.yaml").read_text(encoding="utf8")):
        lines = [f"## {group['title']}\n"]
        for chapter, beginnings in group["rows"].items():
            home = f"[{chapter}](../chapters/{pages[chapter]}#facts-for-the-exam)"
            for one in beginnings:
                beginning, label = next(iter(one.items())) if isinstance(one, dict) else (one, "")
                if beginning == "note":
                    lines.append(f"\n*{label}*\n")
                    continue
                same = [row for row in facts[chapter] if " | ".join(row).startswith(beginning)]
                if len(same) != 1:
                    raise ValueError(f"{len(same)} facts of {chapter} begin with {beginning}")
                name, *texts = [plain(text) for text in same[0][: 1 + group.get("cells", 9)]]
                line = f"- **{label or name}** " + " · ".join(filter(None, texts))
                lines.append(f"- {home} {line[2:]}" if home else line)
                home = ""
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def filled(root, text):
    """Return the page with the sheet in the place of `[[sheet]]`."""
    return text.replace("[[sheet]]", sheet(root))
