"""The training scripts: what they train, and one sentence for input that cannot work."""

import json
import os
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from notebooks import ROOT

SCRIPTS = ROOT / "chapters/scripts"


def run(command, **variables):
    """Run this Python with a command, a list; return the finished process, with its output as text.

    Of the variables that begin with SM_ it has the given ones only.
    """
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SM_")}
    return subprocess.run(
        [sys.executable, *command],
        env=environment | {"PYTHONUTF8": "1"} | variables,
        capture_output=True,
        encoding="utf8",
        timeout=120,  # a script that waits for other processes would wait for ever
    )


# a platform can only be simulated after JAX has found the real one
ON_WINDOWS = """
import runpy, sys
import jax
sys.platform = "win32"
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("start", [[], ["-c", ON_WINDOWS]], ids=["here", "on Windows"])
@pytest.mark.parametrize(
    "hosts, options, sentence",
    [
        (3, [], "3 processes cannot share 256 rows."),
        (2, ["--batch-size", "250"], "Take 2 steps or more, of batches that divide 1792."),
        (1, ["--steps", "1"], "Take 2 steps or more, of batches that divide 1792."),
    ],
)
def test_training_that_cannot_be_shared(hosts, options, sentence, start, tmp_path):
    done = train_parallel(hosts, options, start, tmp_path)
    assert (done.returncode, done.stderr) == (1, sentence + "\n")


def test_training_on_two_hosts_needs_gloo(tmp_path):
    done = train_parallel(2, [], ["-c", ON_WINDOWS], tmp_path)
    sentence = "JAX has no gloo for Windows: run several processes in WSL.\n"
    assert (done.returncode, done.stderr) == (1, sentence)


def train_parallel(hosts, options, start, folder):
    """Run train_parallel.py as the first of so many hosts on 1,792 rows; return the process."""
    np.savez(folder / "digits.npz", y=np.zeros(1792))
    names = [f"algo-{k}" for k in range(1, hosts + 1)]
    return run(
        [*start, SCRIPTS / "train_parallel.py", *options],
        SM_HOSTS=json.dumps(names),
        SM_CURRENT_HOST="algo-1",
        SM_CHANNEL_TRAIN=str(folder),
        SM_MODEL_DIR=str(folder),
    )


def test_training_without_its_variables():
    done = run([SCRIPTS / "train_parallel.py"], SM_MODEL_DIR=".")
    missing = "SM_HOSTS, SM_CURRENT_HOST, SM_CHANNEL_TRAIN"
    told = f"Not set: {missing}; in chapter 163, `launch` sets them.\n"
    assert (done.returncode, done.stderr) == (1, told)


@pytest.fixture
def train_fraud(tmp_path):
    """A function that runs train_fraud.py on 40 made payments, with checkpoints; it returns the
    process and the model.
    """
    rng = np.random.default_rng(0)
    payments = pd.DataFrame({"amount": rng.random(40), "fraud": np.arange(40) % 4 == 0})
    payments.to_csv(tmp_path / "payments.csv", index=False)

    def train_fraud(rounds):
        done = run(
            [SCRIPTS / "train_fraud.py", "--rounds", str(rounds), "--checkpoints", tmp_path],
            SM_CHANNEL_TRAIN=str(tmp_path),
            SM_CHANNEL_VALIDATION=str(tmp_path),
            SM_MODEL_DIR=str(tmp_path),
        )
        return done, joblib.load(tmp_path / "model.joblib")

    return train_fraud


@pytest.mark.parametrize("rounds, reported", [(3, [3]), (10, [5, 10]), (12, [5, 10, 12])])
def test_fraud_is_trained_for_as_many_rounds_as_asked(rounds, reported, train_fraud):
    done, model = train_fraud(rounds)
    assert done.returncode == 0, done.stderr
    starts = [line.split()[0] for line in done.stdout.splitlines()]
    assert starts == [f"round={n}" for n in reported]
    assert model.n_iter_ == rounds


def test_fraud_goes_on_from_a_checkpoint_and_reports_a_finished_one(train_fraud):
    first, _ = train_fraud(8)
    longer, model = train_fraud(10)
    again, _ = train_fraud(10)
    assert first.stdout.splitlines()[-1].startswith("round=8 ")
    assert longer.stdout.splitlines()[0] == "resumed after round 8" and model.n_iter_ == 10
    last = longer.stdout.splitlines()[-1]
    assert last.startswith("round=10 ")
    assert again.stdout.splitlines() == ["resumed after round 10", last]


def test_fraud_does_not_go_back_behind_a_checkpoint(train_fraud):
    train_fraud(8)
    done, model = train_fraud(5)
    sentence = "The checkpoint has 8 rounds, and --rounds asks for 5.\n"
    assert (done.returncode, done.stderr) == (1, sentence) and model.n_iter_ == 8


def train_weekend(script, plan, folder):
    """Run a script of capstone 162.2 on 1,000 black pictures under a plan; return the process."""
    X, y = np.zeros((1000, 64), np.float32), np.arange(1000) % 10
    np.savez(folder / "digits.npz", X=X, y=y)
    return run(
        [SCRIPTS / f"{script}.py", "--checkpoints", folder / "kept", "--plan", plan],
        SM_CHANNEL_TRAIN=str(folder),
        SM_MODEL_DIR=str(folder),
    )


@pytest.mark.parametrize(
    "script, plan, sentence",
    [
        ("train_draft", "melt@3", "No machine can do this: melt@3\n"),
        (
            "train_survivor",
            "nan@2 nan@2 nan@2",
            "The pictures of step 2 were unreadable three times.\n",
        ),
    ],
)
def test_a_weekend_that_cannot_go_on(script, plan, sentence, tmp_path):
    done = train_weekend(script, plan, tmp_path)
    assert (done.returncode, done.stderr) == (1, sentence)


def test_the_survivor_goes_on_where_it_was_killed(tmp_path):
    first = train_weekend("train_survivor", "kill@10", tmp_path)
    torn = train_weekend("train_survivor", "flip@9:0 tear@13:0.5", tmp_path)
    last = train_weekend("train_survivor", "", tmp_path)
    assert first.stdout.splitlines()[-1] == "killed after step 10" and first.returncode != 0
    told = ["from step 8", "memory changed after step 9", "from step 8", "saved step 12"]
    assert torn.stdout.splitlines() == [*told, "killed after step 16, in a write"]
    assert last.stdout.splitlines()[0] == "from step 12" and last.returncode == 0
