"""What are several hundred randomly drawn configurations of XGBoost worth on the card transactions?

Each case draws one configuration, trains on days 1 to 50, and is measured on days 51 to 70 (valid)
and 71 to 90 (test). The four spaces: "two" draws eta and num_round on logarithmic scales, "two
uniform" draws the same ranges uniformly, "five" adds max_depth, min_child_weight and subsample,
"nine" adds colsample_bytree, lambda, alpha and gamma. What is not drawn stays at XGBoost's default,
except max_depth 3. Numbers: the drawn values; average precision (ap), area under the ROC curve
(auc), log loss and accuracy at the threshold 0.5 on the validation days, ap on the test days; and,
for four random halvings of the customers, ap of the validation days on either half (a0 and b0,
...). The chapter replays searches on these rows: a random search of n jobs is n rows drawn without
replacement.

Seeds: 0 to 499 in "five", 0 to 199 in the other spaces; a seed numbers a draw, and all train with
the same one.

Written before the first run. Searches have 20 jobs, and there are 1,000 of them.

Holds, as "do not tune too many hyperparameters" (154-06): the mean best ap on the validation days
is lower by at least 0.005 in the space of nine than in that of five, and lower in that of five than
in that of two.

Holds, as "search on a logarithmic scale" (154-08): the mean best ap after 5 and after 20 jobs is
higher in "two" than in "two uniform".

Holds, as "keep ranges narrow" (154-07): among rows of "two", a quarter of the range of eta around
the best cell beats the whole range, and the lowest quarter of the range falls behind it.

Holds, as "the best of many scores is optimistic" (154-04): the configuration that is best on one
half of the customers has a lower ap on the other half, on average over both directions of all
halvings, and more so after 50 jobs than after 5.

Came out: all hold but "do not tune too many hyperparameters": the mean best of 20 jobs is 0.721 in
"two", 0.713 in "five" and 0.735 in "nine". The flattery of the best score grows from 0.015 with 5
jobs to 0.034 with 50.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import xgboost
from sklearn.metrics import accuracy_score, average_precision_score, log_loss, roc_auc_score

SIZES = {"two": 200, "two uniform": 200, "five": 500, "nine": 200}
CASES = [{"space": s, "seed": k} for s, n in SIZES.items() for k in range(n)]
DEPENDS = ["transactions.csv"]
payments = pd.read_csv(Path(__file__).parents[1] / "transactions.csv")
X = pd.get_dummies(payments.drop(columns=["day", "customer", "fraud"]), dtype=float)
y, customer = payments.fraud.to_numpy(), payments.customer.to_numpy()
DAYS = {
    "train": (payments.day <= 50).to_numpy(),
    "valid": payments.day.between(51, 70).to_numpy(),
    "test": (payments.day > 70).to_numpy(),
}
HALVES = [np.random.default_rng(k).random(1600) < 0.5 for k in range(4)]
DATA = {name: xgboost.DMatrix(X[rows], y[rows]) for name, rows in DAYS.items()}
RANGES = {  # low, high, whether the scale is logarithmic
    "eta": (0.003, 1, True),
    "num_round": (10, 600, True),
    "max_depth": (1, 10, False),
    "min_child_weight": (0.1, 20, True),
    "subsample": (0.3, 1, False),
    "colsample_bytree": (0.3, 1, False),
    "lambda": (0.01, 100, True),
    "alpha": (0.001, 10, True),
    "gamma": (0.001, 10, True),
}
DEFAULTS = {"max_depth": 3, "min_child_weight": 1, "subsample": 1}
DEFAULTS |= {"colsample_bytree": 1, "lambda": 1, "alpha": 0, "gamma": 0}
KNOBS = {"two": 2, "two uniform": 2, "five": 5, "nine": 9}


def draw(space, rng):
    """Return one configuration, a dict; what the space does not draw has its default."""
    drawn = {}
    for name in list(RANGES)[: KNOBS[space]]:
        low, high, log = RANGES[name]
        if log and space != "two uniform":
            value = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        else:
            value = float(rng.uniform(low, high))
        drawn[name] = round(value) if name in {"num_round", "max_depth"} else value
    return DEFAULTS | drawn


def scores(config, seed=0, train=DATA["train"]):
    """Return the probabilities of a trained configuration for the validation days and of test."""
    settings = {key: value for key, value in config.items() if key != "num_round"}
    settings |= {"objective": "binary:logistic", "nthread": 1, "seed": seed}
    model = xgboost.train(settings, train, config["num_round"])
    return model.predict(DATA["valid"]), model.predict(DATA["test"])


def run(case):
    """Train one configuration and return its values and what it is worth."""
    space = list(SIZES).index(case["space"])
    config = draw(case["space"], np.random.default_rng([space, case["seed"]]))
    p, p_test = scores(config)
    truth, who = y[DAYS["valid"]], customer[DAYS["valid"]]
    result = config | {
        "ap": average_precision_score(truth, p),
        "auc": roc_auc_score(truth, p),
        "log_loss": log_loss(truth, p.astype(float)),
        "accuracy": accuracy_score(truth, p > 0.5),
        "test_ap": average_precision_score(y[DAYS["test"]], p_test),
    }
    for k, half in enumerate(HALVES):
        a = half[who]
        result[f"a{k}"] = average_precision_score(truth[a], p[a])
        result[f"b{k}"] = average_precision_score(truth[~a], p[~a])
    return {key: float(value) for key, value in result.items()}


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide: searches are replayed on
    the rows, flattery among those of "five".
    """
    two, uniform, five, nine = (
        table[table.space == space] for space in ["two", "two uniform", "five", "nine"]
    )
    low, high, _ = RANGES["eta"]
    quarter, middle = (high / low) ** 0.25, two.eta[two.ap.idxmax()]
    around = two[two.eta.between(middle / quarter**0.5, middle * quarter**0.5)]
    lowest = two[two.eta < low * quarter]

    def best(rows, jobs, by="ap", on="ap"):
        order = np.random.default_rng(0).random((1000, len(rows))).argsort(axis=1)[:, :jobs]
        chosen = order[np.arange(1000), rows[by].to_numpy()[order].argmax(axis=1)]
        return rows[on].to_numpy()[chosen].mean()

    def flattery(jobs):
        halves = [(f"a{k}", f"b{k}") for k in range(4)]
        both = halves + [(b, a) for a, b in halves]
        return np.mean([best(five, jobs, a, a) - best(five, jobs, a, b) for a, b in both])

    figures = {
        "two": best(two, 20),
        "two uniform": best(uniform, 20),
        "five": best(five, 20),
        "nine": best(nine, 20),
        "two, 5 jobs": best(two, 5),
        "two uniform, 5 jobs": best(uniform, 5),
        "best quarter of eta": best(around, 20),
        "lowest quarter of eta": best(lowest, 20),
        "flattery, 5 jobs": flattery(5),
        "flattery, 50 jobs": flattery(50),
    }
    holds = {
        "do not tune too many hyperparameters": figures["nine"] <= figures["five"] - 0.005
        and figures["five"] < figures["two"],
        "search on a logarithmic scale": figures["two, 5 jobs"] > figures["two uniform, 5 jobs"]
        and figures["two"] > figures["two uniform"],
        "keep ranges narrow": figures["best quarter of eta"] > figures["two"]
        and figures["lowest quarter of eta"] < figures["two"],
        "the best of many scores is optimistic": figures["flattery, 50 jobs"]
        > figures["flattery, 5 jobs"]
        > 0,
    }
    return holds, figures
