"""The training scripts answer input that cannot work with one sentence."""

import json
import os
import subprocess
import sys

from notebooks import ROOT


def test_processes_that_cannot_share_a_batch():
    hosts = ["algo-1", "algo-2", "algo-3"]
    environment = {"SM_HOSTS": json.dumps(hosts), "SM_CURRENT_HOST": "algo-1"}
    script = ROOT / "chapters/scripts/train_parallel.py"
    done = subprocess.run(
        [sys.executable, script],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr == "3 processes cannot share 256 rows.\n"
