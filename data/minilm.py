"""The sentence encoder of minilm.npz in JAX, for experiments that train parts of it.

Chapter 145.1 builds the same network in NumPy and in Keras, and shows that they agree.
"""

from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from make_minilm import parts, pieces

BLOCKS, WIDTH, HEADS = 6, 384, 12
LONGEST = 64  # tokens of a text that are read


@cache
def stored():
    """Return the arrays of minilm.npz."""
    return dict(np.load(Path(__file__).with_name("minilm.npz")))


@cache
def weights():
    """Return {name: array}, the matrices (float32) multiplied by their factors."""
    found = {k: v.astype(np.float32) for k, v in stored().items() if k[0] == "e"}
    for name in [name for name in found if name.endswith(".scale")]:
        found[name.removesuffix(".scale")] *= np.repeat(found.pop(name), 32, axis=1)
    return found


def shuffled(rng):
    """Return the weights with the numbers of each matrix in a random order, a network that knows
    nothing and has the same sizes.
    """
    return {k: rng.permutation(v.ravel()).reshape(v.shape) for k, v in weights().items()}


def rows(texts):
    """Return the rows of the vocabulary (texts, LONGEST) and which of them are not padding."""
    row = {piece: k for k, piece in enumerate(stored()["pieces"].tolist())}
    found = np.full((len(texts), LONGEST), row["[PAD]"])
    for k, text in enumerate(texts):
        inner = [piece for word in parts(text) for piece in pieces(word, row)]
        tokens = ["[CLS]", *inner[: LONGEST - 2], "[SEP]"]
        found[k, : len(tokens)] = [row[piece] for piece in tokens]
    return found, found != row["[PAD]"]


def dense(x, w, name):
    """Return x after a dense layer."""
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def normalized(x, w, name):
    """Return x after a layer normalization."""
    x = x - x.mean(axis=-1, keepdims=True)
    x = x / jnp.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-12)
    return x * w[f"{name}.weight"] + w[f"{name}.bias"]


def embedded(found, w):
    """Return the first vectors (texts, n, 384) of rows of the vocabulary."""
    word, place, kind = (
        w[f"embeddings.{name}_embeddings.weight"] for name in ["word", "position", "token_type"]
    )
    return normalized(word[found] + place[: found.shape[1]] + kind[0], w, "embeddings.LayerNorm")


@jax.jit
def block(x, mask, w):
    """Return the vectors x (texts, n, 384) after one block; mask (texts, n) is false at padding."""

    def heads(part):
        return dense(x, w, f"attention.self.{part}").reshape(*x.shape[:2], HEADS, -1).swapaxes(1, 2)

    scores = heads("query") @ heads("key").swapaxes(2, 3) / (WIDTH // HEADS) ** 0.5
    seen = jax.nn.softmax(jnp.where(mask[:, None, None], scores, -1e9))
    found = (seen @ heads("value")).swapaxes(1, 2).reshape(x.shape)
    x = normalized(x + dense(found, w, "attention.output.dense"), w, "attention.output.LayerNorm")
    inner = jax.nn.gelu(dense(x, w, "intermediate.dense"), approximate=False)
    return normalized(x + dense(inner, w, "output.dense"), w, "output.LayerNorm")


def of_block(w, k):
    """Return the weights of block k under the names that `block` reads."""
    start = f"encoder.layer.{k}."
    return {name.removeprefix(start): array for name, array in w.items() if name.startswith(start)}


@jax.jit
def sentence(x, mask):
    """Return the mean of each text's vectors, of length 1."""
    means = (x * mask[..., None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    return means / jnp.linalg.norm(means, axis=1, keepdims=True)


def after(texts, w, n_blocks, size=64):
    """Return the vectors (texts, n, 384) after so many blocks, and the mask."""
    found, mask = rows(texts)
    done = []
    for start in range(0, len(texts), size):
        part = slice(start, start + size)
        x = embedded(found[part], w)
        for k in range(n_blocks):
            x = block(x, mask[part], of_block(w, k))
        done.append(np.asarray(x))
    return np.concatenate(done), mask
