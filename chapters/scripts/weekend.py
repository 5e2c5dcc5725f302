"""The training of capstone 162.2 and the machine on which it runs.

A network of 64-32-10 units with dropout learns digits with Adam, 400 steps with batches of 25. What
decides its next step is the state of `start`. A script trains by `draw` and `step`, and keeps the
state in files in its own way.

The machine does to the training what a plan says, such as "kill@137 tear@160:0.4":

    kill@137       the process ends after step 137, as by SIGKILL
    tear@160:0.4   the first write at or after step 160 is cut after 0.4 of its bytes, and the
                   process ends
    nan@55         the pictures of step 55 are NaN when they are read for the first time
    flip@90:30     after step 90, bit 30 of a weight flips in memory
    wait@140       a second passes after step 140
"""

import argparse
import os
import signal
import time
from pathlib import Path

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np

STEPS, BATCH, HIDDEN, RATE = 400, 25, 32, 0.01


def start():
    """Return the state of a training before its first step; all its arrays can be written to."""
    rng = np.random.default_rng(0)
    weights = []
    for n, m in [(64, HIDDEN), (HIDDEN, 10)]:
        weights += [rng.normal(size=(n, m)) * (2 / n) ** 0.5, np.zeros(m)]
    weights = [w.astype(np.float32) for w in weights]
    return {
        "weights": weights,
        "mean": [np.zeros_like(w) for w in weights],  # Adam's averages
        "square": [np.zeros_like(w) for w in weights],
        "queue": np.array([], int),  # the pictures to come in this epoch
        "rng": rng,  # shuffles, and draws the masks of dropout
        "done": 0,  # steps, which Adam and its rate count as well
    }


def draw(state, n):
    """Return the rows (25,) of the next batch, of n, and a mask of dropout (25, 32)."""
    if len(state["queue"]) < BATCH:
        state["queue"] = state["rng"].permutation(n)
    rows, state["queue"] = np.split(state["queue"], [BATCH])
    return rows, (state["rng"].random((BATCH, HIDDEN)) < 0.8).astype(np.float32) / np.float32(0.8)


@jax.jit
def update(weights, mean, square, X, y, mask, count):
    """Return weights and Adam's averages after a step."""

    def loss(weights):
        W, b, V, c = weights
        logits = (jnp.maximum(X @ W + b, 0) * mask) @ V + c
        return -jax.nn.log_softmax(logits)[jnp.arange(BATCH), y].mean()

    slopes = jax.grad(loss)(weights)
    mean = [0.9 * m + 0.1 * g for m, g in zip(mean, slopes)]
    square = [0.999 * s + 0.001 * g**2 for s, g in zip(square, slopes)]
    rate = RATE * (1 - (count - 1) / STEPS)
    moves = [
        (m / (1 - 0.9**count)) / (jnp.sqrt(s / (1 - 0.999**count)) + 1e-8)
        for m, s in zip(mean, square)
    ]
    return [w - rate * move for w, move in zip(weights, moves)], mean, square


def step(state, X, y, mask):
    """Train on a batch: pictures (25, 64), labels (25,), mask (25, 32)."""
    state["done"] += 1
    parts = [state[name] for name in ("weights", "mean", "square")]
    parts = update(*parts, X, y, mask, np.float32(state["done"]))
    for name, arrays in zip(("weights", "mean", "square"), parts):
        state[name] = [np.array(one) for one in arrays]


def kill():
    """End this process as SIGKILL does; on Windows, as TerminateProcess does."""
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))


class Machine:
    """A machine on which what a plan says happens, once each; nothing happens without a plan."""

    def __init__(self, plan="", end=kill):
        """Take a plan, and what ends the process; raise SystemExit for what no machine can do."""
        self.plan, self.end = [], end
        for entry in plan.split():
            what, _, where = entry.partition("@")
            number, _, more = where.partition(":")
            if what not in ("kill", "tear", "nan", "flip", "wait") or not number.isdigit():
                raise SystemExit(f"No machine can do this: {entry}")
            self.plan.append((what, int(number), more))

    def due(self, what, number, late=False):
        """Return the detail of an entry that is due, and cross it out; or None."""
        for entry in self.plan:
            if entry[0] == what and (entry[1] == number or late and entry[1] <= number):
                self.plan.remove(entry)
                return entry[2]
        return None

    def read(self, number, X):
        """Return pictures as they are read for a step."""
        return X if self.due("nan", number) is None else np.full_like(X, np.nan)

    def write(self, path, content, number):
        """Write bytes to a file after a step, down to the disk."""
        share = self.due("tear", number, late=True)
        with path.open("wb") as file:
            file.write(content if share is None else content[: int(float(share) * len(content))])
            file.flush()
            os.fsync(file.fileno())
        if share is not None:
            print(f"killed after step {number}, in a write", flush=True)
            self.end()

    def done(self, number, weights):
        """Let happen what happens after a step."""
        if (bit := self.due("flip", number)) is not None:
            weights[0].view(np.uint32)[28, 5] ^= np.uint32(1 << int(bit))
        if self.due("wait", number) is not None:
            print(f"a second after step {number}", flush=True)
            time.sleep(1)
        if self.due("kill", number) is not None:
            print(f"killed after step {number}", flush=True)
            self.end()


def main(train):
    """Run a script's `train(folder, data, machine)` on the digits, and store the weights."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoints", type=Path, required=True)  # a folder
    parser.add_argument("--plan", default="")
    args = parser.parse_args()
    args.checkpoints.mkdir(parents=True, exist_ok=True)
    with np.load(Path(os.environ["SM_CHANNEL_TRAIN"]) / "digits.npz") as data:
        digits = data["X"], data["y"]
    weights = train(args.checkpoints, digits, Machine(args.plan))
    np.savez(Path(os.environ["SM_MODEL_DIR"]) / "model.npz", *weights)
