"""The page of failures: each program ends with its message, each link leads to a section, and what
no program shows has a source.
"""

import datetime
import html
import json
import os
import re
import subprocess
import sys

import pytest
import yaml
from notebooks import CHAPTERS, ROOT, number, read

DATA = yaml.safe_load((ROOT / "data/failures.yaml").read_text(encoding="utf8"))
PAGE = ROOT / "reference/it_failed.ipynb"
LIBRARIES = ["SageMaker", "boto3", "Keras and TensorFlow", "JAX", "XGBoost", "scikit-learn"]
FIELDS = {"id", "library", "message", "cause", "remedy", "section"}
# Runs programs one after the other, each with what it writes to the terminal kept apart.
RUNNER = """
import json, os, sys, tempfile, traceback

def run(code):
    kept = [os.dup(1), os.dup(2)]
    with tempfile.TemporaryFile() as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        try:
            exec(compile(code, "<program>", "exec"), {"__name__": "__main__"})
        except BaseException as error:
            print("".join(traceback.format_exception_only(error)), file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        for number in (1, 2):
            os.dup2(kept[number - 1], number)
            os.close(kept[number - 1])
        file.seek(0)
        return file.read().decode("utf8", "replace")

told = {name: run(code) for name, code in json.load(open(sys.argv[1], encoding="utf8")).items()}
json.dump(told, open(sys.argv[2], "w", encoding="utf8"))
"""


