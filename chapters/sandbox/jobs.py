"""The API of training jobs, and a job's way from its request to its final state.

Source for one archive of all hosts:
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html
"""

import math
import queue
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

jobs = {}  # name: Job


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
        ("Pipe" in modes, "has the input modes File and FastFile"),
        (any(kind != "None" for kind in packed), "takes input as it is, not compressed"),
        (compressed != "GZIP", "stores models as tar.gz"),
        (
            builtin and "DebugRuleConfigurations" in request,
            "saves no tensors of the built-in XGBoost, so that a rule has nothing to judge",
        ),
        ("ProfilerRuleConfigurations" in request, "has no profiler rules"),
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
            break
    if job.request.get("ResourceConfig", {}).get("KeepAlivePeriodInSeconds"):
        job.description = job.description | {"WarmPoolStatus": free}


def work(job, folder, watch, until):
    """Fill /opt/ml of every host, run the script there, store what it leaves, and set the status.

    In `folder` each host gets a folder that stands for its /opt/ml.
    """
    enter(job, "Downloading", "Downloading input data")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    names = list(job.logs)
    hosts = [
        container.prepare(job.request, name, names, folder / name, port, job.logs[name])
        for name in names
    ]
    message = "Training image download completed. Training in progress."
    enter(job, "Training", message)
    job.description = job.description | {"TrainingStartTime": job.description["LastModifiedTime"]}
    job.hosts = hosts
    run_hosts(job, watch, until)
    job.debugger.finish([host.tensors for host in hosts])
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
    limit = time.monotonic() + job.description["StoppingCondition"]["MaxRuntimeInSeconds"]
    printed, running, told, judged_at = queue.Queue(1000), 0, None, 0
    try:
        for host in job.hosts:
            if not job.ended:
                host.start(lambda line, host=host: printed.put((host, line)))
                running += 1
        while running:
            time_now = time.monotonic()
            if time_now >= min(limit, until) and not job.ended:
                job.ended = "MaxRuntimeExceeded" if limit < until else "Stopped"
            if not job.ended and time_now >= judged_at + 0.1:
                job.debugger.look([host.tensors for host in job.hosts])
                judged_at = time_now
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
                if host.process.returncode and not (job.ended or job.failed):
                    job.failed = host
                    kill(job.hosts)
            elif not job.hopeless:  # how much comes after the order to stop is chance
                shown = keep(host, line, xgboost)
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
            elif not job.hopeless:
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
def list_training_jobs(request):
    """ListTrainingJobs, without filters by date."""
    times = "CreationTime TrainingEndTime LastModifiedTime WarmPoolStatus"
    shown = f"TrainingJobName TrainingJobArn TrainingJobStatus SecondaryStatus {times}"
    items = [pick(job.description, shown) for job in list(jobs.values())]
    found, more = listed(items, request, "TrainingJob")
    return {"TrainingJobSummaries": found, **more}
