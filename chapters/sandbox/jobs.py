"""Training jobs: they run their script, under the contract of SageMaker's containers.

Source: https://github.com/aws/sagemaker-training-toolkit (environment variables, arguments, exit)
and https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html (folders, failure file).
"""

import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from botocore.exceptions import ClientError

from . import files, guard
from .api import REGION, Refused, answer, arn, emit, listed, now, write_log

LOGS = "/aws/sagemaker/TrainingJobs"
GRACE = 120  # seconds between SIGTERM and SIGKILL, as documented for StopTrainingJob
# member of the request: (its S3 location, its default folder, what SageMaker appends to the location)
SYNCED = {
    "CheckpointConfig": ("S3Uri", "/opt/ml/checkpoints", ""),
    "TensorBoardOutputConfig": (
        "S3OutputPath",
        "/opt/ml/output/tensorboard",
        "/{name}/tensorboard-output",
    ),
    "DebugHookConfig": (
        "S3OutputPath",
        "/opt/ml/output/tensors",
        "/{name}/debug-output",
    ),
}
XGBOOST = Path(__file__).with_name("xgboost_image.py")
XGBOOST_METRICS = (
    "auc aucpr error logloss mae map mape merror mlogloss mphe ndcg rmse rmsle".split()
)

jobs = {}  # name: Job


@dataclass
class Job:
    """A training job: its request, what describe tells, its metrics (name: values in order), and its process."""

    request: dict
    description: dict
    metrics: dict = field(default_factory=dict)
    process: subprocess.Popen | None = None
    ended: str = ""  # why it was told to end: a secondary status
    hopeless: bool = False  # early stopping ended it


def is_xgboost(image):
    """Return whether an image is that of the built-in XGBoost."""
    return "/sagemaker-xgboost:" in image or "/xgboost:" in image


def script_mode(request):
    """Return whether a job brings its script."""
    return "sagemaker_program" in request.get("HyperParameters", {})


def unsupported(request):
    """Raise NotImplementedError for the first thing in a valid request that the sandbox would not do for real."""
    algorithm, output = request["AlgorithmSpecification"], request["OutputDataConfig"]
    channels = request.get("InputDataConfig", [])
    sources = [channel["DataSource"].get("S3DataSource") for channel in channels]
    modes = [
        algorithm["TrainingInputMode"],
        *(channel.get("InputMode") for channel in channels),
    ]
    resources = request.get("ResourceConfig", {})
    builtin = not script_mode(request) and is_xgboost(
        algorithm.get("TrainingImage", "")
    )
    limits = {
        "runs a job on one host": resources.get("InstanceCount", 1) != 1
        or "InstanceGroups" in resources,
        "reads channels from S3 prefixes": any(
            not s or s["S3DataType"] != "S3Prefix" for s in sources
        ),
        "has the input modes File and FastFile": "Pipe" in modes,
        "takes input as it is": any(
            c.get("CompressionType", "None") != "None" for c in channels
        ),
        "stores models as tar.gz": output.get("CompressionType", "GZIP") != "GZIP",
        "has no serverless customization": "ServerlessJobConfig" in request,
        "starts Python scripts, not commands": "ContainerEntrypoint" in algorithm,
        "runs a script (hyperparameters sagemaker_program and sagemaker_submit_directory) or the built-in XGBoost": (
            not builtin and not script_mode(request)
        ),
        'reads CSV with the built-in XGBoost (ContentType "text/csv" for each channel)': (
            builtin
            and any(
                not c.get("ContentType", "").startswith("text/csv") for c in channels
            )
        ),
    }
    for limit, broken in limits.items():
        if broken:
            raise NotImplementedError(f"The request is valid, but the sandbox {limit}.")


def check_inputs(request):
    """Refuse a job whose input data is missing, in the words of AWS."""
    for channel in request.get("InputDataConfig", []):
        uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
        if not files.find(uri):
            raise Refused(
                f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
                f"exists in the selected region ({REGION}), that objects exist under that S3 prefix, and that the "
                f'role "{request["RoleArn"]}" has "s3:ListBucket" permissions on bucket "{files.split(uri)[0]}".'
            )


@answer
def create_training_job(request):
    """Run a job to its end; CreateTrainingJob."""
    earlier = jobs.get(request["TrainingJobName"])
    if earlier and earlier.request != request:
        raise Refused(
            "Training job names must be unique within an AWS account and region.",
            "ResourceInUse",
        )
    return {"TrainingJobArn": launch(request).description["TrainingJobArn"]}


