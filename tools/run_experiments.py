"""Redo the experiments of data/experiments: one NAME.py makes one NAME.csv, one row a run.

python tools/run_experiments.py shift          run every case of an experiment and write its table
python tools/run_experiments.py --check        run all cases of all and compare with the tables
python tools/run_experiments.py --keep shift   the same, and if all agrees, note that the program
                                               makes this table although it has changed
python tools/run_experiments.py --check --shard 2/4    the second of four parts of the work

An experiment is a module with
- a docstring in the form that `describe` reads;
- CASES, a list of dicts: what is varied, the seed among it;
- run(case), which returns a dict of measured numbers;
- verdicts(table), which returns for a table (pandas.DataFrame) which rules of the docstring hold,
  {name: True, False, or None where another machine may see the other}, and the figures that decide
  it, {what: number};
and, where they apply,
- TOLERANCE, a dict: how far a column may lie from the stored one on another machine. A column that
  it does not name has to be the same text;
- DEPENDS, a list of the files under data/ that it reads or imports;
- chaotic(case): whether the run differs between machines far beyond rounding. Its row is not
  compared, and counts in the verdicts only;
- MAY_BE_NAN, a list of the columns in which NaN is a result.

CHECKSUMS has a line for each table: its name, the seconds that it took, the SHA-256 of the table,
and the SHA-256 of the program and all that it depends on, comments and docstrings left out.
"""

import argparse
import ast
import csv
import hashlib
import importlib.util
import io
import json
import math
import os
import re
import sys
import time
from pathlib import Path

import pandas as pd

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
DATA = Path(__file__).resolve().parents[1] / "data"
sys.path.insert(0, str(DATA))
# what an experiment says about its table; the runs do not depend on it
ABOUT_THE_TABLE = {"TOLERANCE", "MAY_BE_NAN", "DEPENDS", "chaotic", "verdicts"}
# how the paragraphs of a docstring begin, after the question; what is left describes the data
PARAGRAPHS = {
    "seeds": "Seeds: ",
    "written": "Written before the first run.",
    "rule": 'Holds, as "',
    "later": 'Noted after the run, as "',
    "note": "Noted after the run: ",
    "outcome": "Came out: ",
}
OPTIONAL = {"later", "note"}
ORDER = "(data )+seeds written (rule )+(later |note )*outcome "


def file(name, suffix):
    """Return the path of an experiment's program (.py), table (.csv) or unfinished runs."""
    return DATA / "experiments" / f"{name}{suffix}"


def names():
    """Return the names of all experiments, sorted."""
    return sorted(path.stem for path in (DATA / "experiments").glob("*.py"))


