"""What does a schedule of the learning rate buy a deep plain network: a higher score, or more rates
that work?

scikit-learn's digits; 400 images are set aside for the test once and for all, and for every seed
1,024 of the others are for training and 373 for validation. A network with eight hidden layers of
32 ReLU units, without normalization, first weights by He's rule (the last layer's: variance 1 /
inputs), in float64; 10 epochs in batches of 16, 640 steps. Momentum (SGD with 0.9) and Adam, as
Keras 3 computes them.

Schedules give the share of the peak rate at each step: "constant" is 1; "step" is 1, a tenth from
half of the steps on, a hundredth from three quarters on; "cosine" falls from 1 to 0 along half a
cosine; "warm-up" rises evenly over the first 64 steps to 1 and stays; "both" rises like that and
then falls to 0 along half a cosine. Each is trained with 13 peak rates, 10^(k/3) for k from -12 to
0, from 0.0001 to 1.

Columns are the accuracies on validation and test data for each k. A network whose weights are not
finite guesses the digit zero.

Seeds: 0 to 19, for the training and validation images, the first weights and the order of the
images; all schedules share them.

Written before the first run. Accuracies are means over the seeds on the test data; errors are two
standard errors of the paired difference; a point is 0.01. The chosen peak rate is the one with the
highest mean validation accuracy (the smallest of equals). A rate works if its mean validation
accuracy is at least 0.8, and is good if it is within a point of the best of its optimizer and
schedule.

Holds, as "a falling rate scores higher": at the chosen rates cosine is ahead of constant by more
than the error, for both optimizers.

Holds, as "it does not matter how the rate falls": at the chosen rates step and cosine are at most
half a point apart, for both optimizers.

Holds, as "warm-up lets larger rates work": the largest rate that works is larger with warm-up than
constant, for both optimizers.

Holds, as "warm-up scores higher": at the chosen rates warm-up is ahead of constant by more than the
error, for both optimizers.

Holds, as "a falling rate makes more rates good": cosine has more good rates than constant, for both
optimizers.

Came out: at the chosen rates cosine is ahead of constant by 0.015 ± 0.012 with momentum and by
0.012 ± 0.009 with Adam. These do not hold: "it does not matter how the rate falls", since with
momentum step is 0.018 ± 0.009 below cosine (with Adam 0.001 ± 0.004); "warm-up lets larger rates
work", since the largest that works is 0.0215 with momentum and 0.01 with Adam, with it and without;
"warm-up scores higher", which is 0.013 ± 0.013 and 0.003 ± 0.010 below constant; "a falling rate
makes more rates good", since both have 2.
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from experiments.optimizer_race import accuracy, loss, updated
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

DEPENDS = ["experiments/optimizer_race.py"]
OPTIMIZERS = ["momentum", "Adam"]
SCHEDULES = ["constant", "step", "cosine", "warm-up", "both"]
CASES = [
    {"optimizer": optimizer, "schedule": schedule, "seed": seed}
    for optimizer in OPTIMIZERS
    for schedule in SCHEDULES
    for seed in range(20)
]
EXPONENTS = range(-12, 1)
RATES = 10.0 ** (np.array(EXPONENTS) / 3)
# from 10^-2.67 on, rounding may decide whether a network breaks
TOLERANCE = {
    f"{part}_{k}": 0.03 if k < -8 else 0.8 for part in ("valid", "test") for k in EXPONENTS
}
SIZES = (64, *[32] * 8, 10)
STEPS, RISE = 640, 64
X, y = load_digits(return_X_y=True)
X = X / 16
X_rest, X_test, y_rest, y_test = train_test_split(X, y, test_size=400, random_state=0, stratify=y)


def shares(schedule):
    """Return the share of the peak rate at each step, (STEPS,)."""
    t = np.arange(STEPS)
    rise = np.minimum(1, (t + 1) / RISE)
    return {
        "constant": np.ones(STEPS),
        "step": np.where(t < STEPS / 2, 1, np.where(t < 3 * STEPS / 4, 0.1, 0.01)),
        "cosine": (1 + np.cos(np.pi * t / STEPS)) / 2,
        "warm-up": rise,
        "both": np.where(t < RISE, rise, (1 + np.cos(np.pi * (t - RISE) / (STEPS - RISE))) / 2),
    }[schedule]


def train(optimizer, p, peak, share, X, y, order):
    """Return the parameters after one step for each row of order."""
    zeros = jax.tree.map(jnp.zeros_like, p)

    def step(state, row):
        p, m, v = state
        t, now, batch = row
        g = jax.grad(loss)(p, X[batch], y[batch])
        triples = [
            updated(optimizer, *leaves, t, peak * now)
            for leaves in zip(*map(jax.tree.leaves, (p, g, m, v)))
        ]
        shape = jax.tree.structure(p)
        return tuple(jax.tree.unflatten(shape, part) for part in zip(*triples)), None

    times = jnp.arange(1.0, len(order) + 1)
    return jax.lax.scan(step, (p, zeros, zeros), (times, share, order))[0][0]


@lru_cache
def functions(optimizer):
    """Return train and accuracy, compiled, each for all peak rates at once."""

    def one(p, peak, share, X, y, order):
        return train(optimizer, p, peak, share, X, y, order)

    every = jax.jit(jax.vmap(one, in_axes=(None, 0, None, None, None, None)))
    return every, jax.jit(jax.vmap(accuracy, in_axes=(0, None, None)))


@jax.enable_x64(True)
def run(case):
    """Train with every peak rate and return the accuracies."""
    rng = np.random.default_rng(case["seed"])
    X_train, X_valid, y_train, y_valid = train_test_split(
        X_rest, y_rest, train_size=1024, random_state=case["seed"], stratify=y_rest
    )
    pairs = list(zip(SIZES, SIZES[1:]))
    gains = [2] * (len(pairs) - 1) + [1]
    p = [
        (jnp.array(rng.normal(0, np.sqrt(gain / n), (n, m))), jnp.zeros(m))
        for gain, (n, m) in zip(gains, pairs)
    ]
    order = np.concatenate([rng.permutation(1024) for _ in range(10)]).reshape(STEPS, 16)
    every, right = functions(case["optimizer"])
    p = every(p, RATES, shares(case["schedule"]), X_train, y_train, order)
    judges = {"valid": (X_valid, y_valid), "test": (X_test, y_test)}
    return {
        f"{part}_{k}": float(score)
        for part, judge in judges.items()
        for k, score in zip(EXPONENTS, right(p, *judge))
    }


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    at, figures = {}, {}
    for (optimizer, schedule), rows in table.groupby(["optimizer", "schedule"]):
        rows, name = rows.sort_values("seed"), f"{optimizer}, {schedule}"
        mean = rows[[f"valid_{k}" for k in EXPONENTS]].to_numpy().mean(axis=0).round(9)
        best = int(mean.argmax())
        at[optimizer, schedule] = rows[f"test_{EXPONENTS[best]}"].to_numpy()
        figures |= {
            f"{name}, rate": RATES[best],
            f"{name}, test": at[optimizer, schedule].mean(),
            f"{name}, largest that works": RATES[np.flatnonzero(mean >= 0.8).max()],
            f"{name}, good rates": int((mean >= mean.max() - 0.01).sum()),
        }

    def lead(optimizer, one, other):
        """Return the mean difference and its error, and note both."""
        gap = at[optimizer, one] - at[optimizer, other]
        error = 2 * gap.std(ddof=1) / np.sqrt(len(gap))
        name = f"{optimizer}: {one} minus {other}"
        figures[name], figures[f"{name}, error"] = gap.mean(), error
        return gap.mean(), error

    leads = {
        (name, *pair): lead(name, *pair)
        for name in OPTIMIZERS
        for pair in (("cosine", "constant"), ("step", "cosine"), ("warm-up", "constant"))
    }
    holds = {
        "a falling rate scores higher": all(
            leads[name, "cosine", "constant"][0] > leads[name, "cosine", "constant"][1]
            for name in OPTIMIZERS
        ),
        "it does not matter how the rate falls": all(
            abs(leads[name, "step", "cosine"][0]) <= 0.005 for name in OPTIMIZERS
        ),
        "warm-up lets larger rates work": all(
            figures[f"{name}, warm-up, largest that works"]
            > figures[f"{name}, constant, largest that works"]
            for name in OPTIMIZERS
        ),
        "warm-up scores higher": all(
            leads[name, "warm-up", "constant"][0] > leads[name, "warm-up", "constant"][1]
            for name in OPTIMIZERS
        ),
        "a falling rate makes more rates good": all(
            figures[f"{name}, cosine, good rates"] > figures[f"{name}, constant, good rates"]
            for name in OPTIMIZERS
        ),
    }
    return holds, figures
