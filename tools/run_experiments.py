"""Redo the experiments of data/experiments: one <name>.py makes one <name>.csv, one row a run.

python tools/run_experiments.py shift            run every case of one experiment and write its
table
python tools/run_experiments.py --check          run all cases of all experiments and compare with
the tables

An experiment is a module whose docstring says what counts as holding, written before its first run,
with CASES, a list of dicts (what is varied, the seed among it); run(case), which returns a dict of
measured numbers; and TOLERANCE, how far a measured number may lie from the stored one on another
machine.
"""

import argparse
import csv
import hashlib
import importlib.util
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
FOLDER = Path(__file__).resolve().parents[1] / "data" / "experiments"
sys.path.insert(0, str(FOLDER.parent))


def names():
    """Return the names of all experiments, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.py"))


def load(name):
    """Import an experiment by its name."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text(values):
    """Return a row as it is stored: floats with four decimals, everything else as it is written."""
    return {
        key: f"{value:.4f}" if isinstance(value, float) else str(value)
        for key, value in values.items()
    }


def table(name):
    """Return the stored rows of an experiment, as dicts of strings."""
    with open(FOLDER / f"{name}.csv", newline="", encoding="utf8") as file:
        return list(csv.DictReader(file))


def checksums(folder):
    """Return the SHA-256 of every table of a folder, one line each; stored, it tells when a table
    was edited by hand.
    """
    tables = sorted(folder.glob("*.csv"))
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in tables
    )


def compare(experiment, case, stored):
    """Run one case and return what is wrong with its stored row, as a list of sentences (empty:
    nothing).
    """
    wrong = [
        f"{key} is {stored.get(key)}, not {value}"
        for key, value in text(case).items()
        if stored.get(key) != value
    ]
    for key, value in experiment.run(case).items():
        if abs(float(stored[key]) - value) > experiment.TOLERANCE:
            wrong.append(f"{key} is {stored[key]} in the table and {value:.4f} now")
    return wrong


def write(name):
    """Run every case of an experiment and write its table."""
    experiment = load(name)
    rows = []
    for number, case in enumerate(experiment.CASES, 1):
        rows.append(text(case | experiment.run(case)))
        print(f"\r{name}: {number} of {len(experiment.CASES)} runs", end="", flush=True)
    print()
    with open(FOLDER / f"{name}.csv", "w", newline="", encoding="utf8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    with open(FOLDER / "SHA256SUMS", "w", newline="\n", encoding="utf8") as file:
        file.write(checksums(FOLDER))


def check(name):
    """Run every case of an experiment and return how many rows of its table are wrong."""
    experiment, stored, wrong = load(name), table(name), 0
    if len(stored) != len(experiment.CASES):
        print(f"{name}.csv has {len(stored)} rows for {len(experiment.CASES)} cases")
        return 1
    for number, (case, row) in enumerate(zip(experiment.CASES, stored, strict=True), 2):
        for sentence in compare(experiment, case, row):
            print(f"{name}.csv, line {number}: {sentence}")
            wrong += 1
    print(f"{name}: {len(stored)} rows compared")
    return wrong


def main():
    """Redo or check the experiments named on the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="compare with the stored tables, write nothing"
    )
    parser.add_argument("names", nargs="*", help="which experiments; none: all")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(names())
    if unknown:
        sys.exit(
            f"There is no experiment {', '.join(sorted(unknown))}; there are: {', '.join(names())}."
        )
    wrong = 0
    for name in arguments.names or names():
        if arguments.check:
            wrong += check(name)
        else:
            write(name)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
