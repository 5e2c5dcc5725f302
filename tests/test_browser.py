"""The site in a real browser, headless Chromium, served from this machine."""

import functools
import http.server
import os
import re
import shutil
import threading
from pathlib import Path

import pytest
import yaml
from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import sync_playwright
from test_site import ROOT, built_site, page_limit

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]
MISSING = "No Chromium was found: get it with `python -m playwright install chromium`."


def pages():
    """Returns the addresses of the course's pages, in the order of the table of contents."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf8"))
    files = [toc["root"]]
    for part in toc["parts"]:
        for chapter in part["chapters"]:
            files += [
                chapter["file"],
                *(section["file"] for section in chapter.get("sections", [])),
            ]
    return [f"{file}.html" for file in files]


def find_chromium(own):
    """Returns the path of a Chromium, playwright's `own` or one on the PATH, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return own if Path(own).exists() else next(filter(None, map(shutil.which, names)), None)


def do_without(environment):
    """Skips the tests that need a browser, or fails where the environment demands one."""
    if environment.get("CI") or environment.get("COURSE_REQUIRE_BROWSER"):
        pytest.fail(MISSING)
    pytest.skip(MISSING)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without writing a log."""

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        path = find_chromium(playwright.chromium.executable_path)
        if path is None:
            do_without(os.environ)
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def base(browser):
    """The site's address on the loopback interface; depends on the browser, so that nothing is
    built in vain.
    """
    handler = functools.partial(Quiet, directory=built_site())
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def open_page(browser):
    """A function that opens a new page and returns it; `page.errors` and `page.foreign` collect
    what goes wrong.
    """
    contexts = []

    def open_page(**options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        contexts.append(context)
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.errors, page.foreign = [], []
        page.on(
            "console",
            lambda one: (
                one.type == "error" and page.errors.append(f"{one.text} {one.location['url']}")
            ),
        )
        page.on("pageerror", lambda error: page.errors.append(str(error)))

        def guard(route):
            if route.request.url.startswith("http://127.0.0.1:"):
                return route.continue_()
            page.foreign.append(route.request.url)
            return route.abort()

        page.route("**/*", guard)
        return page

    yield open_page
    for context in contexts:
        context.close()


def undrawn(page):
    """Returns how many formulas of a page MathJax has not drawn, or drew as an error."""
    page.evaluate("window.MathJax?.startup?.promise")
    return page.evaluate(
        """document.querySelectorAll('.math:not(:has(mjx-container)), mjx-merror').length"""
    )


def unfold(page):
    """Opens every fold, so that what it holds is judged too."""
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")


def violations(page, rule=None):
    """Returns axe's violations of serious or critical impact, one line each; `rule` limits it to
    that one.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_FILE_PATH.read_text(encoding="utf8"))
    # preload: axe would ask for style sheets of style sheets at wrong addresses, and the page would
    # log the errors
    options = {"resultTypes": ["violations"], "preload": False}
    if rule:
        options["runOnly"] = {"type": "rule", "values": [rule]}
    found = page.evaluate("options => axe.run(document, options)", options)["violations"]
    return [
        f"{one['id']} ({one['impact']}): {node['html'][:200]}"
        for one in found
        for node in one["nodes"]
        if one["impact"] in ("serious", "critical")
    ]


def weight(page):
    """Returns the bytes that a page has loaded, less figures and MathJax."""
    return page.evaluate("""[...performance.getEntriesByType('navigation'),
                             ...performance.getEntriesByType('resource')]
        .filter(entry => !/\\/mathjax\\/|\\/_images\\//.test(entry.name))
        .reduce((sum, entry) => sum + entry.decodedBodySize, 0)""")


def sideways(page):
    """Returns by how many pixels a page, or a table of its text, is wider than its place."""
    return page.evaluate("""Math.max(...[
        document.documentElement,
        ...document.querySelectorAll('.pst-scrollable-table-container:has(table.table)'),
    ].map(box => box.scrollWidth - box.clientWidth))""")


