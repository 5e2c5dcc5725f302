"""Tuning jobs: Optuna searches, and every trial is a training job that runs.

Grid goes through all combinations; Random draws; Bayesian is Optuna's TPE; Hyperband
draws at random and stops jobs by Optuna's HyperbandPruner, one report of the objective
being one unit of its resource.
"""

import itertools
import math
import statistics
import zlib
from dataclasses import dataclass, field

from . import jobs
from .api import Refused, answer, arn, emit, listed, now, pick
from .validation import GUIDE, View

STARTUP = 5  # random jobs before Bayesian search models; none after a warm start
MEDIAN_OF = 3  # jobs before early stopping judges the next one
LIVE = ("InProgress", "Stopping")
NOUN, IN_USE = "HyperParameterTuningJob", "ResourceInUse"
SHOWN = (
    f"{NOUN}Name {NOUN}Arn {NOUN}Status CreationTime LastModifiedTime "
    "TrainingJobStatusCounters ObjectiveStatusCounters"
)
WARM_START = f"Source: {GUIDE}automatic-model-tuning-warm-start.html"

tunings = {}  # name: Tuning


@dataclass
class Tuning:
    """A tuning job: its request, what describe tells, and what its jobs found."""

    request: dict
    description: dict
    summaries: list = field(default_factory=list)  # one dict a job, as list answers
    found: list = field(
        default_factory=list
    )  # (all hyperparameters as text, objective)
    curves: list = field(default_factory=list)  # the objective's values, job by job
    stopped: bool = False  # by a call

    def __post_init__(self):
        """Name what is read often."""
        self.name = self.request["HyperParameterTuningJobName"]
        self.config = self.request["HyperParameterTuningJobConfig"]
        self.definition = self.request["TrainingJobDefinition"]
        self.static = self.definition.get("StaticHyperParameters", {})
        objective = self.config["HyperParameterTuningJobObjective"]
        self.metric, self.maximize = (
            objective["MetricName"],
            objective["Type"][1] == "a",
        )

    def best(self, *others):
        """Return the summary of the best completed job, of others' too, or None."""
        summaries = [s for one in (self, *others) for s in one.summaries]
        done = [s for s in summaries if s["TrainingJobStatus"] == "Completed"]
        done = [s for s in done if objective_of(s) is not None]
        return (max if self.maximize else min)(done, key=objective_of, default=None)


class Dimension:
    """One searched hyperparameter, between its text in the API and Optuna's value."""

    def __init__(self, kind, item):  # noqa: D107
        from optuna import distributions as of

        self.number, self.reverse = (
            {"Integer": int, "Continuous": float}.get(kind),
            False,
        )
        if self.number is None:
            self.distribution = of.CategoricalDistribution(item["Values"])
            return
        low, high = (self.number(item[end]) for end in ("MinValue", "MaxValue"))
        self.low, self.high, scale = low, high, item.get("ScalingType", "Auto")
        log = scale == "Logarithmic" or scale == "Auto" and high >= 1000 * low > 0
        if scale == "ReverseLogarithmic":
            low, high, log, self.reverse = 1 - high, 1 - low, True, True
        make = of.IntDistribution if kind == "Integer" else of.FloatDistribution
        self.distribution = make(low, high, log=log)

    def text(self, value):
        """Return Optuna's value as the API's text; six digits, so that machines agree."""
        if self.number is not float:
            return str(value)
        value = float(f"{1 - value if self.reverse else value:.6g}")
        return str(min(max(value, self.low), self.high))

    def value(self, text):
        """Return the API's text as Optuna's value. Raises ValueError."""
        return 1 - float(text) if self.reverse else (self.number or str)(text)


