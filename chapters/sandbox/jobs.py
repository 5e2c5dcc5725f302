"""The API of training jobs, and a job's way from its request to its final state.

Source for one archive of all hosts:
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html
"""

import contextlib
import itertools
import math
import queue
import shutil
import socket
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import regex
from botocore.exceptions import BotoCoreError, ClientError

from . import container, files, processes, records
from .api import REGION, Refused, answer, arn, emit, listed, now, pick, replace_log
from .debugger import Debugger
from .images import xgboost_rules

MOST_HOSTS = 8  # of one job: each is a process with libraries of its own in memory
# hyperparameters by which the toolkit starts the script under torchrun, mpirun or a relative of
# theirs
LAUNCHERS = (
    "sagemaker_torch_distributed_enabled",
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled",
    "sagemaker_mpi_enabled",
    "sagemaker_parameter_server_enabled",
)

RESTARTED = ("Restarting", "Restarting the training job")

jobs = {}  # name: Job
awaited = {}  # name of a job: expressions at which it loses its hosts, in order
caches = tempfile.TemporaryDirectory(prefix="warm-pools-", ignore_cleanup_errors=True)


@dataclass
class Job:
    """A training job: its request, what describe tells, its metrics and its hosts."""

    request: dict
    description: dict  # never changed in place, so that another thread may copy it
    logs: dict  # name of a host: its processes.Log
    metrics: dict = field(default_factory=dict)  # name: values, in order
    hosts: list = field(default_factory=list)  # from their start on
    failed: container.Host | None = None  # the first host that failed by itself
    ended: str = ""  # the secondary status with which it was told to end
    hopeless: bool = False  # early stopping told it so
    debugger: Debugger | None = None
    lost: bool = False  # its hosts were taken away
    cache: Path | None = None  # what its warm pool keeps
    limit: float = math.inf  # when MaxRuntimeInSeconds is over, in time.monotonic's seconds

    @property
    def status(self):
        """Return its TrainingJobStatus."""
        return self.description["TrainingJobStatus"]


def check(request):
    """Refuse a job without input data; raise NotImplementedError for what is not real here."""
    algorithm = request.get("AlgorithmSpecification", {})
    channels = request.get("InputDataConfig", [])
    sources = [c["DataSource"].get("S3DataSource", {}) for c in channels]
    modes = [algorithm.get("TrainingInputMode"), *(c.get("InputMode") for c in channels)]
    resources = request.get("ResourceConfig", {})
    hyper = request.get("HyperParameters", {})
    program = container.program_of(request)
    launched = any(container.decode(hyper.get(key, "false")) for key in LAUNCHERS)
    image = container.image_kind(algorithm.get("TrainingImage", ""))
    builtin = program is None and image == "xgboost"
    types = [c.get("ContentType", "").partition(";")[0] for c in channels]
    packed = [c.get("CompressionType", "None") for c in channels]
    compressed = request["OutputDataConfig"].get("CompressionType", "GZIP")
    mixed = {"InstanceGroups", "InstancePreferences"} & resources.keys()
    count = resources.get("InstanceCount", 1)
    missing = builtin and xgboost_rules.elsewhere(hyper)
    for broken, limit in (
        (mixed, "has hosts of one kind, of InstanceType"),
        (count > MOST_HOSTS, f"runs a job on at most {MOST_HOSTS} hosts"),
        (builtin and count > 1, "runs the built-in XGBoost on one host"),
        (any(s.get("S3DataType") != "S3Prefix" for s in sources), "reads S3 prefixes only"),
        (any("HubAccessConfig" in s for s in sources), "has no hub to fetch a model from"),
        ("Pipe" in modes, "has the input modes File and FastFile"),
        (any(kind != "None" for kind in packed), "takes input as it is, not compressed"),
        (compressed != "GZIP", "stores models as tar.gz"),
        (
            builtin and "DebugRuleConfigurations" in request,
            "saves no tensors of the built-in XGBoost, so that a rule has nothing to judge",
        ),
        ("ProfilerRuleConfigurations" in request, "has no profiler rules"),
        ("MlflowConfig" in request, "has no managed MLflow for jobs to log to"),
        ("ExperimentConfig" in request, "makes no trial component of a job; make it by the API"),
        ("ServerlessJobConfig" in request, "has no serverless customization"),
        ("ContainerEntrypoint" in algorithm, "starts Python scripts, not commands"),
        (launched, "starts scripts without torchrun, mpirun or SMDDP"),
        (not (program or ".py").endswith(".py"), "starts Python scripts, not commands"),
        (program is None and not builtin, "runs a script (sagemaker_program) or AWS's XGBoost"),
        (
            builtin and any(kind not in ("text/csv", "csv") for kind in types),
            "gives the built-in XGBoost channels of ContentType text/csv",
        ),
        (missing, f"cannot train the built-in XGBoost with {missing}"),
    ):
        if broken:
            raise NotImplementedError(f"The request is valid, but the sandbox {limit}.")
    for member, (_, default, _) in container.SYNCED.items():
        container.local_folder(request.get(member, {}).get("LocalPath", default))
    for uri in (source["S3Uri"] for source in sources):
        if not files.find(uri):
            raise Refused(
                f'No S3 objects found under S3 URL "{uri}" given in input data source. '
                f"Please ensure that the bucket exists in the selected region ({REGION}), "
                "that objects exist under that S3 prefix, and that the role "
                f'"{request["RoleArn"]}" has "s3:ListBucket" permissions on bucket '
                f'"{files.split(uri)[0]}".'
            )


