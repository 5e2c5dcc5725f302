"""How well does a network train with a wrong gradient?

Digits, network, bugs and the wrong forward pass of the experiment planted gradients. 1,000 digits
train, 300 validate and 497 test; plain gradient descent, batches of 32 with a new dropout mask
each, 40 epochs, and of the rates 0.001, 0.01, 0.1 and 0.5 the one with the highest validation
accuracy. At validation and test nothing is dropped, and batch normalization uses mean and variance
of the training digits.

Columns: the rate kept, and its accuracy on the test digits.

Seeds: 0 to 19, for the split, the first weights, the batches and the masks.

Written before the first run.

Holds, as "most wrong gradients train" (149-12): with six of the ten bugs or more the mean accuracy
is at most 0.05 below that of the right gradient.

Holds, as "no score tells the wrong from the right" (149-12): with three of the ten bugs or more the
mean paired difference from the right gradient is within two standard errors.

Came out: both hold. 8 of 10 bugs cost 0.019 at most, and for 6 of 10 the mean is within two
standard errors of the right gradient's 0.889. The other two bugs cost 0.264 and 0.189.
"""

import numpy as np
from experiments.planted_gradients import BUGS, PASSES, X_all, first_parameters, mask, y_all

DEPENDS = ["experiments/planted_gradients.py"]
CASES = [{"gradient": name, "seed": seed} for name in PASSES for seed in range(20)]
TOLERANCE = {"rate": 0.5, "test": 0.03}
RATES = [0.001, 0.01, 0.1, 0.5]


def chaotic(case):
    """Return whether another machine's rounding leads to another accuracy."""
    return case["gradient"] in {"other layer's slope", "limit ignored"}


def accuracy(forward, p, X, y, X_train):
    """Return the accuracy with the batch statistics of the training digits."""
    s = X_train @ p["W1"]
    h1 = np.maximum(p["gamma"] * (X @ p["W1"] - s.mean(axis=0)) / s.std(axis=0) + p["beta"], 0)
    h2 = h1 @ p["W2"] + p["b2"]
    if forward is PASSES["right"][0]:
        h2 = np.maximum(h2, 0)
    return float(((h2 @ p["W3"] + p["b3"]).argmax(axis=1) == y).mean())


def run(case):
    """Train with each rate and return the kept one's test accuracy."""
    forward, backward = PASSES[case["gradient"]]
    order = np.random.default_rng(case["seed"]).permutation(len(X_all))
    train, validation, test = np.split(order, [1000, 1300])
    best = (-1.0, None, None)
    for rate in RATES:
        rng = np.random.default_rng(case["seed"])
        p = first_parameters(rng)
        for _ in range(40):
            for batch in rng.permutation(train)[:992].reshape(-1, 32):
                g = backward(p, X_all[batch], y_all[batch], mask(32, rng))
                p = {name: p[name] - rate * g[name] for name in p}
        if not all(np.isfinite(v).all() for v in p.values()):
            continue
        score = accuracy(forward, p, X_all[validation], y_all[validation], X_all[train])
        if score > best[0]:
            best = score, rate, p
    score = accuracy(forward, best[2], X_all[test], y_all[test], X_all[train])
    return {"rate": best[1], "test": score}


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    wide = table.pivot(index="seed", columns="gradient", values="test")
    loss = wide.rsub(wide["right"], axis=0)
    mean, error = loss.mean(), loss.sem()
    near = [bug for bug in BUGS if mean[bug] <= 0.05]
    same = [bug for bug in BUGS if abs(mean[bug]) <= 2 * error[bug]]
    figures = {
        "mean accuracy, right": wide["right"].mean(),
        "bugs at most 0.05 below": len(near),
        "bugs within two standard errors": len(same),
    }
    figures |= {f"mean loss, {name}": mean[name] for name in [*BUGS, "wrong forward pass"]}
    return {
        "most wrong gradients train": len(near) >= 6,
        "no score tells the wrong from the right": len(same) >= 3,
    }, figures
