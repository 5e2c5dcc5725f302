"""A pytest plugin beside nbval: compare the figures a cell draws, and off Linux x86-64 allow its
numbers a tolerance.

nbval compares the texts a cell prints and passes over its pictures. Here the pictures are compared
too, decoded, since the bytes of a PNG also hold a version.

Strict equality holds on Linux x86-64. Elsewhere a text must be equal but for its numbers, and a
number may differ by 1 % or, if it has decimals, by one unit of its last printed digit. Whole
numbers below 100, such as counts and labels, must then be equal. Figures are only counted there,
since a curve within that tolerance may move by several pixels.
"""

import base64
import functools
import io
import platform
import re
from decimal import Decimal

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

# Measured with one and two threads and with the instructions of AVX-512, AVX2 and SSE4.2 for
# OpenBLAS, oneDNN, NumPy and XLA: not one pixel of the 43 figures of seven chapters moves by more
# than a level of 255, given that the trained networks behind two of them use 64-bit numbers.
# With 32-bit numbers those two move by up to 120 levels.
# One changed digit of 7 to 10 points moves 20 pixels or more by over 8 levels, and 8 or more by
# over 24 levels.
DRAWN_LEVELS, DRAWN_PIXELS = 8, 10
# In a figure of a trained network, in a cell tagged trained-figure, all colours may move a little.
# What is written and drawn may not: so many pixels in any window of 12 by 12.
TRAINED_LEVELS, TRAINED_PIXELS = 24, 5
WINDOW = np.ones((12, 12), int)

NUMBER = re.compile(r" *[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?")
RELATIVE = Decimal("0.01")


def pixels(png):
    """Return a base64 PNG as an int array of shape (height, width, 4)."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGBA")).astype(int)


def same_figure(stored, fresh, trained=False):
    """Return whether two base64 PNGs show the same picture.

    Drawn figures may differ in a few pixels in all, trained ones in a few pixels of each window.
    """
    a, b = pixels(stored), pixels(fresh)
    if a.shape != b.shape:
        return False
    moved = np.abs(a - b).max(axis=-1)
    if trained:
        changed = (moved > TRAINED_LEVELS).astype(int)
        worst = ndimage.convolve(changed, WINDOW, mode="constant").max()
        return bool(worst <= TRAINED_PIXELS)
    return bool((moved > DRAWN_LEVELS).sum() <= DRAWN_PIXELS)


def figures(outputs):
    """Return the PNGs of a cell's outputs, in order, as base64 strings."""
    return [
        output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})
    ]


def is_strict():
    """Return whether this machine must print and draw exactly what is stored."""
    return platform.system() == "Linux" and platform.machine() == "x86_64"


def same_number(stored, fresh):
    """Return whether two printed numbers agree within the tolerance of this module."""
    a, b = (Decimal(text.strip().replace(",", "")) for text in (stored, fresh))
    last_place = min(a.as_tuple().exponent, b.as_tuple().exponent)
    unit = Decimal(1).scaleb(last_place) if last_place < 0 else 0
    return abs(a - b) <= max(unit, RELATIVE * abs(a))


def same_text(stored, fresh):
    """Return whether two texts are equal but for their numbers, and these within the tolerance."""
    if NUMBER.split(stored) != NUMBER.split(fresh):
        return False
    return all(map(same_number, NUMBER.findall(stored), NUMBER.findall(fresh)))


def compare_loosely(compare, fresh, stored):
    """Return what nbval's compare says of two lists of outputs, once each fresh text that agrees
    with the stored one within the tolerance has been replaced by it.
    """
    for new, old in zip(fresh, stored):
        new_texts, old_texts = new.get("data", new), old.get("data", old)
        for key, text in old_texts.items():
            if key.startswith("text") and same_text(text, new_texts.get(key, "")):
                new_texts[key] = text
    return compare(fresh, stored)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Let nbval run a cell and compare its text, then compare its figures.

    Raises nbval's NbCellError when they differ.
    """
    is_cell = hasattr(item, "test_outputs")
    if is_cell and not is_strict():
        item.compare_outputs = functools.partial(compare_loosely, item.compare_outputs)
    result = yield
    if is_cell and item.options["check"]:
        stored, fresh = figures(item.cell.outputs), figures(item.test_outputs)
        if len(stored) != len(fresh):
            item.raise_cell_error(f"Figures stored: {len(stored)}, drawn: {len(fresh)}.")
        trained = "trained-figure" in item.cell.metadata.get("tags", [])
        if is_strict() and not all(same_figure(a, b, trained) for a, b in zip(stored, fresh)):
            item.raise_cell_error("A stored figure differs from the one this cell draws.")
    return result