class Search:
    """What to try next: `ask` gives texts by name, `tell` takes what came of them."""

    def __init__(self, tuning, parents):  # noqa: D107
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.tuning, self.strategy = tuning, tuning.config["Strategy"]
        view = View(tuning.request)
        self.space = {r["Name"]: Dimension(kind, r) for kind, r in view.ranges}
        self.of = {name: item.distribution for name, item in self.space.items()}
        if self.strategy == "Grid":
            self.grid = itertools.product(*(one.choices for one in self.of.values()))
        seed, pruner = tuning.config.get("RandomSeed", 0), None
        if self.strategy == "Hyperband":
            self.most = view.most
            pruner = optuna.pruners.HyperbandPruner(view.least, view.most, 3)
        sampler = optuna.samplers.RandomSampler(seed)
        if self.strategy == "Bayesian":
            sampler = optuna.samplers.TPESampler(n_startup_trials=STARTUP, seed=seed)
        self.study = optuna.create_study(
            study_name=tuning.name,  # Hyperband draws its brackets from the name
            direction="maximize" if tuning.maximize else "minimize",
            sampler=sampler,
            pruner=pruner or optuna.pruners.NopPruner(),
        )
        for hyper, objective in (found for parent in parents for found in parent.found):
            try:
                old = {
                    name: item.value(hyper[name]) for name, item in self.space.items()
                }
                old = {"params": old, "distributions": self.of, "value": objective}
                self.study.add_trial(optuna.trial.create_trial(**old))
            except (KeyError, ValueError):
                pass  # a job of the parent that lies outside this space

    def ask(self):
        """Return (trial, {name: text}), or None after the last combination of a grid."""
        if self.strategy == "Grid":
            point = next(self.grid, None)
            return point and (None, dict(zip(self.space, point)))
        trial = self.study.ask(self.of)
        return trial, {k: item.text(trial.params[k]) for k, item in self.space.items()}

    def hopeless(self, trial, values):
        """Return whether a job whose objective went through `values` shall stop.

        Source: automatic-model-tuning-early-stopping.html in AWS's guide (a median of
        running averages); for Hyperband the pruner, and MaxResource.
        """
        step, worse = len(values), -1 if self.tuning.maximize else 1
        if self.strategy == "Hyperband":
            trial.report(values[-1], step)
            return trial.should_prune() or step > self.most
        if self.tuning.config.get("TrainingJobEarlyStoppingType") != "Auto":
            return False
        curves = [curve[:step] for curve in self.tuning.curves if len(curve) >= step]
        if len(curves) < MEDIAN_OF:
            return False
        return worse * values[-1] > worse * statistics.median(
            map(statistics.fmean, curves)
        )

    def tell(self, trial, job, objective):
        """Take what came of a trial; `objective` is None if the job reported none."""
        from optuna.trial import TrialState

        if trial and (objective is None or math.isnan(objective)):
            self.study.tell(trial, state=TrialState.FAIL)
        elif trial and job.hopeless:
            self.study.tell(trial, state=TrialState.PRUNED)
        elif trial:
            self.study.tell(trial, objective)


def parents_of(request):
    """Return the Tunings that a warm start names; raise Refused if it may not."""
    start, new, parents = request.get("WarmStartConfig"), Tuning(request, {}), []
    for parent in start["ParentHyperParameterTuningJobs"] if start else []:
        name = parent.get("HyperParameterTuningJobName")
        if name not in tunings:
            raise Refused(f"Parent tuning job {name} does not exist. {WARM_START}")
        parents.append(tunings[name])
    for old in parents:
        tuned = [
            {item["Name"] for _, item in View(t.request).ranges} for t in (new, old)
        ]
        total = [len(names) + len(t.static) for names, t in zip(tuned, (new, old))]
        algorithm, data = (
            [t.definition[key] for t in (new, old)]
            for key in ("AlgorithmSpecification", "InputDataConfig")
        )
        images = [one.get("TrainingImage") for one in algorithm]
        identical = start["WarmStartType"] == "IdenticalDataAndAlgorithm"
        changed = images[0] != images[1] or data[0] != data[1]
        for broken, message in (
            (
                old.description["HyperParameterTuningJobStatus"] in LIVE,
                "must have ended",
            ),
            (objective_set(new) != objective_set(old), "must have the same objective"),
            (len(tuned[0] ^ tuned[1]) > 10, "allows 10 changes of static and tunable"),
            (
                total[0] != total[1],
                "must have as many static plus tunable hyperparameters",
            ),
            (identical and changed, "must have the same input data and image"),
        ):
            if broken:
                raise Refused(f"Parent tuning job {old.name} {message}. {WARM_START}")
    return parents


