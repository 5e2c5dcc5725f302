"""Train boosted trees on card payments: a SageMaker training job, or any other program with the
same variables.
"""

import argparse
import os
import time
from pathlib import Path

import joblib
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score, log_loss

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=60)
parser.add_argument("--learning-rate", type=float, default=0.1)
parser.add_argument("--checkpoints", type=Path)  # a folder
parser.add_argument("--hang-at", type=int)  # a round: stands in for a slow model
args = parser.parse_args()


def read(channel):
    """Return the features and labels of a channel, a folder of CSV files."""
    folder = Path(os.environ[f"SM_CHANNEL_{channel.upper()}"])
    payments = pd.concat(pd.read_csv(path) for path in sorted(folder.glob("*.csv")))
    return payments.drop(columns="fraud"), payments["fraud"]


(X, y), (X_validation, y_validation) = read("train"), read("validation")
model = HistGradientBoostingClassifier(
    learning_rate=args.learning_rate, early_stopping=False, warm_start=True, random_state=0
)
done = 0
if args.checkpoints and (args.checkpoints / "model.joblib").exists():
    model = joblib.load(args.checkpoints / "model.joblib")
    done = model.n_iter_
    print(f"resumed after round {done}")

if done > args.rounds:
    raise SystemExit(f"The checkpoint has {done} rounds, and --rounds asks for {args.rounds}.")
reported = [*range(done + 5, args.rounds, 5), args.rounds]
for rounds in reported:
    model.set_params(max_iter=rounds).fit(X, y)
    score = model.predict_proba(X_validation)[:, 1]
    train_loss = log_loss(y, model.predict_proba(X)[:, 1])
    print(
        f"round={rounds} train_loss={train_loss:.4f}",
        f"validation_loss={log_loss(y_validation, score):.4f}",
        f"validation_ap={average_precision_score(y_validation, score):.4f}",
    )
    if args.checkpoints:
        joblib.dump(model, args.checkpoints / "model.joblib")
    if rounds == args.hang_at:
        time.sleep(3600)

joblib.dump(model, Path(os.environ["SM_MODEL_DIR"]) / "model.joblib")