def opens_by_keyboard(page):
    """Says whether Tab reaches the first option of the first question and Enter opens it."""
    page.evaluate("const q = document.querySelector('.question'); q.tabIndex = -1; q.focus()")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    return page.evaluate("""(() => {
        const fold = document.querySelector('.question details')
        return Boolean(fold?.open && fold.contains(document.activeElement)
                       && fold.querySelector(':scope > :not(summary)')?.checkVisibility())
    })()""")


def answers(page):
    """Returns the text that the first option of the first question shows once it is clicked."""
    fold = page.locator(".question details").first
    fold.locator("summary").click()
    return fold.inner_text()


@pytest.mark.parametrize("address", pages())
def test_page(address, base, open_page):
    page = open_page(color_scheme="light")
    assert page.goto(base + address, wait_until="load").status == 200
    assert page.locator("article h1").is_visible()
    assert undrawn(page) == 0
    assert 100_000 < weight(page) < page_limit(address.split("/")[-1])
    page.add_style_tag(content="* { transition: none !important; animation: none !important }")
    unfold(page)
    assert violations(page) == []
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert (
        violations(page, "color-contrast") == []
    )  # the structure is the same in the dark: only colours can fail
    page.set_viewport_size({"width": 390, "height": 844})
    assert sideways(page) <= 0
    assert page.errors == []
    assert page.foreign == []


def test_search_finds_a_term(base, open_page):
    page = open_page()
    page.goto(base + "search.html?q=convolution")
    page.locator("ul.search li a").first.wait_for(timeout=10_000)
    assert page.errors == [] and page.foreign == []
    page.goto(base + "search.html?q=xyzzyplugh")
    page.locator(".search-summary").wait_for()
    assert page.locator("ul.search li a").count() == 0


def with_questions():
    """Returns the pages whose source has a cell tagged `question`."""
    return [
        page
        for page in pages()
        if (source := ROOT / page.replace(".html", ".ipynb")).exists()
        and '"question"' in source.read_text(encoding="utf8")
    ]


def test_questions_exist():
    assert with_questions()


@pytest.mark.parametrize("address", with_questions())
def test_answer_opens_by_keyboard(address, base, open_page):
    page = open_page()
    page.goto(base + address)
    assert opens_by_keyboard(page)


@pytest.mark.parametrize("address", with_questions())
def test_answers_without_javascript(address, base, open_page):
    page = open_page(java_script_enabled=False)
    page.goto(base + address)
    assert len(page.locator("article").inner_text()) > 1000
    assert {"✔", "✘"} & set(answers(page))


def test_boxes_and_claims_by_keyboard(base, open_page):
    """By Enter, the first box leads to what boxes mean, and the folded table of claims opens."""
    page = open_page()
    address = base + "chapters/151_precision_recall_f1_auc.html"
    page.goto(address)
    table = page.locator("#often-said-checked details").first
    table.locator("summary").focus()
    page.keyboard.press("Enter")
    assert table.evaluate("fold => fold.open") and table.locator("tbody tr").first.is_visible()
    link = page.locator(".claim a[href*='how-to-read-a-claim']").first
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/claims_ledger.html#how-to-read-a-claim")
    assert page.locator("#how-to-read-a-claim").is_visible()


SCRIPT = ROOT / "_ext" / "course.js"
STRIP = """<div class="filmstrip"><img alt="first frame" src="data:,"><img alt="second frame"
src="data:,"><img alt="third frame" src="data:,"><p>Caption.</p></div>"""
VISIBLE = "[...document.querySelectorAll('.filmstrip img')].filter(i => !i.hidden).map(i => i.alt)"


