"""What SageMaker refuses: values outside its service model, or against documented rules.

botocore itself checks names, types, required members and minima, and raises
ParamValidationError. Here the rest of the model is checked, and the rules below; AWS
answers these with a ValidationException, and so does the sandbox.
"""

import math

import regex

from .images import xgboost_rules

GUIDE = "https://docs.aws.amazon.com/sagemaker/latest/dg/"
REFERENCE = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_"
TRAINING, TUNING = "CreateTrainingJob", "CreateHyperParameterTuningJob"
ENDPOINTS = "CreateEndpoint", "UpdateEndpoint"
EPOCHS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")

ACCOUNT = "123456789012"  # the reader's: an image there is none of AWS
# https://docs.aws.amazon.com/sagemaker/latest/dg/common-info-all-im-models.html
ALGORITHMS = """
    sagemaker-xgboost xgboost linear-learner kmeans knn pca ntm lda factorization-machines
    forecasting-deepar randomcutforest blazingtext seq2seq object2vec ipinsights
    image-classification object-detection semantic-segmentation
""".split()

rules = []  # (function, its source, the operations it holds for)


class View:
    """The parts of a request that rules read, of either operation; missing ones are empty."""

    def __init__(self, request):  # noqa: D107
        self.request, self.job = request, request.get("TrainingJobDefinition", request)
        self.algorithm = self.job.get("AlgorithmSpecification", {})
        self.stop = self.job.get("StoppingCondition", {})
        self.resources = self.job.get("ResourceConfig", {})
        self.static = self.job.get("StaticHyperParameters", {})
        self.metrics = self.algorithm.get("MetricDefinitions", [])
        self.config = request.get("HyperParameterTuningJobConfig", {})
        self.strategy = self.config.get("Strategy")
        self.limits = self.config.get("ResourceLimits", {})
        ranges = self.config.get("ParameterRanges", {}).items()
        pairs = [(key.removesuffix("ParameterRanges"), r) for key, list_ in ranges for r in list_]
        self.ranges = pairs  # (kind, range), the kind such as Continuous
        self.combinations = math.prod(map(choices, pairs))
        self.image = self.algorithm.get("TrainingImage", "")
        self.deployment = request.get("DeploymentConfig", {})
        band = self.config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
        inferred = [int(self.static[k]) for k in EPOCHS if self.static.get(k, "").isdecimal()]
        self.least = band.get("MinResource", 1)  # Hyperband's resource: epochs
        self.most = band.get("MaxResource", next(iter(inferred), None))


def choices(pair):
    """Return how many values a range, a pair (kind, range), has; infinity if it is continuous."""
    kind, item = pair
    if kind == "Categorical":
        return len(item["Values"])
    try:
        return int(item["MaxValue"]) - int(item["MinValue"]) + 1 if kind == "Integer" else math.inf
    except ValueError:
        return math.inf


def check(model, request, error):
    """Raise `error` if a request breaks the service model or a documented rule.

    `model` is botocore's OperationModel, `request` the parameters as the caller wrote
    them, already of the right types; `error` is an exception class that takes a message.
    """
    shape, view = model.input_shape, View(request)
    if found := list(_faults(shape, request, "")) if shape else []:
        plural = "s" * (len(found) > 1)
        raise error(f"{len(found)} validation error{plural} detected: {'; '.join(found)}")
    for rule_, source, operations in rules:
        if model.name in operations:
            for message in rule_(view):
                raise error(f"{message} Source: {source}")


def _faults(shape, value, path):
    """Yield what is wrong with a value, in the words of AWS."""
    limits, size, what, kind = shape.metadata, value, "value", shape.type_name
    parts = []
    if kind == "structure":
        names = [(name, name[0].lower() + name[1:]) for name in value]
        dot = f"{path}." * bool(path)
        parts = [(shape.members[name], value[name], dot + lower) for name, lower in names]
    elif kind == "list":
        parts = [(shape.member, v, f"{path}.{n}.member") for n, v in enumerate(value, 1)]
    elif kind == "map":
        parts = [(shape.key, key, f"{path}.key") for key in value]
        parts += [(shape.value, v, f"{path}.{k}.member") for k, v in value.items()]
    for part in parts:
        yield from _faults(*part)
    if kind in ("list", "map", "string", "blob"):
        size, what = len(value) if hasattr(value, "__len__") else 0, "length"
    wrong = f"Value '{value}' at '{path}' failed to satisfy constraint: Member must "
    if "enum" in limits and value not in limits["enum"]:
        yield f"{wrong}satisfy enum value set: [{', '.join(limits['enum'])}]"
    if "max" in limits and size > limits["max"]:
        yield f"{wrong}have {what} less than or equal to {limits['max']}"
    if "pattern" in limits and not _matches(limits["pattern"], value):
        yield f"{wrong}satisfy regular expression pattern: {limits['pattern']}"


