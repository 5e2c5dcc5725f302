"""The questions: form, keys, explanations of every option, and numeric keys computed."""

import re
from collections import Counter

import pytest
from notebooks import CHAPTERS, ROOT, changed, number, read, tags

FEWEST = {"151": 14, "141": 6, "157": 6, "159": 6, "160": 6}
OPTION = re.compile(
    r"<details><summary>([A-F])\. (.+?)</summary>\n\n([✔✘]) (.+?)\n\n</details>", re.S
)


def questions(notebook):
    """Return the question cells of a notebook."""
    return [cell for cell in notebook.cells if "question" in tags(cell)]


def options(cell):
    """Return (letter, text, mark, explanation) of every option of a question."""
    return OPTION.findall(cell.source)


def key(cell):
    """Return the letters of the right options."""
    return "".join(letter for letter, _, mark, _ in options(cell) if mark == "✔")


def one_question(cell):
    """Return a list of problems with a single question."""
    found, problems = options(cell), []
    if len(found) < 4 or len(found) != cell.source.count("<details"):
        problems.append("fewer than four options, or an option that is not in the usual form")
    if "".join(letter for letter, *_ in found) != "ABCDEF"[: len(found)]:
        problems.append("the options are not lettered in order")
    if len(key(cell)) != (2 if "TWO" in cell.source.split("<details")[0] else 1):
        problems.append(f"the key is {key(cell) or 'empty'}")
    if any(len(explanation.split()) < 5 for *_, explanation in found):
        problems.append("an option without an explanation")
    skills = [tag for tag in tags(cell) if tag.startswith("skill-")]
    if len(skills) != 1 or not (skills[0] == "skill-none" or skills[0][6:] in exam_map()):
        problems.append(f"the skills {skills} are not one skill of the exam map")
    return problems


def exam_map():
    """Return the text of the exam map."""
    return (ROOT / "reference" / "exam_map.md").read_text(encoding="utf8")


def all_questions(chapter, notebook):
    """Return a list of problems with the questions of a chapter taken together."""
    cells, problems = questions(notebook), []
    if len(cells) < FEWEST.get(chapter, 10):
        problems.append(f"only {len(cells)} questions")
    if [cell.source.split(".**")[0] for cell in cells] != [
        f"**Question {n}" for n in range(1, len(cells) + 1)
    ]:
        problems.append("the questions are not numbered in order")
    letters = Counter("".join(key(cell) for cell in cells))
    if len(letters) < 4 or max(letters.values()) > sum(letters.values()) / 2:
        problems.append(f"the keys are not spread: {dict(letters)}")
    longest = [max(options(cell), key=lambda option: len(option[1]))[2] == "✔" for cell in cells]
    if sum(longest) > 0.6 * len(cells):
        problems.append(f"the longest option is right in {sum(longest)} of {len(cells)} questions")
    return problems


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_questions(path):
    notebook = read(path)
    assert {cell.id: one_question(cell) for cell in questions(notebook) if one_question(cell)} == {}
    assert all_questions(number(path), notebook) == []


# chapter and question number: the key, computed here from its definition
tp, fp, fn = 30, 10, 30
NUMERIC = {
    ("141.1", 4): f"{600 * 2 * 0.36 / 3600:.2f} dollars",
    ("144", 1): f"It stays {32 * (5 * 5 * 3 + 1):,}.",
    ("144", 4): f"{8 * (3 * 3 * 16 + 1):,}",
    ("144", 5): f"{1 + 3 * (3 - 1)} pixels",
    ("151", 1): f"{0.05 * 0.95 / (0.05 * 0.95 + 0.95 * 0.05):.2f}",
    ("151", 5): f"Recall {60 / 100:.2f}, precision {60 / 80:.2f}",
    ("151", 6): f"{2 * tp / (2 * tp + fp + fn):.2f}",
    ("151", 7): f"{(0.9 + 0.9) / 2:.2f} and {0.009 / (0.009 + 0.099):.2f}",
    ("144", 7): f"{(10 - 3) // 3 + 1} × {(10 - 3) // 3 + 1}",
    ("151.1", 1): f"{50 / (50 + 450):.2f}",
    ("151.1", 4): f"{10 * 300 + 100 * 15:,} euros",
    ("151.1", 5): f"{((1 - 0.9) ** 2 + 0.2**2 + (1 - 0.4) ** 2) / 3:.3f}",
    ("153", 2): f"{(1 - 0.2) / 0.2:.0f}",
    ("154", 1): f"{3**5 - 3**4}",
    ("154", 4): f"About {(0.01 - 0.0001) / (1 - 0.0001):.2f}",
    ("153", 4): f"{1000 * (1 - 0.999**1000):.0f}",
    ("163", 1): f"{(3000 * 2 + 1000 * 4) / 4000:.1f}",
    ("163", 2): f"{2 * 15 / 16 * 500e6 * 2 / 1e9:.2f}",
    ("163", 9): f"{0.8 / (0.8 / 4 + 0.2):.1f} times",
}


@pytest.mark.parametrize("where", NUMERIC)
def test_numeric_keys(where):
    chapter, n = where
    notebook = read(next(path for path in CHAPTERS if number(path) == chapter))
    right = [text for _, text, mark, _ in options(questions(notebook)[n - 1]) if mark == "✔"]
    assert right == [NUMERIC[where]]


def first_question(change):
    """Return the first question of the first chapter after a change to a copy."""

    def apply(notebook):
        cell = questions(notebook)[0]
        cell.source = change(cell.source)

    return questions(changed(read(CHAPTERS[0]), apply))[0]


@pytest.mark.parametrize(
    "fault",
    [
        lambda s: s.replace("✘", "✔", 1),
        lambda s: s.replace("✔", "✘"),
        lambda s: s.replace("<summary>C.", "<summary>D."),
        lambda s: re.sub(r"✘ .+", "✘ No.", s, count=1),
        lambda s: s[: s.index("<details><summary>D.")],
    ],
    ids=["two keys", "no key", "wrong letter", "no explanation", "three options"],
)
def test_a_broken_question_is_rejected(fault):
    assert one_question(first_question(lambda s: s)) == []
    assert one_question(first_question(fault)) != []


def test_a_skill_that_is_not_in_the_exam_map_is_rejected():
    cell = first_question(lambda s: s)
    cell.metadata["tags"] = ["question", "skill-9.9.9"]
    assert one_question(cell) != []


def test_keys_that_are_all_alike_are_rejected():
    def alike(notebook):
        notebook.cells = [
            cell for cell in notebook.cells if "question" not in tags(cell) or key(cell) == "D"
        ]

    assert all_questions("144", changed(read(CHAPTERS[0]), alike)) != []