@answer
def create_training_job(request):
    """Run a job to its end; CreateTrainingJob."""
    earlier = jobs.get(request["TrainingJobName"])
    if earlier and (earlier.request != request or earlier.status == "InProgress"):
        message = "Training job names must be unique within an AWS account and region."
        raise Refused(message, "ResourceInUse")
    return pick(run_to_end(request).description, "TrainingJobArn")


def run_to_end(request, watch=lambda *_: False, tuning_arn=None, until=math.inf, started=None):
    """Run a training job and return the Job, in a final state and with its log stored.

    `watch(metric, values)` hears of each value and returns True to stop the job; at `until`, in
    time.monotonic's seconds, it is stopped; `started(job)` is told that it exists. Raises as
    `check` and `container.prepare` do, and then there is no job; an interrupt stops the job.
    """
    check(request)
    name = request["TrainingJobName"]
    earlier, job = jobs.get(name), new_job(request, tuning_arn)
    job.debugger = Debugger(request, lambda statuses: judged(job, statuses))
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    try:
        jobs[name] = job
        if started:
            started(job)
        take_warm_pool(job)
        enter(job, "Starting", "Preparing the instances for training")
        emit_state(job)
        work(job, Path(folder.name).resolve(), watch, until)
    except NotImplementedError:
        jobs.pop(name)
        if earlier:
            jobs[name] = earlier
        raise
    except Exception as error:  # whatever the user's files made a library raise
        fail(job, f"AlgorithmError: framework error: {type(error).__name__}: {error}")
    finally:
        with processes.uninterrupted():
            kill(job.hosts)
            leave_warm_pool(job)
            if jobs.get(name) is job:
                conclude(job)
            folder.cleanup()
    return job


def new_job(request, tuning_arn):
    """Return a Job that has not begun."""
    name, time = request["TrainingJobName"], now()
    description = {key: value for key, value in request.items() if key != "Tags"}
    description |= {
        "TrainingJobArn": arn("training-job", name),
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "AlgorithmSpecification": request["AlgorithmSpecification"]
        | {"MetricDefinitions": container.metric_definitions(request)},
        "StoppingCondition": {"MaxRuntimeInSeconds": 86_400} | request.get("StoppingCondition", {}),
        "CreationTime": time,
        "LastModifiedTime": time,
        "ModelArtifacts": {},
        "SecondaryStatusTransitions": [],
    }
    if tuning_arn:
        description["TuningJobArn"] = tuning_arn
    count = max(request.get("ResourceConfig", {}).get("InstanceCount", 1), 1)
    logs = {f"algo-{number}": processes.Log() for number in range(1, count + 1)}
    return Job(request, description, logs)


def enter(job, status, message, primary="InProgress", **more):
    """Enter a secondary status, and a status."""
    time, steps = now(), [dict(step) for step in job.description["SecondaryStatusTransitions"]]
    if steps:
        steps[-1]["EndTime"] = time
    steps.append({"Status": status, "StartTime": time, "StatusMessage": message})
    new = {"SecondaryStatus": status, "LastModifiedTime": time, "TrainingJobStatus": primary}
    job.description = job.description | new | more | {"SecondaryStatusTransitions": steps}


