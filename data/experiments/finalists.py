"""Is the winner of a search better than the runner-up, or only luckier?

The five configurations of learning_curves.csv with the best final validation accuracy (wide ranges,
right labels, random configurations of repeat 0) are trained again, each on 20 new splits of the
digits into 400 training, 500 validation and 897 test images, with new first weights. "again" is the
winner a second time on the same splits, with other first weights, order of images and dropout.
Columns: how many validation and test images the trained network classifies correctly.

Seeds: 0 to 19, for the split of the images and, another one for each configuration, for the first
weights, the order of images and dropout.

Written before the first run. ("Told apart": the corrected paired t-test of Nadeau and Bengio on
test accuracy over the 20 splits has |t| > 2.09.)

Holds, as "the winner is better than the runner-up": they are told apart, the winner ahead.

Holds, as "the five are level": each of the four others has, in mean test accuracy, no more than one
point less than the winner.

Came out: neither "the winner is better than the runner-up" nor "the five are level". The runner-up
is ahead by 0.006 in the mean, which the plain t of 2.2 would call a difference and the corrected t
of 0.3 does not; the fourth, with the fewest weights, is 0.011 behind the winner.
"""

import functools
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from experiments.learning_curves import RANDOM, X, configuration, every, shares, start, y

PLACES = ["1", "2", "3", "4", "5", "again"]
CASES = [{"place": place, "seed": seed} for place in PLACES for seed in range(20)]
DEPENDS = ["experiments/learning_curves.csv", "experiments/learning_curves.py"]
TOLERANCE = {"valid": 2, "test": 2}
table = pd.read_csv(Path(__file__).with_name("learning_curves.csv"))
table = table[(table.ranges == "wide") & (table.labels == "right") & (table.repeat == 0)]
table = table[table.seed < RANDOM].sort_values("valid_27", ascending=False, kind="stable")


@functools.lru_cache(2)
def all_places(seed):
    """Return the counts of right images after each epoch for all places, (places, epochs) twice."""
    winners = [int(place) - 1 if place != "again" else 0 for place in PLACES]
    seeds = table.seed.to_numpy()[winners]
    configs = [configuration("wide", shares(0, int(number))) for number in seeds]
    starts = [start(config, 10 + k, seed) for k, config in enumerate(configs)]
    train, valid, test = np.split(np.random.default_rng(seed).permutation(len(X)), [400, 900])
    data = X[train], y[train], X[valid], y[valid], X[test], y[test]
    with jax.enable_x64(True):
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *starts)
        knobs = jax.tree.map(lambda *leaves: np.array(leaves), *configs)
        return tuple(np.asarray(counts) for counts in every(knobs, *stacked, *data))


def run(case):
    """Train one of the finalists on one split; return its counts and its number of weights."""
    place = PLACES.index(case["place"])
    valid, test = all_places(case["seed"])
    width = int(table.width.iloc[0 if case["place"] == "again" else place])
    weights = 64 * width + width + 10 * width + 10
    return {"weights": weights, "valid": int(valid[place, -1]), "test": int(test[place, -1])}


def corrected_t(lead):
    """Return the corrected t of Nadeau and Bengio for leads on splits into 400 and 897 images."""
    return lead.mean() / np.sqrt(lead.var(ddof=1) * (1 / len(lead) + 897 / 400))


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    test = table.pivot(index="seed", columns="place", values="test") / 897
    lead = test["1"] - test["2"]
    behind = {place: (test["1"] - test[place]).mean() for place in PLACES[1:]}
    figures = {f"winner minus {place}": value for place, value in behind.items()}
    figures |= {"corrected t": corrected_t(lead), "plain t": lead.mean() / lead.sem()}
    figures["standard deviation, winner minus again"] = (test["1"] - test["again"]).std()
    return {
        "the winner is better than the runner-up": bool(corrected_t(lead) > 2.09),
        "the five are level": bool(max(list(behind.values())[:4]) <= 0.01),
    }, figures
