"""Several labels at once: how many examples get exactly the right set from a softmax, and how many
from one sigmoid per label?

Strips of 8 x 24 pixels show one, two or three different digits of scikit-learn's collection, one to
three in equal parts, each in one of three places, the other places empty. The labels are the digits
in the strip. The photographs are split for every seed into 1,000 for training, 397 for choosing and
400 for the test, and 2,000, 1,000 and 1,000 strips are made of them. One hidden layer of 64 ReLU
units, ten outputs, in float64; Adam with the rate 0.003, batches of 100, 20 epochs.

Outputs: "sigmoids" learns with binary cross-entropy for each label; "softmax" learns with
categorical cross-entropy, the target of a strip shared equally among its labels.

Columns: the share of test strips whose set of labels above the threshold is exactly right, with the
threshold 0.5 and with the one that is best on validation strips (from 0.02 to 0.98 in steps of
0.02), that threshold, and for strips with two or more labels the share of exactly right sets at
0.5.

Seeds: 0 to 9, for the split, the strips, the first weights and the order.

Written before the first run. Means are over 10 seeds, differences are paired by seed.

Holds, as "a softmax cannot give several labels" (143-27): at the threshold 0.5 the softmax finds
the exact set of not a single strip with two or more labels, in every seed, and sigmoids do for more
than half of them.

Holds, as "no threshold repairs it" (143-27): with the threshold that is best on validation strips,
sigmoids are ahead of the softmax by more than five points and two standard errors.

Came out: no threshold repairs the softmax, which stays 0.13 ± 0.01 behind. "a softmax cannot give
several labels" does not hold as written: the softmax never finds a set of two or three, and
sigmoids find 0.44 of them, less than half.
"""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

OUTPUTS = ["softmax", "sigmoids"]
CASES = [{"output": output, "seed": seed} for output in OUTPUTS for seed in range(10)]
TOLERANCE = {"at_half": 0.02, "at_best": 0.02, "threshold": 0.07, "several_at_half": 0.03}
THRESHOLDS = np.arange(1, 50) / 50
UNITS, BATCH, EPOCHS = 64, 100, 20


def strips(images, digits, n, rng):
    """Return n strips (n, 192) and their labels (n, 10), of which one to three are 1."""
    X, labels = np.zeros((n, 8, 24)), np.zeros((n, 10))
    for strip, label in zip(X, labels):
        count = rng.integers(1, 4)
        for digit, place in zip(rng.permutation(10)[:count], rng.permutation(3)):
            image = images[rng.choice(np.flatnonzero(digits == digit))]
            strip[:, 8 * place : 8 * place + 8] = image
            label[digit] = 1
    return X.reshape(n, 192), labels


def data(seed, rng):
    """Return strips and labels of the three parts: train, valid, test."""
    images, digits = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8) / 16
    rest, last, of_rest, of_last = train_test_split(
        images, digits, test_size=400, random_state=seed, stratify=digits
    )
    first, second, of_first, of_second = train_test_split(
        rest, of_rest, train_size=1000, random_state=seed, stratify=of_rest
    )
    parts = [(first, of_first, 2000), (second, of_second, 1000), (last, of_last, 1000)]
    return [strips(*part, rng) for part in parts]


def sums(p, X):
    """Return the ten weighted sums of the output layer."""
    return jnp.maximum(X @ p["W1"] + p["b1"], 0) @ p["W2"] + p["b2"]


def loss(p, X, labels, softmax):
    """Return the mean loss of one kind of output."""
    z = sums(p, X)
    if softmax:
        return -(labels / labels.sum(axis=1, keepdims=True) * jax.nn.log_softmax(z)).sum(1).mean()
    return -(labels * jax.nn.log_sigmoid(z) + (1 - labels) * jax.nn.log_sigmoid(-z)).mean()


def train(p, X, labels, order, softmax):
    """Return the parameters after all steps of Adam."""

    def step(state, inside):
        p, m, v = state
        t, batch = inside
        g = jax.grad(loss)(p, X[batch], labels[batch], softmax)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, v, g)
        now = 0.003 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        return (jax.tree.map(lambda p, m, v: p - now * m / (jnp.sqrt(v) + 1e-7), p, m, v), m, v), 0

    zeros = jax.tree.map(jnp.zeros_like, p)
    return jax.lax.scan(step, (p, zeros, zeros), (jnp.arange(1, len(order) + 1), order))[0][0]


trained = jax.jit(train, static_argnums=4)


@jax.enable_x64(True)
def run(case):
    """Train one network and return the shares of exactly right sets."""
    rng = np.random.default_rng(case["seed"])
    (X, labels), (X_valid, valid), (X_test, test) = data(case["seed"], rng)
    p = {
        "W1": rng.normal(size=(192, UNITS)) * np.sqrt(2 / 192),
        "b1": np.zeros(UNITS),
        "W2": rng.normal(size=(UNITS, 10)) * np.sqrt(1 / UNITS),
        "b2": np.zeros(10),
    }
    order = np.concatenate([rng.permutation(2000).reshape(-1, BATCH) for _ in range(EPOCHS)])
    p = trained(p, X, labels, order, case["output"] == "softmax")
    outputs = jax.nn.softmax if case["output"] == "softmax" else jax.nn.sigmoid

    def exact(X, labels, threshold):
        return ((np.asarray(outputs(sums(p, X))) > threshold) == labels).all(axis=1).mean()

    best = max(THRESHOLDS, key=lambda t: exact(X_valid, valid, t))
    several = test.sum(axis=1) > 1
    return {
        "at_half": float(exact(X_test, test, 0.5)),
        "at_best": float(exact(X_test, test, best)),
        "threshold": float(best),
        "several_at_half": float(exact(X_test[several], test[several], 0.5)),
    }


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    by = {name: group.set_index("seed") for name, group in table.groupby("output")}
    lead = by["sigmoids"].at_best - by["softmax"].at_best
    figures = {"lead": lead.mean(), "error": 2 * lead.sem()}
    for name, group in by.items():
        figures |= {
            f"{column}, {name}": value for column, value in group.mean(numeric_only=True).items()
        }
    never = by["softmax"].several_at_half.max() == 0
    return {
        "a softmax cannot give several labels": bool(
            never and by["sigmoids"].several_at_half.mean() > 0.5
        ),
        "no threshold repairs it": bool(lead.mean() > max(0.05, 2 * lead.sem())),
    }, figures