def judged(job, statuses):
    """Show the statuses of its Debugger rules, and tell of a change.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/debugger-cloudwatch-lambda.html
    """
    job.description = job.description | {"DebugRuleEvaluationStatuses": statuses}
    if job.hosts:
        emit_state(job)


def lose_host(job_name, when, times=1):
    """Take the hosts of a job away, as AWS takes back spot instances and loses machines.

    The next `times` times that the job of that name prints a line in which the regular expression
    `when` is found, its processes are killed. A job with EnableManagedSpotTraining is interrupted
    and begins again with its checkpoints; another one has an InternalServerError and begins again
    as often as its RetryStrategy says.
    """
    awaited[job_name] = [regex.compile(when)] * times


def fail(job, why):
    """End a job as failed; FailureReason holds 1024 characters."""
    enter(job, "Failed", "Training job failed", "Failed", FailureReason=why[:1024])


def conclude(job):
    """Give a job that was interrupted its final state, store its log and tell of its end."""
    if job.status == "InProgress":
        enter(job, "Stopped", "Training job stopped", "Stopped")
    end = now()
    job.description = job.description | {"TrainingEndTime": end, "LastModifiedTime": end}
    name = job.request["TrainingJobName"]
    records.tag(job.description["TrainingJobArn"], job.request.get("Tags", []))
    for host, log in job.logs.items():
        replace_log("/aws/sagemaker/TrainingJobs", f"{name}/{host}", log.lines())
    emit_state(job)


def emit_state(job):
    """Send the state of a job to EventBridge."""
    hidden = ("HyperParameters", "Environment")
    detail = {key: value for key, value in job.description.items() if key not in hidden}
    emit("Training Job", detail["TrainingJobArn"], detail)


def take_warm_pool(job):
    """Keep the status of warm pools: a job takes that of one with equal role and resources.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/train-warm-pools.html
    """

    def needs(one):
        same = "RoleArn VpcConfig EnableNetworkIsolation"
        needed = pick(one.request, f"{same} EnableInterContainerTrafficEncryption")
        resources = dict(one.request.get("ResourceConfig", {}))
        resources.pop("KeepAlivePeriodInSeconds", None)
        return needed | resources

    free = {"Status": "Available"}
    for other in list(jobs.values()):
        if other.description.get("WarmPoolStatus") == free and needs(other) == needs(job):
            taken = {"Status": "Reused", "ReusedByJob": job.request["TrainingJobName"]}
            other.description = other.description | {"WarmPoolStatus": taken}
            job.cache, other.cache = other.cache, None
            job.description = job.description | {"WarmPoolStatus": {"Status": "InUse"}}
            break


def leave_warm_pool(job):
    """Keep or drop the pool of a job that has ended, and what lies in its persistent cache.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/train-warm-pools.html
    """
    kept = job.description.get("ResourceConfig", {}).get("KeepAlivePeriodInSeconds")
    if kept and job.hosts and not job.lost:
        status = {"Status": "Available"}
    elif "WarmPoolStatus" in job.description:
        status = {"Status": "Terminated"}
    else:
        status = None
    if status:
        job.description = job.description | {"WarmPoolStatus": status}
    if job.cache and status != {"Status": "Available"}:
        shutil.rmtree(job.cache, ignore_errors=True)
        job.cache = None


