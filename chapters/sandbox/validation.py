"""What SageMaker refuses: values outside its service model, and values against documented rules.

botocore itself checks names, types, required members and minima, and raises ParamValidationError.
Here the rest of the model is checked, and the rules of `RULES`; AWS answers these with a ValidationException,
and so does the sandbox.
"""

import math
import re

import regex

GUIDE = "https://docs.aws.amazon.com/sagemaker/latest/dg/"
REFERENCE = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_"
RULES = {"CreateTrainingJob": [], "CreateHyperParameterTuningJob": []}


def check(model, request, error):
    """Raise `error` if the request of an operation breaks the service model or a documented rule.

    `model` is botocore's OperationModel, `request` the parameters as the caller wrote them, already of the right
    types; `error` is an exception class that takes a message.
    """
    found = list(_faults(model.input_shape, request, "")) if model.input_shape else []
    if found:
        errors = f"{len(found)} validation error{'s' * (len(found) > 1)} detected: "
        raise error(errors + "; ".join(found))
    for rule, source in RULES.get(model.name, []):
        for message in rule(request):
            raise error(f"{message} Source: {source}")


def _faults(shape, value, path):
    """Yield what is wrong with a value, in the words of AWS."""
    limits, size, what = shape.metadata, value, "value"
    if shape.type_name == "structure":
        for name, part in value.items():
            if part is not None:
                where = name[0].lower() + name[1:]
                yield from _faults(
                    shape.members[name], part, f"{path}.{where}" if path else where
                )
    elif shape.type_name == "list":
        for number, part in enumerate(value, 1):
            yield from _faults(shape.member, part, f"{path}.{number}.member")
    elif shape.type_name == "map":
        for key, part in value.items():
            yield from _faults(shape.key, key, f"{path}.key")
            yield from _faults(shape.value, part, f"{path}.{key}.member")
    if shape.type_name in ("list", "map", "string", "blob"):
        if not hasattr(value, "__len__"):  # an open file as the body of an invocation
            return
        size, what = len(value), "length"
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


def rule(source, *operations):
    """Register a generator of messages, one for each breach of a documented rule; a decorator."""

    def register(function):
        for operation in operations or RULES:
            RULES[operation].append((function, source))
        return function

    return register


TUNING = "CreateHyperParameterTuningJob"


def job_part(request):
    """Return the part of a request that describes a training job."""
    return request.get("TrainingJobDefinition", request)


def ranges(request):
    """Yield (kind, range) for every hyperparameter that a tuning job searches."""
    config = request["HyperParameterTuningJobConfig"]
    for kind, items in config.get("ParameterRanges", {}).items():
        for item in items:
            yield kind.removesuffix("ParameterRanges"), item


@rule(REFERENCE + "StoppingCondition.html")
def spot_waits_as_long_as_it_runs(request):
    """Spot needs MaxWaitTimeInSeconds >= MaxRuntimeInSeconds; without spot there is no such time."""
    job = job_part(request)
    stop, spot = job.get("StoppingCondition", {}), job.get("EnableManagedSpotTraining")
    wait = stop.get("MaxWaitTimeInSeconds")
    if wait is not None and not spot:
        yield "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true."
    if spot and (wait is None or wait < stop.get("MaxRuntimeInSeconds", 86_400)):
        yield "MaxWaitTimeInSeconds above or equal to MaxRuntimeInSeconds must be given for managed spot training."


@rule(REFERENCE + "StoppingCondition.html")
def runs_28_days_at_most(request):
    """MaxRuntimeInSeconds of a training job is at most 28 days."""
    if (
        job_part(request).get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 0)
        > 28 * 86_400
    ):
        yield "MaxRuntimeInSeconds must not be above 2419200, 28 days."


@rule(GUIDE + "train-warm-pools.html")
def no_warm_pool_of_spot_instances(request):
    """Warm pools do not go with spot or with heterogeneous clusters."""
    job = job_part(request)
    resources = job.get("ResourceConfig", {})
    if resources.get("KeepAlivePeriodInSeconds") and (
        job.get("EnableManagedSpotTraining") or resources.get("InstanceGroups")
    ):
        yield "KeepAlivePeriodInSeconds goes neither with managed spot training nor with InstanceGroups."


