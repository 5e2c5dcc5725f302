"""Tuning jobs: they search, and every trial is a training job that runs.

Grid goes through all combinations; Random draws; Bayesian models what it has seen
(`gaussian`); Hyperband draws and stops jobs by Optuna's HyperbandPruner, one report of the
objective being one unit of its resource.
"""

import itertools
import math
import statistics
import time
import zlib
from dataclasses import dataclass, field

import numpy as np

from . import jobs, records
from .api import Refused, answer, arn, emit, listed, now, pick
from .gaussian import expected_improvement
from .processes import uninterrupted
from .validation import GUIDE, View

STARTUP, CANDIDATES = (3, 500)  # of Bayesian search: random jobs first, then points to judge
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
    found: list = field(default_factory=list)  # (all hyperparameters as text, objective)
    curves: list = field(default_factory=list)  # the objective's values, job by job
    stopped: bool = False  # by a call, by its time, or by an interrupt
    running: jobs.Job | None = None  # its newest job
    until: float = math.inf  # when it is stopped, in seconds of time.monotonic

    def __post_init__(self):
        """Name what is read often."""
        self.name = self.request["HyperParameterTuningJobName"]
        self.config = self.request["HyperParameterTuningJobConfig"]
        self.definition = self.request["TrainingJobDefinition"]
        self.static = self.definition.get("StaticHyperParameters", {})
        objective = self.config["HyperParameterTuningJobObjective"]
        self.metric, self.maximize = (objective["MetricName"], objective["Type"] == "Maximize")

    def best(self, *others):
        """Return the summary of the best completed job, of others' too, or None."""
        summaries = [s for one in (self, *others) for s in one.summaries]
        done = [s for s in summaries if s["TrainingJobStatus"] == "Completed"]
        done = [s for s in done if objective_of(s) is not None]
        return (max if self.maximize else min)(done, key=objective_of, default=None)


class Dimension:
    """One searched hyperparameter, between [0, 1) and its text in the API."""

    def __init__(self, kind, item):  # noqa: D107
        self.values, scale = item.get("Values"), item.get("ScalingType", "Auto")
        if self.values:
            return
        self.number = int if kind == "Integer" else float
        self.low, self.high = (self.number(item[end]) for end in ("MinValue", "MaxValue"))
        self.scale, self.back = float, float
        if scale == "Logarithmic" or scale == "Auto" and self.high >= 1000 * self.low > 0:
            self.scale, self.back = math.log, math.exp
        if scale == "ReverseLogarithmic":
            self.scale, self.back = ((lambda x: -math.log(1 - x)), (lambda s: 1 - math.exp(-s)))
        half = 0.5 if self.number is int else 0  # each integer gets an interval
        self.start = self.scale(self.low - half)
        self.length = self.scale(self.high + half) - self.start

    def text(self, u):
        """Return the value at u; a float has six digits, so that machines agree."""
        if self.values:
            return self.values[int(u * len(self.values))]
        value = self.back(self.start + u * self.length)
        value = round(value) if self.number is int else float(f"{value:.6g}")
        return str(min(max(value, self.low), self.high))

    def point(self, text):
        """Return the coordinates of a value for the model. Raises ValueError outside."""
        if self.values:
            self.values.index(text)
            return [0.7 * (text == value) for value in self.values]  # 1 apart
        value = self.number(text)
        if not self.low <= value <= self.high:
            raise ValueError(text)
        return [(self.scale(value) - self.start) / self.length]


