"""Tuning jobs: Optuna searches, and every trial is a training job that runs.

Grid goes through all combinations; Random draws; Bayesian is Optuna's TPE; Hyperband draws at random and stops jobs by
Optuna's HyperbandPruner, one report of the objective being one unit of its resource.
"""

import itertools
import math
import statistics
import zlib
from dataclasses import dataclass, field

from . import jobs
from .api import Refused, answer, arn, emit, listed, now
from .validation import hyperband_limits, ranges

STARTUP = 5  # jobs that Bayesian search draws at random before it models; without a warm start
MEDIAN_OF = 3  # finished jobs before early stopping judges the next one

tunings = {}  # name: Tuning


@dataclass
class Tuning:
    """A tuning job: its request, what describe tells, its jobs' summaries, and what they found for warm starts."""

    request: dict
    description: dict
    summaries: list = field(default_factory=list)
    found: list = field(
        default_factory=list
    )  # (all hyperparameters as text, objective)
    curves: list = field(default_factory=list)  # objective values of each finished job
    stopping: bool = False


class Dimension:
    """One searched hyperparameter, between its text in the API and its value in Optuna."""

    def __init__(self, kind, item):
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        self.kind = kind
        if kind == "Categorical":
            self.distribution = CategoricalDistribution(item["Values"])
            return
        self.number = int if kind == "Integer" else float
        self.low, self.high = (
            self.number(item["MinValue"]),
            self.number(item["MaxValue"]),
        )
        scale, wide = (
            item.get("ScalingType", "Auto"),
            self.low > 0 and self.high >= 1000 * self.low,
        )
        log = scale == "Logarithmic" or scale == "Auto" and wide
        self.reverse = scale == "ReverseLogarithmic"
        if self.reverse:
            self.distribution = FloatDistribution(1 - self.high, 1 - self.low, log=True)
        else:
            self.distribution = (
                IntDistribution if kind == "Integer" else FloatDistribution
            )(self.low, self.high, log=log)

    def text(self, value):
        """Return Optuna's value as the API writes it; six digits, so that machines agree."""
        if self.kind == "Categorical" or self.number is int:
            return str(value)
        value = float(f"{1 - value if self.reverse else value:.6g}")
        return str(min(max(value, self.low), self.high))

    def value(self, text):
        """Return the text of the API as Optuna's value. Raises ValueError."""
        if self.kind == "Categorical":
            return text
        return 1 - float(text) if self.reverse else self.number(text)


