"""The draft of capstone 162.2: a training that does well as long as nothing happens to it."""

import io

import numpy as np
import weekend

EVERY = 50  # steps between checkpoints


def save(state, folder, machine):
    """Write a checkpoint."""
    buffer = io.BytesIO()
    np.savez(buffer, *state["weights"], done=state["done"])
    machine.write(folder / "weights.npz", buffer.getvalue(), state["done"])


def newest(folder):
    """Return the state in the folder, or None."""
    path = folder / "weights.npz"
    if not path.exists():
        return None
    with np.load(path) as found:
        weights = [found[f"arr_{k}"] for k in range(4)]
        return weekend.start() | {"weights": weights, "done": int(found["done"])}


def train(folder, data, machine, steps=weekend.STEPS):
    """Train from the newest checkpoint on; return the weights."""
    X, y = data
    state = newest(folder) or weekend.start()
    print(f"from step {state['done']}", flush=True)
    while state["done"] < steps:
        rows, mask = weekend.draw(state, len(y))
        pictures = machine.read(state["done"] + 1, X[rows])
        weekend.step(state, pictures, y[rows], mask)
        if state["done"] % EVERY == 0:
            save(state, folder, machine)
            print(f"saved step {state['done']}", flush=True)
        machine.done(state["done"], state["weights"])
    return state["weights"]


if __name__ == "__main__":
    weekend.main(train)
