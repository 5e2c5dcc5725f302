"""The training scripts answer input that cannot work with one sentence."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from notebooks import ROOT


@pytest.mark.parametrize(
    "hosts, options, sentence",
    [
        (3, [], "3 processes cannot share 256 rows."),
        (2, ["--batch-size", "250"], "Take 2 steps or more, of batches that divide 1792."),
        (1, ["--steps", "1"], "Take 2 steps or more, of batches that divide 1792."),
    ],
)
def test_training_that_cannot_be_shared(hosts, options, sentence, tmp_path):
    np.savez(tmp_path / "digits.npz", y=np.zeros(1792))
    names = [f"algo-{k}" for k in range(1, hosts + 1)]
    environment = {"SM_HOSTS": json.dumps(names), "SM_CURRENT_HOST": "algo-1"}
    environment |= {"SM_CHANNEL_TRAIN": str(tmp_path), "SM_MODEL_DIR": str(tmp_path)}
    script = ROOT / "chapters/scripts/train_parallel.py"
    done = subprocess.run(
        [sys.executable, script, *options],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (1, sentence + "\n")


def test_training_without_its_variables():
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SM_")}
    script = ROOT / "chapters/scripts/train_parallel.py"
    done = subprocess.run(
        [sys.executable, script],
        env=environment | {"SM_MODEL_DIR": "."},
        capture_output=True,
        text=True,
    )
    told = "Not set: SM_HOSTS, SM_CURRENT_HOST, SM_CHANNEL_TRAIN; in chapter 163"
    assert done.returncode == 1 and done.stderr.startswith(told)
