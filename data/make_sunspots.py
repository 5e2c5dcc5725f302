"""Write sunspots.csv, the yearly sunspot numbers that come with statsmodels 0.14.5.

Run `python make_sunspots.py FOLDER` in this folder, where FOLDER holds the unpacked wheel
(`pip download --no-deps statsmodels==0.14.5`, a zip file). statsmodels itself is not needed.
"""

import hashlib
import sys
from pathlib import Path

import pandas as pd

# the file in the wheel
ORIGIN = "statsmodels/datasets/sunspots/sunspots.csv"
SHA256 = "f67889b1d9002cd5227f0e0ef54e35b419cdd85a31279adef6f73fb41e5c0a9b"


def make(folder):
    """Return the years and numbers in an unpacked wheel as a table; raise ValueError if its file is
    another one.
    """
    path = Path(folder) / ORIGIN
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise ValueError(f"{ORIGIN} is not that of statsmodels 0.14.5")
    table = pd.read_csv(path)
    return pd.DataFrame({"year": table.YEAR.astype(int), "sunspots": table.SUNACTIVITY})


if __name__ == "__main__":
    target = Path(__file__).parent / "sunspots.csv"
    make(sys.argv[1]).to_csv(target, index=False, lineterminator="\n")
