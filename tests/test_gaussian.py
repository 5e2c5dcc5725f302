"""Bayesian search agrees with scikit-learn's Gaussian process and with integrals."""

import sys

import numpy as np
import pytest
from notebooks import ROOT
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

sys.path.insert(0, str(ROOT / "chapters"))
from sandbox import gaussian  # noqa: E402
from sandbox.tuning import Dimension  # noqa: E402


def scores(X, length, noise, rng):
    """Return standardized scores, shape (n,), drawn from a process with this length and noise."""
    covariance = Matern(length, nu=2.5)(X) + noise * np.eye(len(X))
    y = rng.multivariate_normal(np.zeros(len(X)), covariance)
    return (y - y.mean()) / y.std()


def oracle(X, z):
    """Return scikit-learn's process with the length and noise that are likeliest."""
    fitted = [
        GaussianProcessRegressor(Matern(length, nu=2.5), alpha=noise, optimizer=None).fit(X, z)
        for length in gaussian.LENGTHS
        for noise in gaussian.NOISES
    ]
    return max(fitted, key=lambda process: process.log_marginal_likelihood_value_)


@pytest.mark.parametrize("noise", gaussian.NOISES)
@pytest.mark.parametrize("length", gaussian.LENGTHS)
def test_posterior_agrees_with_scikit_learn(length, noise):
    rng = np.random.default_rng(0)
    X, candidates = rng.random((30, 2)), rng.random((200, 2))
    z = scores(X, length, noise, rng)
    mean, deviation = gaussian.posterior(X, z, candidates)
    expected_mean, expected_deviation = oracle(X, z).predict(candidates, return_std=True)
    np.testing.assert_allclose(mean, expected_mean, rtol=0, atol=1e-9)
    np.testing.assert_allclose(deviation, expected_deviation, rtol=0, atol=1e-9)


def test_the_scores_above_decide_for_many_lengths_and_both_noises():
    chosen = set()
    for length in gaussian.LENGTHS:
        for noise in gaussian.NOISES:
            rng = np.random.default_rng(0)
            X = rng.random((30, 2))
            process = oracle(X, scores(X, length, noise, rng))
            chosen.add((process.kernel.length_scale, process.alpha))
    assert len({length for length, _ in chosen}) >= 4
    assert {noise for _, noise in chosen} == set(gaussian.NOISES)


@pytest.mark.parametrize(
    "mean, deviation, best", [(0.3, 0.5, 1.2), (1.4, 0.2, 1.2), (-1.0, 2.0, 0.5)]
)
def test_improvement_is_the_integral_of_what_is_gained(mean, deviation, best):
    def gain(value):
        return (value - best) * norm.pdf(value, mean, deviation)

    expected, _ = quad(gain, best, max(best, mean) + 12 * deviation)
    found = gaussian.improvement(np.array([mean]), np.array([deviation]), best)
    np.testing.assert_allclose(found, [expected], rtol=1e-7)


def test_a_search_asks_for_the_improvement_over_the_best_score():
    rng = np.random.default_rng(1)
    X, candidates = rng.random((12, 3)), rng.random((100, 3))
    y = 250 + 40 * np.sin(5 * X[:, 0]) - 30 * X[:, 1]
    z = (y - y.mean()) / y.std()
    mean, deviation = oracle(X, z).predict(candidates, return_std=True)
    u = (mean - z.max()) / deviation
    expected = deviation * (u * norm.cdf(u) + norm.pdf(u))
    np.testing.assert_allclose(
        gaussian.expected_improvement(X, y, candidates), expected, rtol=0, atol=1e-9
    )


def test_equal_scores_do_not_stop_a_search():
    X = np.random.default_rng(2).random((4, 2))
    gain = gaussian.expected_improvement(X, np.full(4, 0.7), np.array([[0.5, 0.5], *X[:1]]))
    assert np.isfinite(gain).all() and gain[0] > gain[1] > 0


def test_every_range_becomes_the_unit_interval():
    for scale in ["Linear", "Logarithmic", "ReverseLogarithmic"]:
        ends = {"MinValue": "0.001", "MaxValue": "0.9", "ScalingType": scale}
        dimension = Dimension("Continuous", ends)
        assert dimension.point("0.001") == [0] and dimension.point("0.9") == [1]
    integers = Dimension("Integer", {"MinValue": "1", "MaxValue": "4", "ScalingType": "Linear"})
    assert [integers.point(text) for text in "1234"] == [[0.125], [0.375], [0.625], [0.875]]
