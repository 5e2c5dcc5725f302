"""What AWS's XGBoost image knows: its metrics, its hyperparameters and which of them can be tuned.

Sources: https://github.com/aws/sagemaker-xgboost-container, src/sagemaker_xgboost_container:
algorithm_mode/hyperparameter_validation.py and metrics.py, constants/xgb_constants.py (commits
13a194f, 0f2757e); https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost_hyperparameters.html and
xgboost-tuning.html.
"""

import re

MAXIMIZED = """
    accuracy auc aucpr balanced_accuracy f1 f1_binary f1_macro map ndcg precision precision_macro
    precision_micro r2 recall recall_macro recall_micro
""".split()
MINIMIZED = """
    aft-nloglik cox-nloglik error gamma-deviance gamma-nloglik interval-regression-accuracy logloss
    mae mape merror mlogloss mphe mse poisson-nloglik rmse rmsle tweedie-nloglik
""".split()
METRICS = MAXIMIZED + MINIMIZED
# number: the interval in which it lies, as mathematics writes it; the first word is its type
NUMBERS = """
    num_round integer [1,inf) tunable
    csv_weights integer [0,1]
    early_stopping_rounds integer [1,inf)
    silent integer [0,1]
    verbosity integer [0,3]
    nthread integer [1,inf)
    eta continuous [0,1] tunable
    gamma continuous [0,inf) tunable
    max_depth integer [0,inf) tunable
    min_child_weight continuous [0,inf) tunable
    max_delta_step continuous [0,inf) tunable
    subsample continuous (0,1] tunable
    colsample_bytree continuous (0,1] tunable
    colsample_bylevel continuous (0,1] tunable
    colsample_bynode continuous (0,1] tunable
    lambda continuous [0,inf) tunable
    alpha continuous [0,inf) tunable
    sketch_eps continuous (0,1)
    scale_pos_weight continuous (0,inf)
    refresh_leaf integer [0,1]
    max_leaves integer [0,inf)
    max_bin integer [0,inf)
    rate_drop continuous [0,1]
    one_drop integer [0,1]
    skip_drop continuous [0,1]
    lambda_bias continuous [0,1]
    tweedie_variance_power continuous (1,2)
    huber_slope continuous [0,inf)
    num_class integer [2,inf)
    base_score continuous [0,inf)
    seed integer (-2147483648,2147483647)
    num_parallel_tree integer [1,inf)
    aft_loss_distribution_scale continuous (0,inf)
    max_cat_to_onehot integer [0,inf)
    _kfold integer [2,inf)
    _num_cv_round integer [1,inf)
"""
NUMBERS = {row.split()[0]: row.split()[1:] for row in NUMBERS.strip().splitlines()}
WORDS = {
    "booster": "gbtree gblinear dart",
    "tree_method": "auto exact approx hist gpu_hist",
    "dsplit": "row col",
    "process_type": "default update",
    "grow_policy": "depthwise lossguide",
    "predictor": "auto cpu_predictor gpu_predictor",
    "sample_type": "uniform weighted",
    "normalize_type": "tree forest",
    "save_model_on_termination": "true false",
    "deterministic_histogram": "true false",
    "use_dask_gpu_training": "true false",
    "sampling_method": "uniform gradient_based",
    "aft_loss_distribution": "normal logistic extreme",
    "objective": """
        aft_loss_distribution binary:logistic binary:logitraw binary:hinge count:poisson
        multi:softmax multi:softprob rank:pairwise rank:ndcg rank:map reg:linear reg:squarederror
        reg:logistic reg:gamma reg:pseudohubererror reg:squaredlogerror reg:absoluteerror
        reg:tweedie survival:aft survival:cox
    """,
}
FREE = ("updater", "monotone_constraints", "interaction_constraints", "eval_metric")
TUNABLE = {name: row[0] for name, row in NUMBERS.items() if "tunable" in row}
# documented, and not to be had here: a GPU, cross-validation, columns on several hosts
ELSEWHERE = {
    "tree_method": "gpu_hist",
    "predictor": "gpu_predictor",
    "use_dask_gpu_training": "true",
    "dsplit": "col",
}


def version(image):
    """Return the version of XGBoost that an image names, a tuple; (99,) if it names none."""
    found = re.search(r":(\d+)\.(\d+)", image)
    return (int(found[1]), int(found[2])) if found else (99,)


def metric_definitions():
    """Return the image's own expressions; the log shows the tab of XGBoost's lines as #011."""
    names = [f"{channel}:{metric}" for channel in ("train", "validation") for metric in METRICS]
    number = r"([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?).*"
    start = r".*\[[0-9]+\].*#011"
    return [{"Name": n, "Regex": f"{start}{n.replace(':', '-')}:{number}"} for n in names]


def within(name, text):
    """Return whether a text is a number that the hyperparameter takes."""
    kind, interval = NUMBERS[name][:2]
    try:
        value = (int if kind == "integer" else float)(text)
    except ValueError:
        return False
    low, high = (float(end) for end in interval[1:-1].split(","))
    above = low <= value if interval[0] == "[" else low < value
    return above and (value <= high if interval[-1] == "]" else value < high)


def faults(given):
    """Yield what the image refuses about hyperparameters, {name: text}, in its words."""
    if "num_round" not in given:
        yield "Missing required hyperparameter: num_round"
    for name, text in given.items():
        if name == "_tuning_objective_metric":
            continue
        if name in NUMBERS:
            if not within(name, text):
                yield f"Hyperparameter {name}: value {text} is not in range {NUMBERS[name][1]}"
        elif name in WORDS:
            if text not in WORDS[name].split():
                yield f"Hyperparameter {name}: value {text} is not in {WORDS[name].split()}"
        elif name not in FREE:
            yield f"Extraneous hyperparameter found: {name}"
    objective = given.get("objective", "reg:squarederror")
    for metric in filter(None, metrics_of(given)):
        plain, at, threshold = metric.partition("@")
        if plain not in METRICS or at and plain not in ("error", "ndcg", "map"):
            yield f"Metric '{metric}' is not supported"
        elif at and not re.fullmatch(r"\d+(\.\d*)?-?", threshold.strip()):
            yield f"Threshold value 't' in '{plain}@t' expects float input."
        elif plain == "auc" and not objective.startswith(("binary:", "rank:", "multi:")):
            yield "Metric 'auc' can only be applied for classification and ranking problems."
    if objective in ("multi:softmax", "multi:softprob") and "num_class" not in given:
        yield "Require input for parameter 'num_class' for multi-classification"


def metrics_of(given):
    """Return the names in eval_metric, a list; it may be written as a list or with commas."""
    return [one.strip(" \"'") for one in given.get("eval_metric", "").strip("[]").split(",")]


def elsewhere(given):
    """Return a hyperparameter that is right and that the sandbox cannot follow, or None."""
    for name in given.keys() & {"_kfold", "_num_cv_round"}:
        return name
    return next((f"{k}={v}" for k, v in ELSEWHERE.items() if given.get(k) == v), None)
