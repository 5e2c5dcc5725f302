"""Train a small network on digits and print its validation accuracy after each epoch.

A training script for a container with NumPy: data from SM_CHANNEL_TRAIN and SM_CHANNEL_VALIDATION
(CSV files, label first, no header, pixels from 0 to 16), hyperparameters as arguments, the model to
SM_MODEL_DIR.
"""

import argparse
import os

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float, default=0.1)
parser.add_argument("--momentum", type=float, default=0.9)
parser.add_argument("--width", type=int, default=32)
parser.add_argument("--epochs", type=int, default=27)
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
W = rng.normal(0, np.sqrt(2 / X.shape[1]), (X.shape[1], args.width))
V = rng.normal(0, np.sqrt(1 / args.width), (args.width, 10))
b, c = np.zeros(args.width), np.zeros(10)
speed = [np.zeros_like(weights) for weights in (W, b, V, c)]
for epoch in range(args.epochs):
    for batch in rng.permutation(len(X) // 10 * 10).reshape(-1, 10):
        hidden, logits = forward(X[batch])
        slope = np.exp(logits - logits.max(axis=1, keepdims=True))
        slope /= slope.sum(axis=1, keepdims=True)
        slope[np.arange(10), y[batch]] -= 1
        slope /= 10
        back = slope @ V.T * (hidden > 0)
        slopes = X[batch].T @ back, back.sum(axis=0), hidden.T @ slope, slope.sum(axis=0)
        for weights, v, g in zip((W, b, V, c), speed, slopes):
            v *= args.momentum
            v -= args.learning_rate * g
            weights += v
    right = forward(X_validation)[1].argmax(axis=1) == y_validation
    print(f"epoch={epoch + 1} validation_accuracy={right.mean():.4f}", flush=True)
np.savez(os.path.join(os.environ["SM_MODEL_DIR"], "model.npz"), W=W, b=b, V=V, c=c)
