"""The experiments: their tables are complete, untouched and come out again, and what is said of
them is true.
"""

import argparse
import functools
import json
import re
import types

import jax
import pytest
import run_experiments
from run_experiments import (
    check,
    checksums,
    depends,
    describe,
    differences,
    edited,
    file,
    frame,
    keep,
    names,
    outdated,
    shard,
    table,
    text,
    write,
)

load = functools.cache(run_experiments.load)


def two_cases(experiment):
    """Return two cases whose rows are compared: the first, and the first of another kind, which
    differs in what is varied first.
    """
    compared = [case for case in experiment.CASES if not run_experiments.chaotic(experiment, case)]
    varied = next(iter(compared[0]))
    others = [case for case in compared if case[varied] != compared[0][varied]]
    return compared[0], others[0]


def faults_of_rows(experiment, stored):
    """Return what is missing in an experiment or its rows, as a list of sentences."""
    cases = [text(case) for case in experiment.CASES]
    faults = []
    if [{key: row[key] for key in cases[0]} for row in stored] != cases:
        faults.append("the rows are not those of the cases")
    measured = set(stored[0]) - set(cases[0])
    if unknown := set(getattr(experiment, "TOLERANCE", {})) - measured:
        faults.append(f"TOLERANCE names {', '.join(sorted(unknown))}, which is not measured")
    if len({case["seed"] for case in experiment.CASES}) < 10:
        faults.append("there are fewer than ten seeds")
    return faults


def faults_of_outcome(outcome, holds, figures):
    """Return what an outcome says against the verdicts, as a list of sentences: the rules that it
    quotes are those that do not hold, and each decimal and each "9 of 10" is one of the figures.
    """
    faults = []
    for rule, verdict in holds.items():
        if (f'"{rule}"' in outcome) == bool(verdict):
            faults.append(f'"{rule}" is quoted if and only if it does not hold')
    for decimal in re.findall(r"\d+\.\d+", outcome):
        digits = len(decimal.split(".")[1])
        if decimal not in [f"{abs(figure):.{digits}f}" for figure in figures.values()]:
            faults.append(f"{decimal} is none of the figures")
    for count in re.findall(r"(\d+) of \d+", outcome):
        if int(count) not in figures.values():
            faults.append(f"{count} is none of the figures")
    return faults


class Experiment:
    """What holds for each experiment; a class for each below, so that they run side by side."""

    def test_table_is_as_its_program_writes_it(self):
        assert edited(self.name) is None
        assert outdated(self.name) is None

    def test_a_row_for_every_case(self):
        assert faults_of_rows(load(self.name), table(self.name)) == []

    def test_dependencies_are_declared(self):
        program = file(self.name, ".py")
        assert getattr(load(self.name), "DEPENDS", []) == run_experiments.named(program)

    def test_import_changes_no_setting_of_jax(self):
        before = dict(jax.config.values)
        run_experiments.load(self.name)
        assert dict(jax.config.values) == before

    def test_description_is_complete_and_true(self):
        told, experiment = describe(self.name), load(self.name)
        seeds = [case["seed"] for case in experiment.CASES]
        assert told["seeds"].startswith(f"{min(seeds)} to {max(seeds)}")
        holds, figures = experiment.verdicts(frame(table(self.name)))
        assert [rule["name"] for rule in told["rules"]] == list(holds)
        assert faults_of_outcome(told["outcome"], holds, figures) == []
        assert told["chapters"]

    def test_two_rows_come_out_again(self):
        experiment, stored = load(self.name), table(self.name)
        for case in two_cases(experiment):
            row, measured = stored[experiment.CASES.index(case)], experiment.run(case)
            assert differences(experiment, case, row, measured) == []


for name in names():
    globals()[f"Test_{name}"] = type(f"Test_{name}", (Experiment,), {"name": name})


def test_every_table_has_its_checksum():
    assert list(checksums()) == names()


