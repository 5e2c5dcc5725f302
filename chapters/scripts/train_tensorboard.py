"""Train the network of chapter 160 on handwritten digits and log it for TensorBoard, as a
SageMaker training job runs it (script mode).
"""

import argparse
import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"], os.environ["TF_ENABLE_ONEDNN_OPTS"] = "3", "0"

import keras
import numpy as np
from keras import layers

parser = argparse.ArgumentParser()
parser.add_argument("--log-dir", default="/opt/ml/output/tensorboard")
parser.add_argument("--epochs", type=int, default=4)
args = parser.parse_args()

digits = np.load(Path(os.environ["SM_CHANNEL_TRAIN"]) / "digits.npz")
keras.utils.set_random_seed(0)
network = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(32, activation="relu"),
        layers.Dense(10, activation="softmax"),
    ]
)
loss, adam = "sparse_categorical_crossentropy", keras.optimizers.Adam(3e-3)
network.compile(adam, loss, metrics=["accuracy"])
board = keras.callbacks.TensorBoard(args.log_dir, histogram_freq=1)
network.fit(
    digits["X_train"],
    digits["y_train"],
    batch_size=64,
    epochs=args.epochs,
    validation_data=(digits["X_valid"], digits["y_valid"]),
    callbacks=[board],
    verbose=0,
)
network.save(Path(os.environ["SM_MODEL_DIR"]) / "digits.keras")
