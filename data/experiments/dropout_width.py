"""What does dropout bring to a narrow network and to a wide one?

A network with one hidden layer learns scikit-learn's digits from 250 of them by Adam, in batches
of 25, for 100 epochs; validation data are 400 other digits, test data the remaining 1,147, both
with right labels. Of the training labels, all are right or 50 are wrong. Varied are the width of
the hidden layer and the rate of dropout behind it. Each row is the better of two learning rates,
0.001 and 0.005, by validation accuracy: `end_` after 100 epochs, `best_` after the epoch that is
best on validation data, of 4, 8, ..., 100. `loss` is the cross-entropy on test data, `training` the
accuracy on the 250 labels as given, after 100 epochs.

Seeds: 0 to 19, for the choice of digits, the wrong labels, the weights, the order and the dropout.

Written before the first run. Gains are differences within seeds of mean test accuracy; "chosen" is
the rate among 0.2, 0.5 and 0.8 that is best on validation data in a seed. (Pilots with three seeds
had set the epochs and the learning rates.)

Holds, as "a wide network gains at the end" (147-08): with wrong labels, 256 units and 100 epochs,
the chosen rate gains over no dropout by more than two standard errors.

Holds, as "a wide network gains with the epoch chosen too" (147-08): the same with the best epoch.

Holds, as "the gain grows with width" (147-08): with wrong labels and 100 epochs, the chosen rate
gains more at 256 units than at 32, by more than two standard errors.

Holds, as "a narrow network pays" (147-08): at 8 units and the best epoch, dropout of 0.5 loses
against no dropout by more than two standard errors, with right labels and with wrong ones.

Came out: all but "a wide network gains with the epoch chosen too": with 256 units and wrong labels
the chosen rate gains 0.074 after 100 epochs, and 0.006 at the best epoch, which is less than two
standard errors. At 8 units and the best epoch, a rate of one half loses 0.079 with right
labels.
"""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

WIDTHS, RATES, LABELS = [8, 32, 128, 256], [0.0, 0.2, 0.5, 0.8], ["right", "a fifth wrong"]
CASES = [
    {"labels": labels, "width": width, "dropout": rate, "seed": seed}
    for labels in LABELS
    for width in WIDTHS
    for rate in RATES
    for seed in range(20)
]
TOLERANCE = {f"{when}_{what}": 0.05 for when in ("end", "best") for what in ("validation", "test")}
TOLERANCE |= {"end_loss": 0.3, "best_loss": 0.3, "training": 0.05, "best_epoch": 100}
LEARNING_RATES, EPOCHS, BATCH, EVERY = [0.001, 0.005], 100, 25, 4
PIXELS, CLASSES = load_digits(return_X_y=True)
PIXELS = PIXELS / 16


def log_probabilities(weights, X, kept=1.0):
    """Return what the network says of pictures (n, 64), with kept hidden units: (n, 10)."""
    hidden = jax.nn.relu(X @ weights["W1"] + weights["b1"]) * kept
    return jax.nn.log_softmax(hidden @ weights["W2"] + weights["b2"])


def train(learning_rate, weights, order, key, rate, X, y, X_other):
    """Return the network's log probabilities for X and for X_other after every fourth epoch; order
    (times, steps, batch) says which rows a step uses.
    """

    def loss(weights, rows, key):
        uniform = jax.random.uniform(key, (BATCH, len(weights["b1"])))
        said = log_probabilities(weights, X[rows], (uniform >= rate) / (1 - rate))
        return -jnp.take_along_axis(said, y[rows][:, None], axis=1).mean()

    def step(state, now):
        weights, mean, square, n = state
        gradient = jax.grad(loss)(weights, *now)
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradient)
        square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g**2, square, gradient)
        size = learning_rate * jnp.sqrt(1 - 0.999**n) / (1 - 0.9**n)
        weights = jax.tree.map(
            lambda w, m, s: w - size * m / (jnp.sqrt(s) + 1e-7), weights, mean, square
        )
        return (weights, mean, square, n + 1), None

    def some_epochs(state, now):
        state, _ = jax.lax.scan(step, state, now)
        return state, tuple(log_probabilities(state[0], of) for of in (X, X_other))

    zeros = jax.tree.map(jnp.zeros_like, weights)
    keys = jax.random.split(key, order.shape[:2])
    return jax.lax.scan(some_epochs, (weights, zeros, zeros, 1.0), (order, keys))[1]


