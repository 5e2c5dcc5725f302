"""Does one task need one kind of network?

Four small networks learn scikit-learn's digits, pictures of 8 x 8 pixels: a dense one, a
convolutional one, a recurrent one (a GRU that reads the picture row by row) and a transformer (one
block of attention over the eight rows). 1,000 digits are for training, 300 for validation, 497 for
testing; 25 epochs of Adam in batches of 50, at each of three learning rates.
`parameters` counts what a network learns, `multiplications` those of one prediction.

Seeds: 0 to 9, for the choice of digits, the weights and the order.

Written before the first run.

Holds, as "several kinds solve the same task about equally well" (141-05): with the learning rate of
each network that is best on validation data in the mean over seeds, the mean test accuracies of the
four lie within 3 points.

Holds, as "the kind of data does not decide alone" (141-05): with these rates, the convolutional
network is not ahead of all three others by more than two standard errors of the difference within
seeds.

Came out: "several kinds solve the same task about equally well" does not hold, since the
transformer reaches 0.925 and the best is 0.043 above it; the dense, the convolutional and the
recurrent network reach 0.968, 0.969 and 0.967. The other rule holds.
"""

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

NETWORKS = ["dense", "convolutional", "recurrent", "transformer"]
RATES = [0.001, 0.003, 0.01]
CASES = [
    {"rate": rate, "network": network, "seed": seed}
    for network in NETWORKS
    for rate in RATES
    for seed in range(10)
]
TOLERANCE = {"validation": 0.03, "test": 0.03}
EPOCHS, BATCH = 25, 50
PIXELS, CLASSES = load_digits(return_X_y=True)
PIXELS = (PIXELS / 16).astype("float32").reshape(-1, 8, 8)
SHAPES = {
    "dense": {"W1": (64, 64), "b1": (64,), "W2": (64, 10), "b2": (10,)},
    "convolutional": {
        "F1": (3, 3, 1, 8),
        "b1": (8,),
        "F2": (3, 3, 8, 16),
        "b2": (16,),
        "W3": (16 * 16, 10),
        "b3": (10,),
    },
    "recurrent": {"W": (8, 96), "R": (32, 96), "b": (96,), "c": (96,), "W2": (32, 10), "b2": (10,)},
    "transformer": {
        "E": (8, 24),
        "P": (8, 24),
        "Q": (24, 24),
        "K": (24, 24),
        "V": (24, 24),
        "O": (24, 24),
        "W1": (24, 48),
        "b1": (48,),
        "W2": (48, 24),
        "b2": (24,),
        "W3": (24, 10),
        "b3": (10,),
    },
}
MULTIPLICATIONS = {
    "dense": 64 * 64 + 64 * 10,
    "convolutional": 64 * 9 * 8 + 16 * 9 * 8 * 16 + 16 * 16 * 10,
    "recurrent": 8 * (8 + 32) * 96 + 32 * 10,
    "transformer": 8 * (8 * 24 + 4 * 24 * 24 + 2 * 24 * 48) + 2 * 8 * 8 * 24 + 24 * 10,
}


def dense(w, X):
    """Return the logits (n, 10) of a network with one hidden layer."""
    return jax.nn.relu(X.reshape(-1, 64) @ w["W1"] + w["b1"]) @ w["W2"] + w["b2"]


def convolutional(w, X):
    """Return the logits of two convolutions, the second with stride 2, and a dense layer."""

    def layer(X, filters, bias, stride):
        dimensions = ("NHWC", "HWIO", "NHWC")
        moved = jax.lax.conv_general_dilated(
            X, filters, (stride, stride), "SAME", dimension_numbers=dimensions
        )
        return jax.nn.relu(moved + bias)

    maps = layer(layer(X[..., None], w["F1"], w["b1"], 1), w["F2"], w["b2"], 2)
    return maps.reshape(len(X), -1) @ w["W3"] + w["b3"]


def recurrent(w, X):
    """Return the logits of a GRU that reads the eight rows."""

    def cell(state, row):
        z, r, new = jnp.split(row @ w["W"] + w["b"], 3, axis=1)
        z_state, r_state, n_state = jnp.split(state @ w["R"] + w["c"], 3, axis=1)
        z, r = jax.nn.sigmoid(z + z_state), jax.nn.sigmoid(r + r_state)
        return z * state + (1 - z) * jnp.tanh(new + r * n_state), None

    state, _ = jax.lax.scan(cell, jnp.zeros((len(X), 32)), X.transpose(1, 0, 2))
    return state @ w["W2"] + w["b2"]