def _matches(pattern, text):
    try:
        return regex.fullmatch(pattern, text)
    except regex.error:  # four patterns are written in Java's dialect
        return True


def is_algorithm(image):
    """Return whether an image is that of one of AWS's algorithms, such as sagemaker-xgboost."""
    registry, _, name = image.partition("/")
    return regex.split("[:@]", name)[0] in ALGORITHMS and not registry.startswith(ACCOUNT)


def rule(source, *operations):
    """Register a generator of messages, one for each breach of a documented rule."""

    def register(function):
        rules.append((function, source, operations or (TRAINING, TUNING)))
        return function

    return register


@rule(REFERENCE + "StoppingCondition.html")
def stopping(view):
    """Spot needs MaxWaitTime >= MaxRuntime, others have no such time; 28 days at most."""
    run = view.stop.get("MaxRuntimeInSeconds", 86_400)
    wait, spot = view.stop.get("MaxWaitTimeInSeconds"), "EnableManagedSpotTraining"
    if wait is not None and not view.job.get(spot):
        yield f"Invalid MaxWaitTimeInSeconds. It is only supported when {spot} is set to true."
    if view.job.get(spot) and (wait or 0) < run:
        yield f"{spot} needs a MaxWaitTimeInSeconds above or equal to MaxRuntimeInSeconds."
    if run > 28 * 86_400:
        yield "MaxRuntimeInSeconds must not be above 2419200, 28 days."


@rule(GUIDE + "train-warm-pools.html")
def warm_pools(view):
    """Warm pools go neither with spot nor with heterogeneous clusters."""
    spot = view.job.get("EnableManagedSpotTraining")
    if view.resources.get("KeepAlivePeriodInSeconds") and (
        spot or "InstanceGroups" in view.resources
    ):
        yield "KeepAlivePeriodInSeconds goes neither with spot nor with InstanceGroups."


@rule(REFERENCE + "AlgorithmSpecification.html")
def algorithm(view):
    """A job names a TrainingImage or an AlgorithmName, not both."""
    named = {"TrainingImage", "AlgorithmName"} & view.algorithm.keys()
    other = {"ServerlessJobConfig", "TrainingJobDefinitions"} & view.request.keys()
    if len(named) != 1 and not other:
        yield "AlgorithmSpecification needs either TrainingImage or AlgorithmName."


@rule(REFERENCE + "MetricDefinition.html")
def metric_expressions(view):
    """The Regex of a metric compiles and has a group that captures the value."""
    for metric in view.metrics:
        try:
            if regex.compile(metric["Regex"]).groups == 0:
                yield f"The Regex of {metric['Name']} has no group to capture a value."
        except regex.error as error:
            yield f"The Regex of {metric['Name']} is not a regular expression: {error}."


@rule("https://github.com/awslabs/mlspace (training_job/lambda_functions.py)", TRAINING, TUNING)
def own_metrics(view):
    """AWS's algorithm images bring their own metrics, with a script as without one."""
    if is_algorithm(view.image) and view.metrics:
        yield (
            "You can't override the metric definitions for Amazon SageMaker algorithms. Please "
            "retry the request without specifying metric definitions."
        )


@rule(REFERENCE + "ProfilerConfig.html", TRAINING)
def profiling_intervals(view):
    """ProfilingIntervalInMilliseconds takes six values."""
    given = view.request.get("ProfilerConfig", {}).get("ProfilingIntervalInMilliseconds", 500)
    allowed = (100, 200, 500, 1000, 5000, 60_000)
    if given not in allowed:
        yield f"ProfilingIntervalInMilliseconds must be one of {allowed}."


