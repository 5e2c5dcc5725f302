"""Boost trees on card payments and save what Debugger's rules read: a SageMaker training job."""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import xgboost
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_tensor_proto

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=200)
parser.add_argument("--learning-rate", type=float, default=0.1)
parser.add_argument("--hook", type=int, default=1)  # 0: save nothing
parser.add_argument("--pause", type=float, default=0)  # seconds a round: a larger table's time
args = parser.parse_args()


class Hook(xgboost.callback.TrainingCallback):
    """Saves losses, labels and predictions of every fifth round, in one folder per mode."""

    def __init__(self, folder, every=5):
        """Open one file per mode in the folder."""
        self.every, self.writers = every, {}
        for mode in ("train", "validation"):
            (folder / mode).mkdir(parents=True, exist_ok=True)
            file = (folder / mode / f"{mode}.tfevents").open("wb")
            self.writers[mode] = RecordWriter(file)

    def save(self, mode, step, **tensors):
        """Append one record per tensor."""
        for tag, value in tensors.items():
            tensor = make_tensor_proto(np.asarray(value, "float32"))
            summary = Summary(value=[Summary.Value(tag=tag, tensor=tensor)])
            self.writers[mode].write(Event(step=step, summary=summary).SerializeToString())
        self.writers[mode].flush()

    def after_iteration(self, model, epoch, evals_log):
        """Save, after every fifth round, and go on training."""
        if epoch % self.every == 0:
            for mode in self.writers:
                self.save(mode, epoch, logloss=evals_log[mode]["logloss"][-1])
            scores = model.predict(data["train"]) > 0.5
            self.save("train", epoch, labels=data["train"].get_label(), predictions=scores)
        time.sleep(args.pause)
        return False


def read(channel):
    """Return the payments of a channel, a folder of CSV files."""
    folder = Path(os.environ[f"SM_CHANNEL_{channel.upper()}"])
    payments = pd.concat(pd.read_csv(path) for path in sorted(folder.glob("*.csv")))
    return xgboost.DMatrix(payments.drop(columns="fraud"), payments["fraud"])


data = {mode: read(mode) for mode in ("train", "validation")}
callbacks = []
if args.hook:
    with open("/opt/ml/input/config/debughookconfig.json") as file:
        callbacks.append(Hook(Path(json.load(file)["LocalPath"])))
settings = {"objective": "binary:logistic", "eta": args.learning_rate, "max_depth": 4}
settings |= {"nthread": 1, "seed": 0}
found = {}
model = xgboost.train(
    settings,
    data["train"],
    args.rounds,
    evals=[(data[mode], mode) for mode in data],
    evals_result=found,
    callbacks=callbacks,
    verbose_eval=False,
)
print(f"validation_logloss={found['validation']['logloss'][-1]:.4f}")
model.save_model(Path(os.environ["SM_MODEL_DIR"]) / "model.ubj")