def objective_set(tuning):
    """Return the objective that a tuning job was given."""
    return tuning.config["HyperParameterTuningJobObjective"]


def job_request(definition):
    """Return what a definition says of its training jobs, less hyperparameters."""
    own = {"DefinitionName", "TuningObjective", "HyperParameterRanges"}
    own |= {"StaticHyperParameters", "HyperParameterTuningResourceConfig"}
    request = {key: value for key, value in definition.items() if key not in own}
    if resources := definition.get("HyperParameterTuningResourceConfig"):
        first = resources.get("InstanceConfigs", [resources])[0]
        members = "InstanceType InstanceCount VolumeSizeInGB"
        request["ResourceConfig"] = pick(first, members)
    return request


@answer
def create_hyper_parameter_tuning_job(request):
    """Run a tuning job to its end; CreateHyperParameterTuningJob."""
    name, config = (
        request[f"HyperParameterTuningJob{part}"] for part in ("Name", "Config")
    )
    criteria, limits = (
        config.get("TuningJobCompletionCriteria", {}),
        config["ResourceLimits"],
    )
    if name in tunings and tunings[name].request != request:
        raise Refused(
            "Tuning job names must be unique in an account and region.", IN_USE
        )
    for member in ("Autotune", "TrainingJobDefinitions"):
        if member in request:
            raise NotImplementedError(f"The sandbox's tuning jobs have no {member}.")
    if "ConvergenceDetected" in criteria or "MaxRuntimeInSeconds" in limits:
        raise NotImplementedError(
            "The sandbox ends a tuning job by its number of jobs, its target or its jobs "
            "that do not improve, not by time or convergence."
        )
    parents = parents_of(request)
    description = {key: value for key, value in request.items() if key != "Tags"}
    description["HyperParameterTuningJobArn"] = arn("hyper-parameter-tuning-job", name)
    tuning = Tuning(request, description | {"CreationTime": now()})
    plain = job_request(tuning.definition)
    jobs.check(plain | {"HyperParameters": tuning.static})
    search = Search(tuning, parents)
    tunings[name] = tuning
    set_status(tuning, "InProgress")
    emit_state(tuning)
    left = limits.get("MaxNumberOfTrainingJobs", math.inf)
    while left > 0 and not tuning.stopped and not reached(tuning, criteria):
        # what runs side by side on AWS knows nothing of each other
        wanted = min(left, limits["MaxParallelTrainingJobs"])
        batch = [point for point in (search.ask() for _ in range(wanted)) if point]
        for told in [
            (t, *run_trial(tuning, search, t, texts, plain)) for t, texts in batch
        ]:
            search.tell(*told)
        left -= len(batch) or left
    finish(tuning, parents)
    return pick(tuning.description, "HyperParameterTuningJobArn")


def run_trial(tuning, search, trial, texts, plain):
    """Run one job of a tuning job; return the Job and its objective, None without one."""
    number = len(tuning.summaries) + 1
    digest = zlib.crc32(f"{tuning.name}{number}".encode())
    hyper = tuning.static | texts | {"_tuning_objective_metric": tuning.metric}
    name = f"{tuning.name}-{number:03d}-{digest:08x}"
    job = jobs.launch(
        {"TrainingJobName": name, **plain, "HyperParameters": hyper},
        lambda key, values: key == tuning.metric and search.hopeless(trial, values),
        tuning.description["HyperParameterTuningJobArn"],
    )
    values = job.metrics.get(tuning.metric, [])
    failed = job.description["TrainingJobStatus"] == "Failed" or not values
    objective = None if failed else values[-1]
    times = "CreationTime TrainingStartTime TrainingEndTime"
    told = f"TrainingJobName TrainingJobArn {times} TrainingJobStatus FailureReason"
    summary = pick(job.description, told) | {"TunedHyperParameters": texts}
    summary["ObjectiveStatus"] = "Failed" if failed else "Succeeded"
    if definition := tuning.definition.get("DefinitionName"):
        summary["TrainingJobDefinitionName"] = definition
    if not failed:
        result = {"MetricName": tuning.metric, "Value": objective}
        summary["FinalHyperParameterTuningJobObjectiveMetric"] = result
        tuning.found.append((tuning.static | texts, objective))
        tuning.curves.append(values)
    tuning.summaries.append(summary)
    set_status(tuning, "Stopping" if tuning.stopped else "InProgress")
    return job, objective