class Search:
    """What to try next; `ask` returns texts by name, `tell` takes what came of them."""

    def __init__(self, tuning, space):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        config = tuning.request["HyperParameterTuningJobConfig"]
        self.space, self.strategy, self.optuna = space, config["Strategy"], optuna
        self.maximize = config["HyperParameterTuningJobObjective"]["Type"] == "Maximize"
        self.early, self.tuning = (
            config.get("TrainingJobEarlyStoppingType") == "Auto",
            tuning,
        )
        seed, pruner = config.get("RandomSeed", 0), optuna.pruners.NopPruner()
        sampler = optuna.samplers.RandomSampler(seed)
        if self.strategy == "Bayesian":
            sampler = optuna.samplers.TPESampler(n_startup_trials=STARTUP, seed=seed)
        if self.strategy == "Hyperband":
            low, self.most = hyperband_limits(tuning.request)
            pruner = optuna.pruners.HyperbandPruner(low, self.most, reduction_factor=3)
        if self.strategy == "Grid":
            self.grid = itertools.product(*(d.distribution.choices for d in space.values()))
        # Hyperband's brackets are drawn from the study's name
        self.study = optuna.create_study(
            study_name=tuning.request["HyperParameterTuningJobName"],
            direction="maximize" if self.maximize else "minimize",
            sampler=sampler,
            pruner=pruner,
        )

    def learn(self, hyper, objective):
        """Take a result of a parent job, if its hyperparameters lie in this space."""
        try:
            trial = self.optuna.trial.create_trial(
                params={
                    name: item.value(hyper[name]) for name, item in self.space.items()
                },
                distributions={
                    name: item.distribution for name, item in self.space.items()
                },
                value=objective,
            )
        except (KeyError, ValueError):
            return
        self.study.add_trial(trial)

    def ask(self):
        """Return (trial, {name: text}), or None after the last combination of a grid."""
        if self.strategy == "Grid":
            point = next(self.grid, None)
            return point and (None, dict(zip(self.space, point)))
        trial = self.study.ask(
            {name: item.distribution for name, item in self.space.items()}
        )
        return trial, {
            name: item.text(trial.params[name]) for name, item in self.space.items()
        }

    def hopeless(self, trial, values):
        """Return whether a job whose objective went through `values` should be stopped."""
        step = len(values)
        if self.strategy == "Hyperband":
            trial.report(values[-1], step)
            return trial.should_prune() or step > self.most
        if not self.early:
            return False
        # https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-early-stopping.html
        means = [
            statistics.fmean(curve[:step])
            for curve in self.tuning.curves
            if len(curve) >= step
        ]
        if len(means) < MEDIAN_OF:
            return False
        median = statistics.median(means)
        return values[-1] < median if self.maximize else values[-1] > median

    def tell(self, trial, job, objective):
        """Take what came of a trial; `objective` is None if the job reported none."""
        states = self.optuna.trial.TrialState
        if trial is None:
            return
        if objective is None or math.isnan(objective):
            self.study.tell(trial, state=states.FAIL)
        elif job.hopeless:
            self.study.tell(trial, state=states.PRUNED)
        else:
            self.study.tell(trial, objective)


def job_request(definition):
    """Return the request of a training job that the definition in a tuning job stands for, less its hyperparameters."""
    own = (
        "DefinitionName",
        "TuningObjective",
        "HyperParameterRanges",
        "StaticHyperParameters",
    )
    request = {key: value for key, value in definition.items() if key not in own}
    if resources := request.pop("HyperParameterTuningResourceConfig", None):
        first = resources.get("InstanceConfigs", [resources])[0]
        members = ("InstanceType", "InstanceCount", "VolumeSizeInGB")
        request["ResourceConfig"] = {key: first[key] for key in members if key in first}
    return request


def parents_of(request):
    """Return the Tunings that a warm start names.

    Raises Refused against https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-warm-start.html
    """
    start, source = (
        request.get("WarmStartConfig"),
        f"Source: {parents_of.__doc__.split()[-1]}",
    )
    parents = []
    for parent in start["ParentHyperParameterTuningJobs"] if start else []:
        name = parent.get("HyperParameterTuningJobName", "")
        if name not in tunings:
            raise Refused(f"Parent tuning job {name} does not exist. {source}")
        parents.append(tunings[name])
    for parent in parents:
        new, old = (
            (
                r["HyperParameterTuningJobConfig"],
                {i["Name"] for _, i in ranges(r)},
                r["TrainingJobDefinition"],
            )
            for r in (request, parent.request)
        )
        name = parent.request["HyperParameterTuningJobName"]
        if parent.description["HyperParameterTuningJobStatus"] not in (
            "Completed",
            "Stopped",
            "Failed",
        ):
            raise Refused(f"Parent tuning job {name} has not ended. {source}")
        if (
            new[0]["HyperParameterTuningJobObjective"]
            != old[0]["HyperParameterTuningJobObjective"]
        ):
            raise Refused(
                f"The objective metric must be the same as in parent tuning job {name}. {source}"
            )
        if len(new[1] ^ old[1]) > 10:
            raise Refused(
                f"More than 10 hyperparameters changed between static and tunable since {name}. {source}"
            )
        counts = [
            len(part[1]) + len(part[2].get("StaticHyperParameters", {}))
            for part in (new, old)
        ]
        if counts[0] != counts[1]:
            raise Refused(
                f"Static plus tunable hyperparameters must remain as many as in {name}. {source}"
            )
        same = [
            (
                part[2].get("InputDataConfig"),
                part[2]["AlgorithmSpecification"].get("TrainingImage"),
            )
            for part in (new, old)
        ]
        if start["WarmStartType"] == "IdenticalDataAndAlgorithm" and same[0] != same[1]:
            raise Refused(
                f"IdenticalDataAndAlgorithm needs the input data and the image of {name}. {source}"
            )
    return parents


