"""What is left of a trained network when some of its layers are taken out?

scikit-learn's digits, standardized by feature and split as in the experiment deep cures; 16 hidden
layers of 32 ReLU units, He's first weights, in float64; Adam, batches of 64, 20 epochs, and of the
rates 0.0005, 0.002 and 0.008 the one with the highest validation accuracy. "plain" has no skip
connections, "scaled" adds 1 / sqrt(16) times the activation to a layer's input, and "gate" a
learned number times it, which starts at 0. Layers 2 to 16 are blocks that can be taken out, since
their input is as wide as their output. The networks are not trained again.

Columns: the rate kept; the test accuracy with all 15 blocks; the mean and the lowest accuracy with
one block taken out, over all 15; and the mean over 20 random choices of 3, 7 and 11 blocks.

Seeds: 0 to 9, for the split, the first weights, the order of the images and the choices of blocks.

Written before the first run.

Holds, as "one block is hardly missed" (149-10): in each kind with skips the mean loss of accuracy
with one block taken out is below 0.1 in every seed, and in the plain networks above 0.3 in every
seed.

Holds, as "no block is indispensable" (149-10): in each kind with skips the lowest accuracy with one
block taken out is above 0.7 in every seed.

Holds, as "half of the blocks may go" (149-10): in one kind with skips the mean accuracy with 7
blocks taken out is above 0.8 in every seed.

Came out: all hold. With one block taken out the mean loss is 0.005 at most with a gate and 0.008
with scaled skips, and 0.707 or more without skips. Without 7 blocks of 15 the lowest of ten is
0.938 with a gate and 0.875 with scaled skips.
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from experiments.activation_race import data
from experiments.deep_cures import adam, cross_entropy

DEPENDS = ["experiments/activation_race.py", "experiments/deep_cures.py"]
KINDS = ["gate", "scaled", "plain"]
CASES = [{"kind": kind, "seed": seed} for kind in KINDS for seed in range(10)]
TAKEN = [3, 7, 11]
TOLERANCE = {"all": 0.03, "mean_1": 0.03, "lowest_1": 0.1} | {f"mean_{k}": 0.1 for k in TAKEN}
RATES = [0.0005, 0.002, 0.008]
DEPTH, WIDTH, BATCH, EPOCHS = 16, 32, 64, 20


def chaotic(case):
    """Return whether rounding grows over the layers until another accuracy comes out."""
    return case["kind"] == "plain"


def logits(kind, p, X, kept):
    """Return the logits with the blocks for which kept (15,) is 1."""

    def layer(h, inside):
        W, b, gate, there = inside
        f = jax.nn.relu(h @ W + b)
        factor = {"scaled": 1 / np.sqrt(DEPTH), "gate": gate}.get(kind)
        out = f if factor is None else h + factor * f
        return jnp.where(there > 0, out, h), None

    h = jax.nn.relu(X @ p["first"] + p["biases"][0])
    h, _ = jax.lax.scan(layer, h, (p["hidden"], p["biases"][1:], p["gates"], kept))
    return h @ p["last"] + p["last bias"]


@lru_cache
def functions(kind):
    """Return two compiled functions for a kind: train, and accuracy for many sets of blocks."""
    whole = jnp.ones(DEPTH - 1)

    def accuracy(p, X, y, kept):
        return jnp.mean(jnp.argmax(logits(kind, p, X, kept), axis=1) == y)

    train = adam(lambda p, X, y: cross_entropy(logits(kind, p, X, whole), y))
    return jax.jit(train), jax.jit(jax.vmap(accuracy, in_axes=(None, None, None, 0)))


@jax.enable_x64(True)
def run(case):
    """Train one network and return its accuracy with all blocks and without some."""
    (X, y), valid, test = data(case["seed"])
    rng = np.random.default_rng(case["seed"])
    p = {
        "first": rng.normal(size=(64, WIDTH)) / 8,
        "hidden": rng.normal(size=(DEPTH - 1, WIDTH, WIDTH)) * np.sqrt(2 / WIDTH),
        "biases": np.zeros((DEPTH, WIDTH)),
        "gates": np.zeros(DEPTH - 1),
        "last": rng.normal(size=(WIDTH, 10)) / np.sqrt(WIDTH),
        "last bias": np.zeros(10),
    }
    order = np.concatenate([rng.permutation(1024).reshape(-1, BATCH) for _ in range(EPOCHS)])
    train, accuracy = functions(case["kind"])
    n = DEPTH - 1
    sets = [np.ones((1, n)), 1 - np.eye(n)]
    for k in TAKEN:
        sets.append(np.array([rng.permutation(n) >= k for _ in range(20)], float))
    kept, sizes = np.concatenate(sets), np.cumsum([len(one) for one in sets])[:-1]
    trained = [train(p, rate, X, y, order) for rate in RATES]
    best = int(np.argmax([accuracy(q, *valid, kept)[0] for q in trained]))
    whole, one, *more = np.split(np.asarray(accuracy(trained[best], *test, kept)), sizes)
    return {
        "learning_rate": f"{RATES[best]:g}",
        "all": float(whole[0]),
        "mean_1": float(one.mean()),
        "lowest_1": float(one.min()),
        **{f"mean_{k}": float(found.mean()) for k, found in zip(TAKEN, more)},
    }


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    lost = (table["all"] - table.mean_1).groupby(table.kind)
    skips = ["gate", "scaled"]
    by = table.groupby("kind")
    figures = {f"{kind}, {column}": by[column].mean()[kind] for kind in KINDS for column in COLUMNS}
    figures |= {f"most lost, {kind}": lost.max()[kind] for kind in skips}
    figures |= {"least lost, plain": lost.min()["plain"]}
    figures |= {f"lowest, {kind}": by.lowest_1.min()[kind] for kind in skips}
    figures |= {f"lowest of 7, {kind}": by.mean_7.min()[kind] for kind in skips}
    return {
        "one block is hardly missed": bool(
            lost.max()[skips].max() < 0.1 and lost.min()["plain"] > 0.3
        ),
        "no block is indispensable": bool(by.lowest_1.min()[skips].min() > 0.7),
        "half of the blocks may go": bool(by.mean_7.min()[skips].max() > 0.8),
    }, figures


COLUMNS = ["all", "mean_1", "lowest_1", *(f"mean_{k}" for k in TAKEN)]
