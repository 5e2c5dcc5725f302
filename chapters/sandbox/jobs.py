"""Training jobs: they run their script, under the contract of SageMaker's containers.

Sources: https://github.com/aws/sagemaker-training-toolkit (variables, arguments, errors),
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html (folders),
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html (one
archive of all hosts).
"""

import json
import os
import queue
import re
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from botocore.exceptions import ClientError

from . import files, guard
from .api import REGION, Refused, answer, arn, emit, listed, now, pick, write_log

GRACE = 120  # seconds from SIGTERM to SIGKILL, as documented for StopTrainingJob
MOST_HOSTS = 8  # of one job: each is a process with libraries of its own in memory
# member of the request: its S3 location, its default folder, what SageMaker appends
SYNCED = {
    "CheckpointConfig": ("S3Uri", "/opt/ml/checkpoints", ""),
    "TensorBoardOutputConfig": (
        "S3OutputPath",
        "/opt/ml/output/tensorboard",
        "/{}/tensorboard-output",
    ),
    "DebugHookConfig": ("S3OutputPath", "/opt/ml/output/tensors", "/{}/debug-output"),
}
# hyperparameters by which the toolkit starts the script under torchrun, mpirun or a relative of
# theirs
LAUNCHERS = (
    "sagemaker_torch_distributed_enabled",
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_mpi_enabled",
    "sagemaker_parameter_server_enabled",
)
# what a container's process takes over from this machine: where things are, language and time, and
# what decides with which threads and instructions the libraries compute
INHERITED = """
    PATH PYTHONPATH LD_LIBRARY_PATH HOME TMPDIR LANG LC_ALL TZ PYTHONHASHSEED
    SYSTEMROOT WINDIR COMSPEC PATHEXT USERPROFILE APPDATA LOCALAPPDATA TEMP TMP
    OPENBLAS_NUM_THREADS OPENBLAS_CORETYPE MKL_NUM_THREADS NPY_DISABLE_CPU_FEATURES GLIBC_TUNABLES
    TF_NUM_INTRAOP_THREADS TF_NUM_INTEROP_THREADS TF_ENABLE_ONEDNN_OPTS TF_CPP_MIN_LOG_LEVEL
    ONEDNN_MAX_CPU_ISA XLA_FLAGS JAX_PLATFORMS CUDA_VISIBLE_DEVICES
""".split()
XGBOOST = Path(__file__).with_name("xgboost_image.py")
XGBOOST_METRICS = "auc aucpr error logloss mae map mape merror mlogloss ndcg rmse rmsle"

jobs = {}  # name: Job


@dataclass
class Host:
    """A host of a training job: a process, with a folder that stands for /opt/ml."""

    ml: Path
    command: list
    environment: dict
    synced: list  # (folder, URI) to store
    lines: list  # what the script printed
    process: subprocess.Popen | None = None


@dataclass
class Job:
    """A training job: its request, what describe tells, its metrics and its hosts."""

    request: dict
    description: dict
    lines: dict  # name of a host: what its script printed
    metrics: dict = field(default_factory=dict)  # name: values, in order
    hosts: list = field(default_factory=list)  # from their start on
    failed: Host | None = None  # the first host that failed by itself
    ended: str = ""  # the secondary status with which it was told to end
    hopeless: bool = False  # early stopping told it so


def is_xgboost(image):
    """Return whether an image is that of the built-in XGBoost."""
    return "/sagemaker-xgboost:" in image