class Search:
    """What to try next: `ask` gives texts by name, `tell` takes what came of them."""

    def __init__(self, tuning, parents):  # noqa: D107
        view = View(tuning.request)
        self.tuning, self.strategy, self.most = tuning, view.strategy, view.most
        self.space = {item["Name"]: Dimension(kind, item) for kind, item in view.ranges}
        self.rng = np.random.default_rng(tuning.config.get("RandomSeed", 0))
        self.tried = set()  # combinations, tuples of texts
        self.seen = []  # (point, objective), the objective None while the job runs
        if self.strategy == "Grid":
            self.grid = itertools.product(*(one.values for one in self.space.values()))
        if self.strategy == "Hyperband":
            import optuna

            optuna.logging.set_verbosity(optuna.logging.ERROR)
            self.study = optuna.create_study(
                study_name=tuning.name,  # Hyperband draws its brackets from the name
                direction="maximize" if tuning.maximize else "minimize",
                pruner=optuna.pruners.HyperbandPruner(view.least, view.most, 3),
            )
        for texts, objective in (found for parent in parents for found in parent.found):
            try:
                self.seen.append((self.point(texts), objective))
            except (KeyError, ValueError):
                pass  # a job of the parent that lies outside this space

    def point(self, texts):
        """Return the coordinates of a combination of values."""
        return [x for name, one in self.space.items() for x in one.point(texts[name])]

    def draw(self):
        """Return a combination at random, {name: text}, a new one if ranges have few."""
        for _ in range(100):
            texts = {name: one.text(self.rng.random()) for name, one in self.space.items()}
            if tuple(texts.values()) not in self.tried:
                break
        return texts

    def ask(self):
        """Return (trial, {name: text}), or None after the last combination of a grid."""
        if self.strategy == "Grid":
            values = next(self.grid, None)
            return values and (None, dict(zip(self.space, values)))
        texts = self.draw()
        known = [objective for _, objective in self.seen if objective is not None]
        if self.strategy == "Bayesian" and len(known) >= STARTUP:
            candidates = [self.draw() for _ in range(CANDIDATES)]
            X = np.array([point for point, _ in self.seen])
            # a job that still runs counts as middling, so that the next one goes elsewhere
            mean = statistics.fmean(known)
            y = np.array([mean if one is None else one for _, one in self.seen])
            points = np.array([self.point(texts) for texts in candidates])
            gain = expected_improvement(X, y if self.tuning.maximize else -y, points)
            texts = candidates[int(gain.argmax())]
        self.seen.append((self.point(texts), None))
        self.tried.add(tuple(texts.values()))
        return self.study.ask() if self.strategy == "Hyperband" else None, texts

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
        return worse * values[-1] > worse * statistics.median(map(statistics.fmean, curves))

    def tell(self, trial, texts, job, objective):
        """Take what came of a trial; `objective` is None if the job reported none."""
        if trial:
            from optuna.trial import TrialState

            lost = TrialState.PRUNED if job.hopeless else TrialState.FAIL
            done = objective is not None and not job.hopeless
            self.study.tell(trial, objective) if done else self.study.tell(trial, state=lost)
        if self.strategy != "Grid":
            self.seen.remove((self.point(texts), None))
            if objective is not None:
                self.seen.append((self.point(texts), objective))


def parents_of(request):
    """Return the Tunings that a warm start names; raise Refused if it may not."""
    start, new, parents = request.get("WarmStartConfig"), Tuning(request, {}), []
    if start and new.config["Strategy"] not in ("Bayesian", "Random"):
        raise Refused(f"Warm start goes with Bayesian and Random search only. {WARM_START}")
    for parent in start["ParentHyperParameterTuningJobs"] if start else []:
        name = parent.get("HyperParameterTuningJobName")
        if name not in tunings:
            raise Refused(f"Parent tuning job {name} does not exist. {WARM_START}")
        parents.append(tunings[name])
    for old in parents:
        tuned = [{item["Name"] for _, item in View(t.request).ranges} for t in (new, old)]
        total = [len(names) + len(t.static) for names, t in zip(tuned, (new, old))]
        algorithm, data = (
            [t.definition.get(key) for t in (new, old)]
            for key in ("AlgorithmSpecification", "InputDataConfig")
        )
        images = [one.get("TrainingImage") for one in algorithm]
        kinds = [{r["Name"]: kind for kind, r in View(t.request).ranges} for t in (new, old)]
        identical = start["WarmStartType"] == "IdenticalDataAndAlgorithm"
        changed = images[0] != images[1] or data[0] != data[1]
        for broken, message in (
            (old.description["HyperParameterTuningJobStatus"] in LIVE, "must have ended"),
            (objective_set(new) != objective_set(old), "must have the same objective"),
            (len(tuned[0] ^ tuned[1]) > 10, "allows 10 changes of static and tunable"),
            (total[0] != total[1], "must have as many static plus tunable hyperparameters"),
            (identical and changed, "must have the same input data and image"),
            (shared_differ(*kinds), "must keep the types"),
        ):
            if broken:
                raise Refused(f"Parent tuning job {old.name} {message}. {WARM_START}")
    return parents


