"""Train the network of chapter 163 on all processes of a job, each on its part of every batch.

SageMaker's containers start one process a host and set the variables that begin with SM_.
On hosts with GPUs each process uses all the GPUs of its host (not tried yet).
The bytes that it prints are those of a ring where each process has one device.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=21)
parser.add_argument("--batch-size", type=int, default=256, help="of all processes")
parser.add_argument("--learning-rate", type=float, default=0.1)
args = parser.parse_args()

needed = ["SM_HOSTS", "SM_CURRENT_HOST", "SM_CHANNEL_TRAIN", "SM_MODEL_DIR"]
missing = ", ".join(name for name in needed if name not in os.environ)
if missing:
    raise SystemExit(f"Not set: {missing}; in chapter 163, `launch` sets them.")
hosts = json.loads(os.environ["SM_HOSTS"])
data = np.load(Path(os.environ["SM_CHANNEL_TRAIN"]) / "digits.npz")
if len(data["y"]) % args.batch_size or args.steps < 2:
    raise SystemExit(f"Take 2 steps or more, of batches that divide {len(data['y'])}.")
if args.batch_size % len(hosts):
    raise SystemExit(f"{len(hosts)} processes cannot share {args.batch_size} rows.")
if sys.platform == "win32" and len(hosts) > 1:
    raise SystemExit("JAX has no gloo for Windows: run several processes in WSL.")
jax.config.update("jax_default_matmul_precision", "float32")  # GPUs would round more
rank, n = hosts.index(os.environ["SM_CURRENT_HOST"]), len(hosts)
first = os.environ.get("SM_MASTER_ADDR", hosts[0])
port = os.environ.get("SM_MASTER_PORT", "7777")
jax.distributed.initialize(f"{first}:{port}", n, rank)
mesh = Mesh(jax.devices(), ("device",))  # the devices of all hosts
if args.batch_size % mesh.size:
    raise SystemExit(f"{mesh.size} devices cannot share {args.batch_size} rows.")


def loss(weights, x, y):
    """Return the mean cross-entropy of a batch."""
    logits = jax.nn.relu(x @ weights["W1"]) @ weights["W2"]
    return -jax.nn.log_softmax(logits)[jnp.arange(len(y)), y].mean()


def step(weights, x, y):
    """Return new weights and the loss of the whole batch, from one device's part of it."""
    own = jax.lax.pcast(weights, "device", to="varying")
    mine, gradient = jax.value_and_grad(loss)(own, x, y)
    mean, gradient = jax.lax.pmean((mine, gradient), "device")
    rate = args.learning_rate
    return jax.tree.map(lambda w, g: w - rate * g, weights, gradient), mean


def written():
    """Return how many bytes this process has written so far (0 where Linux is not)."""
    counts = Path("/proc/self/io")
    return int(counts.read_text().split()[3]) if counts.exists() else 0


weights = {name: jnp.asarray(data[name]) for name in ("W1", "W2")}
size = sum(w.nbytes for w in weights.values())
split = NamedSharding(mesh, P("device"))
specs = dict(in_specs=(P(), P("device"), P("device")), out_specs=(P(), P()))
step = jax.jit(jax.shard_map(step, mesh=mesh, **specs))
for k in range(args.steps):
    if k == 1:  # the first step compiles
        before = written()
    start = k * args.batch_size % len(data["y"]) + rank * args.batch_size // n
    rows = slice(start, start + args.batch_size // n)
    mine = data["x"][rows], data["y"][rows]
    batch = [jax.make_array_from_process_local_data(split, part) for part in mine]
    weights, mean = jax.block_until_ready(step(weights, *batch))
    if rank == 0:
        print(f"loss={mean:.4f}", flush=True)
if n > 1:
    sent = (written() - before) / (args.steps - 1) / size
    print(f"{hosts[rank]} wrote {sent:.1f} gradients a step", flush=True)
if rank == 0:
    np.savez(Path(os.environ["SM_MODEL_DIR"]) / "weights.npz", **weights)