def launch(request, watch=None, **more):
    """Run a training job to its end and return it, a Job.

    `watch(metric, values)` is told of every value and returns True to stop the job; `more` goes into the description.
    Raises NotImplementedError for what the sandbox cannot do, Refused for missing input.
    """
    unsupported(request)
    check_inputs(request)
    name, start = request["TrainingJobName"], now()
    description = {key: value for key, value in request.items() if key != "Tags"} | more
    description |= {
        "TrainingJobArn": arn("training-job", name),
        "TrainingJobStatus": "InProgress",
    }
    description |= {
        "StoppingCondition": {"MaxRuntimeInSeconds": 86_400}
        | request.get("StoppingCondition", {})
    }
    description |= {
        "CreationTime": start,
        "ModelArtifacts": {},
        "SecondaryStatusTransitions": [],
    }
    algorithm = request["AlgorithmSpecification"]
    if not script_mode(request):
        names = [
            f"{channel}:{metric}"
            for channel in ("train", "validation")
            for metric in XGBOOST_METRICS
        ]
        algorithm = algorithm | {
            "MetricDefinitions": [
                {"Name": name, "Regex": rf"\[\d+\].*\s{name.replace(':', '-')}:(\S+)"}
                for name in names
            ]
        }
    description["AlgorithmSpecification"] = algorithm
    jobs[name] = job = Job(request, description)
    take_warm_pool(job)
    move(job, "Starting", "Preparing the instances for training")
    emit_state(job)
    with tempfile.TemporaryDirectory() as folder:
        run(job, Path(folder).resolve() / "ml", watch or (lambda *_: False))
    description["TrainingEndTime"] = description["LastModifiedTime"] = now()
    emit_state(job)
    return job


def move(job, status, message):
    """Enter a secondary status."""
    time, steps = now(), job.description["SecondaryStatusTransitions"]
    if steps:
        steps[-1]["EndTime"] = time
    steps.append({"Status": status, "StartTime": time, "StatusMessage": message})
    job.description |= {"SecondaryStatus": status, "LastModifiedTime": time}


def emit_state(job):
    """Send the state of a job to EventBridge."""
    left_out = ("HyperParameters", "Environment")
    detail = {
        key: value for key, value in job.description.items() if key not in left_out
    }
    emit("Training Job", job.description["TrainingJobArn"], detail)


def take_warm_pool(job):
    """Keep the status of warm pools: a job takes the pool of an earlier one with the same role and resources.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/train-warm-pools.html
    """

    def needs(other):
        resources = dict(other.request.get("ResourceConfig", {}))
        keep = resources.pop("KeepAlivePeriodInSeconds", 0)
        same = (
            "RoleArn",
            "VpcConfig",
            "EnableNetworkIsolation",
            "EnableInterContainerTrafficEncryption",
        )
        return keep, resources, *(other.request.get(key) for key in same)

    for other in jobs.values():
        if (
            other.description.get("WarmPoolStatus") == {"Status": "Available"}
            and needs(other)[1:] == needs(job)[1:]
        ):
            other.description["WarmPoolStatus"] = {
                "Status": "Reused",
                "ReusedByJob": job.request["TrainingJobName"],
            }
            break
    if needs(job)[0]:
        job.description["WarmPoolStatus"] = {"Status": "Available"}


def run(job, ml, watch):
    """Prepare /opt/ml, run the script, store what it leaves, and set the final status. `ml` stands for /opt/ml."""
    request, name = job.request, job.request["TrainingJobName"]
    lines = []
    move(job, "Downloading", "Downloading input data")
    try:
        command, environment, synced = prepare(request, ml)
    except (ClientError, tarfile.TarError, OSError) as error:
        fail(job, f"framework error: {type(error).__name__}: {error}")
        return
    move(job, "Training", "Training image download completed. Training in progress.")
    job.description["TrainingStartTime"] = job.description["LastModifiedTime"]
    execute(job, command, environment, ml, lines, watch)
    move(job, "Uploading", "Uploading generated training model")
    for folder, uri in synced:
        files.upload(folder, uri)
    target = f"{request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{name}/output"
    files.upload_archive(ml / "output/data", f"{target}/output.tar.gz")
    code = job.process.returncode
    if code and not job.ended:
        fail(job, reason(ml, lines, code, command))
    elif not job.hopeless and (
        model := files.upload_archive(ml / "model", f"{target}/model.tar.gz")
    ):
        job.description["ModelArtifacts"] = {"S3ModelArtifacts": model}
    last = {key: values[-1] for key, values in job.metrics.items()}
    stamp = job.description["LastModifiedTime"]
    job.description["FinalMetricDataList"] = [
        {"MetricName": key, "Value": value, "Timestamp": stamp}
        for key, value in last.items()
    ]
    if job.ended:
        move(job, job.ended, "Training job stopped")
        job.description["TrainingJobStatus"] = "Stopped"
    elif not code:
        move(job, "Completed", "Training job completed")
        job.description["TrainingJobStatus"] = "Completed"
    write_log(LOGS, f"{name}/algo-1", lines)


