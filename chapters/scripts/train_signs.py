"""Train the network of chapter 144 on scenes with road signs, as a SageMaker training job runs it
(script mode).
"""

import argparse
import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"], os.environ["TF_ENABLE_ONEDNN_OPTS"] = "3", "0"

import keras
import numpy as np
from keras import layers

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=12)
parser.add_argument("--learning-rate", type=float, default=2e-3)
args = parser.parse_args()

scenes = np.load(Path(os.environ["SM_CHANNEL_TRAIN"]) / "scenes.npz")
keras.utils.set_random_seed(2)
network = keras.Sequential(
    [
        keras.Input(scenes["X_train"].shape[1:]),
        layers.Conv2D(16, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Dropout(0.25),
        layers.Conv2D(64, 3, activation="relu"),
        layers.GlobalMaxPooling2D(),
        layers.Dense(5, activation="softmax"),
    ]
)
adam = keras.optimizers.Adam(args.learning_rate)
network.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
network.fit(scenes["X_train"], scenes["y_train"], batch_size=32, epochs=args.epochs, verbose=0)
for side in ("left", "right"):
    accuracy = network.evaluate(scenes[f"X_{side}"], scenes[f"y_{side}"], verbose=0)[1]
    print(f"accuracy_{side}={accuracy:.4f}")

network.save(Path(os.environ["SM_MODEL_DIR"]) / "signs.keras")
