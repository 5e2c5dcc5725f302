"""How many payments show that a new model makes fewer mistakes: as a shadow, and in a split?

Simulated card payments (data/transactions.csv): the old model (XGBoost, 60 trees of depth 2) and
the new one (168 trees of depth 3) are trained on days 1 to 50 and block from a risk of 0.05 on.
Requests are drawn with replacement from the payments of days 71 to 90, so that any number can be
had. A shadow sees the requests that the old model answers, and McNemar's test compares both
models' mistakes on each of them. A split gives each request to one of the models by a fair coin,
and a two-proportion test compares the shares of mistakes. In "nothing new" a coin decides for each
request which of the two models' decisions counts as the new one's, so that neither is better.

Seeds: 0 to 99, for the requests and the coins.

Written before the first run.

Holds, as "a shadow needs fewer": the least number of requests with which the test finds the new
model better in at least 80 of 100 draws (p below 0.05, the new one with fewer mistakes) is at most
half as large for the shadow as for the split; a design that never gets there counts as the largest
number tried, doubled.

Holds, as "both keep their level": with nothing new, each test has p below 0.05 in at most 10 of
100 draws at every number.

Came out: both hold. The shadow needs 8000 requests; the split never gets there and counts as
64000. With nothing new the shadow alarms in at most 10 draws, the split in at most 8.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest, norm
from xgboost import XGBClassifier

NUMBERS = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000]
CASES = [
    {"new": new, "requests": n, "seed": seed}
    for new in ("better", "nothing new")
    for n in NUMBERS
    for seed in range(100)
]
TOLERANCE = {"shadow": 0.02, "split": 0.02}
DEPENDS = ["transactions.csv"]

payments = pd.read_csv(Path(__file__).resolve().parents[1] / "transactions.csv")
X = pd.get_dummies(payments.drop(columns=["day", "customer", "fraud"]), dtype=float)
train, test = payments.day <= 50, payments.day > 70
WRONG = []  # of the old and the new model, one bool a payment; filled when first needed


def mistakes():
    """Return whether each test payment is decided wrongly, by the old and by the new model."""
    for trees, depth in ((60, 2), (168, 3)):
        model = XGBClassifier(
            n_estimators=trees, max_depth=depth, learning_rate=0.1, n_jobs=1, random_state=0
        )
        model.fit(X[train], payments.fraud[train])
        blocked = model.predict_proba(X[test])[:, 1] >= 0.05
        WRONG.append(blocked != (payments.fraud[test] == 1).to_numpy())
    return WRONG


def mcnemar(old, new):
    """Return McNemar's exact p-value of paired mistakes."""
    b, c = int((old & ~new).sum()), int((~old & new).sum())
    return binomtest(b, b + c).pvalue if b + c else 1.0


def two_proportions(old, new):
    """Return the p-value for equal shares of mistakes among different requests."""
    p = np.concatenate([old, new]).mean()
    error = (p * (1 - p) * (1 / len(old) + 1 / len(new))) ** 0.5
    return 2 * norm.sf(abs(old.mean() - new.mean()) / error) if error else 1.0


def run(case):
    """Draw requests and test them both ways."""
    old, new = WRONG or mistakes()
    rng = np.random.default_rng(case["seed"])
    rows = rng.integers(len(old), size=case["requests"])
    old, new = old[rows], new[rows]
    if case["new"] == "nothing new":
        swap = rng.random(len(rows)) < 0.5
        old, new = np.where(swap, new, old), np.where(swap, old, new)
    to_new = rng.random(len(rows)) < 0.5
    return {
        "shadow": round(mcnemar(old, new), 4),
        "shadow_better": int(new.sum() < old.sum()),
        "split": round(two_proportions(old[~to_new], new[to_new]), 4),
        "split_better": int(new[to_new].mean() < old[~to_new].mean()),
    }


def found(table):
    """Return in how many of 100 draws each test finds the new model better, by number."""
    real = table[table.new == "better"]
    return pd.DataFrame(
        {
            design: ((real[design] < 0.05) & (real[f"{design}_better"] == 1))
            .groupby(real.requests)
            .sum()
            for design in ("shadow", "split")
        }
    )


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    power = found(table)
    least = {}
    for design in power:
        enough = power.index[power[design] >= 80]
        least[design] = int(enough[0]) if len(enough) else 2 * NUMBERS[-1]
    null = table[table.new == "nothing new"].groupby("requests")
    false = {design: int(null[design].agg(lambda p: (p < 0.05).sum()).max()) for design in power}
    holds = {
        "a shadow needs fewer": least["shadow"] <= least["split"] / 2,
        "both keep their level": max(false.values()) <= 10,
    }
    figures = {f"requests, {design}": n for design, n in least.items()}
    figures |= {f"false alarms at most, {design}": n for design, n in false.items()}
    return holds, figures
