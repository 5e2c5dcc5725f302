"""Does a search gain by what an earlier search has found, on the same data and on other data?

A replay on the trained networks of learning_curves.csv with the Gaussian process of search_race.py.
Ten trainings, after ten of a parent search that drew at random: "none" (cold: the first four are
random), "same" (the parent's ten rows, with their scores) and "other" (the same ten rows, with the
scores that they got with the other kind of labels; both searches' scores enter as ranks). With
"same", the parent's rows are not tried again, and do not count as found; with "other" they may be
tried on the new data. Columns: how many of 500 validation and of 897 test images the best of the
new trainings classifies correctly, after 5 and after 10 of them, chosen by validation images.

Seeds: 0 to 199, for the parent's rows and the order of random ones; 0 to 99 use repeat 0 of the
trained networks, 100 to 199 repeat 1.

Written before the first run. ("Ahead" is: in mean test images over all four settings, paired by
seed and setting, by more than two standard errors, for both hundreds of seeds.)

Holds, as "the same data help" (155-03): after 5 trainings, "same" is ahead of "none".

Holds, as "other data help less" (155-03): after 5 trainings, "same" is ahead of "other".

Holds, as "other data help" (155-03): after 5 trainings, "other" is ahead of "none".

Came out: all three hold. In mean over the settings, the parent's scores on the same data gained
0.022 and 0.020 in the two hundreds, those on other data 0.015 and 0.013.
"""

import numpy as np
from experiments.search_race import POOLS, RANDOM, next_row

CASES = [
    {"parent": parent, "labels": labels, "ranges": ranges, "seed": seed}
    for parent in ["none", "same", "other"]
    for labels in ["right", "wrong"]
    for ranges in ["wide", "narrow"]
    for seed in range(200)
]
DEPENDS = ["experiments/search_race.py"]


def ranks(results):
    """Return scores as ranks from 0 to 1, so that those of two kinds of labels can be joined."""
    if len(results) == 0:
        return results
    return (results.argsort(kind="stable").argsort() + 0.5) / len(results)


def run(case):
    """Replay one search of ten trainings and return what its best network gets right."""
    repeat, order = case["seed"] // 100, np.random.default_rng(case["seed"]).permutation(RANDOM)
    shares, curves, test = POOLS[case["labels"], case["ranges"], repeat]
    shares, final = shares[:RANDOM], curves[:RANDOM, -1]
    squares = ((shares[:, None] - shares[None]) ** 2).sum(axis=2)
    parents, tried = list(order[:10]), []
    told = final[parents]
    if case["parent"] == "other":
        other = {"right": "wrong", "wrong": "right"}[case["labels"]]
        told = POOLS[other, case["ranges"], repeat][1][parents, -1]
    while len(tried) < 10:
        known, results, barred = tried, final[tried], tried
        if case["parent"] == "none" and len(tried) < 4:
            tried.append(int(order[10 + len(tried)]))
            continue
        if case["parent"] == "same":
            known, results = parents + tried, np.append(told, results)
            barred = known
        if case["parent"] == "other":
            known, results = parents + tried, np.append(ranks(told), ranks(results))
        tried.append(next_row(squares, known, results, barred))
    result = {}
    for n in [5, 10]:
        best = max(tried[:n], key=lambda row: final[row])
        result |= {f"valid_{n}": int(final[best]), f"test_{n}": int(test[best])}
    return result


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    index = ["labels", "ranges", "seed"]
    wide = table.pivot(index=index, columns="parent", values="test_5") / 897
    hundred = wide.index.get_level_values("seed") // 100
    holds, figures = {}, {}
    for rule, one, other in [
        ("the same data help", "same", "none"),
        ("other data help less", "same", "other"),
        ("other data help", "other", "none"),
    ]:
        groups = (wide[one] - wide[other]).groupby(hundred)
        holds[rule] = bool((groups.mean() > 2 * groups.sem()).all())
        for k in [0, 1]:
            figures[f"{one} minus {other}, seeds {k}xx"] = groups.mean()[k]
            figures[f"two standard errors, {one} minus {other}, seeds {k}xx"] = 2 * groups.sem()[k]
    return holds, figures
