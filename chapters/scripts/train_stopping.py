"""Train the network of chapter 147 until its validation loss stops falling, as a SageMaker training
job runs it (script mode).
"""

import argparse
import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"], os.environ["TF_ENABLE_ONEDNN_OPTS"] = "3", "0"

import keras
import numpy as np
from keras import layers

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=100)
parser.add_argument("--patience", type=int, default=5)
parser.add_argument("--dropout", type=float, default=0.0)
args = parser.parse_args()

digits = {
    name: np.load(Path(os.environ[f"SM_CHANNEL_{name.upper()}"]) / f"{name}.npz")
    for name in ("train", "validation")
}
keras.utils.set_random_seed(0)
hidden = [layers.Dense(128, activation="relu"), layers.Dropout(args.dropout)]
network = keras.Sequential([keras.Input((64,)), *hidden, layers.Dense(10, activation="softmax")])
network.compile(
    keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"]
)
stop = keras.callbacks.EarlyStopping(patience=args.patience, restore_best_weights=True)
history = network.fit(
    digits["train"]["X"],
    digits["train"]["y"],
    batch_size=50,
    epochs=args.epochs,
    validation_data=(digits["validation"]["X"], digits["validation"]["y"]),
    callbacks=[stop],
    verbose=0,
)
print(f"epochs_trained={len(history.epoch)}")
print(f"best_epoch={stop.best_epoch + 1}")
print(f"validation_loss={min(history.history['val_loss']):.4f}")

network.save(Path(os.environ["SM_MODEL_DIR"]) / "digits.keras")
