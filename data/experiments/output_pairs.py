"""What does a network lose when its output layer and its loss do not belong together?

scikit-learn's digits (pixels divided by 16), split for every seed into 1,024 images for training,
373 for choosing and 400 for the test; one hidden layer of 32 ReLU units, ten outputs, in float64;
Adam, batches of 64, 30 epochs. Each run trains with three learning rates, 0.001, 0.003 and 0.01,
and keeps the one with the highest validation accuracy (of equals, the smallest).

Pairs of output and loss: "softmax, cross-entropy" belongs together. "softmax twice" puts a softmax
in front of a loss that applies its own, as PyTorch's CrossEntropyLoss does. "logits as
probabilities" gives raw sums to a loss that expects probabilities; as in Keras, the loss clips them
to between 1e-7 and 1 - 1e-7 and divides by their total. "sigmoids as probabilities" gives ten
sigmoids to that loss. "sigmoids, binary cross-entropy" treats the classes as ten labels. "softmax,
squared error" is what it says. "ReLU in front of softmax" and "tanh in front of softmax" put that
activation on the sums.

Columns: the learning rate; test accuracy; confidence, the mean over the test of the probability of
the class that is named, as the loss of the pair reads the outputs (ten sigmoids: the largest); and
log loss, the mean of -log of the probability of the true class, with probabilities of at least
1e-7.

Seeds: 0 to 19, for the split, the first weights and the order of the images.

Written before the first run. Means are over 20 seeds, differences are paired by seed, a point is
0.01; "the right pair" is "softmax, cross-entropy".

Holds, as "a wrong pair costs accuracy": each of "softmax twice", "logits as probabilities" and
"tanh in front of softmax" is more than one point and two standard errors below the right pair in
accuracy.

Holds, as "a wrong pair spoils the probabilities": each of these three has at least twice the log
loss of the right pair.

Holds, as "two softmaxes make it unsure": the confidence of "softmax twice", read from the second
softmax, is below 0.5, while its accuracy is above 0.8.

Came out: wrong pairs spoil the probabilities, and two softmaxes make the network unsure (0.23). "a
wrong pair costs accuracy" does not hold: "logits as probabilities" is 0.76 ± 0.05 behind, and no
difference is seen for "softmax twice" (0.015 ± 0.015) and "tanh in front of softmax" (0.001 ±
0.004).
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

PAIRS = [
    "softmax, cross-entropy",
    "softmax twice",
    "logits as probabilities",
    "sigmoids as probabilities",
    "sigmoids, binary cross-entropy",
    "softmax, squared error",
    "ReLU in front of softmax",
    "tanh in front of softmax",
]
CASES = [{"pair": pair, "seed": seed} for pair in PAIRS for seed in range(20)]
TOLERANCE = {"learning_rate": 0.009, "test": 0.02, "confidence": 0.02, "log_loss": 0.1}
RATES = [0.001, 0.003, 0.01]
UNITS, BATCH, EPOCHS = 32, 64, 30
X, y = load_digits(return_X_y=True)
X = X / 16


def data(seed):
    """Return images and labels of the three parts: train, valid, test."""
    X_rest, X_test, y_rest, y_test = train_test_split(
        X, y, test_size=400, random_state=seed, stratify=y
    )
    X_train, X_valid, y_train, y_valid = train_test_split(
        X_rest, y_rest, train_size=1024, random_state=seed, stratify=y_rest
    )
    return (X_train, y_train), (X_valid, y_valid), (X_test, y_test)


def sums(p, X):
    """Return the ten weighted sums of the output layer."""
    return jnp.maximum(X @ p["W1"] + p["b1"], 0) @ p["W2"] + p["b2"]


def log_probabilities(pair, z):
    """Return the logarithms of what the loss of a pair takes for probabilities."""
    if pair == "softmax twice":
        return jax.nn.log_softmax(jax.nn.softmax(z))
    if pair in ("logits as probabilities", "sigmoids as probabilities"):
        given = jax.nn.sigmoid(z) if pair.startswith("sigmoids") else z
        return jax.nn.log_softmax(jnp.log(jnp.clip(given, 1e-7, 1 - 1e-7)))
    if pair == "sigmoids, binary cross-entropy":
        return jax.nn.log_sigmoid(z)
    before = {"ReLU in front of softmax": jax.nn.relu, "tanh in front of softmax": jnp.tanh}
    return jax.nn.log_softmax(before.get(pair, lambda z: z)(z))


def loss(pair, p, X, y):
    """Return the mean loss of a pair."""
    z, wanted = sums(p, X), jax.nn.one_hot(y, 10)
    if pair == "sigmoids, binary cross-entropy":
        return -(wanted * jax.nn.log_sigmoid(z) + (1 - wanted) * jax.nn.log_sigmoid(-z)).mean()
    if pair == "softmax, squared error":
        return ((jax.nn.softmax(z) - wanted) ** 2).mean()
    return -(wanted * log_probabilities(pair, z)).sum(axis=1).mean()


@lru_cache
def functions(pair):
    """Return two compiled functions for a pair, for all learning rates at once: train, and the
    logarithms of the probabilities.
    """

    def train(p, rate, X, y, order):
        def step(state, inside):
            p, m, v = state
            t, batch = inside
            g = jax.grad(loss, 1)(pair, p, X[batch], y[batch])
            m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
            v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, v, g)
            now = rate * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            p = jax.tree.map(lambda p, m, v: p - now * m / (jnp.sqrt(v) + 1e-7), p, m, v)
            return (p, m, v), None

        zeros = jax.tree.map(jnp.zeros_like, p)
        steps = jnp.arange(1, len(order) + 1)
        return jax.lax.scan(step, (p, zeros, zeros), (steps, order))[0][0]

    def told(p, X):
        return log_probabilities(pair, sums(p, X))

    return (
        jax.jit(jax.vmap(train, in_axes=(None, 0, None, None, None))),
        jax.jit(jax.vmap(told, in_axes=(0, None))),
    )


@jax.enable_x64(True)
def run(case):
    """Train with every learning rate and return what the best on validation data reaches."""
    train, valid, test = data(case["seed"])
    rng = np.random.default_rng(case["seed"])
    p = {
        "W1": rng.normal(size=(64, UNITS)) * np.sqrt(2 / 64),
        "b1": np.zeros(UNITS),
        "W2": rng.normal(size=(UNITS, 10)) * np.sqrt(1 / UNITS),
        "b2": np.zeros(10),
    }
    order = np.concatenate([rng.permutation(1024).reshape(-1, BATCH) for _ in range(EPOCHS)])
    fitted, told = functions(case["pair"])
    p = fitted(p, jnp.array(RATES), *train, order)
    reached = (np.asarray(told(p, valid[0])).argmax(axis=2) == valid[1]).mean(axis=1)
    best = int(reached.argmax())
    log_p = np.asarray(told(p, test[0])[best])
    of_the_true = log_p[np.arange(len(log_p)), test[1]]
    return {
        "learning_rate": f"{RATES[best]:g}",
        "test": float((log_p.argmax(axis=1) == test[1]).mean()),
        "confidence": float(np.exp(log_p.max(axis=1)).mean()),
        "log_loss": float(-np.maximum(of_the_true, np.log(1e-7)).mean()),
    }


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    columns = {n: table.pivot(index="seed", columns="pair", values=n) for n in table.columns[3:]}
    test, confidence, log_loss = (columns[n] for n in ("test", "confidence", "log_loss"))
    wrong = ["softmax twice", "logits as probabilities", "tanh in front of softmax"]
    behind = test.rsub(test["softmax, cross-entropy"], axis=0)
    errors = 2 * behind.sem()
    ratio = log_loss.mean() / log_loss.mean()["softmax, cross-entropy"]
    figures = {f"test, {name}": value for name, value in test.mean().items()}
    figures |= {f"behind, {name}": value for name, value in behind.mean().items()}
    figures |= {f"behind, error, {name}": value for name, value in errors.items()}
    figures |= {f"confidence, {name}": value for name, value in confidence.mean().items()}
    figures |= {f"log loss, {name}": value for name, value in log_loss.mean().items()}
    twice = test.mean()["softmax twice"] > 0.8 and confidence.mean()["softmax twice"] < 0.5
    return {
        "a wrong pair costs accuracy": all(behind.mean()[n] > max(0.01, errors[n]) for n in wrong),
        "a wrong pair spoils the probabilities": all(ratio[n] >= 2 for n in wrong),
        "two softmaxes make it unsure": bool(twice),
    }, figures