def test_a_filmstrip_shows_one_frame_and_moves(open_page):
    page = open_page()
    page.set_content(STRIP)
    assert page.evaluate(VISIBLE) == ["first frame", "second frame", "third frame"]
    page.add_script_tag(path=SCRIPT)
    assert page.evaluate(VISIBLE) == ["first frame"]
    slider = page.locator("input[type=range]")
    slider.focus()
    for key, frame in [
        ("ArrowRight", "second frame"),
        ("End", "third frame"),
        ("ArrowLeft", "second frame"),
    ]:
        page.keyboard.press(key)
        assert page.evaluate(VISIBLE) == [frame]
    assert slider.get_attribute("aria-valuetext") == "2 of 3: second frame"
    page.get_by_label("Next frame").click()
    assert page.evaluate(VISIBLE) == ["third frame"]
    box = slider.bounding_box()
    page.mouse.click(box["x"] + 5, box["y"] + box["height"] / 2)
    assert page.evaluate(VISIBLE) == ["first frame"]


TERM = """<style>{css}</style><article class="bd-article"><p>A
<a class="term" href="#a" aria-description="What it means.">term</a></p></article>"""
SHOWN = "getComputedStyle(document.querySelector('.term'), '::after').content"


def test_a_term_shows_what_it_means(open_page):
    """It does so on hover and on keyboard focus, until Escape."""
    page = open_page()
    page.set_content(TERM.format(css=SCRIPT.with_suffix(".css").read_text(encoding="utf8")))
    page.add_script_tag(path=SCRIPT)
    assert page.evaluate(SHOWN) == "none"
    page.keyboard.press("Tab")
    assert "What it means." in page.evaluate(SHOWN)
    page.keyboard.press("Escape")
    assert page.evaluate(SHOWN) == "none"
    page.mouse.click(300, 300)
    page.locator(".term").hover()
    assert "What it means." in page.evaluate(SHOWN)


def test_a_term_near_the_lower_edge_opens_upwards(open_page):
    page = open_page()
    page.set_content(TERM.format(css=SCRIPT.with_suffix(".css").read_text(encoding="utf8")))
    page.add_script_tag(path=SCRIPT)
    shown = SHOWN.replace(".content", ".bottom")
    page.locator(".term").hover()
    assert page.evaluate(f"parseFloat({shown})") < 0  # below the line
    page.mouse.move(0, 0)
    page.evaluate("document.querySelector('p').style.marginTop = `${innerHeight - 90}px`")
    page.locator(".term").hover()
    assert page.evaluate(f"parseFloat({shown})") > 0


def test_the_first_tap_on_a_term_shows_what_it_means(open_page):
    page = open_page(has_touch=True, is_mobile=True)
    page.set_content(TERM.format(css=SCRIPT.with_suffix(".css").read_text(encoding="utf8")))
    page.add_script_tag(path=SCRIPT)
    page.locator(".term").tap()
    assert "What it means." in page.evaluate(SHOWN) and not page.url.endswith("#a")
    page.locator(".term").tap()
    assert page.url.endswith("#a")


def with_filmstrips():
    """Return the pages whose source has a cell tagged `filmstrip`."""
    return [
        page
        for page in pages()
        if (source := ROOT / page.replace(".html", ".ipynb")).exists()
        and '"filmstrip"' in source.read_text(encoding="utf8")
    ]


@pytest.mark.parametrize("address", with_filmstrips())
def test_filmstrips_of_the_course(address, base, open_page):
    page = open_page()
    page.goto(base + address)
    frames = page.locator(".filmstrip img").count()
    strips = page.locator(".filmstrip").count()
    assert frames > 2 * strips > 0 and len(page.evaluate(VISIBLE)) == strips
    page.locator(".filmstrip input").first.focus()
    before = page.evaluate(VISIBLE)
    page.keyboard.press("ArrowRight")
    assert page.evaluate(VISIBLE) != before and len(page.evaluate(VISIBLE)) == strips
    page = open_page(java_script_enabled=False)
    page.goto(base + address)
    assert page.locator(".filmstrip img:visible").count() == frames


LEDGER = "[...document.querySelectorAll('#the-claims tbody tr')].filter(r => r.checkVisibility())"