def shows(text, message):
    """Return whether a text has a line, or lines, that read as a message; … is anything."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    parts = [r"\s+".join(map(re.escape, part.split())) for part in message.split("…")]
    ends = "" if message.endswith("…") else r"\s*$"
    return bool(re.search(r"(?<!\w)" + r"[\s\S]*?".join(parts).strip() + ends, text, re.M))


def group(entry):
    """Return the process in which the program of an entry runs."""
    return entry.get("setup", entry["library"])


def headings():
    """Return {number of a chapter: its headings below the title}."""
    found = {}
    for path in CHAPTERS:
        cells = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
        found[number(path)] = re.findall(r"^#{2,4} (.+)$", "\n".join(cells), re.M)
    return found


def faults(entries, headings):
    """Yield what is wrong with the entries, the messages themselves apart."""
    names = [entry["id"] for entry in entries]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name} stands twice"
    for entry in entries:
        name = entry["id"]
        if missing := FIELDS - entry.keys():
            yield f"{name} lacks {', '.join(sorted(missing))}"
            continue
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
            yield f"{name} is no anchor"
        if entry["library"] not in LIBRARIES:
            yield f"{name}: no group {entry['library']}"
        chapter, _, heading = entry["section"].partition(" ")
        if heading not in headings.get(chapter, []):
            yield f"{name}: no section {entry['section']}"
        if len(re.sub(r"[…\W]", "", entry["message"])) < 7:
            yield f"{name}: too little is left of the message"
        if "code" not in entry and "source" not in entry:
            yield f"{name} has neither program nor source"
        if "source" in entry:
            if not {"text_of", "checked"} <= entry.keys():
                yield f"{name}: its source has no date"
            elif not datetime.date.fromisoformat(entry["checked"]):
                yield f"{name}: checked on no day"


def run(programs, folder, **variables):
    """Return {id: what a program printed or raised}, of programs of one library."""
    (folder / "programs.json").write_text(json.dumps(programs), encoding="utf8")
    nothing = str(folder / "nothing")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")} | {
        "AWS_CONFIG_FILE": nothing,
        "AWS_SHARED_CREDENTIALS_FILE": nothing,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONPATH": str(ROOT / "chapters"),
        "PYTHONIOENCODING": "utf8",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=8",
    }
    command = [sys.executable, "-c", RUNNER, "programs.json", "told.json"]
    subprocess.run(command, cwd=folder, env=environment | variables, check=True)
    return json.loads((folder / "told.json").read_text(encoding="utf8"))


def test_entries_are_complete_and_lead_somewhere():
    assert list(faults(DATA["messages"], headings())) == []
    assert 45 <= len(DATA["messages"]) <= 60
    aws = [entry for entry in DATA["messages"] if entry["library"] in ("SageMaker", "boto3")]
    assert len(aws) >= 15
    assert {entry["library"] for entry in DATA["messages"]} == set(LIBRARIES)


@pytest.mark.parametrize("library", LIBRARIES)
def test_programs_end_with_their_messages(library, tmp_path):
    entries = [one for one in DATA["messages"] if "code" in one and group(one) == library]
    setup = DATA["setup"].get(library, "")
    told = run({one["id"]: f"{setup}\n{one['code']}" for one in entries}, tmp_path)
    wrong = [one for one in entries if not shows(told[one["id"]], one["message"])]
    wrong = {one["id"]: told[one["id"]][-2000:] for one in wrong}
    assert entries and wrong == {}


def test_the_page_has_every_message_and_anchor():
    shown = "".join(
        output["data"].get("text/markdown", "")
        for cell in read(PAGE).cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "data" in output
    )
    for entry in DATA["messages"]:
        assert entry["message"] in shown
        assert f'<a id="{entry["id"]}"></a>' in shown
    order = [html.unescape(name) for name in re.findall(r'<a id="(.+?)"></a>', shown)]
    assert sorted(order) == sorted(entry["id"] for entry in DATA["messages"])


TOLD = "Traceback:\nxgboost.core.XGBoostError: \x1b[1mlabel 3 is not in [0, 3)\x1b[0m\nStack trace"


@pytest.mark.parametrize(
    "message, found",
    [
        ("XGBoostError: label 3 is not in [0, 3)", True),
        ("XGBoostError: label … is not in [0, …)", True),
        ("label 3 is not…", True),
        ("XGBoostError: label 3 is not in [0, 3)\nStack trace", True),
        ("XGBoostError: label 4 is not in [0, 3)", False),
        ("is not in … label 3…", False),
        ("Error: label 3 is not in [0, 3)", False),
        ("XGBoostError: label 3 is not", False),
    ],
)
def test_a_wrong_message_is_found(message, found):
    assert shows(TOLD, message) == found


ENTRY = {"id": "no-region", "library": "boto3", "message": "You must …", "cause": "a"}
ENTRY |= {"remedy": "b", "section": "144 Name", "code": "pass"}


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"id": "No region"}, "No region is no anchor"),
        ({"library": "numpy"}, "no-region: no group numpy"),
        ({"section": "144 Nam"}, "no-region: no section 144 Nam"),
        ({"section": "145 Name"}, "no-region: no section 145 Name"),
        ({"message": "…: Y …"}, "no-region: too little is left of the message"),
        ({"source": "https://example.org"}, "no-region: its source has no date"),
    ],
)
def test_a_wrong_entry_is_found(change, sentence):
    assert list(faults([ENTRY], {"144": ["Name"]})) == []
    assert list(faults([ENTRY | change], {"144": ["Name"]})) == [sentence]


def test_an_entry_without_program_and_source_is_found():
    bare = {key: value for key, value in ENTRY.items() if key != "code"}
    assert list(faults([bare], {"144": ["Name"]})) == ["no-region has neither program nor source"]
    without = {key: value for key, value in ENTRY.items() if key != "cause"}
    assert list(faults([without, without], {"144": ["Name"]})) == [
        "no-region stands twice",
        "no-region lacks cause",
        "no-region lacks cause",
    ]


def test_a_planted_message_fails(tmp_path):
    told = run({"one": "raise ValueError('a')", "two": "print('loss: nan')"}, tmp_path)
    assert shows(told["one"], "ValueError: a") and not shows(told["one"], "ValueError: b")
    assert shows(told["two"], "loss: nan") and not shows(told["two"], "ValueError: a")