def check(request):
    """Refuse a job without input data; raise NotImplementedError for what is not real here."""
    algorithm = request.get("AlgorithmSpecification", {})
    channels = request.get("InputDataConfig", [])
    sources = [c["DataSource"].get("S3DataSource", {}) for c in channels]
    modes = [algorithm.get("TrainingInputMode"), *(c.get("InputMode") for c in channels)]
    resources = request.get("ResourceConfig", {})
    hyper = request.get("HyperParameters", {})
    script = "sagemaker_program" in hyper
    launched = any(decode(hyper.get(key, "false")) for key in LAUNCHERS)
    builtin = not script and is_xgboost(algorithm.get("TrainingImage", ""))
    types = [c.get("ContentType", "").partition(";")[0] for c in channels]
    packed = [c.get("CompressionType", "None") for c in channels]
    compressed = request["OutputDataConfig"].get("CompressionType", "GZIP")
    mixed = {"InstanceGroups", "InstancePreferences"} & resources.keys()
    count = resources.get("InstanceCount", 1)
    for broken, limit in (
        (mixed, "has hosts of one kind, of InstanceType"),
        (count > MOST_HOSTS, f"runs a job on at most {MOST_HOSTS} hosts"),
        (builtin and count > 1, "runs the built-in XGBoost on one host"),
        (any(s.get("S3DataType") != "S3Prefix" for s in sources), "reads S3 prefixes only"),
        ("Pipe" in modes, "has the input modes File and FastFile"),
        (any(kind != "None" for kind in packed), "takes input as it is, not compressed"),
        (compressed != "GZIP", "stores models as tar.gz"),
        ("ServerlessJobConfig" in request, "has no serverless customization"),
        ("ContainerEntrypoint" in algorithm, "starts Python scripts, not commands"),
        (launched, "starts scripts without torchrun, mpirun or SMDDP"),
        (
            not (script or builtin),
            "runs a script (hyperparameters sagemaker_program, sagemaker_submit_directory) "
            "or the built-in XGBoost",
        ),
        (
            builtin and any(kind != "text/csv" for kind in types),
            "gives the built-in XGBoost channels of ContentType text/csv",
        ),
    ):
        if broken:
            raise NotImplementedError(f"The request is valid, but the sandbox {limit}.")
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
    if earlier and earlier.request != request:
        message = "Training job names must be unique within an AWS account and region."
        raise Refused(message, "ResourceInUse")
    return pick(launch(request).description, "TrainingJobArn")


def launch(request, watch=lambda *_: False, tuning_arn=None):
    """Run a training job to its end and return the Job.

    `watch(metric, values)` hears of each value and returns True to stop the job.
    Raises as `check` does.
    """
    check(request)
    name, algorithm = request["TrainingJobName"], request["AlgorithmSpecification"]
    if "sagemaker_program" not in request.get("HyperParameters", {}):
        names = [f"{c}:{m}" for c in ("train", "validation") for m in XGBOOST_METRICS.split()]
        regexes = [rf"\[\d+\].*\s{name.replace(':', '-')}:(\S+)" for name in names]
        metrics = [{"Name": one, "Regex": regex} for one, regex in zip(names, regexes)]
        algorithm = algorithm | {"MetricDefinitions": metrics}
    stop = {"MaxRuntimeInSeconds": 86_400} | request.get("StoppingCondition", {})
    description = {key: value for key, value in request.items() if key != "Tags"}
    description |= {
        "TrainingJobArn": arn("training-job", name),
        "TrainingJobStatus": "InProgress",
        "AlgorithmSpecification": algorithm,
        "StoppingCondition": stop,
        "CreationTime": now(),
        "ModelArtifacts": {},
        "SecondaryStatusTransitions": [],
    }
    if tuning_arn:
        description["TuningJobArn"] = tuning_arn
    count = request.get("ResourceConfig", {}).get("InstanceCount", 1)
    lines = {f"algo-{number}": [] for number in range(1, max(count, 1) + 1)}
    jobs[name] = job = Job(request, description, lines)
    take_warm_pool(job)
    move(job, "Starting", "Preparing the instances for training")
    emit_state(job)
    with tempfile.TemporaryDirectory() as folder:
        run(job, Path(folder).resolve(), watch)
    description["TrainingEndTime"] = description["LastModifiedTime"] = now()
    for host, lines in job.lines.items():
        write_log("/aws/sagemaker/TrainingJobs", f"{name}/{host}", lines)
    emit_state(job)
    return job