@answer
def create_hyper_parameter_tuning_job(request):
    """Run a tuning job to its end; CreateHyperParameterTuningJob."""
    name, config = (
        request["HyperParameterTuningJobName"],
        request["HyperParameterTuningJobConfig"],
    )
    criteria, limits = (
        config.get("TuningJobCompletionCriteria", {}),
        config["ResourceLimits"],
    )
    if name in tunings and tunings[name].request != request:
        raise Refused(
            "Tuning job names must be unique within an AWS account and region.",
            "ResourceInUse",
        )
    for member in ("Autotune", "TrainingJobDefinitions"):
        if member in request:
            raise NotImplementedError(
                f"The request is valid, but the sandbox has no {member}."
            )
    if "ConvergenceDetected" in criteria or "MaxRuntimeInSeconds" in limits:
        raise NotImplementedError(
            "The request is valid, but the sandbox ends a tuning job by its number of jobs, its "
            "TargetObjectiveMetricValue or BestObjectiveNotImproving."
        )
    parents = parents_of(request)
    description = {key: value for key, value in request.items() if key != "Tags"}
    description |= {
        "HyperParameterTuningJobArn": arn("hyper-parameter-tuning-job", name),
        "CreationTime": now(),
    }
    tuning = Tuning(request, description)
    count(tuning, "InProgress")
    space = {item["Name"]: Dimension(kind, item) for kind, item in ranges(request)}
    search = Search(tuning, space)
    for parent in parents:
        for hyper, objective in parent.found:
            search.learn(hyper, objective)
    plain = job_request(request["TrainingJobDefinition"])
    jobs.unsupported(
        plain
        | {
            "HyperParameters": request["TrainingJobDefinition"].get(
                "StaticHyperParameters", {}
            )
        }
    )
    jobs.check_inputs(plain)
    tunings[name] = tuning
    emit_state(tuning)
    while not tuning.stopping and (batch := ask_batch(search, tuning, limits)):
        results = [
            (trial, *run_trial(tuning, search, trial, texts, plain))
            for trial, texts in batch
        ]
        for result in results:
            search.tell(*result)
        tuning.stopping = tuning.stopping or reached(tuning, search, criteria)
    finish(tuning, search, parents)
    return {"HyperParameterTuningJobArn": description["HyperParameterTuningJobArn"]}


def ask_batch(search, tuning, limits):
    """Return the next trials that run side by side on AWS, knowing nothing of each other."""
    left = limits.get("MaxNumberOfTrainingJobs", math.inf) - len(tuning.summaries)
    wanted = (
        search.ask() for _ in range(int(min(left, limits["MaxParallelTrainingJobs"])))
    )
    return [point for point in wanted if point]


