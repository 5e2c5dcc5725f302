"""How many photographs does it take, and what does colour add?

Road-sign scenes (make_signs.py) with the sign anywhere; the chapter's network with global pooling,
600 updates of 32 scenes whatever the number of different scenes; accuracy on 1,000 test scenes,
which share neither a sign nor a part of a photograph with the training. "gray" is the mean of the
three channels, "no red" keeps green and blue.

Seeds: 0 to 9, for the training scenes, their order and the network; the test scenes are the same.

Written before the first run.

Holds, as "each doubling buys less": the mean gain over 10 seeds from 100 to 400 scenes is more than
twice that from 400 to 1,600.

Holds, as "colour helps": colour beats gray in at least 9 of 10 seeds at 400 scenes.

Came out: both hold. From 100 to 400 scenes accuracy rises by 0.076, from there to 1,600 by 0.006,
and colour is ahead of gray in 10 of 10 seeds.
"""

from pathlib import Path

import keras
import numpy as np
from keras import layers
from make_signs import scenes

CASES = [
    {"channels": channels, "n_train": n_train, "seed": seed}
    for channels, sizes in [
        ("colour", [50, 100, 200, 400, 800, 1600]),
        ("gray", [100, 400, 1600]),
        ("no red", [400]),
    ]
    for n_train in sizes
    for seed in range(10)
]
DEPENDS = ["make_signs.py", "signs.npz"]
TOLERANCE = {"accuracy": 0.03}
DATA = np.load(Path(__file__).parents[1] / "signs.npz")


def draw(part, n, rng):
    """Return n scenes and their kinds from the training or the test part of signs.npz."""
    return scenes(
        DATA[f"signs_{part}"], DATA[f"kinds_{part}"], DATA[f"backgrounds_{part}"], n, rng
    )[:2]


def keep(channels, X):
    """Return the scenes with three, two or one channel."""
    if channels == "gray":
        return X.mean(axis=-1, keepdims=True)
    return X[..., 1:] if channels == "no red" else X


def network(n_channels):
    """Return the chapter's network: three convolutions, global pooling, five logits."""
    return keras.Sequential(
        [
            keras.Input((32, 32, n_channels)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(5),
        ]
    )


def run(case):
    """Train on n_train scenes for 600 updates and return the accuracy on 1,000 test scenes."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(case["seed"])
    X, y = draw("train", case["n_train"], np.random.default_rng(case["seed"]))
    X_test, y_test = draw("test", 1000, np.random.default_rng(1000))
    order = np.random.default_rng(case["seed"]).integers(case["n_train"], size=600 * 32)
    model = network(keep(case["channels"], X).shape[-1])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
    model.fit(
        keep(case["channels"], X)[order],
        y[order],
        batch_size=32,
        epochs=1,
        shuffle=False,
        verbose=0,
    )
    return {
        "accuracy": model.evaluate(
            keep(case["channels"], X_test), y_test, batch_size=500, verbose=0
        )[1]
    }


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    runs = table.pivot(index="seed", columns=["channels", "n_train"], values="accuracy")
    means = runs.mean()["colour"]
    early, late = means[400] - means[100], means[1600] - means[400]
    ahead = (runs["colour", 400] > runs["gray", 400]).sum()
    figures = {
        "100 to 400 scenes": early,
        "400 to 1,600 scenes": late,
        "seeds in which colour is ahead": ahead,
        "gray, 400 scenes": runs["gray", 400].mean(),
        "no red, 400 scenes": runs["no red", 400].mean(),
        "colour, 400 scenes": means[400],
    }
    holds = {"each doubling buys less": early > 2 * late, "colour helps": ahead >= 9}
    return holds, figures