@rule(REFERENCE + "CreateHyperParameterTuningJob.html", TUNING)
def something_to_search(view):
    """A tuning job has a definition, an objective and ranges, unless Autotune chooses."""
    definitions = {"TrainingJobDefinition", "TrainingJobDefinitions"}
    if len(definitions & view.request.keys()) != 1:
        yield "Either TrainingJobDefinition or TrainingJobDefinitions must be given."
    elif "TrainingJobDefinition" in view.request and "Autotune" not in view.request:
        if "HyperParameterTuningJobObjective" not in view.config:
            yield "HyperParameterTuningJobObjective must be given."
        if not view.ranges:
            yield "At least one hyperparameter range must be given."


@rule(GUIDE + "automatic-model-tuning-how-it-works.html", TUNING)
def grid(view):
    """Grid takes categorical ranges only; its number of jobs is that of combinations."""
    if view.strategy == "Grid":
        given = view.limits.get("MaxNumberOfTrainingJobs", view.combinations)
        if any(kind != "Categorical" for kind, _ in view.ranges):
            yield "The Grid strategy searches CategoricalParameterRanges only."
        elif given != view.combinations:
            yield f"MaxNumberOfTrainingJobs is {given}, the grid {view.combinations} jobs."


@rule(REFERENCE + "HyperParameterTuningJobConfig.html", TUNING)
def hyperband(view):
    """Hyperband excludes early stopping, and StrategyConfig goes with Hyperband only."""
    early = view.config.get("TrainingJobEarlyStoppingType") == "Auto"
    if view.strategy == "Hyperband" and early:
        yield "TrainingJobEarlyStoppingType must be Off for the Hyperband strategy."
    if view.strategy != "Hyperband" and "StrategyConfig" in view.config:
        yield "StrategyConfig should be provided only for the Hyperband strategy."


@rule(REFERENCE + "HyperbandStrategyConfig.html", TUNING)
def hyperband_resource(view):
    """MaxResource is given or inferred, above MinResource, at most 20,000."""
    if view.strategy == "Hyperband" and view.most is None:
        yield f"Hyperband needs MaxResource, or a static hyperparameter of {EPOCHS}."
    elif view.strategy == "Hyperband" and not view.least < view.most <= 20_000:
        yield "MaxResource must be above MinResource and not above 20000."


@rule(GUIDE + "automatic-model-tuning-define-ranges.html", TUNING)
def ordered_ranges(view):
    """Min is below Max; logarithmic scales need positive, reverse ones 0 <= x < 1."""
    for kind, item in view.ranges:
        name, scale = item["Name"], item.get("ScalingType")
        if kind not in ("Integer", "Continuous"):
            continue
        try:
            number = int if kind == "Integer" else float
            low, high = number(item["MinValue"]), number(item["MaxValue"])
        except ValueError:
            yield f"{name}: MinValue and MaxValue must be {kind.lower()} numbers."
            continue
        if not low < high:
            yield f"{name}: MinValue {low} is not below MaxValue {high}."
        if scale == "Logarithmic" and low <= 0:
            yield f"{name}: logarithmic scaling works only for ranges above 0."
        if scale == "ReverseLogarithmic" and (number is int or low < 0 or high >= 1):
            yield f"{name}: reverse logarithmic scaling is for continuous 0 <= x < 1."


@rule(GUIDE + "automatic-model-tuning-define-ranges.html", TUNING)
def hyperparameter_names(view):
    """No name stands twice; with SageMaker's own one there are at most 100."""
    names = [item["Name"] for _, item in view.ranges] + list(view.static)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        yield f"Hyperparameter {', '.join(twice)} is given twice."
    if len(names) > 99:
        yield "At most 100 hyperparameters, with _tuning_objective_metric, can be given."


@rule(GUIDE + "automatic-model-tuning-limits.html", TUNING)
def quotas(view):
    """The default quotas: 30 searched, 20 metrics, 10 parallel jobs, 750 jobs."""
    if len(view.ranges) > 30:
        yield "At most 30 hyperparameters can be searched."
    if len(view.metrics) > 20:
        yield "At most 20 metrics can be defined for a tuning job."
    if view.limits["MaxParallelTrainingJobs"] > 10:
        yield "MaxParallelTrainingJobs is at most 10 by default (at most 100 on request)."
    most = view.combinations if view.strategy == "Grid" else 0
    if view.limits.get("MaxNumberOfTrainingJobs", most) > 750:
        yield "A tuning job has at most 750 training jobs by default."
    ends = {"MaxNumberOfTrainingJobs", "MaxRuntimeInSeconds"} & view.limits.keys()
    if view.strategy != "Grid" and not ends:
        yield "ResourceLimits needs MaxNumberOfTrainingJobs or MaxRuntimeInSeconds."