def load(name):
    """Import an experiment by its name."""
    spec = importlib.util.spec_from_file_location(name, file(name, ".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---- tables


def text(values):
    """Return a row as it is stored: floats with four decimals, everything else as it is written."""
    return {
        key: f"{value:.4f}" if isinstance(value, float) else str(value)
        for key, value in values.items()
    }


def table(name):
    """Return the stored rows of an experiment, as dicts of strings."""
    with open(file(name, ".csv"), newline="", encoding="utf8") as opened:
        return list(csv.DictReader(opened))


def as_csv(rows):
    """Return rows, dicts of strings with the same keys, as the text of a table."""
    written = io.StringIO()
    writer = csv.DictWriter(written, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def frame(rows):
    """Return rows, dicts of strings with the same keys, as a DataFrame with numbers."""
    return pd.read_csv(io.StringIO(as_csv(rows)))


# ---- checksums


def code(node):
    """Return a syntax tree as nested lists, which are the same in every version of Python and do
    not change with docstrings, comments or line breaks.
    """
    if isinstance(node, list):
        return [code(item) for item in node if not is_text(item)]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [
        [name, code(value)] for name, value in ast.iter_fields(node) if value not in (None, [])
    ]
    return [type(node).__name__, fields]


def is_text(statement):
    """Return whether a statement is a string and nothing else, as a docstring is."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def defined(statement):
    """Return the name that a statement defines, or None."""
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return getattr(statement, "name", None)


def statements(path):
    """Return the statements at the top of a program."""
    return ast.parse(path.read_text(encoding="utf8")).body


def depends(path):
    """Return the files that a program declares in DEPENDS, and theirs, relative to data/."""
    if path.suffix != ".py":
        return []
    found = []
    for statement in statements(path):
        if defined(statement) == "DEPENDS":
            found = ast.literal_eval(statement.value)
    deeper = [further for name in found for further in depends(DATA / name)]
    return sorted({*found, *deeper})


def named(path):
    """Return the files under data/ that a program imports or names in a string, relative to it."""
    found = set()
    for node in ast.walk(ast.Module(statements(path), [])):
        places = []
        if isinstance(node, ast.ImportFrom) and node.module:
            places = [node.module.replace(".", "/") + ".py"]
        elif isinstance(node, ast.Import):
            places = [alias.name.replace(".", "/") + ".py" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.fullmatch(r"[\w/.-]+\.\w+", node.value):
                places = [node.value, f"experiments/{node.value}"]
        found |= {place for place in places if (DATA / place).is_file()}
    return sorted(found)


def checksum(path):
    """Return the SHA-256 of a file; of a program, that of its code."""
    if path.suffix != ".py":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    kept = [one for one in statements(path) if defined(one) not in ABOUT_THE_TABLE]
    return hashlib.sha256(json.dumps(code(kept)).encode()).hexdigest()


def made_from(name):
    """Return one SHA-256 of an experiment's program and all files that it depends on."""
    program = file(name, ".py")
    paths = [program, *(DATA / other for other in depends(program))]
    return hashlib.sha256("".join(map(checksum, paths)).encode()).hexdigest()


def checksum_file():
    """Return the path of CHECKSUMS."""
    return DATA / "experiments" / "CHECKSUMS"


def checksums():
    """Return the lines of CHECKSUMS: {name: (seconds, SHA-256 of the table, of its origin)}."""
    path = checksum_file()
    lines = path.read_text(encoding="utf8").splitlines() if path.exists() else []
    return {name: tuple(rest) for name, *rest in map(str.split, lines)}


def note(name, seconds):
    """Write the line of one table into CHECKSUMS and leave the others as they are."""
    lines = checksums()
    lines[name] = (f"{seconds:.0f}", checksum(file(name, ".csv")), made_from(name))
    with open(checksum_file(), "w", newline="\n", encoding="utf8") as opened:
        for key in sorted(lines):
            opened.write(" ".join([key, *lines[key]]) + "\n")


def edited(name):
    """Return a sentence if a table is not as its program wrote it, else None."""
    _, stored, _ = checksums().get(name, ("", "", ""))
    if stored != checksum(file(name, ".csv")):
        return f"{name}.csv is not what {name}.py wrote: redo it."
    return None


def outdated(name):
    """Return a sentence if what makes a table has changed since, else None."""
    _, _, stored = checksums().get(name, ("", "", ""))
    if stored != made_from(name):
        changed = ", ".join([f"{name}.py", *depends(file(name, ".py"))])
        return (
            f"{name}.csv is older than a change of {changed}: redo it, "
            f"or show with --keep that it comes out all the same."
        )
    return None


def readers(name):
    """Return the names of the experiments that read an experiment's table."""
    written = f"experiments/{name}.csv"
    return [other for other in names() if written in depends(file(other, ".py"))]


# ---- comparison


def number(value):
    """Return a stored text as a float, NaN if it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def chaotic(experiment, case):
    """Return whether the row of a case is left out of the comparison."""
    return hasattr(experiment, "chaotic") and experiment.chaotic(case)


def differences(experiment, case, stored, measured):
    """Return what is wrong with a stored row, as a list of sentences (empty: nothing).

    stored is a dict of strings, measured what run(case) has returned.
    """
    fresh, tolerance = text(case | measured), getattr(experiment, "TOLERANCE", {})
    wrong = [f"there is no column {key}" for key in fresh if key not in stored]
    wrong += [f"nothing makes the column {key}" for key in stored if key not in fresh]
    for key, now in fresh.items():
        if key not in stored or key in measured and chaotic(experiment, case):
            continue
        was, same = stored[key], stored[key] == now
        if key in tolerance:
            same = abs(number(was) - number(now)) <= tolerance[key]
        if "nan" in (was, now):  # which is near nothing, nor equal to itself
            same = was == now and key in getattr(experiment, "MAY_BE_NAN", [])
        if not same:
            wrong.append(f"{key} is {was} in the table and {now} now")
    return wrong


def changed_verdicts(experiment, name, stored, fresh):
    """Return a sentence for each rule that holds for the rows of one table and not of the other."""
    (was, _), (now, _) = experiment.verdicts(frame(stored)), experiment.verdicts(frame(fresh))
    words = {True: "holds", False: "does not hold", None: "is undecided"}
    return [
        f'"{rule}" {words[was[rule]]} in {name}.csv and {words[now[rule]]} now'
        for rule in was
        if was[rule] != now[rule]
    ]


def check(name):
    """Run every case of an experiment and return how much of its table is wrong."""
    experiment, stored, fresh, wrong = load(name), table(name), [], []
    if len(stored) != len(experiment.CASES):
        print(f"{name}.csv has {len(stored)} rows for {len(experiment.CASES)} cases")
        return 1
    start = time.perf_counter()
    for line, (case, row) in enumerate(zip(experiment.CASES, stored), 2):
        measured = experiment.run(case)
        fresh.append(text(case | measured))
        for sentence in differences(experiment, case, row, measured):
            wrong.append(f"{name}.csv, line {line}: {sentence}")
    if not wrong:
        wrong = changed_verdicts(experiment, name, stored, fresh)
    seconds = time.perf_counter() - start
    print(*wrong, f"{name}: {len(stored)} runs compared in {seconds:.0f} s", sep="\n", flush=True)
    return len(wrong)


def keep(name):
    """Check a table; if it comes out, note that its program makes it. Return what is wrong."""
    if sentence := edited(name):
        print(sentence)
        return 1
    wrong = check(name)
    if not wrong:
        note(name, float(checksums()[name][0]))
    return wrong


# ---- running


def unfinished(name):
    """Return the runs that an interrupted run of the same program has left, as dicts with "row" and
    "seconds".
    """
    path = file(name, ".unfinished")
    if not path.exists():
        return []
    origin, *lines = path.read_text(encoding="utf8").split("\n")
    if origin != made_from(name):
        print(f"{path.name} is of another version of the program and is dropped")
        return []
    return [json.loads(line) for line in lines[:-1]]  # what follows the last line break is cut off


def write(name):
    """Write the table of an experiment: run the cases that an interrupted run has not left, and
    store each as it comes.
    """
    experiment, path = load(name), file(name, ".unfinished")
    runs, total = unfinished(name), len(experiment.CASES)
    with open(path, "w", newline="\n", encoding="utf8") as opened:
        opened.write("\n".join([made_from(name), *map(json.dumps, runs), ""]))
        for case in experiment.CASES[len(runs) :]:
            opened.flush()
            start = time.perf_counter()
            row = text(case | experiment.run(case))
            runs.append({"row": row, "seconds": time.perf_counter() - start})
            opened.write(json.dumps(runs[-1]) + "\n")
            print(f"\r{name}: {len(runs)} of {total} runs", end="", flush=True)
    print()
    with open(file(name, ".csv"), "w", newline="", encoding="utf8") as opened:
        opened.write(as_csv([one["row"] for one in runs]))
    note(name, sum(one["seconds"] for one in runs))
    path.unlink()
    if others := readers(name):
        print(f"{name}.csv is read by {', '.join(others)}: redo that too")


def shard(chosen, number, count):
    """Return one of count parts of the chosen experiments, which take about the same time."""
    lines = checksums()
    seconds = {name: float(lines[name][0]) if name in lines else 0 for name in chosen}
    parts = [[] for _ in range(count)]
    for name in sorted(chosen, key=seconds.get, reverse=True):
        least = min(parts, key=lambda part: sum(seconds[other] for other in part))
        least.append(name)
    return sorted(parts[number - 1])


def fraction(words):
    """Return 2/4 as the pair (2, 4). Raises ArgumentTypeError if it is no part of a whole."""
    found = re.fullmatch(r"(\d+)/(\d+)", words)
    part, count = map(int, found.groups()) if found else (0, 0)
    if not 1 <= part <= count:
        raise argparse.ArgumentTypeError(f"{words} is no part such as 2/4, the second of four")
    return part, count


# ---- description


def describe(name):
    """Return what the docstring and the table of an experiment say of it, as a dict.

    question, seeds and outcome are text, data and notes lists of paragraphs; rules is a list of
    dicts with name, text and whether the rule was written before the run; rows is the number of
    runs; chapters are the names of the notebooks that read the table. Raises ValueError, with a
    sentence, if the docstring has another form.
    """
    program = ast.parse(file(name, ".py").read_text(encoding="utf8"))
    question, *rest = [" ".join(part.split()) for part in ast.get_docstring(program).split("\n\n")]
    if not question.endswith("?"):
        raise ValueError(f"{name}.py: its docstring does not begin with a question.")
    kinds = []
    for paragraph in rest:
        begins = [kind for kind, start in PARAGRAPHS.items() if paragraph.startswith(start)]
        kinds.append(begins[0] if begins else "data")
    for kind, start in PARAGRAPHS.items():
        if kind not in kinds and kind not in OPTIONAL:
            raise ValueError(f"{name}.py: no paragraph of its docstring begins with {start!r}.")
    if not re.fullmatch(ORDER, "".join(f"{kind} " for kind in kinds)):
        raise ValueError(f"{name}.py: its docstring has the parts {', '.join(kinds)}.")
    parts = {kind: [] for kind in ["data", *PARAGRAPHS]}
    for kind, paragraph in zip(kinds, rest):
        parts[kind].append(paragraph.removeprefix(PARAGRAPHS.get(kind, "")))
    rules = []
    for kind in ["rule", "later"]:
        for paragraph in parts[kind]:
            rule, wording = paragraph.split('"', 1)
            rules.append({"name": rule, "text": wording, "before": kind == "rule"})
    return {
        "question": question,
        "data": parts["data"],
        "seeds": parts["seeds"][0],
        "rules": rules,
        "notes": parts["note"],
        "outcome": parts["outcome"][0],
        "rows": len(table(name)),
        "chapters": chapters(name),
    }


def chapters(name):
    """Return the names of the notebooks that read an experiment's table, sorted."""
    notebooks = sorted((DATA.parent / "chapters").glob("*.ipynb"))
    wanted = f"experiments/{name}.csv"
    return [path.stem for path in notebooks if wanted in path.read_text(encoding="utf8")]


def main():
    """Redo or check the experiments named on the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--check", action="store_true", help="compare with the stored tables")
    how.add_argument("--keep", action="store_true", help="compare, and note the changed program")
    parser.add_argument("--shard", type=fraction, default=(1, 1), help="2/4: second of four parts")
    parser.add_argument("names", nargs="*", help="which experiments; none: all")
    arguments = parser.parse_args()
    unknown = ", ".join(sorted(set(arguments.names) - set(names())))
    if unknown:
        sys.exit(f"There is no experiment {unknown}; there are: {', '.join(names())}.")
    chosen = shard(arguments.names or names(), *arguments.shard)
    compare = keep if arguments.keep else check
    try:
        if arguments.check or arguments.keep:
            return int(sum(compare(name) for name in chosen) > 0)
        for name in chosen:
            write(name)
    except KeyboardInterrupt:
        kept = "" if arguments.check or arguments.keep else " The next try goes on from here."
        sys.exit(f"\nStopped.{kept}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