def test_the_ledger_is_filtered(base, open_page):
    page = open_page()
    page.goto(base + "reference/claims_ledger.html")
    page.locator("#the-claims tbody tr").first.wait_for()
    everything = page.evaluate(f"{LEDGER}.length")
    verdicts = f"{LEDGER}.map(r => r.cells[1].querySelector('strong').textContent)"
    found = 0
    for kind in ["wrong", "dated", "not reproduced here", "right when", "right"]:
        page.get_by_label("Verdict").select_option(kind)
        shown = page.evaluate(verdicts)
        found += len(shown)
        assert all(
            one.startswith("right when ") if kind == "right when" else one == f"{kind}."
            for one in shown
        )
        assert (
            f"{len(shown)} of {everything} claims" in page.locator(".ledger-controls").inner_text()
        )
    assert found == everything > 50
    page.get_by_label("Verdict").select_option("all")
    page.get_by_label("Verdict").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    texts = page.evaluate(f"{LEDGER}.map(r => r.textContent)")
    assert 0 < len(texts) < everything and all("In the exam:" in text for text in texts)
    page = open_page(java_script_enabled=False)
    page.goto(base + "reference/claims_ledger.html")
    assert page.locator("#the-claims tbody tr:visible").count() == everything


def test_the_ledger_is_light(base, open_page):
    page = open_page()
    page.goto(base + "reference/claims_ledger.html")
    assert len(page.content()) < 300_000


# Each check above rejects something.


EXAM = "reference/practice_exam.html"


def begin(page, base, count=4, when="end", minutes=0, **choice):
    """Open the practice exam and start one."""
    page.goto(base + EXAM)
    page.get_by_label("Questions", exact=True).fill(str(count))
    page.get_by_label("Minutes (0: no timer)").fill(str(minutes))
    page.get_by_label("Explanations").select_option(when)
    if "which" in choice:
        page.get_by_label("Only those").select_option(choice["which"])
    page.get_by_role("button", name="Start").click()


def shown(page):
    """Return the options' inputs of the question that is shown, and the letters of its key."""
    at = page.evaluate("JSON.parse(localStorage['course-practice-exam']).exam.at")
    ids = page.evaluate("JSON.parse(localStorage['course-practice-exam']).exam.ids")
    key = page.evaluate("id => document.querySelector(`[data-id='${id}']`).dataset.key", ids[at])
    return page.locator("#exam-desk [name=option]"), key


def choose(page, rightly, sure="Sure"):
    """Answer the question that is shown, and rate the answer."""
    options, key = shown(page)
    fitting = [one for one in options.all() if (one.get_attribute("value") in key) == rightly]
    for option in fitting[: len(key)]:
        option.check()
    page.get_by_label(sure, exact=True).check()


