"""Bayesian search: a Gaussian process over the unit cube, and expected improvement.

A Matérn 5/2 kernel, whose length and noise are chosen from a few values by likelihood, so
that the choice is the same on every machine. AWS describes its search in
https://arxiv.org/abs/2012.08489 (the same kernel and criterion; its fit is finer).
"""

import math

import numpy as np

LENGTHS, NOISES = (0.1, 0.2, 0.4, 0.8, 1.6), (1e-4, 1e-2)


def kernel(A, B, length):
    """Return the covariances, shape (n, m), between points of shapes (n, d) and (m, d)."""
    squares = ((A[:, None] - B[None]) ** 2).sum(axis=-1)
    distance = np.sqrt(5 * squares) / length
    return (1 + distance + distance**2 / 3) * np.exp(-distance)


def fit(X, z):
    """Return the length, root and whitened scores that make standardized scores likeliest.

    X has shape (n, d), z (n,); root, shape (n, n), is the Cholesky factor of the scores'
    covariance, noise included, and whitened, shape (n,), is its inverse times z.
    """
    best, likeliest = None, -math.inf
    for length in LENGTHS:
        for noise in NOISES:
            root = np.linalg.cholesky(kernel(X, X, length) + noise * np.eye(len(X)))
            whitened = np.linalg.solve(root, z)
            likelihood = -whitened @ whitened / 2 - np.log(np.diag(root)).sum()
            if likelihood > likeliest:
                best, likeliest = (length, root, whitened), likelihood
    return best


def posterior(X, z, candidates):
    """Return mean and standard deviation, each of shape (m,), of the process at candidates.

    X has shape (n, d), z (n,), candidates (m, d). The noise is not part of the deviation.
    """
    length, root, whitened = fit(X, z)
    cross = np.linalg.solve(root, kernel(X, candidates, length))
    variance = np.maximum(1 - (cross**2).sum(axis=0), 1e-12)
    return cross.T @ whitened, np.sqrt(variance)


def improvement(mean, deviation, best):
    """Return, shape (m,), the expectation of max(0, value - best) of normal values.

    mean and deviation have shape (m,).
    """
    u = (mean - best) / deviation
    below = np.array([math.erfc(-value / math.sqrt(2)) / 2 for value in u])
    density = np.exp(-(u**2) / 2) / math.sqrt(2 * math.pi)
    return deviation * (u * below + density)


def expected_improvement(X, y, candidates):
    """Return, shape (m,), what each candidate is expected to add to the greatest y.

    X has shape (n, d), y (n,), candidates (m, d). The unit is the standard deviation of y.
    """
    z = (y - y.mean()) / (y.std() or 1)
    mean, deviation = posterior(X, z, candidates)
    return improvement(mean, deviation, z.max())