def transformer(w, X):
    """Return the logits of one block of attention over the eight rows, then their mean."""
    rows = X @ w["E"] + w["P"]
    q, k, v = rows @ w["Q"], rows @ w["K"], rows @ w["V"]
    attention = jax.nn.softmax(q @ k.transpose(0, 2, 1) / np.sqrt(24), axis=-1)
    rows = rows + attention @ v @ w["O"]
    rows = rows + jax.nn.relu(rows @ w["W1"] + w["b1"]) @ w["W2"] + w["b2"]
    return rows.mean(axis=1) @ w["W3"] + w["b3"]


FUNCTIONS = dict(zip(NETWORKS, [dense, convolutional, recurrent, transformer]))


def trainer(network):
    """Return a compiled function that trains this network by Adam."""

    def loss(w, X, y):
        logits = jax.nn.log_softmax(FUNCTIONS[network](w, X))
        return -jnp.take_along_axis(logits, y[:, None], axis=1).mean()

    def train(w, X, y, order, rate):
        def step(state, now):
            w, m, v = state
            rows, t = now
            g = jax.grad(loss)(w, X[rows], y[rows])
            m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
            v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
            scale = rate * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            w = jax.tree.map(lambda w, m, v: w - scale * m / (jnp.sqrt(v) + 1e-7), w, m, v)
            return (w, m, v), None

        zeros = jax.tree.map(jnp.zeros_like, w)
        times = jnp.arange(1.0, len(order) + 1)
        return jax.lax.scan(step, (w, zeros, zeros), (order, times))[0][0]

    return jax.jit(train)


TRAINERS = {network: trainer(network) for network in NETWORKS}


def first_weights(shapes, rng):
    """Return Glorot's uniform weights, and biases of zero."""
    weights = {}
    for name, shape in shapes.items():
        n, m = np.prod(shape[:-1]), shape[-1] * np.prod(shape[:-2])
        bound = 0 if len(shape) == 1 else np.sqrt(6 / (n + m))
        weights[name] = jnp.asarray(rng.uniform(-1, 1, shape) * bound, "float32")
    return weights


def run(case):
    """Train one network and return its accuracies and its size."""
    network = case["network"]
    rng = np.random.default_rng(case["seed"])
    parts = np.split(rng.permutation(len(PIXELS)), [1000, 1300])
    order = [rng.permutation(1000).reshape(-1, BATCH) for _ in range(EPOCHS)]
    weights = first_weights(SHAPES[network], rng)
    X, y = PIXELS[parts[0]], CLASSES[parts[0]]
    weights = TRAINERS[network](weights, X, y, np.concatenate(order), case["rate"])
    right = [
        np.asarray(FUNCTIONS[network](weights, PIXELS[part])).argmax(axis=1) == CLASSES[part]
        for part in parts
    ]
    return {
        "validation": float(right[1].mean()),
        "test": float(right[2].mean()),
        "parameters": int(sum(np.prod(shape) for shape in SHAPES[network].values())),
        "multiplications": MULTIPLICATIONS[network],
    }


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    table = table.assign(rate=table.rate.astype(float))
    best = table.groupby(["network", "rate"]).validation.mean().groupby("network").idxmax()
    chosen = {
        network: table[(table.network == network) & (table.rate == best[network][1])]
        .set_index("seed")
        .test
        for network in NETWORKS
    }
    means = {network: test.mean() for network, test in chosen.items()}
    ahead = []
    for other in ("dense", "recurrent", "transformer"):
        difference = chosen["convolutional"] - chosen[other]
        ahead.append(bool(difference.mean() > 2 * difference.sem()))
    span = max(means.values()) - min(means.values())
    figures = {f"{network}, test": mean for network, mean in means.items()}
    figures["best minus worst"] = span
    holds = {
        "several kinds solve the same task about equally well": span <= 0.03,
        "the kind of data does not decide alone": not all(ahead),
    }
    return holds, figures