def shared_differ(mine, others):
    """Return whether a hyperparameter of both dicts, {name: kind of range}, has two kinds."""
    return any(mine[name] != others[name] for name in mine.keys() & others.keys())


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
    name, config = (request[f"HyperParameterTuningJob{part}"] for part in ("Name", "Config"))
    criteria, limits = (config.get("TuningJobCompletionCriteria", {}), config["ResourceLimits"])
    if name in tunings and tunings[name].request != request:
        raise Refused("Tuning job names must be unique in an account and region.", IN_USE)
    for member in ("Autotune", "TrainingJobDefinitions"):
        if member in request:
            raise NotImplementedError(f"The sandbox's tuning jobs have no {member}.")
    if "ConvergenceDetected" in criteria:
        raise NotImplementedError(
            "The sandbox ends a tuning job by its number of jobs, its time, its target or "
            "its jobs that do not improve, not by convergence."
        )
    parents = parents_of(request)
    description = {key: value for key, value in request.items() if key != "Tags"}
    description["HyperParameterTuningJobArn"] = arn("hyper-parameter-tuning-job", name)
    tuning = Tuning(request, description | {"CreationTime": now()})
    plain = job_request(tuning.definition)
    jobs.check(plain | {"HyperParameters": tuning.static})
    search, earlier = Search(tuning, parents), tunings.get(name)
    tuning.until = time.monotonic() + limits.get("MaxRuntimeInSeconds", math.inf)
    try:
        tunings[name] = tuning
        set_status(tuning, "InProgress")
        emit_state(tuning)
        search_to_end(tuning, search, plain, criteria, limits)
    except NotImplementedError:  # of its first job: nothing has run
        tunings.pop(name)
        if earlier:
            tunings[name] = earlier
        raise
    except BaseException:
        tuning.stopped = True
        raise
    finally:
        if tunings.get(name) is tuning:
            with uninterrupted():
                records.tag(description["HyperParameterTuningJobArn"], request.get("Tags", []))
                finish(tuning, parents)
    return pick(tuning.description, "HyperParameterTuningJobArn")


def search_to_end(tuning, search, plain, criteria, limits):
    """Run batches of jobs until a limit, a criterion or the end of a grid."""
    left = limits.get("MaxNumberOfTrainingJobs", math.inf)
    while left > 0 and not tuning.stopped and not reached(tuning, criteria):
        # what runs side by side on AWS knows nothing of each other
        wanted = min(left, limits["MaxParallelTrainingJobs"])
        batch = [point for point in (search.ask() for _ in range(wanted)) if point]
        ran = []
        for trial, texts in batch:
            if not tuning.stopped:
                ran.append((trial, texts, *run_trial(tuning, search, trial, texts, plain)))
        for trial, texts, job, objective in ran:
            search.tell(trial, texts, job, objective)
        left = left - len(batch) if batch else 0  # a grid comes to its end


def run_trial(tuning, search, trial, texts, plain):
    """Run one job of a tuning job; return the Job and its objective, None without one."""
    number = len(tuning.summaries) + 1
    digest = zlib.crc32(f"{tuning.name}{number}".encode())
    hyper = tuning.static | texts | {"_tuning_objective_metric": tuning.metric}
    name = f"{tuning.name}-{number:03d}-{digest:08x}"
    more = pick(tuning.request, "Tags")  # those of the tuning job are added to its jobs

    def started(job):
        tuning.running = job

    try:
        job = jobs.run_to_end(
            {"TrainingJobName": name, **plain, "HyperParameters": hyper, **more},
            lambda key, values: key == tuning.metric and search.hopeless(trial, values),
            tuning.description["HyperParameterTuningJobArn"],
            tuning.until,
            started,
        )
    except KeyboardInterrupt:
        tuning.stopped = True
        if tuning.running:
            summarize(tuning, tuning.running, texts)
        raise
    return job, summarize(tuning, job, texts)


def summarize(tuning, job, texts):
    """Take note of a job that has ended; return its objective, None without one."""
    values = job.metrics.get(tuning.metric, [])
    failed = job.description["TrainingJobStatus"] == "Failed"
    failed = failed or not values or not math.isfinite(values[-1])
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
    tuning.stopped = tuning.stopped or time.monotonic() > tuning.until
    set_status(tuning, "Stopping" if tuning.stopped else "InProgress")
    return objective


def set_status(tuning, status):
    """Set the status of a tuning job and count its jobs."""
    states = [summary["TrainingJobStatus"] for summary in tuning.summaries]
    objectives = [summary["ObjectiveStatus"] for summary in tuning.summaries]
    counts = {state: states.count(state) for state in ("Completed", "InProgress", "Stopped")}
    counts |= {"NonRetryableError": states.count("Failed"), "RetryableError": 0}
    kinds = ("Succeeded", "Pending", "Failed")
    tuning.description = tuning.description | {
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
    gain, target = (1 if tuning.maximize else -1, criteria.get("TargetObjectiveMetricValue"))
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
            description["FailureReason"] = f"All training jobs failed: {reasons[0]}"[:1024]
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
        raise Refused(f"The request was rejected: the tuning job is in status {status}.")
    tuning.stopped = True
    if tuning.running:
        tuning.running.ended = tuning.running.ended or "Stopped"
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
