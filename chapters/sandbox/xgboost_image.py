"""What the built-in XGBoost image runs: trains on CSV files, label first, no header.

Channels train and validation (optional); hyperparameters in SM_HPS; the model goes to
SM_MODEL_DIR/xgboost-model. Prints one line a round, such as "[0] train-auc:0.91
validation-auc:0.88", with tabs between. Source:
https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost_hyperparameters.html
"""

import json
import os
import warnings
from pathlib import Path

import numpy as np
import xgboost


def table(channel):
    """Return the channel's CSV files as one DMatrix, or None if there is no such channel."""
    folder = os.environ.get(f"SM_CHANNEL_{channel.upper()}")
    if folder is None:
        return None
    files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
    rows = np.concatenate([np.genfromtxt(path, delimiter=",", ndmin=2) for path in files])
    return xgboost.DMatrix(rows[:, 1:], label=rows[:, 0])


def main():
    """Train and save. Raises ValueError for hyperparameters that are missing or unknown."""
    given = json.loads(os.environ["SM_HPS"])
    if "num_round" not in given:
        raise ValueError("Missing required hyperparameter: num_round")
    rounds, patience = (int(given.pop("num_round")), given.pop("early_stopping_rounds", None))
    metrics = given.pop("eval_metric", [])
    metrics = metrics.split(",") if isinstance(metrics, str) else metrics
    config = Path(os.environ["SM_INPUT_CONFIG_DIR"], "hyperparameters.json").read_text()
    tuned = json.loads(config).get("_tuning_objective_metric", "").partition(":")[2]
    if tuned and tuned not in metrics:
        metrics.append(tuned)
    train, validation = table("train"), table("validation")
    watched = [(train, "train")] + [(validation, "validation")] * (validation is not None)
    stop = []
    if patience:
        stop.append(
            xgboost.callback.EarlyStopping(int(patience), data_name="validation", save_best=True)
        )
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        booster = xgboost.train(
            given | {"eval_metric": metrics, "nthread": 1},
            train,
            rounds,
            evals=watched,
            callbacks=stop,
        )
        booster.save_model(os.path.join(os.environ["SM_MODEL_DIR"], "xgboost-model"))
    for warning in heard:
        if "are not used" in str(warning.message):
            unknown = str(warning.message).partition("Parameters:")[2].split()[1:-3]
            raise ValueError(f"Extraneous hyperparameter found: {' '.join(unknown)}")


if __name__ == "__main__":
    main()