def run_trial(tuning, search, trial, texts, plain):
    """Run one training job of a tuning job; return the Job and its final objective, None if it reported none."""
    name, config = (
        tuning.request["HyperParameterTuningJobName"],
        tuning.request["HyperParameterTuningJobConfig"],
    )
    metric = config["HyperParameterTuningJobObjective"]["MetricName"]
    static = tuning.request["TrainingJobDefinition"].get("StaticHyperParameters", {})
    number = len(tuning.summaries) + 1
    job_name = f"{name}-{number:03d}-{zlib.crc32(f'{name}{number}'.encode()):08x}"
    hyper = static | texts | {"_tuning_objective_metric": metric}
    job = jobs.launch(
        {"TrainingJobName": job_name, **plain, "HyperParameters": hyper},
        lambda key, values: key == metric and search.hopeless(trial, values),
        TuningJobArn=tuning.description["HyperParameterTuningJobArn"],
    )
    values = job.metrics.get(metric, [])
    failed = job.description["TrainingJobStatus"] == "Failed" or not values
    objective = None if failed else values[-1]
    shown = (
        "TrainingJobName",
        "TrainingJobArn",
        "CreationTime",
        "TrainingStartTime",
        "TrainingEndTime",
    )
    shown += ("TrainingJobStatus", "FailureReason")
    summary = {key: job.description[key] for key in shown if key in job.description}
    summary |= {
        "TunedHyperParameters": texts,
        "ObjectiveStatus": "Failed" if failed else "Succeeded",
    }
    if definition := tuning.request["TrainingJobDefinition"].get("DefinitionName"):
        summary["TrainingJobDefinitionName"] = definition
    if not failed:
        summary["FinalHyperParameterTuningJobObjectiveMetric"] = {
            "MetricName": metric,
            "Value": objective,
        }
        tuning.found.append((static | texts, objective))
        tuning.curves.append(values)
    tuning.summaries.append(summary)
    count(tuning, "InProgress")
    return job, objective


def count(tuning, status):
    """Set the status of a tuning job and count its jobs."""
    states = [summary["TrainingJobStatus"] for summary in tuning.summaries]
    objectives = [summary["ObjectiveStatus"] for summary in tuning.summaries]
    tuning.description |= {
        "HyperParameterTuningJobStatus": status,
        "LastModifiedTime": now(),
        "TrainingJobStatusCounters": {
            "Completed": states.count("Completed"),
            "InProgress": 0,
            "RetryableError": 0,
            "NonRetryableError": states.count("Failed"),
            "Stopped": states.count("Stopped"),
        },
        "ObjectiveStatusCounters": {
            "Succeeded": objectives.count("Succeeded"),
            "Pending": 0,
            "Failed": objectives.count("Failed"),
        },
    }


def objective_of(summary):
    """Return the final objective of a job's summary, or None."""
    return summary.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value")


def best_of(summaries, maximize):
    """Return the summary of the completed job with the best objective, or None."""
    done = [
        s
        for s in summaries
        if s["TrainingJobStatus"] == "Completed" and objective_of(s) is not None
    ]
    return (max if maximize else min)(done, key=objective_of, default=None)


def reached(tuning, search, criteria):
    """Return whether a completion criterion ends the tuning job."""
    values = [
        objective_of(s)
        for s in tuning.summaries
        if s["TrainingJobStatus"] == "Completed"
    ]
    signed = [
        value if search.maximize else -value for value in values if value is not None
    ]
    if not signed:
        return False
    patience = criteria.get("BestObjectiveNotImproving", {}).get(
        "MaxNumberOfTrainingJobsNotImproving", math.inf
    )
    idle = len(signed) - 1 - signed.index(max(signed))
    if "BestObjectiveNotImproving" in criteria:
        tuning.description["TuningJobCompletionDetails"] = {
            "NumberOfTrainingJobsObjectiveNotImproving": idle
        }
    target = criteria.get(
        "TargetObjectiveMetricValue", math.inf if search.maximize else -math.inf
    )
    return max(signed) >= (target if search.maximize else -target) or idle >= patience


def finish(tuning, search, parents):
    """Set the final status and the best job of a tuning job."""
    status, description = "Completed", tuning.description
    if not tuning.found:
        status, reasons = (
            "Failed",
            [s["FailureReason"] for s in tuning.summaries if "FailureReason" in s],
        )
        description["FailureReason"] = (
            f"All training jobs failed. The first one: {reasons[0]}"[:1024]
            if len(reasons) == len(tuning.summaries)
            else f"No objective metrics found after running {len(tuning.summaries)} training jobs. Please ensure that "
            "the custom algorithm is emitting the objective metric as defined by the regular expression provided."
        )
    if description["HyperParameterTuningJobStatus"] == "Stopping":
        status = "Stopped"
    if best := best_of(tuning.summaries, search.maximize):
        description["BestTrainingJob"] = best
    start = tuning.request.get("WarmStartConfig", {}).get("WarmStartType")
    everyone = [summary for one in (tuning, *parents) for summary in one.summaries]
    if start == "IdenticalDataAndAlgorithm" and (
        best := best_of(everyone, search.maximize)
    ):
        owner = best["TrainingJobName"][:-13]  # less -001-89abcdef
        description["OverallBestTrainingJob"] = best | {"TuningJobName": owner}
    count(tuning, status)
    description["HyperParameterTuningEndTime"] = description["LastModifiedTime"]
    emit_state(tuning)