def test_an_exam_from_start_to_result(base, open_page):
    page = open_page(color_scheme="light")
    begin(page, base, 4)
    assert page.locator("section > .question").first.is_hidden()
    for number, rightly in enumerate([True, True, False], 1):
        assert page.get_by_role("heading", name=f"Question {number} of 4").is_visible()
        choose(page, rightly, "Sure" if number != 2 else "A guess")
        page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Flag").click()
    page.reload()  # in the middle: everything is still there
    assert page.get_by_role("heading", name="Question 4 of 4").is_visible()
    assert page.get_by_role("button", name="Flag").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Overview").first.click()
    told = [one.inner_text() for one in page.locator(".exam-overview button").all()]
    assert [one.partition(": ")[2] for one in told] == [
        *["answered"] * 3,
        "open, not rated, flagged",
    ]
    page.get_by_role("button", name="Question 2: answered").click()
    assert page.get_by_label("A guess", exact=True).is_checked()
    assert page.locator("#exam-desk [name=option]:checked").count() >= 1
    page.get_by_role("button", name="Finish").click()
    page.get_by_role("button", name="Finish and see the result").click()
    assert "2 of 4 right (50 %)" in page.locator(".exam-verdict").inner_text()
    rated = page.get_by_role("table", name="How well you knew").locator("tbody tr")
    assert [row.inner_text().split("\t") for row in rated.all()] == [
        ["Sure", "1", "2", "50 %"],
        ["I think so", "0", "0", "–"],
        ["A guess", "1", "1", "100 %"],
    ]
    skills = page.get_by_role("table", name="By skill").locator("tbody tr").all()
    shares = [row.locator("td").nth(1).inner_text().split(" of ") for row in skills]
    assert [sum(map(int, part)) for part in zip(*shares, strict=True)] == [2, 4]
    # two that were wrong or open, one that was guessed, and one behind a click
    headings = page.locator("#exam-desk h3").all_inner_texts()
    assert headings == ["Wrong or open", "Right without being sure"]
    assert page.get_by_text("Right and sure (1)").is_visible()
    assert [page.locator(f"#exam-desk {part}.question").count() for part in ("> ", "")] == [3, 4]
    link = page.get_by_role("table", name="By skill").get_by_role("link").first
    assert page.request.get(link.evaluate("one => one.href")).ok
    assert violations(page) == [] and page.errors == [] and page.foreign == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert sideways(page) <= 0
    page.reload()
    assert page.get_by_role("heading", name="Result").is_visible()
    page.get_by_role("button", name="Repeat the wrong ones").click()
    assert page.get_by_role("heading", name="Question 1 of 2").is_visible()
    choose(page, True)
    page.get_by_role("button", name="Next").click()
    choose(page, True)
    page.get_by_role("button", name="Finish").click()
    page.get_by_role("button", name="Finish and see the result").click()
    assert "2 of 2 right (100 %)" in page.locator(".exam-verdict").inner_text()
    page.get_by_role("button", name="Another exam").first.click()
    assert "Answered so far: 4" in page.locator("#exam-desk").inner_text()
    page.get_by_label("Only those").select_option("that I got right without being sure")
    page.get_by_role("button", name="Start").click()
    assert page.get_by_role("heading", name="Question 1 of 1").is_visible()
    page.goto(f"{base}reference/practice_exam.html?which=wrong")
    assert page.get_by_role("heading", name="An exam is open").is_visible()
    page.get_by_role("button", name="Choose another").click()
    assert page.get_by_label("Only those").input_value() == "wrong"
    page.get_by_role("button", name="Forget my answers").click()
    assert "Nothing answered yet" in page.locator("#exam-desk").inner_text()


def test_an_exam_that_explains_after_each_question(base, open_page):
    page = open_page()
    begin(page, base, 2, "each")
    page.get_by_role("button", name="Check").click()
    assert page.get_by_text("Choose an answer first.").is_visible()
    options, key = shown(page)
    for n in range(len(key)):
        if n:
            page.get_by_role("button", name="Check").click()
            assert page.get_by_text("Choose one more.").is_visible()
        options.nth(n).check()
    page.get_by_role("button", name="Check").click()
    assert page.get_by_text("Say first how sure you are.").is_visible()
    choose(page, False)
    page.get_by_role("button", name="Check").click()
    assert page.get_by_text("Not right: the key is").is_visible()
    assert page.locator(".exam-right").count() == len(shown(page)[1])
    assert all(option.is_disabled() for option in shown(page)[0].all())
    assert page.locator("#exam-desk .exam-wrong").first.inner_text().count("✘") == 1


def test_the_exam_by_keyboard(base, open_page):
    page = open_page()
    page.goto(base + EXAM)
    page.get_by_label("Questions", exact=True).focus()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("2")
    page.keyboard.press("Enter")
    heading = page.get_by_role("heading", name="Question 1 of 2")
    assert heading.evaluate("one => one === document.activeElement")
    for _ in range(4):  # pause, overview, finish, the first option
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.locator("#exam-desk [name=option]").first.is_checked()