def work(job, folder, watch, until):
    """Run the script of a job, again where its hosts are lost, and store what it leaves.

    In `folder` each host of each attempt gets a folder that stands for its /opt/ml.
    """
    job.limit = time.monotonic() + job.description["StoppingCondition"]["MaxRuntimeInSeconds"]
    spot = job.request.get("EnableManagedSpotTraining")
    retries = job.request.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0)
    for attempt in itertools.count():
        attend(job, folder / str(attempt), watch, until)
        if not job.lost or job.ended or not (spot or attempt < retries):
            break
        job.lost, job.hosts = False, []
        if spot:
            enter(job, "Interrupted", "Training job interrupted")
            emit_state(job)
        enter(job, *(("Starting", "Preparing the instances for training") if spot else RESTARTED))
        emit_state(job)
    job.debugger.finish([host.tensors for host in job.hosts])
    if job.lost and not job.ended:
        fail(job, "InternalServerError: We encountered an internal error. Please try again.")
        return
    enter(job, "Uploading", "Uploading generated training model")
    stamp = job.description["LastModifiedTime"]
    final = [
        {"MetricName": metric, "Value": values[-1], "Timestamp": stamp}
        for metric, values in job.metrics.items()
    ]
    job.description = job.description | {"FinalMetricDataList": final}
    try:
        artifacts = store(job)
    except (ClientError, BotoCoreError, OSError) as error:
        fail(job, f"ClientError: Artifact upload failed: {error}")
        return
    if job.failed:
        fail(job, f"AlgorithmError: {container.failure_reason(job.request, job.failed)}")
    elif job.ended:
        ended = "Training job stopped"
        enter(job, job.ended, ended, "Stopped", ModelArtifacts=artifacts)
    else:
        done = "Training job completed"
        enter(job, "Completed", done, "Completed", ModelArtifacts=artifacts)


def attend(job, folder, watch, until):
    """Fill /opt/ml of every host and run the script there, to its end or the loss of its hosts."""
    enter(job, "Downloading", "Downloading input data")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    names = list(job.logs)
    hosts = [
        container.prepare(job.request, name, names, folder / name, port, job.logs[name])
        for name in names
    ]
    for host in hosts:
        if job.cache and (job.cache / host.name).is_dir():
            shutil.copytree(job.cache / host.name, host.ml / container.CACHE, dirs_exist_ok=True)
    message = "Training image download completed. Training in progress."
    enter(job, "Training", message)
    first = {"TrainingStartTime": job.description["LastModifiedTime"]}
    job.description = first | job.description
    job.hosts = hosts
    run_hosts(job, watch, until)
    sync(job)
    if job.request.get("ResourceConfig", {}).get("KeepAlivePeriodInSeconds"):
        job.cache = job.cache or Path(tempfile.mkdtemp(prefix="warm-pool-", dir=caches.name))
        for host in hosts:
            shutil.copytree(host.ml / container.CACHE, job.cache / host.name, dirs_exist_ok=True)


def sync(job):
    """Store the checkpoints that have changed since the last time."""
    for host in job.hosts:
        for folder, uri in host.checkpoints:
            with contextlib.suppress(OSError):  # of files that are being written on Windows
                files.upload_changed(folder, uri, host.stored)


