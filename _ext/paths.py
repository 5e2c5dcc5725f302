"""The page of paths: chapters with their minutes, which come from the chapters' lines of facts."""

import re
from collections import Counter

import course_site
import practice_exam

ENTRY = re.compile(r"\[\[(read|facts) ([\d.]+)\]\]")
ASK = re.compile(r"\[\[ask ([\w. ]+)\]\]")


def filled(root, text):
    """Return the page with chapters in the place of `[[read 151]]` and `[[facts 151]]`, a practice
    exam of some of them in the place of `[[ask 150 151]]`, and the minutes of reading of a section
    in the place of `[[minutes]]`.

    Raises ValueError for a chapter that does not exist.
    """
    paths = {course_site.number(path): path for path in (root / "chapters").glob("*.ipynb")}
    known = {}
    for n, notebook in course_site.chapters(root).items():
        first = "".join(notebook["cells"][0]["source"])
        title = first.partition("\n")[0].partition(". ")[2]
        known[n] = title, int(course_site.FACTS.search(first)["minutes"])

    def entry(found):
        kind, n = found.groups()
        if n not in known:
            raise ValueError(f"a path leads to chapter {n}, which does not exist")
        title, minutes = known[n]
        address = f"../chapters/{paths[n].name}"
        if kind == "facts":
            return f"[{n}, facts for the exam]({address}#facts-for-the-exam)"
        return f"[{n} {title}]({address}), {minutes} minutes"

    asked = Counter(one["id"].split("-")[0] for one in practice_exam.questions(root))

    def exam(found):
        chosen = found[1].split()
        unknown = [n for n in chosen if n not in known and n not in practice_exam.PAGES]
        if unknown:
            raise ValueError(f"a path asks about chapter {unknown[0]}, which does not exist")
        names = ", ".join(n for n in chosen if n in known)
        names += " and that page" * (names != ", ".join(chosen))
        # an address with a query is none that Sphinx could check
        address = f"practice_exam.html?chapters={','.join(chosen)}"
        there = sum(asked[n] for n in chosen)
        return f'<a href="{address}">Questions of {names}</a>, ten of {there} or all'

    sections = re.split(r"(?m)^(?=#)", text)
    for place, section in enumerate(sections):
        read = [n for kind, n in ENTRY.findall(section) if kind == "read"]
        section = ASK.sub(exam, ENTRY.sub(entry, section))
        total = sum(known[n][1] for n in read)
        sections[place] = section.replace("[[minutes]]", f"{total:,} minutes")
    return "".join(sections)