def emit_state(tuning):
    """Send the state of a tuning job to EventBridge."""
    wanted = (
        "HyperParameterTuningJobName",
        "HyperParameterTuningJobArn",
        "HyperParameterTuningJobStatus",
    )
    wanted += (
        "CreationTime",
        "LastModifiedTime",
        "TrainingJobStatusCounters",
        "ObjectiveStatusCounters",
    )
    detail = {key: tuning.description[key] for key in wanted}
    emit("HyperParameter Tuning Job", detail["HyperParameterTuningJobArn"], detail)


def find_tuning(request):
    """Return the Tuning that a request names, or answer ResourceNotFound."""
    if request["HyperParameterTuningJobName"] not in tunings:
        raise Refused("Requested resource not found.", "ResourceNotFound")
    return tunings[request["HyperParameterTuningJobName"]]


@answer
def describe_hyper_parameter_tuning_job(request):
    """DescribeHyperParameterTuningJob."""
    return find_tuning(request).description


@answer
def stop_hyper_parameter_tuning_job(request):
    """Stop a tuning job that runs in another thread; StopHyperParameterTuningJob."""
    tuning = find_tuning(request)
    status = tuning.description["HyperParameterTuningJobStatus"]
    if status != "InProgress":
        raise Refused(
            f"The request was rejected because the tuning job is in status {status}."
        )
    tuning.stopping, tuning.description["HyperParameterTuningJobStatus"] = (
        True,
        "Stopping",
    )
    return {}


@answer
def list_hyper_parameter_tuning_jobs(request):
    """ListHyperParameterTuningJobs, without filters by date."""
    found, more = listed(
        [tuning.description for tuning in tunings.values()],
        request,
        name="HyperParameterTuningJobName",
        status="HyperParameterTuningJobStatus",
        keys={
            "Name": lambda tuning: tuning["HyperParameterTuningJobName"],
            "CreationTime": lambda tuning: tuning["CreationTime"],
            "Status": lambda tuning: tuning["HyperParameterTuningJobStatus"],
        },
    )
    shown = (
        "HyperParameterTuningJobName",
        "HyperParameterTuningJobArn",
        "HyperParameterTuningJobStatus",
    )
    shown += (
        "CreationTime",
        "LastModifiedTime",
        "TrainingJobStatusCounters",
        "ObjectiveStatusCounters",
    )
    summaries = []
    for tuning in found:
        config = tuning["HyperParameterTuningJobConfig"]
        summary = {key: tuning[key] for key in shown}
        summaries.append(
            summary
            | {
                "Strategy": config["Strategy"],
                "ResourceLimits": config["ResourceLimits"],
            }
        )
    return {"HyperParameterTuningJobSummaries": summaries, **more}


@answer
def list_training_jobs_for_hyper_parameter_tuning_job(request):
    """ListTrainingJobsForHyperParameterTuningJob; sorting by objective leaves out jobs without one."""
    found, more = listed(
        find_tuning(request).summaries,
        request,
        name="TrainingJobName",
        status="TrainingJobStatus",
        keys={
            "Name": lambda job: job["TrainingJobName"],
            "CreationTime": lambda job: job["CreationTime"],
            "Status": lambda job: job["TrainingJobStatus"],
            "FinalObjectiveMetricValue": objective_of,
        },
    )
    return {"TrainingJobSummaries": found, **more}