def test_an_exam_of_two_chapters_and_one_of_a_format(base, open_page):
    page = open_page()
    page.goto(base + EXAM + "?chapters=150,151")
    assert page.get_by_text("Only questions of 150, 151.").is_visible()
    page.get_by_role("button", name="Start").click()
    ids = page.evaluate("JSON.parse(localStorage['course-practice-exam']).exam.ids")
    assert {one.split("-")[0] for one in ids} <= {"150", "151"} and len(ids) == 10
    page = open_page()
    page.goto(base + EXAM)
    page.get_by_role("button", name="The beta until early 2027").click()
    assert page.get_by_role("heading", name="Question 1 of 85").is_visible()
    ids = page.evaluate("JSON.parse(localStorage['course-practice-exam']).exam.ids")
    skills = {page.locator(f"[data-id='{one}']").get_attribute("data-skill") for one in ids}
    assert "none" not in skills
    assert page.locator(".exam-time").inner_text().startswith(("170:00", "169:"))
    page.goto(base + EXAM + "?chapters=150,151")  # another exam is open
    page.get_by_role("button", name="Begin one of 150, 151").click()
    assert page.get_by_text("Only questions of 150, 151.").is_visible()


def test_the_clock_ends_an_exam_and_rests(base, open_page):
    page = open_page()
    page.clock.install()
    begin(page, base, 2, minutes=10)
    page.clock.run_for(60_000)
    page.get_by_role("button", name="Pause").click()
    left = page.locator(".exam-time").inner_text()
    # the page's clock also runs by itself, a little
    assert re.fullmatch(r"(9:00|8:[45]\d) left", left)
    page.clock.run_for(60_000)
    assert page.locator(".exam-time").inner_text() == left
    page.get_by_role("button", name="Go on").click()
    page.clock.run_for(240_000)
    assert page.get_by_text("Five minutes are left.").is_visible()
    page.clock.run_for(301_000)
    assert page.get_by_role("heading", name="Result").is_visible()


def test_choices_that_leave_no_question(base, open_page):
    page = open_page()
    begin(page, base, which="wrong")
    assert page.get_by_text("There is no such question:").is_visible()


def test_an_exam_where_nothing_may_be_kept(base, open_page):
    page = open_page()
    page.add_init_script(
        """for (const name of ['getItem', 'setItem']) {
            const usual = Storage.prototype[name]
            Storage.prototype[name] = function (key, ...more) {
                if (key === 'course-practice-exam') throw new Error('not allowed')
                return usual.call(this, key, ...more)
            }
        }"""
    )
    page.goto(base + EXAM)
    page.get_by_role("button", name="Start").click()
    assert page.get_by_role("heading", name="Question 1 of 10").is_visible()
    assert page.errors == []


def test_the_exam_without_javascript_is_a_list(base, open_page):
    page = open_page(java_script_enabled=False)
    page.goto(base + EXAM)
    assert page.locator(".question").count() > 300
    fold = page.locator(".question details").first
    fold.locator("summary").click()
    assert "✔" in fold.inner_text() or "✘" in fold.inner_text()


def test_rejects_undrawn_formula(open_page):
    page = open_page()
    page.set_content(r'<span class="math">\(x^2\)</span>')
    assert undrawn(page) == 1


def test_rejects_axe_violation(open_page):
    page = open_page()
    page.set_content(
        '<html lang="en"><title>t</title><main><h1>t</h1><img src="data:,">'
        '<p style="color: #bbb">pale</p></main>'
    )
    found = "\n".join(violations(page))
    assert "image-alt (critical)" in found and "color-contrast (serious)" in found


def test_rejects_wide_page(open_page):
    page = open_page(viewport={"width": 390, "height": 844})
    page.set_content('<table style="width: 700px"><tr><td>wide</table>')
    assert sideways(page) == 310 + 8  # the body's margin is 8 px


