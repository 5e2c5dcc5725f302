"""Does the pair of digits that one test set confuses most stand out on the next test set?

scikit-learn's 8x8 digits are shuffled: 1,000 train a logistic regression, the next 399 are the
first test set and the last 398 the second. The largest cell off the diagonal of the first matrix
is noted (of several, the one that is most improbable if the errors of its row fall evenly on the
nine other digits), and the count of the same cell in the second matrix.

Seeds: 0 to 399, for the shuffle. The seeds share the 1,797 images.

Written before the first run.

Holds, as "the largest cell shrinks": the mean count of the noted cell is smaller in the second
matrix than in the first, by more than twice the standard error of the difference.

Holds, as "most matrices name no pair": in fewer than half of the seeds, the noted cell is
significant at 0.05 after a Bonferroni correction for 90 cells.

Came out: both hold. The noted cell holds 2.82 errors on average in the first matrix and 1.07 in the
second, the standard error of the difference is 0.07, and 36 of the 400 noted cells are significant.
In 130 seeds the noted cell is 8 read as 1. (With the first 40 seeds alone, the first version of
this table, that pair did not seem to shrink.)
"""

import numpy as np
from scipy.stats import binomtest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix

CASES = [{"seed": seed} for seed in range(400)]
TOLERANCE = {
    "errors_first": 1,
    "errors_second": 1,
    "true": 0,
    "predicted": 0,
    "first": 1,
    "second": 1,
    "p": 0.02,
}

X, y = load_digits(return_X_y=True)


def errors(model, images, digits):
    """Return the confusion matrix with an empty diagonal."""
    matrix = confusion_matrix(digits, model.predict(images), labels=range(10))
    np.fill_diagonal(matrix, 0)
    return matrix


def run(case):
    """Train once, and return the largest cell of the first test set and its count in both."""
    order = np.random.default_rng(case["seed"]).permutation(len(y))
    images, digits = X[order] / 16, y[order]
    model = LogisticRegression(max_iter=1000).fit(images[:1000], digits[:1000])
    first = errors(model, images[1000:1399], digits[1000:1399])
    second = errors(model, images[1399:], digits[1399:])
    largest = np.argwhere(first == first.max())
    p = {
        (i, j): binomtest(int(first[i, j]), int(first[i].sum()), 1 / 9, "greater").pvalue
        for i, j in largest
    }
    i, j = min(p, key=p.get)
    return {
        "errors_first": int(first.sum()),
        "errors_second": int(second.sum()),
        "true": int(i),
        "predicted": int(j),
        "first": int(first[i, j]),
        "second": int(second[i, j]),
        "p": round(float(p[i, j]), 6),
    }


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    difference = table["first"] - table["second"]
    significant = int((90 * table.p < 0.05).sum())
    figures = {
        "mean count, first": table["first"].mean(),
        "mean count, second": table["second"].mean(),
        "standard error of the difference": difference.sem(),
        "significant": significant,
        "8 read as 1": int(((table.true == 8) & (table.predicted == 1)).sum()),
    }
    shrinks = difference.mean() > 2 * difference.sem()
    return {
        "the largest cell shrinks": shrinks,
        "most matrices name no pair": significant < len(table) / 2,
    }, figures
