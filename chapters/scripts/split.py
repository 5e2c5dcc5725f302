"""Cut payments by day into three parts, as a SageMaker processing job or on any other machine."""

import argparse
from pathlib import Path

import pandas as pd

parser = argparse.ArgumentParser()
parser.add_argument("--train-until", type=int, required=True)
parser.add_argument("--validate-until", type=int, required=True)
parser.add_argument("--folder", type=Path, default="/opt/ml/processing")
given = parser.parse_args()
payments = pd.concat(map(pd.read_csv, sorted((given.folder / "payments").glob("*.csv"))))

day = payments.day
parts = {
    "train": payments[day <= given.train_until],
    "validation": payments[day.between(given.train_until + 1, given.validate_until)],
    "test": payments[day > given.validate_until],
}
for side, part in parts.items():
    (given.folder / side).mkdir(exist_ok=True)
    part.to_csv(given.folder / side / "payments.csv", index=False)
    print(f"{side}: days {part.day.min()} to {part.day.max()}, {len(part)} payments")
