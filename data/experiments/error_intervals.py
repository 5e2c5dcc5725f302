"""How often does a bootstrap interval for RMSE or MAE hold the true value?

Two stocks of errors of a linear regression. `patients`: scikit-learn's diabetes table, 442 errors,
each from the model of ten-fold cross-validation that had not seen the patient. `payments`: the
amounts of honest simulated payments (transactions.csv) predicted from usual amount, merchant,
channel and country, learned on days 1 to 50; the errors of days 71 to 90, of which a few are very
large. The true RMSE or MAE is that of the whole stock. From the stock, n errors are drawn with
replacement, as a test set would be, and from these a 95 % bootstrap interval is made with 999
resamples: the 2.5 % and 97.5 % quantiles of the resampled values (percentile), or the quantiles
that BCa corrects for bias and skew. `rmse`, `mae` (percentile) and `rmse_bca` are the shares of 200
such test sets whose interval holds the true value, `too_low` that of test sets whose percentile
interval of RMSE lies below it.

Seeds: 0 to 9, for the draws and the resamples.

Written before the first run.

Holds, as "patients are covered": for the patients and n of 100 or more, the mean coverage of both
percentile intervals lies between 0.92 and 0.97.

Holds, as "heavy tails break the interval of RMSE": for the payments and n = 100, the mean coverage
of the percentile interval of RMSE is below 0.90.

Holds, as "MAE is covered better than RMSE": for the payments, the mean coverage of the percentile
interval is higher for MAE than for RMSE at every n, by more than two standard errors.

Holds, as "BCa repairs it": for the payments and n = 100, the mean coverage of the BCa interval of
RMSE is 0.92 or more.

Noted after the run: `too_low` was added when the first table showed how often the interval of RMSE
misses; nothing else changed.

Came out: not "BCa repairs it"; the others hold. With 100 test rows, the interval of RMSE covers the
truth in 0.933 of the test sets of patients and in 0.462 of those of payments (BCa: 0.553), that of
MAE in 0.943 and 0.838. With 1,000 payments it is 0.723 for RMSE and 0.92 for MAE.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, cross_val_predict

CASES = [
    {"errors": errors, "n": n, "seed": seed}
    for errors in ("patients", "payments")
    for n in (30, 100, 300, 1000)
    for seed in range(10)
]
DEPENDS = ["transactions.csv"]
TOLERANCE = {"rmse": 0.011, "mae": 0.011, "rmse_bca": 0.011, "too_low": 0.011}
DRAWS, RESAMPLES = 200, 999
STOCK = {}


def stock(name):
    """Return all errors of one kind."""
    if name not in STOCK:
        STOCK[name] = patients() if name == "patients" else payments()
    return STOCK[name]


def patients():
    """Return the errors of patients, each predicted by a model that has not seen it."""
    X, y = load_diabetes(return_X_y=True)
    folds = KFold(10, shuffle=True, random_state=0)
    return y - cross_val_predict(LinearRegression(), X, y, cv=folds)


def payments():
    """Return the errors of the amounts of the honest payments on the test days."""
    table = pd.read_csv(Path(__file__).parents[1] / "transactions.csv")
    table = table[(table.fraud == 0) & table.usual_amount.notna()]
    kinds = pd.get_dummies(table[["merchant", "channel", "country"]], drop_first=True, dtype=float)
    X = np.column_stack([table.usual_amount, kinds])
    y, day = table.amount.to_numpy(), table.day.to_numpy()
    model = LinearRegression().fit(X[day <= 50], y[day <= 50])
    return y[day > 70] - model.predict(X[day > 70])


def corrected(values, estimate, leave_one_out):
    """Return the two quantiles that BCa takes instead of 0.025 and 0.975."""
    bias = norm.ppf(np.mean(values < estimate))
    centred = leave_one_out.mean() - leave_one_out
    skew = np.sum(centred**3) / (6 * np.sum(centred**2) ** 1.5)
    z = bias + norm.ppf([0.025, 0.975])
    return norm.cdf(bias + z / (1 - skew * z))


def run(case):
    """Draw test sets and count the intervals that hold the true value."""
    rng, errors, n = np.random.default_rng(case["seed"]), stock(case["errors"]), case["n"]
    true_rmse, true_mae = np.sqrt(np.mean(errors**2)), np.mean(np.abs(errors))
    held = {"rmse": 0, "mae": 0, "rmse_bca": 0, "too_low": 0}
    for _ in range(DRAWS):
        drawn = rng.choice(errors, n)
        rows = rng.integers(0, n, (RESAMPLES, n))
        again = np.sqrt((drawn**2)[rows].mean(axis=1))
        low, high = np.quantile(again, [0.025, 0.975])
        held["rmse"] += low <= true_rmse <= high
        held["too_low"] += high < true_rmse
        low, high = np.quantile(np.abs(drawn)[rows].mean(axis=1), [0.025, 0.975])
        held["mae"] += low <= true_mae <= high
        squares = drawn**2
        estimate, without = np.sqrt(squares.mean()), np.sqrt((squares.sum() - squares) / (n - 1))
        low, high = np.quantile(again, corrected(again, estimate, without))
        held["rmse_bca"] += low <= true_rmse <= high
    return {key: float(count / DRAWS) for key, count in held.items()}


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    groups = table.groupby(["errors", "n"])
    mean = groups[["rmse", "mae", "rmse_bca", "too_low"]].mean()
    figures = {
        f"{errors}, n = {n}, {column}": mean.loc[errors, n][column]
        for errors, n in mean.index
        for column in mean
    }
    lead = (table.mae - table.rmse).groupby([table.errors, table.n])
    better = (lead.mean() > 2 * lead.sem())["payments"]
    for n, value in lead.mean()["payments"].items():
        figures[f"payments, n = {n}: MAE minus RMSE"] = value
    enough = mean.loc["patients"].loc[100:, ["rmse", "mae"]]
    return {
        "patients are covered": bool(((enough >= 0.92) & (enough <= 0.97)).all(axis=None)),
        "heavy tails break the interval of RMSE": bool(mean.loc["payments", 100].rmse < 0.90),
        "MAE is covered better than RMSE": bool(better.all()),
        "BCa repairs it": bool(mean.loc["payments", 100].rmse_bca >= 0.92),
    }, figures
