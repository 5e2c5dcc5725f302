"""Train the same models in four environments, for environments.csv of chapter 157.

Run `python make_environments.py FOLDER` in the environment of the course; it prints the table.
FOLDER holds older packages, installed with

    pip install --no-deps --target FOLDER scikit-learn==1.7.2 xgboost-cpu==2.1.4

The numbers depend on the processor, so no test repeats them: the stored table is one run.
"""

import os
import subprocess
import sys
from pathlib import Path

HEAD = "environment,model,seed,average_precision,log_loss"
ONE = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS")} | {"THREADS": "1"}
TWO = {name: "2" for name in ONE}
OLDER = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
}


def models(seed, threads):
    """Return {name: untrained model}."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from xgboost import XGBClassifier

    shared = dict(random_state=seed, n_jobs=threads)
    network = MLPClassifier((64, 32), max_iter=20, learning_rate_init=3e-3, random_state=seed)
    return {
        "boosted trees": XGBClassifier(
            n_estimators=100, max_depth=3, learning_rate=0.1, subsample=0.7, **shared
        ),
        "forest": RandomForestClassifier(60, min_samples_leaf=5, **shared),
        "network": make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), network),
    }


def one_environment(name):
    """Print the rows of this process's environment."""
    import warnings

    import pandas as pd
    from sklearn.metrics import average_precision_score, log_loss

    warnings.simplefilter("ignore")  # the network may stop before it has converged
    payments = pd.read_csv(Path(__file__).with_name("transactions.csv"))
    X = pd.get_dummies(payments.drop(columns=["day", "customer", "fraud"]), dtype=float)
    y, day = payments.fraud, payments.day
    train, valid = day <= 50, day.between(51, 70)
    for seed in range(10):
        for kind, model in models(seed, int(os.environ["THREADS"])).items():
            score = model.fit(X[train], y[train]).predict_proba(X[valid])[:, 1].astype(float)
            numbers = average_precision_score(y[valid], score), log_loss(y[valid], score)
            print(name, kind, seed, *(repr(float(number)) for number in numbers), sep=",")


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        one_environment(sys.argv[2])
    else:
        print(HEAD, flush=True)
        for name, variables in {
            "as recorded": ONE,
            "two threads": ONE | TWO,
            "older instructions": ONE | OLDER,
            "older packages": ONE | {"PYTHONPATH": sys.argv[1]},
        }.items():
            command = [sys.executable, __file__, "--one", name]
            subprocess.run(command, env=os.environ | variables, check=True)
