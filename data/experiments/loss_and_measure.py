"""Do RMSE and MAE name the same winner among models trained under squared and under absolute loss,
with and without outliers in the training rows?

Two tables. `patients`: scikit-learn's diabetes table, 442 patients and 10 features; a random half
is learned, the other half tests. `payments`: simulated card payments (make_transactions.py), one
world a seed; the amount of honest payments is predicted from the customer's usual amount, merchant,
channel and country (customers without a usual amount are left out); 2,000 random payments of days 1
to 50 are learned, all of days 71 to 90 test. The model is linear, trained under squared loss
(LinearRegression) or absolute loss (QuantileRegressor at 0.5, no penalty). The training rows are
kept as they are (`none`), or 5 % of them get a target ten times too large (`targets`), or the value
of one feature ten times too large (`feature`: body mass index, usual amount). Test rows are never
changed. No setting is chosen.

Seeds: 0 to 19, for the split of the patients or the world of the payments, and the spoiled rows.

Written before the first run.

Holds, as "each measure prefers its own loss" (152-03): on the payments as they are, squared loss
has the lower RMSE and absolute loss the lower MAE, each in at least 18 of 20 worlds.

Holds, as "no winner among the patients": on the patients as they are, neither RMSE nor MAE differ
between the losses by more than two standard errors of the mean difference.

Holds, as "absolute loss withstands wrong targets": with spoiled targets, absolute loss has the
lower RMSE and the lower MAE on both tables, each by more than two standard errors.

Holds, as "absolute loss withstands wrong features": with a spoiled feature, the mean RMSE and MAE
of absolute loss lie less than 2 % above those of absolute loss on the rows as they are, on both
tables.

Came out: not "no winner among the patients": squared loss has the lower RMSE, by 0.91, and the
lower MAE, by 0.68. Nor "absolute loss withstands wrong features": on the patients its RMSE rises
by 0.042 and its MAE by 0.032 of what they were, on the payments by 0.003 and 0.009. The other two
hold.
"""

import numpy as np
import pandas as pd
from make_transactions import make
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression, QuantileRegressor
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

CASES = [
    {"table": table, "spoiled": spoiled, "loss": loss, "seed": seed}
    for table in ("patients", "payments")
    for spoiled in ("none", "targets", "feature")
    for loss in ("squared", "absolute")
    for seed in range(20)
]
DEPENDS = ["make_transactions.py"]
TOLERANCE = {"rmse": 0.02, "mae": 0.02, "r2": 0.001}


def patients(rng):
    """Return features and targets to learn and to test, and the column that may be spoiled."""
    X, y = load_diabetes(return_X_y=True, scaled=False)
    rows = rng.permutation(len(X))
    learn, test = rows[:221], rows[221:]
    return X[learn], y[learn], X[test], y[test], 2


def payments(rng, seed):
    """Return features and targets to learn and to test, and the column that may be spoiled."""
    table = make(seed)
    table = table[(table.fraud == 0) & table.usual_amount.notna()]
    kinds = pd.get_dummies(table[["merchant", "channel", "country"]], drop_first=True, dtype=float)
    X = np.column_stack([table.usual_amount, kinds])
    y, day = table.amount.to_numpy(), table.day.to_numpy()
    learn, test = rng.permutation(np.flatnonzero(day <= 50))[:2000], day > 70
    return X[learn], y[learn], X[test], y[test], 0


def run(case):
    """Train one model and measure its errors on the test rows."""
    rng = np.random.default_rng(case["seed"])
    parts = patients(rng) if case["table"] == "patients" else payments(rng, case["seed"])
    X, y, X_test, y_test, column = parts
    X, y = X.copy(), y.astype(float)
    spoiled = rng.permutation(len(X))[: len(X) // 20]
    if case["spoiled"] == "targets":
        y[spoiled] *= 10
    elif case["spoiled"] == "feature":
        X[spoiled, column] *= 10
    mean, scale = X.mean(axis=0), X.std(axis=0)
    squared = case["loss"] == "squared"
    model = LinearRegression() if squared else QuantileRegressor(alpha=0, solver="highs")
    predicted = model.fit((X - mean) / scale, y).predict((X_test - mean) / scale)
    return {
        "rmse": float(root_mean_squared_error(y_test, predicted)),
        "mae": float(mean_absolute_error(y_test, predicted)),
        "r2": float(r2_score(y_test, predicted)),
    }


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    wide = table.pivot(index="seed", columns=["table", "spoiled", "loss"])
    figures = {}

    def gain(measure, name, spoiled):
        """Return by how much absolute loss is lower in a measure, a number a seed."""
        both = wide[measure][name][spoiled]
        lower = both["squared"] - both["absolute"]
        told = f"{name}, {spoiled}, {measure}: squared minus absolute"
        figures[told], figures[f"{told}, error"] = lower.mean(), lower.sem()
        figures[f"{told}, seeds above 0"] = int((lower > 0).sum())
        return lower

    gains = {
        (measure, name, spoiled): gain(measure, name, spoiled)
        for name in ("patients", "payments")
        for spoiled in ("none", "targets", "feature")
        for measure in ("rmse", "mae")
    }
    rmse, mae = (gains[measure, "payments", "none"] for measure in ("rmse", "mae"))
    even = [gains[m, "patients", "none"] for m in ("rmse", "mae")]
    targets = [gains[m, n, "targets"] for m in ("rmse", "mae") for n in ("patients", "payments")]
    rises = {}
    for name in ("patients", "payments"):
        for measure in ("rmse", "mae"):
            for loss in ("squared", "absolute"):
                of = wide[measure][name]
                rise = of["feature"][loss].mean() / of["none"][loss].mean() - 1
                rises[name, measure, loss] = rise
                figures[f"{name}, {loss}, {measure}: rise by a spoiled feature"] = rise
    return {
        "each measure prefers its own loss": bool((rmse < 0).sum() >= 18 and (mae > 0).sum() >= 18),
        "no winner among the patients": all(abs(g.mean()) <= 2 * g.sem() for g in even),
        "absolute loss withstands wrong targets": all(g.mean() > 2 * g.sem() for g in targets),
        "absolute loss withstands wrong features": all(
            rise < 0.02 for (_, _, loss), rise in rises.items() if loss == "absolute"
        ),
    }, figures
