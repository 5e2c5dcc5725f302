"""Pages that are filled in with what the chapters and the data hold, and what else they load."""

from pathlib import Path

import cheat_sheet
import course_site
import paths
import practice_exam
import surprises

FILLED = {
    "intro": course_site.filled,
    "reference/cheat_sheet": cheat_sheet.filled,
    "reference/comparison_tables": course_site.with_states,
    "reference/paths": paths.filled,
    "reference/practice_exam": practice_exam.filled,
    "reference/surprises": surprises.filled,
    "reference/which_service": course_site.with_states,
}
SCRIPTS = {"reference/paths": "paths.js", "reference/practice_exam": "practice_exam.js"}
STYLES = {"reference/cheat_sheet": "cheat_sheet.css"}


def fill_in(app, docname, source):
    """Fill a page in (Sphinx event `source-read`)."""
    if docname in FILLED:
        source[0] = FILLED[docname](Path(app.srcdir), source[0])


def add_files(app, pagename, templatename, context, doctree):
    """Load script or style on their page only (event `html-page-context`)."""
    if pagename in SCRIPTS:
        app.add_js_file(SCRIPTS[pagename], loading_method="defer")
    if pagename in STYLES:
        app.add_css_file(STYLES[pagename], priority=901)


def setup(app):
    """Register with Sphinx."""
    # what fills them in can change without them
    app.connect("env-get-outdated", lambda *arguments: set(FILLED) & set(app.env.found_docs))
    app.connect("source-read", fill_in)
    app.connect("html-page-context", add_files)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
