"""What AWS's XGBoost image runs without a script: it trains on CSV files, label first, no header.

Channels train and validation (optional); hyperparameters in input/config; the model goes to
SM_MODEL_DIR/xgboost-model. Prints one line a round, such as "[0] train-auc:0.91
validation-auc:0.88", with tabs between. Sources: as in `xgboost_rules`, with
algorithm_mode/train.py and data_utils.py (commits 0745afd, 054c09c), and
https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost_hyperparameters.html
"""

import csv
import json
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import xgboost
import xgboost_rules as rules

# for the container itself; XGBoost does not know them
OWN = ("num_round", "csv_weights", "early_stopping_rounds", "save_model_on_termination")
OWN += ("use_dask_gpu_training", "_tuning_objective_metric", "eval_metric", "silent", "dsplit")
OWN += ("predictor", "deterministic_histogram", "sketch_eps", "lambda_bias")


class UserError(Exception):
    """What the user of the image has done wrong."""


def rows_of(path):
    """Return a CSV file as an array (rows, columns); an empty cell is a missing value, nan."""
    with path.open(newline="", encoding="utf8", errors="replace") as file:
        first = file.readline()
        try:
            delimiter = csv.Sniffer().sniff(first).delimiter
        except csv.Error:
            raise UserError(f"Could not determine delimiter on line {first[:50]}") from None
        delimiter = "," if delimiter.isalnum() or delimiter == "." else delimiter
        file.seek(0)
        try:
            rows = filter(None, csv.reader(file, delimiter=delimiter))
            return np.array([[float(cell.strip() or "nan") for cell in row] for row in rows])
        except ValueError as error:
            raise UserError(f"Failed to load csv data with exception:\n{error}") from None


def table(channel, weights=False):
    """Return the channel's CSV files as one DMatrix, or None if there is no such channel."""
    folder = os.environ.get(f"SM_CHANNEL_{channel.upper()}")
    if folder is None:
        return None
    files = [path for path in sorted(Path(folder).rglob("*")) if path.is_file()]
    files = [path for path in files if path.name[0] not in "._" and path.stat().st_size]
    if not files:
        raise UserError(f"No data in {channel} channel path /opt/ml/input/data/{channel}")
    parts = [rows_of(path) for path in files]
    if len({part.shape[1] for part in parts}) > 1:
        raise UserError("Failed to load csv data with exception:\nfiles differ in columns")
    rows = np.concatenate(parts)
    if not weights:
        return xgboost.DMatrix(rows[:, 1:], label=rows[:, 0])
    return xgboost.DMatrix(rows[:, 2:], label=rows[:, 0], weight=rows[:, 1])


def container_metric(name, truth, score):
    """Return a metric that the container adds to XGBoost's own; its custom_metrics.py.

    `truth` has shape (rows,), `score` (rows,) or (rows, classes).
    """
    from sklearn import metrics

    if name in ("mse", "r2"):
        return (metrics.mean_squared_error if name == "mse" else metrics.r2_score)(truth, score)
    label = score.argmax(axis=1) if score.ndim == 2 else score
    label = label if score.ndim == 2 or len(set(truth)) > 2 else (score > 0.5).astype(int)
    base, _, average = name.partition("_")
    if name in ("accuracy", "balanced_accuracy"):
        return getattr(metrics, f"{name}_score")(truth, label)
    average = average or ("macro" if base == "f1" else "binary")
    return getattr(metrics, f"{base}_score")(truth, label, average=average, zero_division=0)


CONTAINER = {"accuracy", "balanced_accuracy", "mse", "r2"}
CONTAINER |= {m for m in rules.METRICS if m.split("_")[0] in ("f1", "precision", "recall")}


def main():
    """Train and save. Raises UserError for what the image refuses."""
    config = Path(os.environ["SM_INPUT_CONFIG_DIR"], "hyperparameters.json")
    given = json.loads(config.read_text(encoding="utf8"))
    for fault in rules.faults(given):
        raise UserError(fault)
    weights = given.get("csv_weights") == "1"
    train, validation = table("train", weights), table("validation")
    if train is None:
        raise UserError("Missing required channel: train")
    watched = [(train, "train")] + [(validation, "validation")] * (validation is not None)
    metrics = [name for name in rules.metrics_of(given) if name]
    tuned = given.get("_tuning_objective_metric", "").partition(":")[2]
    metrics += [tuned] * (tuned != "" and tuned not in metrics)
    added = [name for name in metrics if name in CONTAINER]

    def custom(score, data):
        return [(name, container_metric(name, data.get_label(), score)) for name in added]

    stop, patience = [], given.get("early_stopping_rounds")
    if patience:
        last = watched[-1][1]
        early = dict(rounds=int(patience), data_name=last, save_best=True)
        stop = [xgboost.callback.EarlyStopping(**early)]
    settings = {key: value for key, value in given.items() if key not in OWN}
    settings |= {"nthread": 1, "eval_metric": [m for m in metrics if m not in added]}
    if added and not settings["eval_metric"]:
        settings["disable_default_eval_metric"] = 1
    with warnings.catch_warnings():
        # documented hyperparameters of another booster or objective are accepted without effect
        warnings.simplefilter("ignore")
        booster = xgboost.train(
            settings,
            train,
            int(given["num_round"]),
            evals=watched,
            callbacks=stop,
            custom_metric=custom if added else None,
        )
        booster.save_model(os.path.join(os.environ["SM_MODEL_DIR"], "xgboost-model"))


if __name__ == "__main__":
    try:
        main()
    except Exception as failure:
        kind = type(failure).__name__
        kind = "sagemaker_algorithm_toolkit.exceptions.UserError" if kind == "UserError" else kind
        trace = f"Traceback (most recent call last):\n{kind}: {failure}"
        told = f"framework error: \n{trace}\n{failure}"
        Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text(told, encoding="utf8")
        print(told)
        sys.exit(1)