@rule("https://github.com/aws/amazon-sagemaker-operator-for-k8s/issues/123", TUNING)
def enough_combinations(view):
    """Ranges without a continuous one have as many combinations as there shall be jobs."""
    most = view.limits.get("MaxNumberOfTrainingJobs", 0)
    if view.ranges and view.strategy != "Grid" and view.combinations < most:
        yield (
            "You don't have enough combinations of hyperparameter ranges. The total number of "
            f"hyperparameter combinations for the provided ranges [{float(view.combinations)}] "
            f"must be equal or greater than the value of MaxNumberOfJobs, [{most}]. Provide "
            "additional ranges."
        )


@rule(GUIDE + "automatic-model-tuning-define-metrics-variables.html", TUNING)
def objective(view):
    """The objective is one of the MetricDefinitions; built-in algorithms bring their own."""
    wanted = view.config.get("HyperParameterTuningJobObjective", {}).get("MetricName")
    defined = [metric["Name"] for metric in view.metrics]
    if not wanted or "TrainingJobDefinition" not in view.request:
        return
    if is_xgboost(view.image):
        defined = [f"validation:{metric}" for metric in xgboost_rules.METRICS]
        if wanted not in defined:
            yield f"The objective metric {wanted} is none of the XGBoost algorithm's."
    elif not defined and not is_algorithm(view.image):
        yield (
            "A metric is required for this hyperparameter tuning job objective. Provide a metric "
            "in the metric definitions."
        )
    elif defined and wanted not in defined:
        yield f"The objective metric {wanted} is not among the MetricDefinitions {defined}."


def is_xgboost(image):
    """Return whether an image is AWS's XGBoost."""
    return is_algorithm(image) and "/sagemaker-xgboost" in image


@rule(GUIDE + "xgboost-tuning.html", TUNING)
def tunable_hyperparameters(view):
    """AWS's XGBoost image tunes what its list names, within its ranges.

    With a script too: https://github.com/aws/sagemaker-python-sdk/issues/2226.
    """
    for kind, item in view.ranges if is_xgboost(view.image) else []:
        name, own = item["Name"], xgboost_rules.TUNABLE.get(item["Name"], "").capitalize()
        ends = item.get("Values") or [item["MinValue"], item["MaxValue"]]
        if not own:
            yield f"The hyperparameter {name} is none of those that XGBoost can tune."
        elif kind not in (own, "Categorical"):
            yield f"The hyperparameter {name} of XGBoost takes a range of type {own}."
        elif not all(xgboost_rules.within(name, end) for end in ends):
            interval = xgboost_rules.NUMBERS[name][1]
            yield f"The range of {name} leaves what XGBoost takes, {interval}."


@rule(REFERENCE + "DeploymentConfig.html", *ENDPOINTS)
def one_update_policy(view):
    """A deployment is blue/green or rolling, not both."""
    if {"BlueGreenUpdatePolicy", "RollingUpdatePolicy"} <= view.deployment.keys():
        yield "Only one update policy should be used in the deployment configuration."


@rule(REFERENCE + "TrafficRoutingConfig.html", *ENDPOINTS)
def sizes_of_steps(view):
    """A canary has at most 50 % of the capacity, a linear step 10 to 50, a rolling one 5 to 50.

    Instances are not counted. Source of the last: API_RollingUpdatePolicy.html.
    """
    blue_green = view.deployment.get("BlueGreenUpdatePolicy", {})
    steps = blue_green.get("TrafficRoutingConfiguration", {}) | view.deployment.get(
        "RollingUpdatePolicy", {}
    )
    for name, least in (("CanarySize", 1), ("LinearStepSize", 10), ("MaximumBatchSize", 5)):
        size = steps.get(name, {})
        percent = size.get("Type") == "CAPACITY_PERCENT"
        if percent and not least <= size["Value"] <= 50:
            yield f"{name} must be {least} to 50 percent of the capacity."