def set_status(tuning, status):
    """Set the status of a tuning job and count its jobs."""
    states = [summary["TrainingJobStatus"] for summary in tuning.summaries]
    objectives = [summary["ObjectiveStatus"] for summary in tuning.summaries]
    counts = {
        state: states.count(state) for state in ("Completed", "InProgress", "Stopped")
    }
    counts |= {"NonRetryableError": states.count("Failed"), "RetryableError": 0}
    kinds = ("Succeeded", "Pending", "Failed")
    tuning.description |= {
        "HyperParameterTuningJobStatus": status,
        "LastModifiedTime": now(),
        "TrainingJobStatusCounters": counts,
        "ObjectiveStatusCounters": {kind: objectives.count(kind) for kind in kinds},
    }


def objective_of(summary):
    """Return the final objective of a job's summary, or None."""
    return summary.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value")


def reached(tuning, criteria):
    """Return whether a completion criterion ends the tuning job."""
    if (best := tuning.best()) is None:
        return False
    done = [s for s in tuning.summaries if s["TrainingJobStatus"] == "Completed"]
    idle = len(done) - 1 - done.index(best)
    if limit := criteria.get("BestObjectiveNotImproving"):
        details = {"NumberOfTrainingJobsObjectiveNotImproving": idle}
        tuning.description["TuningJobCompletionDetails"] = details
        if idle >= limit.get("MaxNumberOfTrainingJobsNotImproving", math.inf):
            return True
    gain, target = (
        1 if tuning.maximize else -1,
        criteria.get("TargetObjectiveMetricValue"),
    )
    return target is not None and gain * objective_of(best) >= gain * target


def finish(tuning, parents):
    """Set the final status and the best job of a tuning job."""
    description, number = tuning.description, len(tuning.summaries)
    status = "Stopped" if tuning.stopped else "Completed" if tuning.found else "Failed"
    if status == "Failed":
        reasons = [s["FailureReason"] for s in tuning.summaries if "FailureReason" in s]
        description["FailureReason"] = (
            f"No objective metrics found after running {number} training jobs. Please "
            "ensure that the custom algorithm is emitting the objective metric as defined "
            "by the regular expression provided."
        )
        if len(reasons) == number:
            description["FailureReason"] = f"All training jobs failed: {reasons[0]}"[
                :1024
            ]
    if best := tuning.best():
        description["BestTrainingJob"] = best
    kind = tuning.request.get("WarmStartConfig", {}).get("WarmStartType")
    if kind == "IdenticalDataAndAlgorithm" and (best := tuning.best(*parents)):
        owner = next(one.name for one in (tuning, *parents) if best in one.summaries)
        description["OverallBestTrainingJob"] = best | {"TuningJobName": owner}
    set_status(tuning, status)
    description["HyperParameterTuningEndTime"] = description["LastModifiedTime"]
    emit_state(tuning)


def emit_state(tuning):
    """Send the state of a tuning job to EventBridge."""
    detail = pick(tuning.description, SHOWN)
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
            f"The request was rejected: the tuning job is in status {status}."
        )
    tuning.stopped = True
    return {}


@answer
def list_hyper_parameter_tuning_jobs(request):
    """ListHyperParameterTuningJobs, without filters by date."""
    items = [
        pick(one.description, SHOWN) | pick(one.config, "Strategy ResourceLimits")
        for one in tunings.values()
    ]
    found, more = listed(items, request, NOUN, "Name")
    return {"HyperParameterTuningJobSummaries": found, **more}


@answer
def list_training_jobs_for_hyper_parameter_tuning_job(request):
    """ListTrainingJobsForHyperParameterTuningJob."""
    items = find_tuning(request).summaries
    objective = {"FinalObjectiveMetricValue": objective_of}
    found, more = listed(items, request, "TrainingJob", "Name", **objective)
    return {"TrainingJobSummaries": found, **more}
