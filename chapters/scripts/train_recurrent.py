"""Train a GRU of chapter 145 on logs, as a SageMaker training job runs it (script mode)."""

import argparse
import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"], os.environ["TF_ENABLE_ONEDNN_OPTS"] = "3", "0"

import keras
import numpy as np
from keras import layers

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--learning-rate", type=float, default=5e-3)
parser.add_argument("--keeps", type=float, default=1.0)
args = parser.parse_args()
UNITS = 16


def biases(shape, dtype=None):
    """Return the biases of a GRU whose update gate starts at the logarithm of --keeps."""
    b = np.zeros(shape)
    b[0, :UNITS] = np.log(args.keeps)
    return keras.ops.convert_to_tensor(b, dtype)


logs = np.load(Path(os.environ["SM_CHANNEL_TRAIN"]) / "logs.npz")
keras.config.set_floatx("float64")
keras.utils.set_random_seed(2)
network = keras.Sequential(
    [
        keras.Input(logs["X_train"].shape[1:]),
        layers.GRU(UNITS, bias_initializer=biases),
        layers.Dense(4, activation="softmax"),
    ]
)
adam = keras.optimizers.Adam(args.learning_rate, clipnorm=1.0)
network.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
network.fit(logs["X_train"], logs["y_train"], batch_size=50, epochs=args.epochs, verbose=0)
accuracy = network.evaluate(logs["X_validation"], logs["y_validation"], verbose=0)[1]
print(f"validation_accuracy={accuracy:.4f}")

network.save(Path(os.environ["SM_MODEL_DIR"]) / "logs.keras")
