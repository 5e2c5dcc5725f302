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
        (
            2,
            ["--batch-size", "250"],
            "Take 2 steps or more, of batches that divide 1792.",
        ),
        (1, ["--steps", "1"], "Take 2 steps or more, of batches that divide 1792."),
    ],
)
def test_training_that_cannot_be_shared(hosts, options, sentence, tmp_path):
    np.savez(tmp_path / "digits.npz", y=np.zeros(1792))
    names = [f"algo-{k}" for k in range(1, hosts + 1)]
    environment = {"SM_HOSTS": json.dumps(names), "SM_CURRENT_HOST": "algo-1"}
    environment |= {"SM_CHANNEL_TRAIN": str(tmp_path)}
    script = ROOT / "chapters/scripts/train_parallel.py"
    done = subprocess.run(
        [sys.executable, script, *options],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (1, sentence + "\n")