def store(job):
    """Store what the hosts left, and return ModelArtifacts.

    A job that leaves no model has the address of one all the same, at which nothing lies:
    https://github.com/aws/sagemaker-python-sdk/issues/608.
    """
    files.upload([pair for host in job.hosts for pair in host.synced])
    place = job.request["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    target = f"{place}/{job.request['TrainingJobName']}/output"
    data, models = ([host.ml / part for host in job.hosts] for part in ("output/data", "model"))
    files.upload_archive(data, f"{target}/output.tar.gz")
    if job.failed or job.hopeless:
        return {}
    files.upload_archive(models, f"{target}/model.tar.gz")
    return {"S3ModelArtifacts": f"{target}/model.tar.gz"}


def run_hosts(job, watch, until):
    """Run all hosts to their ends, a failure or a limit; collect lines and metrics."""
    image = job.request["AlgorithmSpecification"].get("TrainingImage", "")
    xgboost = container.image_kind(image) == "xgboost"
    patterns = []  # (name, expression, what a line that matches must hold)
    for metric in job.description["AlgorithmSpecification"]["MetricDefinitions"]:
        needle = metric["Name"].replace(":", "-") + ":" if xgboost else ""
        patterns.append((metric["Name"], regex.compile(metric["Regex"]), needle))
    limit, awaiting = job.limit, awaited.get(job.request["TrainingJobName"], [])
    printed, running, told, seen_at = queue.Queue(1000), 0, None, 0
    try:
        for host in job.hosts:
            if not job.ended:
                host.start(lambda line, host=host: printed.put((host, line)))
                running += 1
        while running:
            time_now = time.monotonic()
            if time_now >= min(limit, until) and not job.ended:
                job.ended = "MaxRuntimeExceeded" if limit < until else "Stopped"
            if not job.ended and time_now >= seen_at + 0.1:
                job.debugger.look([host.tensors for host in job.hosts])
                sync(job)
                seen_at = time_now
            if job.ended and told is None:
                told = time_now
                for host in job.hosts:
                    if host.process:
                        host.process.terminate()
            if told is not None and time_now >= told + processes.GRACE:
                kill(job.hosts)
            try:
                host, line = printed.get(timeout=min(0.1, max(0.001, limit - time_now)))
            except queue.Empty:
                continue
            if line is None:
                running -= 1
                if host.process.returncode and not (job.ended or job.failed or job.lost):
                    job.failed = host
                    kill(job.hosts)
            elif not (job.hopeless or job.lost):  # how much comes after the end is chance
                shown = keep(host, line, xgboost)
                if awaiting and awaiting[0].search(shown):
                    awaiting.pop(0)
                    job.lost = True
                    kill(job.hosts)
                for name, pattern, needle in patterns:
                    for value in values_in(shown, pattern) if needle in shown else ():
                        job.metrics.setdefault(name, []).append(value)
                        job.hopeless |= bool(watch(name, job.metrics[name]))
                if job.hopeless:
                    job.ended = job.ended or "Stopped"
    finally:
        kill(job.hosts)
        for _ in range(100_000):  # what was printed before an interrupt is in the log too
            try:
                host, line = printed.get(timeout=0.5 if running else 0.001)
            except queue.Empty:
                break
            if line is None:
                running -= 1
            elif not (job.hopeless or job.lost):
                keep(host, line, xgboost)


def keep(host, line, xgboost):
    """Put a line in the log of a host and return it as it stands there."""
    shown = line.rstrip().replace(host.ml.as_posix(), "/opt/ml")
    # as logs of this image show tabs: metrics.py of sagemaker-xgboost-container, commit ac147f2
    shown = shown.replace("\t", "#011") if xgboost else shown
    host.log.append(shown)
    return shown


def values_in(line, pattern):
    """Return the finite numbers, a list, that the first group of an expression finds in a line."""
    values = []
    try:
        for found in pattern.finditer(line, timeout=1):
            text = found.group(1) or ""  # a group may take no part in a match
            value = float(text) if "_" not in text else math.nan
            values += [value] * math.isfinite(value)
    except (ValueError, TimeoutError):
        return values
    return values


def kill(hosts):
    """End all that hosts run."""
    for host in hosts:
        if host.process:
            host.process.kill()


def find_job(request):
    """Return the Job that a request names, or answer ResourceNotFound."""
    if request["TrainingJobName"] not in jobs:
        raise Refused("Requested resource not found.", "ResourceNotFound")
    return jobs[request["TrainingJobName"]]


@answer
def describe_training_job(request):
    """DescribeTrainingJob."""
    return find_job(request).description


@answer
def stop_training_job(request):
    """Stop a job that runs in another thread; StopTrainingJob."""
    job = find_job(request)
    if job.status != "InProgress":
        raise Refused(f"The request was rejected: the training job is in status {job.status}.")
    job.ended = job.ended or "Stopped"
    return {}


@answer
def update_training_job(request):
    """Keep a warm pool for another time, or for none; UpdateTrainingJob."""
    job = find_job(request)
    if other := sorted(request.keys() - {"TrainingJobName", "ResourceConfig"}):
        raise NotImplementedError(f"The sandbox's UpdateTrainingJob has no {', '.join(other)}.")
    given = pick(request.get("ResourceConfig", {}), "KeepAlivePeriodInSeconds")
    resources = job.description.get("ResourceConfig", {}) | given
    job.description = job.description | {"ResourceConfig": resources}
    if job.description.get("WarmPoolStatus") == {"Status": "Available"}:
        leave_warm_pool(job)
    return pick(job.description, "TrainingJobArn")


@answer
def list_training_jobs(request):
    """ListTrainingJobs, without filters by date."""
    times = "CreationTime TrainingEndTime LastModifiedTime WarmPoolStatus"
    shown = f"TrainingJobName TrainingJobArn TrainingJobStatus SecondaryStatus {times}"
    items = [pick(job.description, shown) for job in list(jobs.values())]
    found, more = listed(items, request, "TrainingJob")
    return {"TrainingJobSummaries": found, **more}