@rule(REFERENCE + "AlgorithmSpecification.html")
def one_algorithm(request):
    """A job names a TrainingImage or an AlgorithmName, not both."""
    algorithm = job_part(request).get("AlgorithmSpecification", {})
    if ("TrainingImage" in algorithm) == (
        "AlgorithmName" in algorithm
    ) and "ServerlessJobConfig" not in request:
        yield "AlgorithmSpecification needs either TrainingImage or AlgorithmName."


@rule(REFERENCE + "MetricDefinition.html")
def metrics_are_regular_expressions(request):
    """The Regex of a metric compiles and has a group that captures the value."""
    for metric in (
        job_part(request).get("AlgorithmSpecification", {}).get("MetricDefinitions", [])
    ):
        try:
            if re.compile(metric["Regex"]).groups == 0:
                yield f"The Regex of metric {metric['Name']} has no group to capture a value."
        except re.error as error:
            yield f"The Regex of metric {metric['Name']} is not a regular expression: {error}."


@rule(REFERENCE + "ProfilerConfig.html", "CreateTrainingJob")
def profiling_intervals(request):
    """ProfilingIntervalInMilliseconds takes six values."""
    interval = request.get("ProfilerConfig", {}).get(
        "ProfilingIntervalInMilliseconds", 500
    )
    if interval not in (100, 200, 500, 1000, 5000, 60_000):
        yield "ProfilingIntervalInMilliseconds must be 100, 200, 500, 1000 (1 second), 5000 or 60000 (1 minute)."


@rule(REFERENCE + "CreateHyperParameterTuningJob.html", TUNING)
def something_to_search(request):
    """A tuning job has a definition of its jobs, an objective and ranges, unless Autotune chooses."""
    config = request["HyperParameterTuningJobConfig"]
    if ("TrainingJobDefinition" in request) == ("TrainingJobDefinitions" in request):
        yield "Either TrainingJobDefinition or TrainingJobDefinitions must be given."
    if "TrainingJobDefinition" in request and "Autotune" not in request:
        if "HyperParameterTuningJobObjective" not in config:
            yield "HyperParameterTuningJobObjective must be given."
        if not list(ranges(request)):
            yield "At least one hyperparameter range must be given."


@rule(GUIDE + "automatic-model-tuning-how-it-works.html", TUNING)
def grid_is_categorical(request):
    """Grid search takes categorical ranges only, and its number of jobs is that of the combinations."""
    config = request["HyperParameterTuningJobConfig"]
    if config["Strategy"] != "Grid":
        return
    if any(kind != "Categorical" for kind, _ in ranges(request)):
        yield "The Grid strategy searches CategoricalParameterRanges only."
    number = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    combinations = math.prod(len(item.get("Values", "")) for _, item in ranges(request))
    if number not in (None, combinations):
        yield f"MaxNumberOfTrainingJobs is {number}, but the grid has {combinations} combinations; leave it out."


@rule(REFERENCE + "HyperParameterTuningJobConfig.html", TUNING)
def hyperband_stops_by_itself(request):
    """Hyperband excludes early stopping, and StrategyConfig goes with Hyperband only."""
    config = request["HyperParameterTuningJobConfig"]
    hyperband = config["Strategy"] == "Hyperband"
    if hyperband and config.get("TrainingJobEarlyStoppingType") == "Auto":
        yield "TrainingJobEarlyStoppingType must be Off for the Hyperband strategy."
    if not hyperband and "StrategyConfig" in config:
        yield "StrategyConfig should be provided only for the Hyperband strategy."


EPOCHS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")


def hyperband_limits(request):
    """Return Hyperband's (MinResource, MaxResource), in reports of the objective; a limit that is unknown is None."""
    config = (
        request["HyperParameterTuningJobConfig"]
        .get("StrategyConfig", {})
        .get("HyperbandStrategyConfig", {})
    )
    static = job_part(request).get("StaticHyperParameters", {})
    inferred = next(
        (int(static[key]) for key in EPOCHS if static.get(key, "").isdigit()), None
    )
    return config.get("MinResource", 1), config.get("MaxResource", inferred)


