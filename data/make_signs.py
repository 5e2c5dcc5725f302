"""Draw the road signs and cut the backgrounds of chapter 144 into signs.npz.

Run `python make_signs.py` in this folder. The same pins give the same arrays.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_sample_image

KINDS = ["stop", "no entry", "yield", "priority", "keep right"]
SPRITE, SCENE = 16, 32
FINE = 20  # drawn at this many times the final size, then averaged down
RED, BLUE, YELLOW, WHITE = (190, 25, 35), (25, 75, 165), (250, 195, 20), (245, 245, 245)


def polygon(n, radius, turn):
    """Return the n corners of a regular polygon around the middle of a fine canvas, as (x, y)
    pairs.

    radius in final pixels, turn in degrees (0 puts a corner on the right).
    """
    angles = np.radians(turn + 360 * np.arange(n) / n)
    middle = SPRITE * FINE / 2
    return [
        (middle + radius * FINE * np.cos(a), middle + radius * FINE * np.sin(a)) for a in angles
    ]


def draw_sign(kind, diameter, tilt, light):
    """Return one sign as a uint8 array of shape (16, 16, 4): red, green, blue, opacity.

    kind is one of KINDS, diameter is in pixels (at most 16), tilt in degrees, light a factor (1 =
    as painted). Raises ValueError for an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of sign {kind!r}; choose one of {KINDS}")
    size, r = SPRITE * FINE, diameter / 2
    image = Image.new("RGBA", (size, size))
    pen = ImageDraw.Draw(image)

    def box(left, top, right, bottom):
        return [size / 2 + r * FINE * v for v in (left, top, right, bottom)]

    if kind == "stop":
        pen.polygon(polygon(8, r, 22.5), fill=WHITE)
        pen.polygon(polygon(8, 0.92 * r, 22.5), fill=RED)
        font = ImageFont.load_default(size=0.72 * r * FINE)
        pen.text(
            (size / 2, size / 2),
            "STOP",
            fill=WHITE,
            font=font,
            anchor="mm",
            stroke_width=0.02 * r * FINE,
        )
    elif kind == "no entry":
        pen.ellipse(box(-1, -1, 1, 1), fill=RED)
        pen.rectangle(box(-0.7, -0.2, 0.7, 0.2), fill=WHITE)
    elif kind == "yield":
        pen.polygon(polygon(3, 1.1 * r, 90), fill=RED)
        pen.polygon(polygon(3, 0.62 * r, 90), fill=WHITE)
    elif kind == "priority":
        pen.polygon(polygon(4, r, 0), fill=WHITE)
        pen.polygon(polygon(4, 0.75 * r, 0), fill=YELLOW)
    else:
        pen.ellipse(box(-1, -1, 1, 1), fill=BLUE)
        pen.line(box(-0.45, -0.45, 0.4, 0.4), fill=WHITE, width=round(0.25 * r * FINE))
        corner, short = box(0.5, 0.5, 0, 0), 0.6 * r * FINE
        pen.polygon(
            [corner[:2], (corner[0] - short, corner[1]), (corner[0], corner[1] - short)], fill=WHITE
        )
    image = image.rotate(tilt, Image.Resampling.BICUBIC).resize(
        (SPRITE, SPRITE), Image.Resampling.BOX
    )
    sign = np.asarray(image).astype(float)
    sign[..., :3] *= light
    return sign.clip(0, 255).round().astype("uint8")


def draw_signs(n_per_kind, rng):
    """Return (signs, kinds): uint8 of shape (n, 16, 16, 4) and int of shape (n,), with random size,
    tilt and light.
    """
    kinds = np.repeat(np.arange(len(KINDS)), n_per_kind)
    signs = [
        draw_sign(KINDS[k], rng.uniform(10, 15), rng.uniform(-15, 15), rng.uniform(0.55, 1.1))
        for k in kinds
    ]
    return np.stack(signs), kinds


def cut_backgrounds(photograph, n, rng):
    """Return n square crops of a photograph, random in place, scale and mirror: uint8 of shape (n,
    32, 32, 3).
    """
    height, width = photograph.shape[:2]
    crops = []
    for _ in range(n):
        side = rng.integers(48, 160)
        top, left = rng.integers(0, height - side), rng.integers(0, width - side)
        crop = Image.fromarray(photograph[top : top + side, left : left + side]).resize(
            (SCENE, SCENE), Image.Resampling.BOX
        )
        crops.append(np.asarray(crop)[:, :: rng.choice([1, -1])])
    return np.stack(crops)


def scenes(signs, kinds, backgrounds, n, rng, columns=(0, 17), rows=(0, 17)):
    """Put a random sign on a random background n times.

    Returns X, float32 of shape (n, 32, 32, 3) in [0, 1]; y, the kinds, int of shape (n,);
    where, the top left corner of each sign (row, column), int of shape (n, 2).
    columns and rows bound the corner: from the first number up to, not including, the second.
    """
    X = backgrounds[rng.integers(len(backgrounds), size=n)] / np.float32(255)
    chosen = rng.integers(len(signs), size=n)
    where = np.column_stack([rng.integers(*rows, size=n), rng.integers(*columns, size=n)])
    for image, sign, (row, column) in zip(X, signs[chosen] / np.float32(255), where):
        patch = image[row : row + 16, column : column + 16]
        patch += sign[..., 3:] * (sign[..., :3] - patch)
    return X, kinds[chosen], where


def make():
    """Return the arrays of signs.npz by name; training and test share neither a sign nor a part of
    a photograph.
    """
    rng = np.random.default_rng(144)
    arrays = {}
    for part, n_per_kind, n_crops in [("train", 60, 160), ("test", 30, 80)]:
        arrays[f"signs_{part}"], arrays[f"kinds_{part}"] = draw_signs(n_per_kind, rng)
        crops = []
        for name in ["china.jpg", "flower.jpg"]:
            photograph = load_sample_image(name)
            half = photograph[:, :400] if part == "train" else photograph[:, 400:]
            crops.append(cut_backgrounds(half, n_crops // 2, rng))
        arrays[f"backgrounds_{part}"] = np.concatenate(crops)
    return arrays


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).with_name("signs.npz"), **make())
