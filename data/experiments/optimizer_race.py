"""Which optimizer needs the fewest tries to find a good learning rate, and which is the most
accurate once it has one?

Two tasks. "digits": scikit-learn's digits; 400 images are set aside for the test once and for all,
and for every seed 1,024 of the others are for training and 373 for validation; a network 64 -> 64
-> 10, 10 epochs in batches of 16, 640 steps. "machines": the currents of starts.npz, 2,000 for
training, 1,000 for validation, 2,000 for the test; a network 40 -> 32 -> 32 -> 32 -> 10, 10 epochs
in batches of 20, 1,000 steps. ReLU, first weights by He's rule (the last layer's: variance 1 /
inputs), float64, a constant learning rate.

Optimizers: SGD; momentum (SGD with 0.9); RMSprop, Adam and AdamW. All that is not the learning rate
or SGD's momentum is as Keras 3 has it without being asked: rho 0.9, beta 0.9 and 0.999, epsilon
1e-7, weight decay 0.004 (AdamW, decoupled, on weights and biases). Each is trained with 19 learning
rates, 10^(k/3) for k from -15 to 3, from 0.00001 to 10.

Columns are the accuracies on validation and test data for each k. A network whose weights are not
finite guesses class 0.

A search of n tries draws n of the 19 rates, each time any of them, and takes the one with the
highest validation accuracy of this seed (the smallest of equals). What such a search gives on the
test data is averaged over all draws by a formula, not by drawing: of 19 rates in the order of their
validation accuracy, the one at place i (1 is the worst) is taken with probability (i/19)^n -
((i-1)/19)^n.

Seeds: 0 to 19, for the training and validation images of the digits, the first weights and the
order of the examples; all optimizers share them.

Written before the first run. Accuracies are means over the seeds on the test data; errors are two
standard errors of the paired difference; a point is 0.01. An optimizer's chosen rate is the one
with the highest mean validation accuracy (the smallest of equals).

Holds, as "Adam needs fewer tries": with two tries and with four, Adam is ahead of momentum by more
than a point and more than the error, on both tasks.

Holds, as "with sixteen tries the adaptive ones and momentum are alike": with sixteen tries, the
best and the worst of momentum, RMSprop, Adam and AdamW are at most a point apart, on both tasks.

Holds, as "momentum beats plain SGD": at the chosen rates momentum is ahead by more than the error,
on both tasks.

Holds, as "Adam generalizes worse": at the chosen rates Adam is below momentum by more than the
error, on both tasks.

Holds, as "Adam's usual rate needs no tuning": at the rate 0.001, Adam is at most a point below its
chosen rate, on both tasks.

Holds, as "the usual weight decay changes nothing": at the chosen rates AdamW and Adam are at most
half a point apart, on both tasks.

Came out: with two tries Adam is 0.041 ± 0.005 ahead of momentum on the digits and 0.037 ± 0.002 on
the machines. These do not hold: "with sixteen tries the adaptive ones and momentum are alike",
since on the machines they are up to 0.044 apart (0.003 on the digits); "momentum beats plain SGD",
with a lead of -0.004 ± 0.005 and 0.012 ± 0.019; "Adam generalizes worse", since Adam is ahead by
0.004 ± 0.006 and by 0.031 ± 0.012; "Adam's usual rate needs no tuning", which costs 0.022 ± 0.004
and 0.151 ± 0.011.
"""

from functools import lru_cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

DEPENDS = ["starts.npz"]
TASKS = ["digits", "machines"]
OPTIMIZERS = ["SGD", "momentum", "RMSprop", "Adam", "AdamW"]
CASES = [
    {"task": task, "optimizer": optimizer, "seed": seed}
    for task in TASKS
    for optimizer in OPTIMIZERS
    for seed in range(20)
]
EXPONENTS = range(-15, 4)
RATES = 10.0 ** (np.array(EXPONENTS) / 3)
# from 10^-2 on, rounding may decide whether a network breaks
TOLERANCE = {
    f"{part}_{k}": 0.02 if k < -6 else 0.7 for part in ("valid", "test") for k in EXPONENTS
}
SIZES = {"digits": (64, 64, 10), "machines": (40, 32, 32, 32, 10)}
BATCH, EPOCHS = {"digits": 16, "machines": 20}, 10


