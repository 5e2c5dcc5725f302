"""Train a small network on digits with plain gradient descent, and print steps and validation
accuracy.

A training script for a container with NumPy: data from SM_CHANNEL_TRAIN and SM_CHANNEL_VALIDATION
(CSV files, label first, no header, pixels from 0 to 16), hyperparameters as arguments, the model to
SM_MODEL_DIR. The last batch of an epoch may be smaller.
"""

import argparse
import os

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--learning-rate", type=float, default=0.5)
parser.add_argument("--batch-size", type=int, default=16)
parser.add_argument("--epochs", type=int, default=10)
args = parser.parse_args()


def table(channel):
    """Return images and labels of a channel."""
    path = os.path.join(os.environ[f"SM_CHANNEL_{channel}"], "digits.csv")
    rows = np.loadtxt(path, delimiter=",")
    return rows[:, 1:] / 16, rows[:, 0].astype(int)


def forward(X):
    """Return the hidden units and the logits of images."""
    hidden = np.maximum(X @ W + b, 0)
    return hidden, hidden @ V + c


X, y = table("TRAIN")
X_validation, y_validation = table("VALIDATION")
rng = np.random.default_rng(0)
W, b = rng.normal(0, np.sqrt(2 / 64), (64, 64)), np.zeros(64)
V, c = rng.normal(0, np.sqrt(1 / 64), (64, 10)), np.zeros(10)
steps = 0
for _ in range(args.epochs):
    order = rng.permutation(len(X))
    for first in range(0, len(X), args.batch_size):
        rows = order[first : first + args.batch_size]
        hidden, logits = forward(X[rows])
        slope = np.exp(logits - logits.max(axis=1, keepdims=True))
        slope /= slope.sum(axis=1, keepdims=True)
        slope[np.arange(len(rows)), y[rows]] -= 1
        slope /= len(rows)
        back = slope @ V.T * (hidden > 0)
        W -= args.learning_rate * X[rows].T @ back
        b -= args.learning_rate * back.sum(axis=0)
        V -= args.learning_rate * hidden.T @ slope
        c -= args.learning_rate * slope.sum(axis=0)
        steps += 1
accuracy = (forward(X_validation)[1].argmax(axis=1) == y_validation).mean()
print(f"steps={steps} validation_accuracy={accuracy:.4f}")
np.savez(os.path.join(os.environ["SM_MODEL_DIR"], "model.npz"), W=W, b=b, V=V, c=c)
