"""Does a skip connection keep a deep convolutional network trainable?

scikit-learn's digits; 3x3 convolutions with 8 filters and ReLU stacked 4, 16 or 40 deep, plain, or
in pairs with a skip connection around each pair whose second convolution starts at zero; 10 epochs
of Adam at 2e-3, nothing tuned. The number that counts is the accuracy on the training data: the
trouble with depth that ResNet set out to mend is one of fitting.

Seeds: 0 to 9, for the first weights and the order of the images; the split is the same.

Written before the first run.

Holds, as "skip connections maintain performance": at 40 layers the residual network's mean training
accuracy over 10 seeds is more than 20 points above the plain one's, and less than 5 points below
its own at 4 layers.

Noted after the run, as "every deep plain run is fitted worse": at 40 layers the best plain run is
below the worst residual one in training accuracy, on every machine that was tried.

Noted after the run: a plain run of 40 layers may learn nothing, and rounding decides which does and
what the others reach; on another machine the training accuracy of one residual run at 16 layers
differed by 0.044. The first rule is called undecided where 20 points lie within two standard
errors of the difference.

Came out: "skip connections maintain performance" is undecided: at 40 layers the residual network is
ahead by 0.164, give or take 0.164, since 1 of 10 plain runs learns nothing. The best plain run
reaches 0.955, the worst residual one 0.986.
"""

import keras
from keras import layers
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

CASES = [
    {"kind": kind, "depth": depth, "seed": seed}
    for kind in ["plain", "residual"]
    for depth in [4, 16, 40]
    for seed in range(10)
]
TOLERANCE = {"train_accuracy": 0.02, "test_accuracy": 0.03}

X, y = load_digits(return_X_y=True)
X = (X / 16).astype("float32").reshape(-1, 8, 8, 1)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)


def network(kind, depth):
    """Return a network with this many convolutions of 8 filters after the first, ending in ten
    logits.
    """

    def conv(**settings):
        return layers.Conv2D(
            8, 3, padding="same", kernel_initializer=settings.get("start", "he_normal")
        )

    inputs = keras.Input((8, 8, 1))
    x = layers.Activation("relu")(conv()(inputs))
    for _ in range(depth // 2):
        if kind == "plain":
            x = layers.Activation("relu")(conv()(x))
            x = layers.Activation("relu")(conv()(x))
        else:
            branch = layers.Activation("relu")(conv()(x))
            x = layers.Activation("relu")(layers.Add()([x, conv(start="zeros")(branch)]))
    return keras.Model(inputs, layers.Dense(10)(layers.Flatten()(x)))


def run(case):
    """Train one network and return its accuracy on training and test data."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(case["seed"])
    model = network(case["kind"], case["depth"])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
    model.fit(X_train, y_train, batch_size=64, epochs=10, verbose=0)
    return {
        "train_accuracy": model.evaluate(X_train, y_train, batch_size=500, verbose=0)[1],
        "test_accuracy": model.evaluate(X_test, y_test, batch_size=540, verbose=0)[1],
    }


def chaotic(case):
    """Return whether rounding decides how far a run gets, or whether it learns anything."""
    return case["depth"] > 4


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    runs = table.set_index(["kind", "depth"]).sort_index().train_accuracy
    plain, residual, shallow = runs["plain", 40], runs["residual", 40], runs["residual", 4]
    ahead = residual.mean() - plain.mean()
    error = 2 * (residual.sem() ** 2 + plain.sem() ** 2) ** 0.5
    figures = {
        "residual ahead": ahead,
        "two standard errors": error,
        "plain runs that learn nothing": (plain < 0.2).sum(),
        "best plain run": plain.max(),
        "worst residual run": residual.min(),
        "residual, 4 layers": shallow.mean(),
        "residual, 40 layers": residual.mean(),
    }
    far_ahead = None if abs(ahead - 0.2) < error else ahead > 0.2
    maintained = shallow.mean() - residual.mean() < 0.05
    holds = {
        "skip connections maintain performance": far_ahead if maintained else False,
        "every deep plain run is fitted worse": plain.max() < residual.min(),
    }
    return holds, figures
