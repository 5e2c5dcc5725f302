"""Train a logistic regression on the card payments, and keep the prepared table where a warm pool
keeps files: a SageMaker training job.
"""

import argparse
import os
from pathlib import Path

import joblib
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

CACHE = Path("/opt/ml/sagemaker/warmpoolcache")

parser = argparse.ArgumentParser()
parser.add_argument("--inverse-penalty", type=float, default=1.0)
args = parser.parse_args()

prepared = CACHE / "payments.joblib"
if prepared.exists():
    table = joblib.load(prepared)
    print("table: found in the cache")
else:
    payments = pd.read_csv(Path(os.environ["SM_CHANNEL_TRAIN"]) / "payments.csv")
    table = pd.get_dummies(payments.drop(columns="customer"), dtype=float).fillna(-1)
    CACHE.mkdir(parents=True, exist_ok=True)
    joblib.dump(table, prepared)
    print("table: prepared anew and put into the cache")

X, y = table.drop(columns=["day", "fraud"]), table["fraud"]
early, late = table["day"] <= 50, table["day"].between(51, 70)
model = make_pipeline(StandardScaler(), LogisticRegression(C=args.inverse_penalty, max_iter=1000))
model.fit(X[early], y[early])
score = model.predict_proba(X[late])[:, 1]
print(f"validation_ap={average_precision_score(y[late], score):.4f}")
joblib.dump(model, Path(os.environ["SM_MODEL_DIR"]) / "model.joblib")