def logits(p, X):
    """Return the ten scores of examples for parameters p, a list of (weights, biases)."""
    for W, b in p[:-1]:
        X = jax.nn.relu(X @ W + b)
    return X @ p[-1][0] + p[-1][1]


def loss(p, X, y):
    """Return the mean cross-entropy."""
    return -jnp.mean(jax.nn.log_softmax(logits(p, X))[jnp.arange(len(y)), y])


def updated(optimizer, w, g, m, v, t, rate):
    """Return a weight and its two running means after step t, as Keras 3 computes them."""
    if optimizer in ("SGD", "momentum"):
        m = (0.9 if optimizer == "momentum" else 0.0) * m - rate * g
        return w + m, m, v
    if optimizer == "RMSprop":
        v = 0.9 * v + 0.1 * g**2
        return w - rate * g / jnp.sqrt(v + 1e-7), m, v
    if optimizer == "AdamW":
        w = w - rate * 0.004 * w
    m, v = m + 0.1 * (g - m), v + 0.001 * (g**2 - v)
    alpha = rate * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return w - alpha * m / (jnp.sqrt(v) + 1e-7), m, v


def train(optimizer, p, rate, X, y, order):
    """Return the parameters after one step for each row of order."""
    zeros = jax.tree.map(jnp.zeros_like, p)

    def step(state, row):
        p, m, v = state
        t, batch = row
        g = jax.grad(loss)(p, X[batch], y[batch])
        triples = [
            updated(optimizer, *leaves, t, rate)
            for leaves in zip(*map(jax.tree.leaves, (p, g, m, v)))
        ]
        shape = jax.tree.structure(p)
        return tuple(jax.tree.unflatten(shape, part) for part in zip(*triples)), None

    times = jnp.arange(1.0, len(order) + 1)
    return jax.lax.scan(step, (p, zeros, zeros), (times, order))[0][0]


def accuracy(p, X, y):
    """Return the share of right answers."""
    return jnp.mean(jnp.argmax(logits(p, X), axis=1) == y)


@lru_cache
def functions(optimizer):
    """Return train and accuracy, compiled, each for all learning rates at once."""

    def one(p, rate, X, y, order):
        return train(optimizer, p, rate, X, y, order)

    every = jax.jit(jax.vmap(one, in_axes=(None, 0, None, None, None)))
    return every, jax.jit(jax.vmap(accuracy, in_axes=(0, None, None)))


def data(task, seed):
    """Return inputs and labels of the three parts: train, valid, test."""
    if task == "machines":
        with np.load(Path(__file__).parents[1] / "starts.npz") as starts:
            return [
                (starts[f"X_{part}"] / 20, starts[f"y_{part}"].astype(int))
                for part in ("train", "validation", "test")
            ]
    X, y = load_digits(return_X_y=True)
    X_rest, X_test, y_rest, y_test = train_test_split(
        X / 16, y, test_size=400, random_state=0, stratify=y
    )
    X_train, X_valid, y_train, y_valid = train_test_split(
        X_rest, y_rest, train_size=1024, random_state=seed, stratify=y_rest
    )
    return [(X_train, y_train), (X_valid, y_valid), (X_test, y_test)]


def start(sizes, rng):
    """Return first weights and biases."""
    pairs = list(zip(sizes, sizes[1:]))
    gains = [2] * (len(pairs) - 1) + [1]
    return [
        (jnp.array(rng.normal(0, np.sqrt(gain / n), (n, m))), jnp.zeros(m))
        for gain, (n, m) in zip(gains, pairs)
    ]