def test_rejects_wide_table(open_page):
    page = open_page(viewport={"width": 390, "height": 844})
    page.set_content(
        '<div class="pst-scrollable-table-container" style="overflow-x: auto; width: 300px">'
        '<table class="table" style="width: 700px"><tr><td>wide</table></div>'
    )
    assert sideways(page) == 400


@pytest.mark.parametrize(
    "option",
    [
        "<div>A</div>",
        '<details><summary tabindex="-1">A</summary><p>✔</p></details>',
        "<details><summary>A</summary></details>",
    ],
)
def test_rejects_option_without_keyboard(option, open_page):
    page = open_page()
    page.set_content(f'<div class="question">{option}</div>')
    assert not opens_by_keyboard(page)


def test_rejects_answer_that_needs_javascript(open_page):
    html = (
        '<div class="question"><details><summary>A</summary><p></p></details></div>'
        "<script>document.querySelector('p').textContent = '✔'</script>"
    )
    for enabled in (True, False):
        page = open_page(java_script_enabled=enabled)
        page.set_content(html)
        assert ("✔" in answers(page)) == enabled


def test_notices_errors_and_foreign_requests(open_page):
    page = open_page()
    page.set_content(
        '<img src="https://example.org/x.png" alt="x">'
        '<script>console.error("planted"); undefined.x</script>'
    )
    page.wait_for_timeout(100)
    assert page.foreign == ["https://example.org/x.png"]
    assert any("planted" in error for error in page.errors) and any(
        "undefined" in error for error in page.errors
    )


def test_without_a_browser(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert find_chromium("/nowhere/chromium") is None
    with pytest.raises(pytest.skip.Exception, match="playwright install chromium"):
        do_without({})
    for name in ("CI", "COURSE_REQUIRE_BROWSER"):
        with pytest.raises(pytest.fail.Exception, match="playwright install chromium"):
            do_without({name: "1"})


def test_the_plan_keeps_its_ticks_and_dates(base, open_page):
    page = open_page()
    page.goto(f"{base}reference/paths.html")
    assert page.locator(".plan-controls").inner_text().endswith("0 of 70 done")
    page.get_by_label("Day of the exam").fill("2027-01-15")
    page.get_by_label("Done: Day 2. Counting errors: 150 Confusion matrix").check()
    page.reload()
    assert (
        page.locator("#day-1-where-you-stand h3")
        .inner_text()
        .startswith("Day 1. Where you stand (Fri 1 January)")
    )
    assert page.get_by_label("Done: Day 2. Counting errors: 150 Confusion matrix").is_checked()
    assert not page.get_by_label("Done: Day 6. Tuning: 155 Search strategies").is_checked()
    assert page.locator(".plan-controls").inner_text().endswith("1 of 70 done")


def test_a_plan_of_fewer_days_leaves_some_out(base, open_page):
    page = open_page(timezone_id="Asia/Kathmandu")
    page.clock.set_fixed_time("2027-01-10T06:00:00Z")
    page.goto(f"{base}reference/paths.html")
    page.get_by_label("Day of the exam").fill("2027-01-14")
    assert "Days left: 4" in page.locator(".plan-controls").inner_text()
    dates = page.locator(".plan-date").all_inner_texts()
    assert [one.strip() for one in dates if "left out" not in one] == [
        "(Sun 10 January)",
        "(Mon 11 January)",
        "(Tue 12 January)",
        "(Wed 13 January)",
    ]
    assert [n for n, one in enumerate(dates, 1) if "left out" not in one] == [1, 2, 6, 14]
    page.get_by_label("Day of the exam").fill("2027-01-10")
    assert "The exam is today." in page.locator(".plan-controls").inner_text()


def test_the_cheat_sheet_is_two_pages_of_paper(base, open_page):
    page = open_page()
    page.goto(f"{base}reference/cheat_sheet.html?highlight=recall")
    page.get_by_text("Hide Search Matches").wait_for()
    page.wait_for_function("MathJax.startup && MathJax.startup.promise")
    page.evaluate("MathJax.startup.promise")
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) == 2
