"""A pytest plugin: where nbval compares the text a cell prints, compare the figures it draws as
well.

nbval passes over pictures. Here they are decoded and compared, since the bytes of a PNG also hold a
version.
"""

import base64
import io

import numpy as np
import pytest
from PIL import Image

# A pixel counts as changed when a channel moves by more than so many levels of 255; a figure, when
# more than a share of its pixels do. A figure of a trained network, in a cell tagged
# trained-figure, moves a little with the machine: up to 0.06 of its pixels by 24 levels and 0.003
# by 64, measured over threads and instruction sets.
DRAWN, TRAINED = (24, 0.001), (64, 0.02)


def pixels(png):
    """Decode a base64 PNG into an int array of shape (height, width, 4)."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGBA")).astype(int)


def same_figure(stored, fresh, tolerance=DRAWN):
    """Return whether two base64 PNGs show the same picture, within a tolerance in (levels, share of
    pixels).
    """
    levels, share = tolerance
    a, b = pixels(stored), pixels(fresh)
    if a.shape != b.shape:
        return False
    changed = (np.abs(a - b) > levels).any(axis=-1)
    return bool(changed.mean() <= share)


def figures(outputs):
    """Return the PNGs of a cell's outputs, in order, as base64 strings."""
    return [
        output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})
    ]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """After nbval has run a cell and compared its text, compare its figures."""
    result = yield
    if hasattr(item, "test_outputs") and item.options["check"]:
        stored, fresh = figures(item.cell.outputs), figures(item.test_outputs)
        tolerance = TRAINED if "trained-figure" in item.cell.metadata.get("tags", []) else DRAWN
        if len(stored) != len(fresh) or not all(
            same_figure(*pair, tolerance) for pair in zip(stored, fresh, strict=True)
        ):
            item.raise_cell_error("A stored figure differs from the one this cell draws.")
    return result
