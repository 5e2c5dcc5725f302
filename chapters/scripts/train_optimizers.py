"""Train a small network on digits with momentum or Adam, and print its validation accuracy.

A training script for a container with NumPy: data from SM_CHANNEL_TRAIN and SM_CHANNEL_VALIDATION
(CSV files, label first, no header, pixels from 0 to 16), hyperparameters as arguments, the model to
SM_MODEL_DIR. The learning rate falls to zero along half a cosine.
"""

import argparse
import os

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--optimizer", choices=["momentum", "adam"], default="adam")
parser.add_argument("--learning_rate", type=float, default=0.001)
parser.add_argument("--epochs", type=int, default=10)
args = parser.parse_args()


def table(channel):
    """Return images and labels of a channel."""
    path = os.path.join(os.environ[f"SM_CHANNEL_{channel}"], "digits.csv")
    rows = np.loadtxt(path, delimiter=",")
    return rows[:, 1:] / 16, rows[:, 0].astype(int)


def change(g, state, t, rate):
    """Return what a step adds to weights with the gradient g."""
    if args.optimizer == "momentum":
        state["v"] = 0.9 * state.get("v", 0) - rate * g
        return state["v"]
    state["m"] = 0.9 * state.get("m", 0) + 0.1 * g
    state["r"] = 0.999 * state.get("r", 0) + 0.001 * g**2
    m, r = state["m"] / (1 - 0.9**t), state["r"] / (1 - 0.999**t)
    return -rate * m / (np.sqrt(r) + 1e-7)


X, y = table("TRAIN")
X_validation, y_validation = table("VALIDATION")
rng = np.random.default_rng(0)
W, b = rng.normal(0, np.sqrt(2 / 64), (64, 64)), np.zeros(64)
V, c = rng.normal(0, np.sqrt(1 / 64), (64, 10)), np.zeros(10)
states = [{} for _ in range(4)]
steps, t = args.epochs * (len(X) // 16), 0
for _ in range(args.epochs):
    for rows in rng.permutation(len(X) // 16 * 16).reshape(-1, 16):
        rate = args.learning_rate * (1 + np.cos(np.pi * t / steps)) / 2
        t += 1
        hidden = np.maximum(X[rows] @ W + b, 0)
        slope = hidden @ V + c
        slope = np.exp(slope - slope.max(axis=1, keepdims=True))
        slope /= slope.sum(axis=1, keepdims=True)
        slope[np.arange(16), y[rows]] -= 1
        slope /= 16
        back = slope @ V.T * (hidden > 0)
        slopes = X[rows].T @ back, back.sum(axis=0), hidden.T @ slope, slope.sum(axis=0)
        for weights, g, state in zip((W, b, V, c), slopes, states):
            weights += change(g, state, t, rate)
right = (np.maximum(X_validation @ W + b, 0) @ V + c).argmax(axis=1) == y_validation
print(f"validation_accuracy={right.mean():.4f}")
np.savez(os.path.join(os.environ["SM_MODEL_DIR"], "model.npz"), W=W, b=b, V=V, c=c)