def fail(job, why):
    """End a job as failed; FailureReason holds 1024 characters."""
    move(job, "Failed", "Training job failed")
    job.description |= {
        "TrainingJobStatus": "Failed",
        "FailureReason": f"AlgorithmError: {why}"[:1024],
    }


def reason(ml, lines, code, command):
    """Return why a script failed: its failure file, or the last line that it printed, an exception's as a rule."""
    failure = ml / "output/failure"
    if failure.exists():
        return f"{failure.read_text()}, exit code: {code}"
    last = next((line for line in reversed(lines) if line.strip()), "")
    shown = " ".join(["python", Path(command[1]).name, *command[2:]]).replace(
        ml.as_posix(), "/opt/ml"
    )
    return f'ExecuteUserScriptError:\nExitCode {code}\nErrorMessage "{last}"\nCommand "{shown}", exit code: {code}'


def prepare(request, ml):
    """Fill /opt/ml and return the command, its environment and the folders to store at the end with their URIs."""
    for folder in ("code", "model", "input/config", "output/data"):
        (ml / folder).mkdir(parents=True)

    def local(text):
        return text.replace("/opt/ml", ml.as_posix())

    synced = []
    for member in SYNCED.keys() & request.keys():
        location, default, suffix = SYNCED[member]
        folder = Path(local(request[member].get("LocalPath", default)))
        folder.mkdir(parents=True, exist_ok=True)
        uri = request[member][location].rstrip("/") + suffix.format(
            name=request["TrainingJobName"]
        )
        synced.append((folder, uri))
        if member == "CheckpointConfig":
            files.download(uri.rstrip("/") + "/", folder)

    hyper, special = {}, {}
    for key, value in sorted(request.get("HyperParameters", {}).items()):
        own = key.startswith("sagemaker_") or key == "_tuning_objective_metric"
        (special if own else hyper)[key] = decode(local(value))
    program = XGBOOST
    if script_mode(request):
        program = ml / "code" / special["sagemaker_program"]
        unpack_code(special.get("sagemaker_submit_directory", ""), ml)
    arguments = [
        part
        for key, value in hyper.items()
        for part in ("-" * min(len(key), 2) + key, str(value))
    ]
    channels = {}
    for channel in request.get("InputDataConfig", []):
        channels[channel["ChannelName"]] = folder = (
            ml / "input/data" / channel["ChannelName"]
        )
        files.download(channel["DataSource"]["S3DataSource"]["S3Uri"], folder)

    hosts = {"current_host": "algo-1", "hosts": ["algo-1"]}
    for file, content in (
        ("hyperparameters", request.get("HyperParameters", {})),
        ("resourceconfig", hosts),
    ):
        (ml / f"input/config/{file}.json").write_text(json.dumps(content))
    name = request["TrainingJobName"]
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith("AWS_")
    } | guard.LOCAL
    environment |= {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",  # a script that calls AWS reaches nobody
        "AWS_REGION": REGION,
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",  # small jobs are quicker and repeat exactly
        "PYTHONUNBUFFERED": "1",
        "TRAINING_JOB_NAME": name,
        "TRAINING_JOB_ARN": arn("training-job", name),
        "SM_CHANNELS": json.dumps(sorted(channels)),
        "SM_CURRENT_HOST": "algo-1",
        "SM_HOSTS": '["algo-1"]',
        "SM_HPS": json.dumps(hyper),
        "SM_INPUT_DIR": str(ml / "input"),
        "SM_INPUT_CONFIG_DIR": str(ml / "input/config"),
        "SM_MODEL_DIR": str(ml / "model"),
        "SM_MODULE_DIR": str(special.get("sagemaker_submit_directory", "")),
        "SM_MODULE_NAME": program.stem,
        "SM_NUM_CPUS": str(os.cpu_count()),
        "SM_NUM_GPUS": "0",
        "SM_OUTPUT_DIR": str(ml / "output"),
        "SM_OUTPUT_DATA_DIR": str(ml / "output/data"),
        "SM_USER_ARGS": json.dumps(arguments),
        "SM_USER_ENTRY_POINT": program.name,
    }
    environment |= {f"SM_HP_{key.upper()}": str(value) for key, value in hyper.items()}
    environment |= {
        f"SM_CHANNEL_{key.upper()}": str(folder) for key, folder in channels.items()
    }
    environment |= {
        key: local(value) for key, value in request.get("Environment", {}).items()
    }
    return [sys.executable, str(program), *arguments], environment, synced


