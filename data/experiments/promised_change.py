"""Does an explanation say what happens when its top feature is changed: in the model, and in the
world?

A simulated card issuer, so that the truth is known. A hidden engagement of each customer drives
spending (with noise) and questions to the support, and raises the chance of renewing the card. The
fee was set at random and lowers that chance; questions change nothing. XGBoost (150 trees of depth
3) learns the renewals of 5,000 customers from fee, questions, spending, age and tenure. For 300
other customers, exact Shapley values of the predicted probability are computed over all 32
coalitions, with 40 training customers as background. Among the customers whose largest Shapley
value belongs to the fee, or to the questions, that feature is replaced by the values of the 40
background customers in turn. The promise is minus its Shapley value. "Promised" is the mean
absolute promise, "model" and "world" are the mean changes of the prediction and of the true
probability, counted positive in the direction of the promise; "agreement" is the correlation of
promise and model's change over these customers.

Seeds: 0 to 19, for customers, training and background.

Written before the first run.

Holds, as "the promise describes the model": for either feature and in every seed, the model's
change is 0.75 to 1.25 times the promised one, and the agreement is above 0.9.

Holds, as "for the cause, the world keeps the promise": for the fee, the true change is 0.7 to 1.3
times the promised one in every seed.

Holds, as "for the correlated feature, the promise is large": for questions, which change nothing,
the promised change is at least 0.05 in every seed.

Came out: all three hold. The model's change is 0.89 to 1.17 times the promised one, and the
agreement at least 0.915. For the fee the true change is 0.93 to 1.18 times the promised one; the
mean promise is 0.165, the mean true change 0.179. For questions the promise is 0.135 in the mean
and at least 0.111, the model's change 0.136 in the mean, and the true one zero.
"""

from itertools import product
from math import factorial

import numpy as np
from xgboost import XGBClassifier

FEATURES = ["fee", "questions", "spending", "age", "tenure"]
CASES = [{"feature": feature, "seed": seed} for feature in FEATURES[:2] for seed in range(20)]
TOLERANCE = {"customers": 3, "promised": 0.01, "model": 0.01, "world": 0.01, "agreement": 0.02}


def renewal(engagement, fee, age):
    """Return the true probabilities of renewing, arrays of one shape."""
    return 1 / (1 + np.exp(-(0.5 + 1.2 * engagement - 0.035 * (fee - 30) + 0.3 * age)))


def customers(n, rng):
    """Return X (n, 5), renewals y (n,) and the hidden engagement (n,) of n customers."""
    engagement, age = rng.normal(size=(2, n))
    fee = rng.choice([0, 20, 40, 60], n)
    questions = rng.poisson(np.exp(0.3 + 0.8 * engagement))
    spending = engagement + rng.normal(size=n)
    X = np.column_stack([fee, questions, spending, age, rng.normal(size=n)]).round(2)
    return X, (rng.random(n) < renewal(engagement, fee, X[:, 3])).astype(int), engagement


def shapley(f, X, background):
    """Return the Shapley values (n, n_features) of f at the rows of X over all coalitions, absent
    features taken from the rows of the background in turn.
    """
    n, d, b = len(X), X.shape[1], len(background)
    masks = np.array(list(product([False, True], repeat=d)))
    rows = np.where(masks[:, None, None], X[:, None], background)  # (2^d, n, b, d)
    value = f(rows.reshape(-1, d)).reshape(len(masks), n, b).mean(axis=2)
    place = {tuple(mask): k for k, mask in enumerate(masks)}
    phi = np.zeros((n, d))
    for k, mask in enumerate(masks):
        s = mask.sum()
        for j in np.flatnonzero(~mask):
            joined = mask.copy()
            joined[j] = True
            weight = factorial(s) * factorial(d - 1 - s) / factorial(d)
            phi[:, j] += weight * (value[place[tuple(joined)]] - value[k])
    return phi


def run(case):
    """Return what the explanations of one model promise for a feature, and what comes."""
    rng = np.random.default_rng(case["seed"])
    X_train, y_train, _ = customers(5000, rng)
    X, _, engagement = customers(300, rng)
    background = X_train[rng.choice(len(X_train), 40, replace=False)]
    model = XGBClassifier(n_estimators=150, max_depth=3, learning_rate=0.05, n_jobs=1)
    model.fit(X_train, y_train)

    def f(rows):
        return model.predict_proba(rows)[:, 1].astype(float)

    phi = shapley(f, X, background)
    j = FEATURES.index(case["feature"])
    top = np.abs(phi).argmax(axis=1) == j
    promise = -phi[top, j]
    rows = np.repeat(X[top][:, None], len(background), axis=1)
    rows[:, :, j] = background[:, j]
    in_model = f(rows.reshape(-1, len(FEATURES))).reshape(rows.shape[:2]).mean(axis=1) - f(X[top])
    hidden = engagement[top]
    changed = renewal(hidden[:, None], rows[:, :, 0], rows[:, :, 3]).mean(axis=1)
    in_world = changed - renewal(hidden, X[top, 0], X[top, 3])
    return {
        "customers": int(top.sum()),
        "promised": np.abs(promise).mean(),
        "model": (np.sign(promise) * in_model).mean(),
        "world": (np.sign(promise) * in_world).mean(),
        "agreement": np.corrcoef(promise, in_model)[0, 1],
    }


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    model, world = table.model / table.promised, table.world / table.promised
    fee, questions = table.feature == "fee", table.feature == "questions"
    figures = {
        "least model change over promise": model.min(),
        "greatest model change over promise": model.max(),
        "least agreement": table.agreement.min(),
        "least true change over promise, fee": world[fee].min(),
        "greatest true change over promise, fee": world[fee].max(),
        "mean promise, fee": table.promised[fee].mean(),
        "mean promise, questions": table.promised[questions].mean(),
        "least promise, questions": table.promised[questions].min(),
        "mean true change, fee": table.world[fee].mean(),
        "mean model change, fee": table.model[fee].mean(),
        "mean model change, questions": table.model[questions].mean(),
    }
    describes = model.between(0.75, 1.25).all() and table.agreement.min() > 0.9
    return {
        "the promise describes the model": describes,
        "for the cause, the world keeps the promise": world[fee].between(0.7, 1.3).all(),
        "for the correlated feature, the promise is large": table.promised[questions].min() >= 0.05,
    }, figures