@jax.enable_x64(True)
def run(case):
    """Train with every learning rate and return the accuracies."""
    task, rng = case["task"], np.random.default_rng(case["seed"])
    (X, y), *judges = data(task, case["seed"])
    p = start(SIZES[task], rng)
    order = np.concatenate([rng.permutation(len(X)) for _ in range(EPOCHS)])
    every, right = functions(case["optimizer"])
    p = every(p, RATES, X, y, order.reshape(-1, BATCH[task]))
    return {
        f"{part}_{k}": float(score)
        for part, judge in zip(("valid", "test"), judges)
        for k, score in zip(EXPONENTS, right(p, *judge))
    }


def searched(valid, test, n):
    """Return the test accuracy of a search of n tries, the mean over all draws, for each row."""
    places = np.arange(len(EXPONENTS) + 1) / len(EXPONENTS)
    # from the worst to the best, of equals the smallest rate last
    order = valid.shape[1] - 1 - np.argsort(valid[:, ::-1], axis=1, kind="stable")
    return np.take_along_axis(test, order, axis=1) @ np.diff(places**n)


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    scores, at, figures, chosen = {}, {}, {}, {}
    for (task, optimizer), rows in table.groupby(["task", "optimizer"]):
        rows = rows.sort_values("seed")
        valid, test = (
            rows[[f"{part}_{k}" for k in EXPONENTS]].to_numpy() for part in ("valid", "test")
        )
        mean = valid.mean(axis=0).round(9)
        best = chosen[task, optimizer] = int(mean.argmax())
        at[task, optimizer] = test[:, best]
        at[task, optimizer, "0.001"] = test[:, EXPONENTS.index(-9)]
        figures[f"{task}, {optimizer}, rate"] = RATES[best]
        figures[f"{task}, {optimizer}, test"] = test[:, best].mean()
        figures[f"{task}, {optimizer}, good rates"] = int((mean >= mean.max() - 0.01).sum())
        for n in (1, 2, 4, 8, 16):
            scores[task, optimizer, n] = searched(valid, test, n)
            figures[f"{task}, {optimizer}, {n} tries"] = scores[task, optimizer, n].mean()

    def lead(name, one, other):
        """Return the mean difference and its error, and note both."""
        gap = one - other
        error = 2 * gap.std(ddof=1) / np.sqrt(len(gap))
        figures[name], figures[f"{name}, error"] = gap.mean(), error
        return gap.mean(), error

    fewer, alike, beats, worse, usual, decay = [], [], [], [], [], []
    for task in TASKS:
        for n in (2, 4):
            gap, error = lead(
                f"{task}: Adam minus momentum, {n} tries",
                scores[task, "Adam", n],
                scores[task, "momentum", n],
            )
            fewer.append(gap > max(0.01, error))
        means = [figures[f"{task}, {name}, 16 tries"] for name in OPTIMIZERS[1:]]
        figures[f"{task}, 16 tries, spread"] = max(means) - min(means)
        alike.append(max(means) - min(means) <= 0.01)
        momentum, adam = at[task, "momentum"], at[task, "Adam"]
        gap, error = lead(f"{task}: momentum minus SGD", momentum, at[task, "SGD"])
        beats.append(gap > error)
        gap, error = lead(f"{task}: momentum minus Adam", momentum, adam)
        worse.append(gap > error)
        gap, error = lead(f"{task}: chosen minus 0.001", adam, at[task, "Adam", "0.001"])
        usual.append(gap <= 0.01)
        gap, error = lead(f"{task}: AdamW minus Adam", at[task, "AdamW"], adam)
        decay.append(abs(gap) <= 0.005)
    holds = {
        "Adam needs fewer tries": all(fewer),
        "with sixteen tries the adaptive ones and momentum are alike": all(alike),
        "momentum beats plain SGD": all(beats),
        "Adam generalizes worse": all(worse),
        "Adam's usual rate needs no tuning": all(usual),
        "the usual weight decay changes nothing": all(decay),
    }
    return holds, figures
