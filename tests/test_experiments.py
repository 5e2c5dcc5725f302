"""The experiment tables are complete, untouched, and two rows of each come out again."""

import hashlib

import pytest
import run_experiments
from run_experiments import FOLDER, checksums, compare, load, names, table, text

NAMES = names()


def test_no_table_was_edited(tmp_path):
    stored = (FOLDER / "SHA256SUMS").read_text(encoding="utf8")
    assert stored == checksums(FOLDER)
    name = f"{NAMES[0]}.csv"
    edited = (FOLDER / name).read_bytes().replace(b"0.9", b"0.8", 1)
    (tmp_path / name).write_bytes(edited)
    assert hashlib.sha256(edited).hexdigest() not in stored
    assert checksums(tmp_path).split()[0] not in stored


@pytest.mark.parametrize("name", NAMES)
def test_a_row_for_every_case_and_a_criterion(name):
    experiment, stored = load(name), table(name)
    assert [
        {key: row[key] for key in case} for case, row in zip(experiment.CASES, stored, strict=True)
    ] == [text(case) for case in experiment.CASES]
    assert "\nHolds" in experiment.__doc__
    seeds = {case["seed"] for case in experiment.CASES}
    assert len(seeds) >= 10


@pytest.mark.parametrize("name", NAMES)
def test_two_rows_come_out_again(name):
    experiment, stored = load(name), table(name)
    for number in (0, len(stored) // 2 + 3):
        assert compare(experiment, experiment.CASES[number], stored[number]) == []


def test_a_changed_number_is_rejected(monkeypatch):
    name = NAMES[0]
    experiment, row = load(name), dict(table(name)[0])
    measured = {key: float(value) for key, value in row.items() if key not in experiment.CASES[0]}
    monkeypatch.setattr(experiment, "run", lambda case: measured)
    assert compare(experiment, experiment.CASES[0], row) == []
    row[next(iter(measured))] = str(next(iter(measured.values())) + 2 * experiment.TOLERANCE)
    assert compare(experiment, experiment.CASES[0], row) != []


def test_an_unknown_experiment_gets_one_sentence(monkeypatch):
    monkeypatch.setattr("sys.argv", ["run_experiments.py", "nonsense"])
    with pytest.raises(SystemExit, match="There is no experiment nonsense"):
        run_experiments.main()
