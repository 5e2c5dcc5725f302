"""Time programs that JAX runs one operation at a time and compiled, for compile_times.csv.

Run `python make_compile_times.py`; it prints the table. The times differ from run to run and from
machine to machine, so no test repeats them: the stored table is one run.
"""

import statistics
import time
from functools import partial

import jax
import jax.numpy as jnp

RUNS, REPEATS = 3, 15


def cheap(x):
    """Return 16 cheap operations on each number."""
    for _ in range(8):
        x = x * 0.9 + 0.1
    return x


def costly(x):
    """Return 24 operations on each number, 8 of them a hyperbolic tangent."""
    for _ in range(8):
        x = jnp.tanh(x) * 0.9 + 0.1
    return x


def products(x):
    """Return four products of square matrices in a row."""
    for _ in range(4):
        x = x @ x * 1e-3
    return x


def step(weights, x):
    """Return the weights after one step of gradient descent of four dense layers with GELU."""

    def loss(weights):
        out = x
        for w, b in weights:
            out = jax.nn.gelu(out @ w + b)
        return (out**2).mean()

    return jax.tree.map(lambda p, g: p - 0.1 * g, weights, jax.grad(loss)(weights))


def layers(width):
    """Return four dense layers' weights."""
    keys = jax.random.split(jax.random.key(0), 4)
    return [(jax.random.normal(key, (width, width)) / width**0.5, jnp.zeros(width)) for key in keys]


def milliseconds(call):
    """Return how long one call takes, to its last number."""
    start = time.perf_counter()
    jax.block_until_ready(call())
    return (time.perf_counter() - start) * 1e3


def main():
    """Print the table, a row a program."""
    ones = jnp.ones
    programs = {
        "16 cheap operations on 100 numbers": (cheap, ones(100)),
        "16 cheap operations on 16 million numbers": (cheap, ones(16_000_000)),
        "24 operations with tanh on 1 million numbers": (costly, ones(1_000_000)),
        "4 products of 1024 x 1024 matrices": (products, ones((1024, 1024))),
        "training step, width 64, batch 32": (step, layers(64), ones((32, 64))),
        "training step, width 1024, batch 512": (step, layers(1024), ones((512, 1024))),
    }
    print("run,program,first_call_ms,alone_ms,compiled_ms")
    for run in range(1, RUNS + 1):
        jax.clear_caches()
        for name, (program, *inputs) in programs.items():
            alone, compiled = partial(program, *inputs), partial(jax.jit(program), *inputs)
            first, _ = milliseconds(compiled), milliseconds(alone)
            # in turns, so that a busy moment meets both
            pairs = [(milliseconds(alone), milliseconds(compiled)) for _ in range(REPEATS)]
            took = [first, *map(statistics.median, zip(*pairs))]
            print(",".join([str(run), f'"{name}"', *(f"{value:.3f}" for value in took)]))


if __name__ == "__main__":
    main()
