"""Train XGBoost on the card payments and print its average precision on the days of choice.

A training script for a container: data from SM_CHANNEL_TRAIN and SM_CHANNEL_VALIDATION (CSV files,
label first, no header), hyperparameters as arguments, the model to SM_MODEL_DIR.
"""

import argparse
import os

import numpy as np
import xgboost
from sklearn.metrics import average_precision_score

parser = argparse.ArgumentParser()
parser.add_argument("--eta", type=float, default=0.3)
parser.add_argument("--num_round", type=int, default=100)
parser.add_argument("--max_depth", type=int, default=3)
args = parser.parse_args()


def table(channel):
    """Return features and labels of a channel."""
    path = os.path.join(os.environ[f"SM_CHANNEL_{channel}"], "payments.csv")
    rows = np.loadtxt(path, delimiter=",")
    return rows[:, 1:], rows[:, 0]


X, y = table("TRAIN")
X_valid, y_valid = table("VALIDATION")
settings = {"objective": "binary:logistic", "nthread": 1}
settings |= {"eta": args.eta, "max_depth": args.max_depth}
model = xgboost.train(settings, xgboost.DMatrix(X, y), args.num_round)
score = average_precision_score(y_valid, model.predict(xgboost.DMatrix(X_valid)))
print(f"average_precision={score:.6f}")
model.save_model(os.path.join(os.environ["SM_MODEL_DIR"], "xgboost-model"))
