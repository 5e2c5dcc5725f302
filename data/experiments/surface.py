"""How does XGBoost's average precision on the card transactions depend on eta and num_round
together?

Each case trains on the days 1 to 50 of a random four fifths of the customers, with max_depth 3 and
one of 25 values of eta from 0.003 to 1, and is measured on days 51 to 70 of all customers after 20
numbers of rounds from 10 to 600, both evenly spaced on a logarithmic scale: the columns are named
by the rounds.

Seeds: 0 to 9, for the four fifths of the customers.

Written before the first run.

Holds, as "the two cannot be chosen one at a time": in the mean over the seeds, the best eta at the
fewest rounds is at least ten times the best eta at the most rounds.

Came out: it holds. The best eta is 0.38 with 10 rounds and 0.021 with 600.
"""

import numpy as np
import xgboost
from experiments.configurations import DATA, DAYS, DEFAULTS, X, customer, y
from sklearn.metrics import average_precision_score

ETAS = np.geomspace(0.003, 1, 25).round(4).tolist()
ROUNDS = np.geomspace(10, 600, 20).round().astype(int).tolist()
CASES = [{"eta": eta, "seed": seed} for seed in range(10) for eta in ETAS]
DEPENDS = ["experiments/configurations.py"]


def run(case):
    """Train with one eta and return the average precision after every number of rounds."""
    chosen = np.random.default_rng(case["seed"]).random(1600) < 0.8
    rows = DAYS["train"] & chosen[customer]
    train = xgboost.DMatrix(X[rows], y[rows])
    settings = DEFAULTS | {"objective": "binary:logistic", "nthread": 1}
    model = xgboost.train(settings | {"eta": case["eta"]}, train, max(ROUNDS))
    truth, result = y[DAYS["valid"]], {}
    for n in ROUNDS:
        p = model.predict(DATA["valid"], iteration_range=(0, n))
        result[f"{n}"] = float(average_precision_score(truth, p))
    return result


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    means = table.groupby("eta").mean()
    fewest, most = means[str(min(ROUNDS))].idxmax(), means[str(max(ROUNDS))].idxmax()
    figures = {"best eta, 10 rounds": fewest, "best eta, 600 rounds": most}
    return {"the two cannot be chosen one at a time": fewest >= 10 * most}, figures