def move(job, status, message, primary="InProgress"):
    """Enter a secondary status, and a status."""
    time, steps = now(), job.description["SecondaryStatusTransitions"]
    if steps:
        steps[-1]["EndTime"] = time
    steps.append({"Status": status, "StartTime": time, "StatusMessage": message})
    new = {"SecondaryStatus": status, "LastModifiedTime": time}
    job.description |= new | {"TrainingJobStatus": primary}


def fail(job, why):
    """End a job as failed; FailureReason holds 1024 characters."""
    move(job, "Failed", "Training job failed", "Failed")
    job.description["FailureReason"] = f"AlgorithmError: {why}"[:1024]


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
    for other in jobs.values():
        if other.description.get("WarmPoolStatus") == free and needs(other) == needs(job):
            taken = {"Status": "Reused", "ReusedByJob": job.request["TrainingJobName"]}
            other.description["WarmPoolStatus"] = taken
            break
    if job.request.get("ResourceConfig", {}).get("KeepAlivePeriodInSeconds"):
        job.description["WarmPoolStatus"] = free


def run(job, folder, watch):
    """Fill /opt/ml of every host, run the script there, store what it leaves, and set the final
    status.

    In `folder` each host gets a folder that stands for its /opt/ml.
    """
    name, output = job.request["TrainingJobName"], job.request["OutputDataConfig"]
    move(job, "Downloading", "Downloading input data")
    try:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        hosts = [prepare(job, host, folder / host, port) for host in job.lines]
    except (ClientError, tarfile.TarError, OSError) as error:
        fail(job, f"framework error: {type(error).__name__}: {error}")
        return
    move(job, "Training", "Training image download completed. Training in progress.")
    job.description["TrainingStartTime"] = job.description["LastModifiedTime"]
    execute(job, hosts, watch)
    move(job, "Uploading", "Uploading generated training model")
    files.upload([pair for host in hosts for pair in host.synced])
    target = f"{output['S3OutputPath'].rstrip('/')}/{name}/output"
    data, models = ([host.ml / part for host in hosts] for part in ("output/data", "model"))
    files.upload_archive(data, f"{target}/output.tar.gz")
    stamp = job.description["LastModifiedTime"]
    job.description["FinalMetricDataList"] = [
        {"MetricName": metric, "Value": values[-1], "Timestamp": stamp}
        for metric, values in job.metrics.items()
    ]
    if job.failed:
        fail(job, reason(job.failed))
        return
    if not job.hopeless:
        model = files.upload_archive(models, f"{target}/model.tar.gz")
        job.description["ModelArtifacts"] = {"S3ModelArtifacts": model} if model else {}
    if job.ended:
        move(job, job.ended, "Training job stopped", "Stopped")
    else:
        move(job, "Completed", "Training job completed", "Completed")


def reason(host):
    """Return why a script failed: its failure file, or its last line, an exception's."""
    code, failure = host.process.returncode, host.ml / "output/failure"
    if failure.exists():
        return f"{failure.read_text()}, exit code: {code}"
    last = next((line for line in reversed(host.lines) if line.strip()), "")
    shown = " ".join(["python", Path(host.command[1]).name, *host.command[2:]])
    shown = shown.replace(host.ml.as_posix(), "/opt/ml")
    told = f'ErrorMessage "{last}"\nCommand "{shown}", exit code: {code}'
    return f"ExecuteUserScriptError:\nExitCode {code}\n{told}"