def decode(text):
    """Return a hyperparameter as its JSON says, or the text itself: "3" is 3, "relu" is "relu"."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def unpack_code(uri, ml, folder="code"):
    """Unpack a script archive below `ml`, with "/opt/ml" in the Python files rewritten to `ml`."""
    files.unpack(uri, ml / folder)
    for path in (ml / folder).rglob("*.py"):
        path.write_text(
            path.read_text(encoding="utf8").replace("/opt/ml", ml.as_posix()),
            encoding="utf8",
        )


def execute(job, command, environment, ml, lines, watch):
    """Run the command to its end or its MaxRuntimeInSeconds; collect its lines and its metrics."""
    patterns = {
        metric["Name"]: re.compile(metric["Regex"])
        for metric in job.description["AlgorithmSpecification"].get(
            "MetricDefinitions", []
        )
    }
    job.process = subprocess.Popen(
        command,
        cwd=ml / "code",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf8",
        errors="replace",
    )
    limit = job.description["StoppingCondition"]["MaxRuntimeInSeconds"]
    timers = [
        threading.Timer(limit, end, (job, "MaxRuntimeExceeded")),
        threading.Timer(limit + GRACE, job.process.kill),
    ]
    for timer in timers:
        timer.daemon = True
        timer.start()
    try:
        for line in job.process.stdout:
            if job.hopeless:
                continue  # how much a script still prints after the order to stop is chance
            lines.append(line.rstrip().replace(ml.as_posix(), "/opt/ml"))
            for name, pattern in patterns.items():
                for found in pattern.finditer(line):
                    job.hopeless = (
                        record(job, name, found.group(1), watch) or job.hopeless
                    )
            if job.hopeless:
                end(job, "Stopped")
        job.process.wait()
    finally:  # an interrupted notebook leaves nothing running
        for timer in timers:
            timer.cancel()
        job.process.kill()


def record(job, name, text, watch):
    """Add a metric's value, unless it is no number, and return what the watch says of it."""
    try:
        value = float(text)
    except ValueError:
        return False
    job.metrics.setdefault(name, []).append(value)
    return watch(name, job.metrics[name])


def end(job, why):
    """Tell a running job to end."""
    job.ended = job.ended or why
    job.process.terminate()


def find_job(request):
    """Return the Job that a request names, or answer ResourceNotFound."""
    if request["TrainingJobName"] not in jobs:
        raise Refused("Requested resource not found.", "ResourceNotFound")
    return jobs[request["TrainingJobName"]]


@answer
def describe_training_job(request):
    """DescribeTrainingJob; times and durations as the package says."""
    return find_job(request).description


@answer
def stop_training_job(request):
    """Stop a job that runs in another thread; StopTrainingJob."""
    job = find_job(request)
    status = job.description["TrainingJobStatus"]
    if status != "InProgress" or job.process is None:
        raise Refused(
            f"The request was rejected because the training job is in status {status}."
        )
    end(job, "Stopped")
    return {}


@answer
def list_training_jobs(request):
    """ListTrainingJobs, without filters by date."""
    found, more = listed(
        [job.description for job in jobs.values()],
        request,
        name="TrainingJobName",
        status="TrainingJobStatus",
        keys={
            "CreationTime": lambda job: job["CreationTime"],
            "Name": lambda job: job["TrainingJobName"],
            "Status": lambda job: job["TrainingJobStatus"],
        },
    )
    shown = "TrainingJobName TrainingJobArn CreationTime TrainingEndTime LastModifiedTime TrainingJobStatus".split()
    shown += ["SecondaryStatus", "WarmPoolStatus"]
    return {
        "TrainingJobSummaries": [
            {key: job[key] for key in shown if key in job} for job in found
        ],
        **more,
    }
