"""Do weights or another share of positives in training shift the odds by a known factor, so that a
formula gives the probabilities back?

Simulated card transactions (make_transactions.py), one world a seed: train on days 1 to 50, test on
days 71 to 90. A logistic regression and boosted trees (200 trees of depth 3), trained on the data
as they are ("plain"), with each fraud weighted by the number of honest payments per fraud
("weighted"), with each fraud repeated as often ("repeated"), with the frauds made as many as the
honest payments by SMOTE ("synthetic": a point between a fraud and one of its five nearest
neighbours among the frauds, gaps filled by medians, all columns scaled), and with one in ten of the
honest payments ("thinned") or as many honest payments as frauds ("thinned to half"). The factor w
is how much more a fraud counts than an honest payment, compared with the data as they are. The
corrected probability is p / (p + w (1 - p)). "Expected" is the sum of the probabilities on the test
days per fraud that came. "Saved" is 1 minus the bill at the rule's 1/21
over the bill without any alarm (a miss costs 200 euros, a false alarm 10).

Seeds: 0 to 19, one simulated world each.

Written before the first run. A trial with the trees in world 0 had shown the corrected sum far too
low for weighted and repeated frauds, and near for thinned honest payments.

Holds, as "the formula gives back what the plain model expects": for every learner and way of
training, the mean over 20 worlds of the corrected sum of probabilities, divided by the plain
model's, lies between 0.8 and 1.25.

Holds, as "the formula repairs weighted logistic regressions": the mean log loss of the weighted
logistic regression after the correction is less than 0.005 above the plain one's.

Came out: not "the formula gives back what the plain model expects". For the logistic regression
the corrected sums are 1.08 to 1.11 times the plain model's, and 1.31 times with the honest payments
thinned to half. For the trees they are 0.55 times with weighted or repeated frauds, 0.39 with
synthetic ones, 0.99 and 1.17 with thinned honest payments. The log loss of the weighted logistic
regression is, corrected, 0.0025 above the plain one's, so the other rule holds.
"""

import numpy as np
import pandas as pd
from make_transactions import make
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, log_loss
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

MISS, ALARM = 200, 10
TRAININGS = ["plain", "weighted", "repeated", "synthetic", "thinned", "thinned to half"]
CASES = [
    {"learner": learner, "training": training, "seed": seed}
    for learner in ["logistic regression", "boosted trees"]
    for training in TRAININGS
    for seed in range(20)
]
DEPENDS = ["make_transactions.py"]
TOLERANCE = {  # trees break ties by the last bit
    "average_precision": 0.02,
    "expected": 0.05,
    "expected_corrected": 0.05,
    "log_loss": 0.005,
    "log_loss_corrected": 0.005,
    "saved_rule": 0.05,
    "saved_rule_corrected": 0.05,
}


def world(seed):
    """Return X, y and days of one simulated world, categories as columns of 0 and 1."""
    table = make(seed)
    X = pd.get_dummies(table.drop(columns=["day", "customer", "fraud"]), dtype=float)
    return X.to_numpy(), table.fraud.to_numpy(), table.day.to_numpy()


def smote(X, n, rng):
    """Return n points, each between a row of X, which has no gaps, and one of its five nearest."""
    near = NearestNeighbors(n_neighbors=6).fit(X).kneighbors(X, return_distance=False)[:, 1:]
    one = rng.integers(0, len(X), n)
    other = near[one, rng.integers(0, 5, n)]
    return X[one] + rng.random((n, 1)) * (X[other] - X[one])


def training_set(name, X, y, rng):
    """Return X, y, weights and the factor w of one way of training."""
    frauds, honest = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    ratio = len(honest) / len(frauds)
    weights = np.ones(len(y))
    if name == "plain":
        return X, y, weights, 1.0
    if name == "weighted":
        return X, y, np.where(y == 1, ratio, 1.0), ratio
    if name == "repeated":
        times = round(ratio)
        rows = np.concatenate([honest, np.repeat(frauds, times)])
        return X[rows], y[rows], np.ones(len(rows)), float(times)
    if name == "synthetic":
        more = len(honest) - len(frauds)
        X = np.vstack([X, smote(X[frauds], more, rng)])
        y = np.concatenate([y, np.ones(more, int)])
        return X, y, np.ones(len(y)), ratio
    n_kept = len(honest) // 10 if name == "thinned" else len(frauds)
    rows = np.sort(np.concatenate([frauds, rng.choice(honest, n_kept, replace=False)]))
    return X[rows], y[rows], np.ones(len(rows)), len(honest) / n_kept


def learner(name):
    """Return an untrained classifier."""
    if name == "logistic regression":
        return LogisticRegression(max_iter=2000)
    return XGBClassifier(
        n_estimators=200, max_depth=3, learning_rate=0.05, n_jobs=1, random_state=0
    )


def saved(y, score):
    """Return the share of the frauds' cost that is left if all from 1/21 up are flagged."""
    flagged = score >= ALARM / (ALARM + MISS)
    cost = MISS * np.sum(~flagged & (y == 1)) + ALARM * np.sum(flagged & (y == 0))
    return float(1 - cost / (MISS * y.sum()))


def run(case):
    """Train one model in one world and judge its probabilities before and after the correction."""
    X, y, day = world(case["seed"])
    train, test = day <= 50, day > 70
    # trees take gaps as they are, but SMOTE cannot
    if case["learner"] == "logistic regression" or case["training"] == "synthetic":
        filled = make_pipeline(
            SimpleImputer(strategy="median", add_indicator=True), StandardScaler()
        )
        X = filled.fit(X[train]).transform(X)
    rng = np.random.default_rng(case["seed"])
    X_train, y_train, weights, w = training_set(case["training"], X[train], y[train], rng)
    model = learner(case["learner"]).fit(X_train, y_train, sample_weight=weights)
    p = model.predict_proba(X[test])[:, 1].astype(float)
    corrected = p / (p + w * (1 - p))
    n_frauds = y[test].sum()
    return {
        "w": float(w),
        "average_precision": average_precision_score(y[test], p),
        "expected": float(p.sum() / n_frauds),
        "expected_corrected": float(corrected.sum() / n_frauds),
        "log_loss": log_loss(y[test], p),
        "log_loss_corrected": log_loss(y[test], corrected),
        "saved_rule": saved(y[test], p),
        "saved_rule_corrected": saved(y[test], corrected),
    }


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    figures, near = {}, []
    for name, rows in table.groupby("learner", sort=False):
        by_world = rows.pivot(index="seed", columns="training", values="expected_corrected")
        for training in TRAININGS[1:]:
            ratio = float((by_world[training] / by_world["plain"]).mean())
            figures[f"{name}, {training}, corrected by plain"] = ratio
            near.append(0.8 <= ratio <= 1.25)
    losses = table.groupby(["learner", "training"]).log_loss_corrected.mean()["logistic regression"]
    more = float(losses["weighted"] - losses["plain"])
    figures["log loss, weighted and corrected, above plain"] = more
    return {
        "the formula gives back what the plain model expects": all(near),
        "the formula repairs weighted logistic regressions": more < 0.005,
    }, figures
