"""Stop a training on several hosts before it starts, if a host has no EFA device: the first lines
of a SageMaker training job, or of any other program with the same variables.

SageMaker shows EFA devices to a container as /dev/infiniband/uverbs0, uverbs1 and so on. Without
them NCCL would fall back to ordinary sockets and train on, slowly. The count says that the devices
are there, not that the plugin uses them; for that, read what NCCL_DEBUG=INFO logs.
"""

import argparse
import json
import os
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--efa-devices", type=int, default=1, help="at least so many on a host")
args = parser.parse_args()

hosts = json.loads(os.environ["SM_HOSTS"])
found = len(list(Path("/dev/infiniband").glob("uverbs*")))
print(f"{os.environ['SM_CURRENT_HOST']}: efa_devices={found} hosts={len(hosts)}")
if len(hosts) > 1 and found < args.efa_devices:
    sentence = f"{found} EFA devices, {args.efa_devices} expected."
    failure = Path("/opt/ml/output/failure")
    if failure.parent.is_dir():
        failure.write_text(sentence, encoding="utf8")
    raise SystemExit(sentence)
