"""A pytest plugin: where nbval compares the text a cell prints, compare the figures it draws as well.

nbval passes over pictures. Here they are decoded and compared, since the bytes of a PNG also hold a version.
"""

import base64
import io

import numpy as np
import pytest
from PIL import Image

# A pixel counts as changed when a channel moves by more than LEVELS of 255; a figure, when more than SHARE of its pixels do.
LEVELS, SHARE = 24, 0.001


def pixels(png):
    """Decode a base64 PNG into an int array of shape (height, width, 4)."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGBA")).astype(int)


def same_figure(stored, fresh):
    """Return whether two base64 PNGs show the same picture, within LEVELS and SHARE."""
    a, b = pixels(stored), pixels(fresh)
    if a.shape != b.shape:
        return False
    changed = (np.abs(a - b) > LEVELS).any(axis=-1)
    return bool(changed.mean() <= SHARE)


def figures(outputs):
    """Return the PNGs of a cell's outputs, in order, as base64 strings."""
    return [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """After nbval has run a cell and compared its text, compare its figures."""
    result = yield
    if hasattr(item, "test_outputs") and item.options["check"]:
        stored, fresh = figures(item.cell.outputs), figures(item.test_outputs)
        if len(stored) != len(fresh) or not all(map(same_figure, stored, fresh)):
            item.raise_cell_error("A stored figure differs from the one this cell draws.")
    return result
