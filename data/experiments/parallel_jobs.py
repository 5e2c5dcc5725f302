"""What does a search lose when several trainings run at a time, and what does it gain in time?

A replay of 40 jobs on the 500 trained configurations of the space "five" in configurations.csv.
Bayesian search is a Gaussian process (squared exponential kernel, one length for all five
hyperparameters, scaled to 0..1, chosen from four by likelihood) with expected improvement, which
chooses among the rows not yet tried; its first five jobs are random. With `parallel` jobs at a time
it knows the scores of earlier batches only; jobs of its own batch enter with the score it expects.
"random" draws rows. Scores enter the process as ranks, so that the many poor configurations do not
dominate. Numbers: best average precision on the validation days after 20 and 40 jobs and after 4
rounds of jobs (best_...), how many rounds 20 jobs need, and the average precision of the same
configurations on the test days (test_...; added after the first run, which had judged by the score
that chose).

Seeds: 0 to 99, for the order in which rows are drawn.

Written before the first run.

Holds, as "run few jobs at a time" (154-09): at 20 jobs, one at a time is ahead of ten at a time in
the mean by more than two standard errors, while the means of random search with one and with ten at
a time differ by less than two.

Came out: it holds: ten at a time cost the Bayesian search 0.004, give or take 0.002, and random
search nothing. After four rounds, ten at a time have reached 0.722 and one at a time 0.685.
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm

CASES = [
    {"strategy": strategy, "parallel": parallel, "seed": seed}
    for strategy in ["bayesian", "random"]
    for parallel in [1, 2, 5, 10]
    for seed in range(100)
]
DEPENDS = ["experiments/configurations.csv"]
table = pd.read_csv(Path(__file__).with_name("configurations.csv"))
table = table[table.space == "five"]
knobs = ["eta", "num_round", "max_depth", "min_child_weight", "subsample"]
Z = table[knobs].to_numpy()
Z[:, [0, 1, 3]] = np.log(Z[:, [0, 1, 3]])
Z = (Z - Z.min(axis=0)) / (Z.max(axis=0) - Z.min(axis=0))
AP, TEST_AP = table.ap.to_numpy(), table.test_ap.to_numpy()
SQUARES = ((Z[:, None] - Z[None]) ** 2).sum(axis=2)
NOISE = 0.05


def posterior(tried, scores):
    """Return mean and standard deviation of the process at all rows."""
    best = (-math.inf, None)
    for length in [0.2, 0.4, 0.8, 1.6]:
        K = np.exp(-SQUARES / (2 * length**2))
        L = np.linalg.cholesky(K[np.ix_(tried, tried)] + NOISE * np.eye(len(tried)))
        weights = np.linalg.solve(L.T, np.linalg.solve(L, scores))
        likelihood = -scores @ weights / 2 - np.log(np.diag(L)).sum()
        if likelihood > best[0]:
            half = np.linalg.solve(L, K[tried])
            spread = np.sqrt(np.maximum(1 - (half**2).sum(axis=0), 1e-9))
            best = (likelihood, (K[:, tried] @ weights, spread))
    return best[1]


def next_batch(tried, size):
    """Return the rows to try next, knowing the scores of the tried ones."""
    known = norm.ppf((AP[tried].argsort().argsort() + 0.5) / len(tried))
    rows, batch, scores, top = list(tried), [], known, known.max()
    for _ in range(size):
        mean, spread = posterior(rows, scores)
        gain = mean - top
        improvement = gain * norm.cdf(gain / spread) + spread * norm.pdf(gain / spread)
        improvement[rows] = -1
        batch.append(int(improvement.argmax()))
        rows, scores = rows + batch[-1:], np.append(scores, mean[batch[-1]])
    return batch


def run(case):
    """Replay one search of 40 jobs and return how good its best configuration is."""
    order = np.random.default_rng(case["seed"]).permutation(len(AP)).tolist()
    parallel = case["parallel"]
    tried = order[: max(5, parallel)]
    while case["strategy"] == "bayesian" and len(tried) < 40:
        tried += next_batch(tried, parallel)
    if case["strategy"] == "random":
        tried = order[:40]
    result = {"rounds_20": math.ceil(20 / parallel)}
    for name, n in [("20", 20), ("40", 40), ("4_rounds", 4 * parallel)]:
        best = max(tried[:n], key=AP.__getitem__)
        result |= {f"best_{name}": float(AP[best]), f"test_{name}": float(TEST_AP[best])}
    return result


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    runs = table.pivot(index="seed", columns=["strategy", "parallel"], values="best_20")
    lost = runs["bayesian", 1] - runs["bayesian", 10]
    lost_at_random = runs["random", 1] - runs["random", 10]
    means = table.groupby(["strategy", "parallel"]).best_4_rounds.mean()
    figures = {
        "lost by ten at a time": lost.mean(),
        "two standard errors": 2 * lost.sem(),
        "lost by ten at a time, random": lost_at_random.mean(),
        "4 rounds, one at a time": means["bayesian", 1],
        "4 rounds, ten at a time": means["bayesian", 10],
    }
    few = lost.mean() > 2 * lost.sem()
    # random search draws the same rows however many at a time: its standard error is 0
    same = abs(lost_at_random.mean()) <= 2 * lost_at_random.sem()
    return {"run few jobs at a time": few and same}, figures
