"""Does batch normalization keep a deep plain convolutional network trainable?

The plain networks of depth.py (scikit-learn's digits, 3x3 convolutions with 8 filters and ReLU
stacked 4, 16 or 40 deep, 10 epochs of Adam at 2e-3, nothing tuned), with a batch normalization
between each convolution and its ReLU.

Seeds: 0 to 9, for the first weights and the order of the images; the split is the same.

Written before the first run.

Holds, as "batch normalization keeps a deep plain network trainable": at 40 layers all ten networks
reach a training accuracy above 0.9.

Holds, as "batch normalization does what a skip connection does": at 40 layers the mean training
accuracy is less than 0.02 below that of the residual networks in depth.csv.

Came out: TO COME.
"""

from pathlib import Path

import keras
import pandas as pd
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

DEPENDS = ["experiments/depth.csv"]
CASES = [{"depth": depth, "seed": seed} for depth in [4, 16, 40] for seed in range(10)]
TOLERANCE = {"train_accuracy": 0.05, "test_accuracy": 0.05}
SKIPS = pd.read_csv(Path(__file__).with_name("depth.csv"))

X, y = load_digits(return_X_y=True)
X = (X / 16).astype("float32").reshape(-1, 8, 8, 1)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)


def network(depth):
    """Return a network with this many normalized convolutions of 8 filters after the first, ending
    in ten logits.
    """
    inputs = x = keras.Input((8, 8, 1))
    for _ in range(depth + 1):
        x = layers.Conv2D(8, 3, padding="same", kernel_initializer="he_normal")(x)
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(10)(layers.Flatten()(x)))


def run(case):
    """Train one network and return its accuracy on training and test data."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(case["seed"])
    model = network(case["depth"])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
    model.fit(X_train, y_train, batch_size=64, epochs=10, verbose=0)
    return {
        "train_accuracy": model.evaluate(X_train, y_train, batch_size=500, verbose=0)[1],
        "test_accuracy": model.evaluate(X_test, y_test, batch_size=540, verbose=0)[1],
    }


def chaotic(case):
    """Return whether rounding may change far more than the last digit."""
    return case["depth"] > 4


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    deep = table[table.depth == 40].train_accuracy
    skips = SKIPS[(SKIPS.depth == 40) & (SKIPS.kind == "residual")].train_accuracy
    figures = {
        "normalized, mean": deep.mean(),
        "normalized, worst": deep.min(),
        "residual, mean": skips.mean(),
        "above 0.9": (deep > 0.9).sum(),
    }
    holds = {
        "batch normalization keeps a deep plain network trainable": deep.min() > 0.9,
        "batch normalization does what a skip connection does": skips.mean() - deep.mean() < 0.02,
    }
    return holds, figures
