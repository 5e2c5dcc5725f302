"""Train a network on digits so that it may be killed at any moment: a SageMaker training job, or
any other program with the same variables.
"""

import argparse
import hashlib
import io
import json
import os
import time
from pathlib import Path

import numpy as np

BATCH, HIDDEN, RATE = 25, 32, 0.01


def start(seed):
    """Return the state of a training before its first step."""
    rng = np.random.default_rng(seed)
    weights = []
    for n, m in [(64, HIDDEN), (HIDDEN, 10)]:
        weights += [rng.normal(size=(n, m)) * (2 / n) ** 0.5, np.zeros(m)]
    return {
        "weights": weights,
        "mean": [np.zeros_like(w) for w in weights],  # Adam's averages
        "square": [np.zeros_like(w) for w in weights],
        "count": 0,  # Adam's steps, which the schedule counts too
        "queue": np.array([], int),  # the images to come in this epoch
        "rng": rng,  # shuffles, and draws the masks of dropout
        "done": 0,  # steps
    }


def step(state, X, y, steps):
    """Train on the next batch."""
    if len(state["queue"]) < BATCH:
        state["queue"] = state["rng"].permutation(len(X))
    now, state["queue"] = np.split(state["queue"], [BATCH])
    W, b, V, c = state["weights"]
    mask = (state["rng"].random((BATCH, HIDDEN)) < 0.8) / 0.8
    hidden = np.maximum(X[now] @ W + b, 0) * mask
    back = (softmax(hidden @ V + c) - np.eye(10)[y[now]]) / BATCH
    inner = back @ V.T * mask * (hidden > 0)
    slopes = [X[now].T @ inner, inner.sum(0), hidden.T @ back, back.sum(0)]
    adam(state, slopes, RATE * (1 - state["count"] / steps))
    state["done"] += 1


def adam(state, slopes, rate):
    """Move the weights."""
    state["count"] += 1
    for k, slope in enumerate(slopes):
        state["mean"][k] = 0.9 * state["mean"][k] + 0.1 * slope
        state["square"][k] = 0.999 * state["square"][k] + 0.001 * slope**2
        mean = state["mean"][k] / (1 - 0.9 ** state["count"])
        square = state["square"][k] / (1 - 0.999 ** state["count"])
        state["weights"][k] = state["weights"][k] - rate * mean / (np.sqrt(square) + 1e-8)


def softmax(z):
    """Return probabilities, a row an image."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def pack(state):
    """Return a state as bytes, which begin with a checksum of the rest."""
    arrays = {f"{part} {k}": w for part in PARTS for k, w in enumerate(state[part])}
    rest = {"count": state["count"], "done": state["done"]}
    rest["rng"] = state["rng"].bit_generator.state
    buffer = io.BytesIO()
    np.savez(buffer, queue=state["queue"], rest=json.dumps(rest), **arrays)
    return hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue()


def unpack(content):
    """Return the state in some bytes, or None if they are not whole."""
    if hashlib.sha256(content[32:]).digest() != content[:32]:
        return None
    with np.load(io.BytesIO(content[32:])) as found:
        state = json.loads(str(found["rest"])) | {"queue": found["queue"]}
        state |= {part: [found[f"{part} {k}"] for k in range(4)] for part in PARTS}
    rng, place = np.random.default_rng(), state.pop("rng")
    rng.bit_generator.state = place
    return state | {"rng": rng}


PARTS = ["weights", "mean", "square"]


def newest(folder):
    """Return the newest state in a folder that is whole, or None."""
    for path in sorted(folder.glob("step-*.ckpt"), reverse=True):
        state = unpack(path.read_bytes())
        if state:
            return state
        print(f"{path.name} is torn, looking for an older one", flush=True)
    return None


def save(state, folder, halfway=lambda: None, in_place=False):
    """Write a checkpoint, whole or not at all, and keep the two newest."""
    content, target = pack(state), folder / f"step-{state['done']:05}.ckpt"
    part = target if in_place else folder / "unfinished"
    with part.open("wb") as file:
        file.write(content[: len(content) // 2])
        file.flush()
        halfway()
        file.write(content[len(content) // 2 :])
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, target)
    for old in sorted(folder.glob("step-*.ckpt"))[:-2]:
        old.unlink()


def main():
    """Train, from the newest checkpoint on if there is one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--every", type=int, default=20)  # steps between checkpoints
    parser.add_argument("--checkpoints", type=Path)  # a folder
    parser.add_argument("--pause", type=float, default=0)  # seconds, in the middle of a write
    parser.add_argument("--hang-at", type=int)  # a step, in the middle of its write
    parser.add_argument("--wait-after", default="")  # steps, for 2 seconds after their writes
    parser.add_argument("--in-place", action="store_true")  # writes over the target itself
    args = parser.parse_args()
    with np.load(Path(os.environ["SM_CHANNEL_TRAIN"]) / "digits.npz") as data:
        X, y = data["X"], data["y"]
    state = start(seed=0)
    if args.checkpoints:
        args.checkpoints.mkdir(parents=True, exist_ok=True)
        state = newest(args.checkpoints) or state
    print(f"from step {state['done']}", flush=True)

    def halfway():
        if state["done"] == args.hang_at:
            print("half written", flush=True)
            time.sleep(3600)
        time.sleep(args.pause)

    while state["done"] < args.steps:
        step(state, X, y, args.steps)
        stop = args.checkpoints and (args.checkpoints / "STOP").exists()
        if args.checkpoints and (stop or state["done"] % args.every == 0):
            save(state, args.checkpoints, halfway, args.in_place)
            print(f"saved step {state['done']}", flush=True)
            time.sleep(2 if str(state["done"]) in args.wait_after.split() else 0)
        if stop:
            raise SystemExit("stopped by the kill switch")
    np.savez(Path(os.environ["SM_MODEL_DIR"]) / "model.npz", *state["weights"])


if __name__ == "__main__":
    main()