@rule(REFERENCE + "HyperbandStrategyConfig.html", TUNING)
def hyperband_knows_its_resource(request):
    """MaxResource is given or inferred from static hyperparameters, above MinResource, at most 20,000."""
    if request["HyperParameterTuningJobConfig"]["Strategy"] == "Hyperband":
        low, high = hyperband_limits(request)
        if high is None:
            yield f"Hyperband needs MaxResource, or a static hyperparameter {', '.join(EPOCHS)} to infer it from."
        elif not low < high <= 20_000:
            yield "MaxResource must be above MinResource and not above 20000."


@rule(GUIDE + "automatic-model-tuning-define-ranges.html", TUNING)
def ranges_are_ordered(request):
    """MinValue is below MaxValue; logarithmic scales need positive values, reverse ones 0 <= x < 1."""
    for kind, item in ranges(request):
        if kind not in ("Integer", "Continuous"):
            continue
        name, scale = item["Name"], item.get("ScalingType", "Auto")
        try:
            low, high = (
                (int if kind == "Integer" else float)(item[end])
                for end in ("MinValue", "MaxValue")
            )
        except ValueError:
            yield f"{name}: MinValue and MaxValue must be {kind.lower()} numbers."
            continue
        if not low < high:
            yield f"{name}: MinValue {low} is not below MaxValue {high}."
        if scale == "Logarithmic" and low <= 0:
            yield f"{name}: logarithmic scaling works only for ranges above 0."
        if scale == "ReverseLogarithmic" and (
            kind == "Integer" or low < 0 or high >= 1
        ):
            yield f"{name}: reverse logarithmic scaling is for continuous ranges within 0 <= x < 1."


@rule(GUIDE + "automatic-model-tuning-define-ranges.html", TUNING)
def a_hyperparameter_has_one_place(request):
    """No hyperparameter is named twice, and static and tunable ones are at most 100 with SageMaker's own one."""
    names = [item["Name"] for _, item in ranges(request)] + list(
        job_part(request).get("StaticHyperParameters", {})
    )
    if twice := sorted({name for name in names if names.count(name) > 1}):
        yield f"Hyperparameter {', '.join(twice)} is given twice."
    if len(names) > 99:
        yield "At most 100 hyperparameters, static, tunable and _tuning_objective_metric, can be given."


@rule(GUIDE + "automatic-model-tuning-limits.html", TUNING)
def quotas(request):
    """30 searched hyperparameters, 20 metrics, 10 parallel and 750 jobs in all: the default quotas."""
    config = request["HyperParameterTuningJobConfig"]
    limits, algorithm = (
        config["ResourceLimits"],
        job_part(request).get("AlgorithmSpecification", {}),
    )
    if len(list(ranges(request))) > 30:
        yield "At most 30 hyperparameters can be searched."
    if len(algorithm.get("MetricDefinitions", [])) > 20:
        yield "At most 20 metrics can be defined for a tuning job."
    if limits["MaxParallelTrainingJobs"] > 10:
        yield "MaxParallelTrainingJobs is at most 10 by default (a quota increase takes it to 100)."
    number = limits.get(
        "MaxNumberOfTrainingJobs",
        math.prod(len(r.get("Values", "")) for _, r in ranges(request)),
    )
    if number > 750:
        yield "A tuning job has at most 750 training jobs by default."
    if (
        config["Strategy"] != "Grid"
        and "MaxNumberOfTrainingJobs" not in limits
        and "MaxRuntimeInSeconds" not in limits
    ):
        yield "ResourceLimits needs MaxNumberOfTrainingJobs or MaxRuntimeInSeconds."


@rule(GUIDE + "automatic-model-tuning-define-metrics-variables.html", TUNING)
def the_objective_is_a_metric(request):
    """The objective is one of the job's MetricDefinitions (built-in algorithms bring their own)."""
    algorithm = job_part(request).get("AlgorithmSpecification", {})
    objective = request["HyperParameterTuningJobConfig"].get(
        "HyperParameterTuningJobObjective"
    )
    defined = [metric["Name"] for metric in algorithm.get("MetricDefinitions", [])]
    if objective and defined and objective["MetricName"] not in defined:
        yield f"The objective metric {objective['MetricName']} is not among the MetricDefinitions {defined}."
