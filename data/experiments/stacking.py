"""Does a combination of different models beat the best of them, and must a stack see out-of-fold
predictions?

scikit-learn's digits, 400 for training, the rest for testing. The base models are a logistic
regression, a forest, nearest neighbours and a tree. They are combined by majority vote, by the
average of their probabilities, and by stacking: a logistic regression over their probabilities,
made by five-fold cross-validation ("stacked") or on the very rows they were trained on
("stacked_in_sample"). Columns are test accuracies.

Seeds: 0 to 19, for the split and the models.

Written before the first run.

Holds, as "stacking joins different models to advantage" (153-21): the stack is ahead of the best
base model of its own split in at least 15 of 20 splits.

Holds, as "the final estimator must see out-of-fold predictions" (153-21): the stack is ahead of the
one trained in sample in at least 15 of 20 splits.

Holds, as "an ensemble beats every single model" (153-01): vote and average are both ahead of the
best base model of their split in at least 15 of 20 splits.

Came out: the stack is ahead of the best base model in 19 of 20 splits and of the stack in sample in
20 of 20. Not "an ensemble beats every single model": vote and average both do so in 1 of 20.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

CASES = [{"seed": seed} for seed in range(20)]
X, y = load_digits(return_X_y=True)


def run(case):
    """Train four models and four combinations and return the test accuracy of each."""
    seed = case["seed"]
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, train_size=400, random_state=seed, stratify=y
    )
    base = {
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
        "forest": RandomForestClassifier(60, random_state=seed),
        "neighbours": KNeighborsClassifier(5),
        "tree": DecisionTreeClassifier(max_depth=8, random_state=seed),
    }
    out_of_fold = np.hstack(
        [
            cross_val_predict(model, X_train, y_train, cv=5, method="predict_proba")
            for model in base.values()
        ]
    )
    for model in base.values():
        model.fit(X_train, y_train)
    in_sample = np.hstack([m.predict_proba(X_train) for m in base.values()])
    on_test = np.array([m.predict_proba(X_test) for m in base.values()])
    votes = np.eye(10)[on_test.argmax(axis=2)].sum(axis=0)
    scores = {name: model.score(X_test, y_test) for name, model in base.items()}
    scores["vote"] = float((votes.argmax(axis=1) == y_test).mean())
    scores["average"] = float((on_test.mean(axis=0).argmax(axis=1) == y_test).mean())
    for name, rows in [("stacked", out_of_fold), ("stacked_in_sample", in_sample)]:
        final = LogisticRegression(max_iter=300).fit(rows, y_train)
        scores[name] = final.score(np.hstack(list(on_test)), y_test)
    return scores


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    best_base = table[["logistic", "forest", "neighbours", "tree"]].max(axis=1)
    vote_and_average = (table.vote > best_base) & (table.average > best_base)
    figures = {
        "stack ahead of the best": (table.stacked > best_base).sum(),
        "stack ahead of the one in sample": (table.stacked > table.stacked_in_sample).sum(),
        "vote and average ahead of the best": vote_and_average.sum(),
    }
    holds = {
        "stacking joins different models to advantage": figures["stack ahead of the best"] >= 15,
        "the final estimator must see out-of-fold predictions": figures[
            "stack ahead of the one in sample"
        ]
        >= 15,
        "an ensemble beats every single model": figures["vote and average ahead of the best"] >= 15,
    }
    return holds, figures