trained = jax.jit(jax.vmap(train, (0,) + (None,) * 7))


@jax.enable_x64(True)
def run(case):
    """Train a network at each learning rate and measure the better one."""
    seed, width = case["seed"], case["width"]
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(PIXELS))
    (X, X_other), (y, y_other) = ([of[rows[:250]], of[rows[250:]]] for of in (PIXELS, CLASSES))
    given, wrong = y.copy(), 0 if case["labels"] == "right" else 50
    given[:wrong] = (y[:wrong] + rng.integers(1, 10, wrong)) % 10

    def uniform(n, m):
        return jnp.asarray(rng.uniform(-1, 1, (n, m)) * np.sqrt(6 / (n + m)))

    weights = {"W1": uniform(64, width), "b1": jnp.zeros(width)}
    weights |= {"W2": uniform(width, 10), "b2": jnp.zeros(10)}
    epochs = [rng.permutation(250).reshape(-1, BATCH) for _ in range(EPOCHS)]
    order = np.concatenate(epochs).reshape(EPOCHS // EVERY, -1, BATCH)
    said, said_of_others = trained(
        jnp.asarray(LEARNING_RATES), weights, order, jax.random.key(seed), case["dropout"], X,
        given, X_other,
    )  # fmt: skip
    training = (np.asarray(said)[:, -1].argmax(axis=-1) == given).mean(axis=-1)
    said_of_others = np.asarray(said_of_others)  # (learning rates, times, digits, 10)
    right = said_of_others.argmax(axis=-1) == y_other
    of_truth = said_of_others[..., np.arange(len(y_other)), y_other]
    validation, test = right[..., :400].mean(axis=-1), right[..., 400:].mean(axis=-1)
    loss = -of_truth[..., 400:].mean(axis=-1)
    end = validation[:, -1].argmax(), -1
    best = np.unravel_index(validation.argmax(), validation.shape)
    found = {}
    for name, at in ("end", end), ("best", best):
        found |= {f"{name}_validation": validation[at], f"{name}_test": test[at]}
        found |= {f"{name}_loss": loss[at]}
    found |= {"best_epoch": EVERY * (best[1] + 1), "training": training[end[0]]}
    return {name: float(value) for name, value in found.items()}


def chosen(group, when):
    """Return the row of a seed whose rate, above 0, is best on validation data."""
    some = group[group.dropout > 0]
    return some.loc[some[f"{when}_validation"].idxmax()]


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    table = table.astype({"dropout": float, "width": int, "seed": int})
    gains, figures = {}, {}
    for (labels, width), group in table.groupby(["labels", "width"]):
        none = group[group.dropout == 0].set_index("seed")
        half = group[group.dropout == 0.5].set_index("seed")
        for when in ("end", "best"):
            one = group.groupby("seed").apply(chosen, when, include_groups=False)
            gain = one[f"{when}_test"] - none[f"{when}_test"]
            gains[labels, width, when, "chosen"] = gain
            gains[labels, width, when, "half"] = half[f"{when}_test"] - none[f"{when}_test"]
            figures[f"{labels}, {width} units, {when}, gain"] = gain.mean()
            figures[f"{labels}, {width} units, {when}, error"] = gain.sem()
        half_best = gains[labels, width, "best", "half"]
        figures[f"{labels}, {width} units, best, gain of 0.5"] = half_best.mean()
    wrong = "a fifth wrong"
    more = gains[wrong, 256, "end", "chosen"] - gains[wrong, 32, "end", "chosen"]
    figures["more gain at 256 than at 32 units"] = more.mean()

    def clear(gain):
        return bool(gain.mean() > 2 * gain.sem())

    holds = {
        "a wide network gains at the end": clear(gains[wrong, 256, "end", "chosen"]),
        "a wide network gains with the epoch chosen too": clear(
            gains[wrong, 256, "best", "chosen"]
        ),
        "the gain grows with width": clear(more),
        "a narrow network pays": all(clear(-gains[labels, 8, "best", "half"]) for labels in LABELS),
    }
    return holds, figures
