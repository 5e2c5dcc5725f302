"""The worked solution of capstone 162.2: a training that ends with the undisturbed weights."""

import hashlib
import io
import json
import os
import zlib

import numpy as np
import weekend

EVERY = 4  # steps between checkpoints
PARTS = ["weights", "mean", "square"]


def seal(state):
    """Return a checksum of a state in memory."""
    told = zlib.crc32(json.dumps([state["done"], state["rng"].bit_generator.state]).encode())
    for array in [*(one for part in PARTS for one in state[part]), state["queue"]]:
        told = zlib.crc32(np.ascontiguousarray(array), told)
    return told


def pack(state):
    """Return a state as bytes, which begin with a checksum of the rest."""
    arrays = {f"{part} {k}": w for part in PARTS for k, w in enumerate(state[part])}
    rest = json.dumps({"done": state["done"], "rng": state["rng"].bit_generator.state})
    buffer = io.BytesIO()
    np.savez(buffer, queue=state["queue"], rest=rest, **arrays)
    return hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue()


def unpack(content):
    """Return the state in some bytes, or None if they are not whole."""
    if hashlib.sha256(content[32:]).digest() != content[:32]:
        return None
    with np.load(io.BytesIO(content[32:])) as found:
        state = json.loads(str(found["rest"])) | {"queue": found["queue"]}
        state |= {part: [found[f"{part} {k}"] for k in range(4)] for part in PARTS}
    rng = np.random.default_rng()
    rng.bit_generator.state = state["rng"]
    return state | {"rng": rng}


def save(state, folder, machine, sealed=None):
    """Write a checkpoint, whole or not at all, and keep the three newest; return whether it was
    written: not if the state has changed since its seal.
    """
    content = pack(state)
    if sealed is not None and seal(unpack(content)) != sealed:
        return False
    machine.write(folder / "unfinished", content, state["done"])
    os.replace(folder / "unfinished", folder / f"step-{state['done']:05}.ckpt")
    for old in sorted(folder.glob("step-*.ckpt"))[:-3]:
        old.unlink()
    return True


def newest(folder):
    """Return the newest state in the folder that is whole, or None."""
    for path in sorted(folder.glob("step-*.ckpt"), reverse=True):
        if state := unpack(path.read_bytes()):
            return state
        print(f"{path.name} is damaged, looking for an older one", flush=True)
    return None


def read(machine, number, X):
    """Return pictures without NaN: read again, three times at most."""
    for _ in range(3):
        pictures = machine.read(number, X)
        if np.isfinite(pictures).all():
            return pictures
    raise SystemExit(f"The pictures of step {number} were unreadable three times.")


def train(folder, data, machine, steps=weekend.STEPS):
    """Train from the newest sound state on; return the weights."""
    X, y = data
    state = newest(folder) or weekend.start()
    print(f"from step {state['done']}", flush=True)
    sealed, broken = seal(state), 0
    while True:
        if seal(state) != sealed:
            print(f"memory changed after step {state['done']}", flush=True)
            broken += 1
            if broken > 3:
                raise SystemExit("The memory changed four times. Take another machine.")
            state = newest(folder) or weekend.start()
            sealed = seal(state)
            print(f"from step {state['done']}", flush=True)
        if state["done"] == steps:
            return state["weights"]
        rows, mask = weekend.draw(state, len(y))
        weekend.step(state, read(machine, state["done"] + 1, X[rows]), y[rows], mask)
        sealed = seal(state)
        if state["done"] % EVERY == 0 and save(state, folder, machine, sealed):
            print(f"saved step {state['done']}", flush=True)
        machine.done(state["done"], state["weights"])


if __name__ == "__main__":
    weekend.main(train)
