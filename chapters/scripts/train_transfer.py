"""Take the network of digits_cnn.npz to new pictures, head first, as a SageMaker training job.

Channel `model` holds digits_cnn.npz, channel `train` pictures.npz with X_train, y_train, X_test and
y_test; pictures are (n, 14, 14) from 0 to 1.
"""

import argparse
import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"], os.environ["TF_ENABLE_ONEDNN_OPTS"] = "3", "0"

import keras
import numpy as np
from keras import layers

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=60)
parser.add_argument("--head-rate", type=float, default=1e-3)
parser.add_argument("--rate", type=float, default=1e-4)
args = parser.parse_args()

stored = np.load(Path(os.environ["SM_CHANNEL_MODEL"]) / "digits_cnn.npz")
pictures = np.load(Path(os.environ["SM_CHANNEL_TRAIN"]) / "pictures.npz")
keras.utils.set_random_seed(0)
base = keras.Sequential(
    [
        keras.Input((14, 14, 1)),
        layers.Conv2D(16, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, padding="same", activation="relu"),
        layers.Flatten(),
    ]
)
base.set_weights([stored[f"{kind}{k}"] for k in (1, 2, 3) for kind in ("conv", "bias")])
model = keras.Sequential([base, layers.Dense(int(pictures["y_train"].max()) + 1)])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
for trainable, rate in [(False, args.head_rate), (True, args.rate)]:
    base.trainable = trainable
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    model.fit(pictures["X_train"], pictures["y_train"], epochs=args.epochs, verbose=0)
    accuracy = model.evaluate(pictures["X_test"], pictures["y_test"], verbose=0)[1]
    print(f"accuracy_{'all' if trainable else 'head'}={accuracy:.4f}")
model.save(Path(os.environ["SM_MODEL_DIR"]) / "signs.keras")