def test_rows_of_other_cases_are_rejected():
    cases = [{"seed": seed} for seed in range(10)]
    rows = [{"seed": str(seed), "ap": "0.9"} for seed in range(10)]
    experiment = types.SimpleNamespace(CASES=cases, TOLERANCE={"ap": 0.1})
    assert faults_of_rows(experiment, rows) == []
    assert faults_of_rows(experiment, rows[1:]) == ["the rows are not those of the cases"]
    assert faults_of_rows(experiment, rows[::-1]) == ["the rows are not those of the cases"]
    experiment.TOLERANCE = {"auc": 0.1, "seed": 1}
    assert faults_of_rows(experiment, rows) == ["TOLERANCE names auc, seed, which is not measured"]
    few = types.SimpleNamespace(CASES=cases[:9])
    assert faults_of_rows(few, rows[:9]) == ["there are fewer than ten seeds"]


def test_an_outcome_against_the_figures_is_rejected():
    holds, figures = {"coins are fair": False, "coins fall": True}, {"heads": 0.614, "throws": 9}
    right = 'not "coins are fair": heads are 0.61, and 9 of 10 throws fall.'
    assert faults_of_outcome(right, holds, figures) == []
    assert faults_of_outcome("9 of 10 fall.", holds, figures) == [
        '"coins are fair" is quoted if and only if it does not hold'
    ]
    assert faults_of_outcome(right + ' "coins fall"', holds, figures) == [
        '"coins fall" is quoted if and only if it does not hold'
    ]
    assert faults_of_outcome(right + " 0.615", holds, figures) == ["0.615 is none of the figures"]
    assert faults_of_outcome(right + " 8 of 10", holds, figures) == ["8 is none of the figures"]


