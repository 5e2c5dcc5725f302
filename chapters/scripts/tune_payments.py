"""Train boosted trees on the payments and print their average precision on the validation days.

A training script for a container with scikit-learn: data from SM_CHANNEL_TRAIN and
SM_CHANNEL_VALIDATION (CSV files, label first, no header), hyperparameters as arguments, the model
to SM_MODEL_DIR.
"""

import argparse
import os

import joblib
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score

parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float, default=0.1)
parser.add_argument("--max_iter", type=int, default=100)
args = parser.parse_args()


def table(channel):
    """Return features and labels of a channel."""
    path = os.path.join(os.environ[f"SM_CHANNEL_{channel}"], "payments.csv")
    rows = np.loadtxt(path, delimiter=",")
    return rows[:, 1:], rows[:, 0]


X, y = table("TRAIN")
X_validation, y_validation = table("VALIDATION")
model = HistGradientBoostingClassifier(early_stopping=False, random_state=0)
model.set_params(learning_rate=args.learning_rate, max_iter=args.max_iter)
model.fit(X, y)
score = average_precision_score(y_validation, model.predict_proba(X_validation)[:, 1])
print(f"average_precision={score:.6f}")
joblib.dump(model, os.path.join(os.environ["SM_MODEL_DIR"], "model.joblib"))
