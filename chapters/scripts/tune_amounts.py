"""Train boosted trees on the amounts of payments and print their WAPE on the validation days.

A training script for a container with scikit-learn: data from SM_CHANNEL_TRAIN and
SM_CHANNEL_VALIDATION (CSV files, amount first, no header), hyperparameters as arguments, the model
to SM_MODEL_DIR.
"""

import argparse
import os

import joblib
import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor

parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float, default=0.1)
args = parser.parse_args()


def table(channel):
    """Return features and amounts of a channel."""
    path = os.path.join(os.environ[f"SM_CHANNEL_{channel}"], "part.csv")
    rows = np.loadtxt(path, delimiter=",")
    return rows[:, 1:], rows[:, 0]


X, y = table("TRAIN")
X_validation, y_validation = table("VALIDATION")
model = HistGradientBoostingRegressor(
    loss="absolute_error", max_iter=50, early_stopping=False, random_state=0
)
model.set_params(learning_rate=args.learning_rate).fit(X, y)
error = np.abs(y_validation - model.predict(X_validation))
print(f"wape={error.sum() / np.abs(y_validation).sum():.4f}")
joblib.dump(model, os.path.join(os.environ["SM_MODEL_DIR"], "model.joblib"))