COIN = '''"""Does a coin fall on heads as often as not?

Two simulated coins.

Seeds: 0 to 2, for the throws.

Written before the first run.

Holds, as "coins are fair" (1-01): heads are within 0.1 of one half.

Noted after the run, as "no coin stands" (1-02): heads and tails are all.

Noted after the run: the new coin shines.

Came out: both hold, with 0.50 heads.
"""

from pathlib import Path

DEPENDS = ["coins.csv"]
CASES = [{"coin": coin, "seed": seed} for coin in ["old", "new"] for seed in range(3)]
TOLERANCE = {"heads": 0.05}
SHARE = float(Path(__file__).parents[1].joinpath("coins.csv").read_text())


def run(case):
    """Throw a coin."""
    return {"heads": SHARE + case["seed"] / 100, "throws": 100}


def verdicts(table):
    """Return which rules hold, and the figures."""
    heads = table.heads.mean()
    return {"coins are fair": abs(heads - 0.5) < 0.1, "no coin stands": True}, {"heads": heads}
'''
THROWER = COIN.replace('["coins.csv"]', '["experiments/coin.csv"]').replace(
    'parents[1].joinpath("coins.csv").read_text()', 'with_name("coin.csv").read_text()[-11:-5]'
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a data folder with an experiment on coins, its table, and one that reads the table."""
    data = tmp_path / "data"
    (data / "experiments").mkdir(parents=True)
    (tmp_path / "chapters").mkdir()
    (tmp_path / "chapters" / "1_coins.ipynb").write_text("experiments/coin.csv")
    (data / "coins.csv").write_text("0.5")
    monkeypatch.setattr(run_experiments, "DATA", data)
    file("coin", ".py").write_text(COIN)
    write("coin")
    file("thrower", ".py").write_text(THROWER)
    write("thrower")
    return data


def change(path, old, new):
    """Replace a part of a file, which has to be there."""
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new))


def run_main(monkeypatch, *arguments):
    """Return the exit status of the program with these arguments."""
    monkeypatch.setattr("sys.argv", ["run_experiments.py", *arguments])
    return run_experiments.main()


# ---- comparison


def compared(stored, measured, case=None, **more):
    """Return the differences of one row of an experiment with the tolerance 0.05 for ap."""
    experiment = types.SimpleNamespace(TOLERANCE={"ap": 0.05}, **more)
    return differences(experiment, case or {"eta": 0.05, "seed": 0}, stored, measured)


ROW = {"eta": "0.0500", "seed": "0", "ap": "0.9700", "depth": "3"}


def test_a_row_within_the_tolerance_is_accepted():
    assert compared(ROW, {"ap": 0.93, "depth": 3}) == []


@pytest.mark.parametrize(
    "changed, measured, sentence",
    [
        ({}, {"ap": 0.9, "depth": 3}, "ap is 0.9700 in the table and 0.9000 now"),
        ({}, {"ap": 0.97, "depth": 4}, "depth is 3 in the table and 4 now"),
        ({"eta": "0.0030"}, {"ap": 0.97, "depth": 3}, "eta is 0.0030 in the table and 0.0500 now"),
        ({}, {"ap": float("nan"), "depth": 3}, "ap is 0.9700 in the table and nan now"),
        ({"ap": "nan"}, {"ap": 0.97, "depth": 3}, "ap is nan in the table and 0.9700 now"),
        ({"ap": "nan"}, {"ap": float("nan"), "depth": 3}, "ap is nan in the table and nan now"),
        (
            {"depth": "nan"},
            {"ap": 0.97, "depth": float("nan")},
            "depth is nan in the table and nan now",
        ),
        ({"ap": ""}, {"ap": 0.97, "depth": 3}, "ap is  in the table and 0.9700 now"),
        ({"gone": "1"}, {"ap": 0.97, "depth": 3}, "nothing makes the column gone"),
        ({}, {"ap": 0.97, "depth": 3, "auc": 0.9}, "there is no column auc"),
    ],
)
def test_a_difference_is_rejected(changed, measured, sentence):
    assert compared(ROW | changed, measured) == [sentence]


def test_without_a_tolerance_all_columns_are_exact():
    row, experiment = {"seed": "0", "ap": "0.9700"}, types.SimpleNamespace()
    assert differences(experiment, {"seed": 0}, row, {"ap": 0.97}) == []
    assert differences(experiment, {"seed": 0}, row, {"ap": 0.9701}) == [
        "ap is 0.9700 in the table and 0.9701 now"
    ]


def test_nan_is_accepted_where_it_may_be():
    both = ROW | {"ap": "nan"}, {"ap": float("nan"), "depth": 3}
    assert compared(*both, MAY_BE_NAN=["ap"]) == []
    assert compared(ROW, both[1], MAY_BE_NAN=["ap"]) == ["ap is 0.9700 in the table and nan now"]


def test_of_a_chaotic_run_only_case_and_columns_are_compared():
    def chaotic(case):
        return case["eta"] > 0.01

    assert compared(ROW, {"ap": 0.1, "depth": 9}, chaotic=chaotic) == []
    assert compared(ROW, {"ap": 0.97}, chaotic=chaotic) == ["nothing makes the column depth"]
    other = {"eta": 0.05, "seed": 1}
    assert compared(ROW, {"ap": 0.97, "depth": 3}, other, chaotic=chaotic) == [
        "seed is 0 in the table and 1 now"
    ]
    calm = {"eta": 0.001, "seed": 0}
    assert compared(ROW | {"eta": "0.0010"}, {"ap": 0.1, "depth": 3}, calm, chaotic=chaotic) == [
        "ap is 0.9700 in the table and 0.1000 now"
    ]


def test_two_cases_are_of_two_kinds_and_not_chaotic():
    cases = [{"kind": kind, "seed": seed} for kind in ["old", "new"] for seed in range(12)]
    experiment = types.SimpleNamespace(CASES=cases, chaotic=lambda case: case["seed"] < 4)
    assert two_cases(experiment) == ({"kind": "old", "seed": 4}, {"kind": "new", "seed": 4})


def test_check_names_table_line_and_difference(folder, monkeypatch, capsys):
    assert run_main(monkeypatch, "--check", "coin") == 0
    assert capsys.readouterr().out == "coin: 6 runs compared in 0 s\n"
    change(file("coin", ".csv"), "old,1,0.5100", "old,1,0.4100")
    assert run_main(monkeypatch, "--check", "coin") == 1
    assert capsys.readouterr().out.splitlines()[0] == (
        "coin.csv, line 3: heads is 0.4100 in the table and 0.5100 now"
    )


def test_check_counts_rows(folder, capsys):
    change(file("coin", ".csv"), "old,0,0.5000,100\n", "")
    assert check("coin") == 1
    assert capsys.readouterr().out == "coin.csv has 5 rows for 6 cases\n"


def test_check_compares_verdicts_where_rows_are_chaotic(folder, capsys):
    chaos = "def chaotic(case):\n    return True\n\n\ndef verdicts"
    change(file("coin", ".py"), "def verdicts", chaos)
    change(folder / "coins.csv", "0.5", "0.55")
    assert check("coin") == 0
    change(folder / "coins.csv", "0.55", "0.7")
    capsys.readouterr()
    assert check("coin") == 1
    assert capsys.readouterr().out.splitlines()[0] == (
        '"coins are fair" holds in coin.csv and does not hold now'
    )
    change(file("coin", ".py"), "abs(heads - 0.5) < 0.1", "None if heads > 0.6 else False")
    assert check("coin") == 1
    assert capsys.readouterr().out.splitlines()[0] == (
        '"coins are fair" does not hold in coin.csv and is undecided now'
    )


# ---- checksums


def test_an_edited_table_is_not_blessed_by_redoing_another(folder):
    assert edited("coin") is None and edited("thrower") is None
    before = run_experiments.checksum_file().read_text().splitlines()
    change(file("thrower", ".csv"), "0.52", "0.51")
    change(file("coin", ".py"), "TOLERANCE", "ROUND = 1\nTOLERANCE")
    write("coin")
    after = run_experiments.checksum_file().read_text().splitlines()
    assert before[0] != after[0] and before[1] == after[1]
    assert edited("thrower") == "thrower.csv is not what thrower.py wrote: redo it."
    assert edited("coin") is None


def test_a_table_without_a_checksum_is_rejected(folder):
    run_experiments.checksum_file().unlink()
    assert edited("coin") == "coin.csv is not what coin.py wrote: redo it."


OUTDATED = (
    "coin.csv is older than a change of coin.py, coins.csv: redo it, "
    "or show with --keep that it comes out all the same."
)


@pytest.mark.parametrize(
    "old, new",
    [
        ('"""Throw a coin."""', '"""Throw one coin."""'),
        ("Two simulated coins", "Two coins"),
        ("SHARE = float(", "# a comment\nSHARE = float(\n    "),
        ("0.05}", "0.06}"),
        ("heads - 0.5", "heads - 0.51"),
    ],
)
def test_what_the_runs_do_not_depend_on_may_change(folder, old, new):
    change(file("coin", ".py"), old, new)
    assert outdated("coin") is None


@pytest.mark.parametrize("old, new", [("/ 100", "/ 101"), ('"old", "new"', '"old", "old"')])
def test_a_change_of_the_program_after_its_table_is_noticed(folder, old, new):
    change(file("coin", ".py"), old, new)
    assert outdated("coin") == OUTDATED


def test_a_change_of_what_a_program_reads_is_noticed(folder):
    change(folder / "coins.csv", "0.5", "0.6")
    assert outdated("coin") == OUTDATED
    assert outdated("thrower") is None
    write("coin")
    assert outdated("coin") is None
    assert outdated("thrower") == (
        "thrower.csv is older than a change of thrower.py, experiments/coin.csv: redo it, "
        "or show with --keep that it comes out all the same."
    )


def test_keep_notes_a_changed_program_whose_table_comes_out(folder, monkeypatch, capsys):
    change(file("coin", ".py"), "/ 100", "* 0.01")
    line = checksums()["coin"]
    assert outdated("coin") == OUTDATED
    assert run_main(monkeypatch, "--keep", "coin") == 0
    assert outdated("coin") is None and checksums()["coin"][:2] == line[:2]


def test_keep_notes_nothing_else(folder, capsys):
    change(file("coin", ".py"), "/ 100", "/ 1")
    assert keep("coin") == 4
    assert outdated("coin") == OUTDATED
    change(file("coin", ".py"), "/ 1,", "/ 100,")
    change(file("coin", ".csv"), "0.5000", "0.5001")
    capsys.readouterr()
    assert keep("coin") == 1
    assert capsys.readouterr().out == "coin.csv is not what coin.py wrote: redo it.\n"
    assert edited("coin") == "coin.csv is not what coin.py wrote: redo it."


# ---- dependencies


def test_dependencies_of_dependencies_count(folder):
    program = file("other", ".py")
    program.write_text('DEPENDS = ["experiments/coin.py"]\nimport experiments.coin\n')
    assert depends(program) == ["coins.csv", "experiments/coin.py"]


def test_a_file_that_is_imported_or_named_has_to_be_declared(folder):
    (folder / "make_coins.py").write_text("")
    program = file("other", ".py")
    program.write_text(
        '"""Read coins.csv."""\nfrom make_coins import make\nfrom experiments.coin import SHARE\n'
        'import json\nprint("coin.csv", "gone.csv", json)\n'
    )
    wanted = ["experiments/coin.csv", "experiments/coin.py", "make_coins.py"]
    assert run_experiments.named(program) == wanted


def test_redoing_a_table_names_those_that_read_it(folder, capsys):
    write("coin")
    assert capsys.readouterr().out.splitlines()[-1] == (
        "coin.csv is read by thrower: redo that too"
    )
    write("thrower")
    assert capsys.readouterr().out.splitlines()[-1] == "thrower: 6 of 6 runs"


# ---- running


def stop_after(monkeypatch, count):
    """Let an experiment be interrupted, as by Ctrl-C, in place of the run after count runs."""
    runs = []

    def loaded(name):
        experiment = run_experiments.load_again(name)
        run = experiment.run

        def interrupted(case):
            if len(runs) == count:
                raise KeyboardInterrupt
            runs.append(case)
            return run(case)

        experiment.run = interrupted
        return experiment

    monkeypatch.setattr(run_experiments, "load_again", run_experiments.load, raising=False)
    monkeypatch.setattr(run_experiments, "load", loaded)
    return runs


def test_an_interrupted_run_keeps_what_it_has_and_goes_on_from_there(folder, monkeypatch):
    before = file("coin", ".csv").read_text()
    with monkeypatch.context() as patch:
        assert len(stop_after(patch, 4)) == 0
        with pytest.raises(SystemExit) as stopped:
            run_main(patch, "coin")
    assert stopped.value.code == "\nStopped. The next try goes on from here."
    assert file("coin", ".csv").read_text() == before
    assert len(file("coin", ".unfinished").read_text().splitlines()) == 1 + 4
    with monkeypatch.context() as patch:
        runs = stop_after(patch, 10)
        assert run_main(patch, "coin") == 0
        assert [case["seed"] for case in runs] == [1, 2]
    assert file("coin", ".csv").read_text() == before
    assert not file("coin", ".unfinished").exists()


def test_each_run_is_stored_before_the_next_begins(folder, monkeypatch):
    experiment, stored = run_experiments.load("coin"), []

    def counting(case):
        stored.append(len(file("coin", ".unfinished").read_text().splitlines()) - 1)
        return {"heads": 0.5, "throws": 100}

    experiment.run = counting
    monkeypatch.setattr(run_experiments, "load", lambda name: experiment)
    write("coin")
    assert stored == [0, 1, 2, 3, 4, 5]


def test_runs_of_another_version_of_the_program_are_dropped(folder, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        stop_after(patch, 4)
        with pytest.raises(SystemExit):
            run_main(patch, "coin")
    change(file("coin", ".py"), "/ 100", "/ 50")
    capsys.readouterr()
    write("coin")
    assert capsys.readouterr().out.splitlines()[0] == (
        "coin.unfinished is of another version of the program and is dropped"
    )
    assert [row["heads"] for row in table("coin")] == ["0.5000", "0.5200", "0.5400"] * 2


def test_a_run_that_was_cut_off_while_it_was_stored_is_run_again(folder, monkeypatch):
    before = file("coin", ".csv").read_text()
    whole = json.dumps({"row": table("coin")[0], "seconds": 0.1})
    origin = run_experiments.made_from("coin")
    file("coin", ".unfinished").write_text(f"{origin}\n{whole}\n{whole[:30]}")
    runs = stop_after(monkeypatch, 10)
    write("coin")
    assert len(runs) == 5 and file("coin", ".csv").read_text() == before


def test_check_is_stopped_with_one_sentence(folder, monkeypatch):
    stop_after(monkeypatch, 2)
    with pytest.raises(SystemExit) as stopped:
        run_main(monkeypatch, "--check", "coin")
    assert stopped.value.code == "\nStopped."


def test_an_unknown_experiment_gets_one_sentence(folder, monkeypatch):
    with pytest.raises(SystemExit) as stopped:
        run_main(monkeypatch, "nonsense")
    assert stopped.value.code == "There is no experiment nonsense; there are: coin, thrower."


# ---- shards


def test_shards_share_all_tables_and_the_time(monkeypatch):
    seconds = {"a": 10, "b": 20, "c": 20, "d": 30, "e": 50, "new": 0}
    lines = {name: (str(time), "", "") for name, time in seconds.items() if name != "new"}
    monkeypatch.setattr(run_experiments, "checksums", lambda: lines)
    parts = [shard(seconds, part, 3) for part in (1, 2, 3)]
    assert sorted(sum(parts, [])) == sorted(seconds)
    assert parts == [["e"], ["a", "d", "new"], ["b", "c"]]


def test_all_shards_together_check_everything(folder, monkeypatch, capsys):
    for part in ["1/2", "2/2"]:
        assert run_main(monkeypatch, "--check", "--shard", part) == 0
    assert sorted(capsys.readouterr().out.splitlines()[-2:]) == [
        "coin: 6 runs compared in 0 s",
        "thrower: 6 runs compared in 0 s",
    ]


@pytest.mark.parametrize("words", ["5/4", "0/4", "half", "1/2/3"])
def test_no_part_of_a_whole_is_refused(words):
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        run_experiments.fraction(words)
    assert str(refused.value) == f"{words} is no part such as 2/4, the second of four"


# ---- description


def test_describe_returns_all_parts(folder):
    assert describe("coin") == {
        "question": "Does a coin fall on heads as often as not?",
        "data": ["Two simulated coins."],
        "seeds": "0 to 2, for the throws.",
        "rules": [
            {
                "name": "coins are fair",
                "text": " (1-01): heads are within 0.1 of one half.",
                "before": True,
            },
            {
                "name": "no coin stands",
                "text": " (1-02): heads and tails are all.",
                "before": False,
            },
        ],
        "notes": ["the new coin shines."],
        "outcome": "both hold, with 0.50 heads.",
        "rows": 6,
        "chapters": ["1_coins"],
    }


@pytest.mark.parametrize(
    "old, new, sentence",
    [
        ("as not?", "as not.", "its docstring does not begin with a question."),
        ("Seeds: ", "", "no paragraph of its docstring begins with 'Seeds: '."),
        (
            "Written before the first run.",
            "Written.",
            "no paragraph of its docstring begins with 'Written before the first run.'.",
        ),
        (
            'Holds, as "coins are fair" (1-01)',
            "Holds",
            "no paragraph of its docstring begins with 'Holds, as \"'.",
        ),
        ("Came out: ", "", "no paragraph of its docstring begins with 'Came out: '."),
        (
            "Two simulated coins.\n\n",
            "",
            "its docstring has the parts seeds, written, rule, later, note, outcome.",
        ),
        (
            "Came out: ",
            "And more.\n\nCame out: ",
            "its docstring has the parts data, seeds, written, rule, later, note, data, outcome.",
        ),
    ],
)
def test_a_docstring_without_a_part_is_rejected(folder, old, new, sentence):
    change(file("coin", ".py"), old, new)
    with pytest.raises(ValueError) as rejected:
        describe("coin")
    assert str(rejected.value) == f"coin.py: {sentence}"
