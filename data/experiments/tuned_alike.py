"""Which ensemble is the most accurate when all are tuned alike?

The four data sets, splits and wrong labels of ensembles.py, without wrong labels and with a fifth.
Each family chooses among four settings on a quarter of the training data, noisy as it is, and is
fitted again on all of it. Bagging chooses the size of the leaves, forest and extra trees the size
of the leaves and the share of features, all with 100 trees. Boosting (XGBoost, learning rate 0.1)
chooses depth and share of rows; its number of trees, 500 at most, comes from early stopping on the
same quarter. Columns are test accuracies; `trees` is the number of rounds that boosting chose.
(The cap on rounds was 200 at first. A trial with seed 0 ran into it, and it was raised to 500; the
rules below are older than the trial.)

Seeds: 0 to 19, for the split, the wrong labels and the models.

Written before the first run.

Holds, as "boosting is more accurate than bagging" (153-23): with clean labels, tuned boosting is
ahead of tuned bagging by more than two standard errors of the paired difference in at least three
of the four data sets.

Holds, as "boosting is more accurate than a forest" (153-23): the same against the tuned forest.

Holds, as "wrong labels turn the balance" (153-23): with a fifth of the labels wrong, tuned boosting
is behind the tuned forest by more than two standard errors in at least three of the four data sets.

Came out: the first and the third hold. With clean labels boosting is ahead of tuned bagging in 4
of 4 data sets; not "boosting is more accurate than a forest" (ahead in 2, behind in 1). With a
fifth of the labels wrong, the forest is ahead in 3.
"""

import numpy as np  # noqa: I001
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.model_selection import train_test_split
from xgboost import XGBClassifier

from experiments.ensembles import DATA, split, with_noise

DEPENDS = ["experiments/ensembles.py"]
CASES = [
    {"data": data, "noise": noise, "seed": seed}
    for data in DATA
    for noise in [0, 0.2]
    for seed in range(20)
]
TOLERANCE = {"boosting": 0.01, "trees": 20}  # the best round may hang on the last bit
BAGGING = [{"max_features": 1.0, "min_samples_leaf": leaf} for leaf in [1, 2, 5, 10]]
FOREST = [
    {"max_features": share, "min_samples_leaf": leaf} for share in ["sqrt", 0.5] for leaf in [1, 5]
]
BOOSTING = [{"max_depth": depth, "subsample": share} for depth in [2, 4] for share in [0.6, 1.0]]


def averaged(make, grid, parts, X, y, seed):
    """Return the averaging ensemble with the setting that did best on the rows of choice, fitted
    on all of X.
    """
    X_fit, X_valid, y_fit, y_valid = parts
    models = [make(100, random_state=seed, **settings) for settings in grid]
    scores = [model.fit(X_fit, y_fit).score(X_valid, y_valid) for model in models]
    return models[int(np.argmax(scores))].fit(X, y)


def boosted(parts, X, y, seed):
    """Return boosted trees with the setting and number of rounds that did best on the rows of
    choice, fitted on all of X.
    """
    X_fit, X_valid, y_fit, y_valid = parts
    fixed = dict(learning_rate=0.1, n_jobs=1, random_state=seed)
    tried = []
    for settings in BOOSTING:
        model = XGBClassifier(n_estimators=500, early_stopping_rounds=20, **settings, **fixed)
        model.fit(X_fit, y_fit, eval_set=[(X_valid, y_valid)], verbose=False)
        tried.append((model.score(X_valid, y_valid), settings, model.best_iteration + 1))
    _, settings, rounds = max(tried, key=lambda one: one[0])
    return XGBClassifier(n_estimators=rounds, **settings, **fixed).fit(X, y)


def run(case):
    """Tune and train every family on one split and return what each scores on the test set."""
    seed, rng = case["seed"], np.random.default_rng(case["seed"])
    X, X_test, y, y_test = split(case["data"], seed)
    y = with_noise(y, case["noise"], rng)
    parts = train_test_split(X, y, test_size=0.25, random_state=seed, stratify=y)
    models = {
        "bagging": averaged(RandomForestClassifier, BAGGING, parts, X, y, seed),
        "forest": averaged(RandomForestClassifier, FOREST, parts, X, y, seed),
        "extra_trees": averaged(ExtraTreesClassifier, FOREST, parts, X, y, seed),
        "boosting": boosted(parts, X, y, seed),
    }
    scores = {name: float(model.score(X_test, y_test)) for name, model in models.items()}
    return scores | {"trees": models["boosting"].n_estimators}


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    runs = table.set_index(["data", "noise", "seed"])

    def ahead(one, other, noise):
        lead = (runs[one] - runs[other]).xs(noise, level="noise").groupby("data")
        return int((lead.mean() > 2 * lead.sem()).sum())

    figures = {
        "clean, boosting ahead of bagging": ahead("boosting", "bagging", 0),
        "clean, boosting ahead of a forest": ahead("boosting", "forest", 0),
        "clean, forest ahead of boosting": ahead("forest", "boosting", 0),
        "wrong labels, forest ahead of boosting": ahead("forest", "boosting", 0.2),
    }
    holds = {
        "boosting is more accurate than bagging": figures["clean, boosting ahead of bagging"] >= 3,
        "boosting is more accurate than a forest": figures["clean, boosting ahead of a forest"]
        >= 3,
        "wrong labels turn the balance": figures["wrong labels, forest ahead of boosting"] >= 3,
    }
    return holds, figures
