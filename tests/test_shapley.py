"""The Shapley values of chapter 156.1: its own function, by brute force, agrees with the library,
meets the axioms, and shows what the library's probabilities are.
"""

import functools
from itertools import permutations
from math import factorial

import numpy as np
import pytest
import shap
from notebooks import ROOT, read
from xgboost import XGBClassifier


def of_the_chapter(cell_id):
    """Return the function that a cell of the chapter defines."""
    notebook = read(ROOT / "chapters" / "156_1_shapley_values.ipynb")
    [source] = [cell.source for cell in notebook.cells if cell.id == cell_id]
    names = {"np": np, "factorial": factorial}
    exec(source, names)
    return names[cell_id]


shapley = of_the_chapter("shapley")


def case(seed, gaps):
    """Return a trained model, its log odds as a function, a row (6,) and a background (30, 6)."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(600, 6)).round(2)
    y = (X[:, 0] * X[:, 1] + X[:, 2] + rng.normal(size=600) > 0).astype(int)
    X[rng.random(X.shape) < gaps] = np.nan
    model = XGBClassifier(n_estimators=30, max_depth=3, n_jobs=1).fit(X, y)
    return model, lambda rows: margin(model, rows), X[0], X[100:130]


def margin(model, rows):
    """Return log odds, (n,), as 64-bit floats."""
    return model.predict(rows, output_margin=True).astype(float)


def sigmoid(z):
    """Return probabilities of log odds, of the same shape."""
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize("gaps", [0, 0.2])
@pytest.mark.parametrize("seed", range(3))
def test_brute_force_agrees_with_the_library(seed, gaps):
    model, f, x, background = case(seed, gaps)
    found = shapley(f, x, background)
    trees = shap.TreeExplainer(model, background, feature_perturbation="interventional")
    np.testing.assert_allclose(found, trees.shap_values(x[None])[0], rtol=0, atol=2e-6)
    kernel = shap.KernelExplainer(f, background, silent=True)
    every = kernel.shap_values(x, nsamples=2**6 - 2, silent=True)
    np.testing.assert_allclose(found, every, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.sum(), f(x[None])[0] - f(background).mean(), atol=1e-9)


def test_the_formula_is_the_mean_over_all_orders():
    _, f, x, background = case(3, 0)

    @functools.cache
    def value(known):
        rows = background.copy()
        rows[:, list(known)] = x[list(known)]
        return f(rows).mean()

    orders = list(permutations(range(6)))
    gains = np.zeros(6)
    for order in orders:
        for k, j in enumerate(order):
            before, after = frozenset(order[:k]), frozenset(order[: k + 1])
            gains[j] += value(after) - value(before)
    np.testing.assert_allclose(shapley(f, x, background), gains / len(orders), atol=1e-9)


def test_the_axioms_hold():
    x, background = np.ones(4), np.zeros((1, 4))
    phi = shapley(lambda rows: rows[:, 0] * rows[:, 1] + 3 * rows[:, 2], x, background)
    np.testing.assert_allclose(phi, [0.5, 0.5, 3, 0], atol=1e-12)


def test_the_librarys_probabilities_are_log_odds_rescaled_by_background_row():
    model, f, x, background = case(0, 0)
    rescaled = np.zeros(6)
    for row in background:
        phi = shapley(f, x, row[None])
        gap = sigmoid(f(x[None]))[0] - sigmoid(f(row[None]))[0]
        rescaled += phi * gap / phi.sum() / len(background)
    trees = shap.TreeExplainer(
        model, background, feature_perturbation="interventional", model_output="probability"
    )
    library = trees.shap_values(x[None])[0]
    np.testing.assert_allclose(library, rescaled, rtol=0, atol=1e-5)
    exact = shapley(lambda rows: sigmoid(f(rows)), x, background)
    assert np.abs(library - exact).max() > 0.001


def test_a_large_background_is_cut_without_a_masker():
    model, _, _, _ = case(0, 0)
    rows = np.random.default_rng(0).normal(size=(300, 6))
    assert len(shap.TreeExplainer(model, rows).data) == 100
    masker = shap.maskers.Independent(rows, max_samples=300)
    assert len(shap.TreeExplainer(model, masker).data) == 300
