"""Do tanh and Swish do better in deep networks with Glorot initialization than with one that keeps
the mean square of the weighted sums at one?

Data, networks, training and choice of the learning rate are those of the experiment activation race
(columns as well), at 10 and 44 hidden layers. There, each activation starts with weights of its own
size, for tanh 1.59 times and for Swish 1.68 times as large as here, where both start as in Glorot's
rule for layers of one width: with the variance 1 / (number of inputs).

Seeds: 0 to 19, the same as there.

Written before the first run. When these rules were written, the first seven activations of the race
were known: at 44 layers tanh had 0.46 there and ReLU 0.63. Differences are paired by seed.

Holds, as "tanh does better with Glorot's start": at 44 layers tanh is ahead of its other start by
more than two standard errors.

Holds, as "tanh beats ReLU" (143-10): at 44 layers tanh with Glorot's start is ahead of ReLU with
He's by more than two standard errors.

Holds, as "Swish pays off beyond forty layers" (143-22): at 44 layers Swish with Glorot's start is
ahead of ReLU with He's by more than two points and two standard errors.

Came out: tanh does better with Glorot initialization (0.76, 0.30 ± 0.03 more) and is then 0.13 ±
0.04 ahead of ReLU. "Swish pays off beyond forty layers" does not hold: with Glorot's weights Swish
learns nothing at 44 layers (0.10), like ReLU with that initialization.
"""

from pathlib import Path

import pandas as pd
from experiments.activation_race import best_of_three, gain

DEPENDS = ["experiments/activation_race.csv", "experiments/activation_race.py"]
CASES = [
    {"activation": activation, "depth": depth, "seed": seed}
    for activation in ["tanh", "Swish"]
    for depth in [10, 44]
    for seed in range(20)
]
TOLERANCE = {"learning_rate": 0.0075, "validation": 0.05, "test": 0.04}
RACE = Path(__file__).with_name("activation_race.csv")


def chaotic(case):
    """Return whether rounding grows over the layers until another accuracy comes out."""
    return case["depth"] == 44


def run(case):
    """Train one kind of network and return what the best learning rate reaches."""
    return best_of_three(case, 1 / gain(case["activation"]))


def verdicts(table):
    """Return which rules hold for a table, and the figures that decide."""
    race = pd.read_csv(RACE).pivot(index=["depth", "seed"], columns="activation", values="test")
    here = table.pivot(index=["depth", "seed"], columns="activation", values="test")
    pairs = {
        "tanh over its other start": here["tanh"] - race["tanh"],
        "tanh over ReLU": here["tanh"] - race["ReLU"],
        "Swish over ReLU": here["Swish"] - race["ReLU"],
        "Swish over its other start": here["Swish"] - race["Swish"],
    }
    figures = {f"{n}, {d}": v for d in (10, 44) for n, v in here.loc[d].mean().items()}
    for name, difference in pairs.items():
        deep = difference.loc[44]
        figures |= {name: deep.mean(), f"{name}, error": 2 * deep.sem()}

    def ahead(name, least=0.0):
        return bool(figures[name] > max(least, figures[f"{name}, error"]))

    return {
        "tanh does better with Glorot's start": ahead("tanh over its other start"),
        "tanh beats ReLU": ahead("tanh over ReLU"),
        "Swish pays off beyond forty layers": ahead("Swish over ReLU", 0.02),
    }, figures