def prepare(job, host, ml, port):
    """Fill /opt/ml of the host of that name; return the Host.

    With ShardedByS3Key each of n hosts gets about 1/n of the objects of a channel:
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html.
    """
    request, hosts = job.request, list(job.lines)
    for folder in ("code", "model", "input/config", "output/data"):
        (ml / folder).mkdir(parents=True)

    def local(text):
        return text.replace("/opt/ml", ml.as_posix())

    name, synced, hyper, special, channels = request["TrainingJobName"], [], {}, {}, {}
    for member in SYNCED.keys() & request.keys():
        location, default, suffix = SYNCED[member]
        folder = Path(local(request[member].get("LocalPath", default)))
        folder.mkdir(parents=True, exist_ok=True)
        uri = request[member][location].rstrip("/") + suffix.format(name)
        synced.append((folder, uri))
        if member == "CheckpointConfig":
            files.download(uri + "/", folder)
    for key, value in sorted(request.get("HyperParameters", {}).items()):
        own = key.startswith("sagemaker_") or key == "_tuning_objective_metric"
        (special if own else hyper)[key] = decode(local(value))
    for channel in request.get("InputDataConfig", []):
        folder = ml / "input/data" / channel["ChannelName"]
        folder.mkdir(parents=True, exist_ok=True)
        data = channel["DataSource"]["S3DataSource"]
        sharded = data.get("S3DataDistributionType") == "ShardedByS3Key"
        part = slice(hosts.index(host), None, len(hosts)) if sharded else slice(None)
        files.download(data["S3Uri"], folder, part)
        channels[channel["ChannelName"]] = str(folder)
    source, program = special.get("sagemaker_submit_directory", ""), XGBOOST
    if "sagemaker_program" in special:
        unpack_code(source, ml, "code")
        program = ml / "code" / special["sagemaker_program"]
    options = {"-" * min(len(key), 2) + key: str(value) for key, value in hyper.items()}
    arguments = [part for option in options.items() for part in option]

    variables, resources = neighbours(request, hosts, host, port)
    config = {"hyperparameters": request.get("HyperParameters", {}), "resourceconfig": resources}
    for file, content in config.items():
        (ml / f"input/config/{file}.json").write_text(json.dumps(content))
    variables |= {
        "CHANNELS": sorted(channels),
        "HPS": hyper,
        "INPUT_DIR": str(ml / "input"),
        "INPUT_CONFIG_DIR": str(ml / "input/config"),
        "MODEL_DIR": str(ml / "model"),
        "MODULE_DIR": source,
        "MODULE_NAME": program.stem,
        "NUM_CPUS": os.cpu_count(),
        "NUM_GPUS": 0,
        "OUTPUT_DIR": str(ml / "output"),
        "OUTPUT_DATA_DIR": str(ml / "output/data"),
        "USER_ARGS": arguments,
        "USER_ENTRY_POINT": program.name,
    }
    variables |= {f"HP_{key.upper()}": value for key, value in hyper.items()}
    variables |= {f"CHANNEL_{key.upper()}": path for key, path in channels.items()}
    environment = container_environment()
    environment |= {"TRAINING_JOB_NAME": name, "TRAINING_JOB_ARN": arn("training-job", name)}
    for key, value in variables.items():
        environment[f"SM_{key}"] = value if isinstance(value, str) else json.dumps(value)
    environment |= {k: local(v) for k, v in request.get("Environment", {}).items()}
    command = [sys.executable, str(program), *arguments]
    return Host(ml, command, environment, synced, job.lines[host])


def container_environment():
    """Return the variables with which the process of every container starts, a dict of strings.

    These are the variables of this process that INHERITED names, as far as they are set, and some
    that are the same everywhere. All else in the notebook's environment stays out of jobs and
    endpoints, as a container's would: its terminal, its colours, its credentials.
    """
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    fixed = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",  # a script that calls AWS finds nobody
        "AWS_REGION": REGION,
        "MPLBACKEND": "Agg",
        "NO_COLOR": "1",
        "OMP_NUM_THREADS": "1",  # small jobs are quicker so, and repeat exactly
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",  # their output is read as UTF-8
        "PYTHON_COLORS": "0",  # from Python 3.13 on, a traceback would have colours
    }
    return inherited | guard.LOCAL | fixed


def neighbours(request, hosts, host, port):
    """Return by what a host knows the others: SM_ variables, and the content of
    resourceconfig.json.

    Sources:
    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
    (the file), and container_drivers/scripts/environment.py of
    https://github.com/aws/sagemaker-python-sdk, version 3 (rank, count, address and port).
    """
    kind = request.get("ResourceConfig", {}).get("InstanceType")
    resources = {"current_host": host, "current_instance_type": kind, "hosts": hosts}
    resources["network_interface_name"] = "lo"
    variables = {key.upper(): value for key, value in resources.items()}
    variables |= {"CURRENT_HOST_RANK": hosts.index(host), "HOST_COUNT": len(hosts)}
    variables |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    name = "homogeneousCluster"
    group = {"instance_group_name": name, "instance_type": kind, "hosts": hosts}
    resources |= {"current_group_name": name, "instance_groups": [group]}
    return variables, resources


