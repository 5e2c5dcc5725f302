"""Make the current recordings of chapter 142 into starts.npz.

Run `python make_starts.py` in this folder. The same pins give the same arrays.

The idea, a short shape at a random place of a short series, is that of MNIST-1D (Greydanus 2020,
arXiv:2011.14439); shapes, noise and program are this course's own.
"""

from pathlib import Path

import numpy as np

LENGTH = 40  # readings in a recording
MACHINES = {
    "saw": [0, 9, 6, 4, 3, 3, 3, 3, 3, 3, 3, 0],
    "press": [0, 3, 3, 3, 3, 3, 3, 4, 6, 9, 6, 0],
    "lathe": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 0],
    "fan": [0, 9, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    "welder": [0, 8, 8, 1, 8, 8, 1, 8, 8, 1, 1, 0],
    "stapler": [0, 8, 1, 1, 8, 1, 1, 8, 1, 1, 8, 0],
    "pump": [0, 3, 6, 8, 9, 9, 8, 6, 3, 1, 0, 0],
    "mixer": [0, 2, 8, 4, 2, 1, 1, 2, 4, 8, 2, 0],
    "grinder": [0, 7, 7, 7, 7, 7, 2, 2, 2, 2, 2, 0],
    "crane": [0, 2, 2, 2, 2, 2, 7, 7, 7, 7, 7, 0],
}
PARTS = {"train": 2000, "validation": 1000, "test": 2000}


def shape(machine):
    """Return the 12 readings of a machine's start, with mean 0 and standard deviation 1.

    Raises KeyError for an unknown machine.
    """
    readings = np.array(MACHINES[machine], float)
    return (readings - readings.mean()) / readings.std()


def recording(machine, rng):
    """Return one recording as 40 readings, in the units of `shape`.

    The start is stretched to 13 to 19 readings, begins anywhere where it fits, and is 0.7 to 1.3
    times as strong; other machines add a slow wave, the meter adds noise.
    """
    width = rng.uniform(13, 19)
    begin = rng.uniform(0, LENGTH - 1 - width)
    place = (np.arange(LENGTH) - begin) / width * 11  # in readings of the shape
    start = np.interp(place, np.arange(12), shape(machine), left=0, right=0)
    slow = np.interp(np.arange(LENGTH), np.linspace(0, LENGTH - 1, 6), rng.normal(0, 0.35, 6))
    return rng.uniform(0.7, 1.3) * start + slow + rng.normal(0, 0.25, LENGTH)


def make():
    """Return the arrays of starts.npz: for each part X (n, 40), int8 twentieths, and y (n,)."""
    rng = np.random.default_rng(142)
    arrays = {}
    for part, n in PARTS.items():
        y = rng.integers(len(MACHINES), size=n)
        names = list(MACHINES)
        X = np.array([recording(names[k], rng) for k in y])
        arrays[f"X_{part}"] = np.clip(np.round(X * 20), -127, 127).astype(np.int8)
        arrays[f"y_{part}"] = y.astype(np.int8)
    return arrays


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).with_name("starts.npz"), **make())