def decode(text):
    """Return a hyperparameter as its JSON says, or the text: "3" is 3, "relu" is "relu"."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def unpack_code(uri, ml, folder):
    """Unpack scripts below `ml`, with "/opt/ml" in the Python files rewritten to `ml`."""
    files.unpack(uri, ml / folder)
    for path in (ml / folder).rglob("*.py"):
        text = path.read_text(encoding="utf8").replace("/opt/ml", ml.as_posix())
        path.write_text(text, encoding="utf8")


def start(host, printed):
    """Start the process of a host; (host, line) of what it prints go to a queue, at its end (host,
    None).
    """
    host.process = subprocess.Popen(
        host.command,
        cwd=host.ml / "code",
        env=host.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf8",
        errors="replace",
    )

    def listen():
        with host.process.stdout as lines:
            for line in lines:
                printed.put((host, line))
        host.process.wait()
        printed.put((host, None))

    threading.Thread(target=listen, daemon=True).start()


def kill(hosts):
    """Send SIGKILL to the hosts that run."""
    for host in hosts:
        if host.process:
            host.process.kill()


def execute(job, hosts, watch):
    """Run all hosts to their ends, a failure or MaxRuntimeInSeconds; collect lines and metrics."""
    metrics = job.description["AlgorithmSpecification"].get("MetricDefinitions", [])
    patterns = {metric["Name"]: re.compile(metric["Regex"]) for metric in metrics}
    limit = job.description["StoppingCondition"]["MaxRuntimeInSeconds"]
    timer = threading.Timer(limit, end, (job, "MaxRuntimeExceeded"))
    timer.daemon = True
    printed, running = queue.SimpleQueue(), len(hosts)
    try:
        for host in hosts:
            start(host, printed)
        job.hosts = hosts
        timer.start()
        while running:
            host, line = printed.get()
            if line is None:
                running -= 1
                if host.process.returncode and not (job.ended or job.failed):
                    job.failed = host
                    kill(hosts)
                continue
            if job.hopeless:
                continue  # how much comes after the order to stop is chance
            host.lines.append(line.rstrip().replace(host.ml.as_posix(), "/opt/ml"))
            for name, pattern in patterns.items():
                for found in pattern.finditer(line):
                    if record(job, name, found.group(1)) and watch(name, job.metrics[name]):
                        job.hopeless = True
            if job.hopeless:
                end(job, "Stopped")
    finally:  # an interrupted notebook leaves nothing running
        timer.cancel()
        kill(hosts)


def record(job, name, text):
    """Add a value to a metric; return False if the text is no number."""
    try:
        value = float(text)
    except ValueError:
        return False
    job.metrics.setdefault(name, []).append(value)
    return True


def end(job, why):
    """Tell a running job to end; SIGKILL follows SIGTERM."""
    job.ended = job.ended or why
    for host in job.hosts:
        host.process.terminate()
    timer = threading.Timer(GRACE, kill, [job.hosts])
    timer.daemon = True
    timer.start()


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
    status = job.description["TrainingJobStatus"]
    if status != "InProgress" or not job.hosts:
        raise Refused(f"The request was rejected: the training job is in status {status}.")
    end(job, "Stopped")
    return {}


@answer
def list_training_jobs(request):
    """ListTrainingJobs, without filters by date."""
    times = "CreationTime TrainingEndTime LastModifiedTime WarmPoolStatus"
    shown = f"TrainingJobName TrainingJobArn TrainingJobStatus SecondaryStatus {times}"
    items = [pick(job.description, shown) for job in jobs.values()]
    found, more = listed(items, request, "TrainingJob")
    return {"TrainingJobSummaries": found, **more}
