"""What SageMaker's containers promise a training script: folders, variables, arguments, files.

Sources: https://github.com/aws/sagemaker-training-toolkit, src/sagemaker_training: environment.py
and trainer.py (commits 02f62b3, 371af85), mapping.py (186a3e1), entry_point.py (4f53a97), files.py
(b1fc245), process.py (616880a);
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

import importlib.metadata
import json
import os
import posixpath
import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from . import files
from .api import ACCOUNT, arn
from .images import xgboost_rules
from .processes import Process, container_environment

IMAGES = Path(__file__).parent / "images"
# "/opt/ml" as a path of its own: not in /opt/mlflow, s3://bucket/opt/ml, {root}/opt/ml
OPT_ML = re.compile(rb"(?<![\w.~}\-])/opt/ml(?![\w\-]|\.\w)")
TEXTS = {".py", ".sh", ".json", ".yaml", ".yml", ".toml", ".cfg", ".ini", ".txt"}
# hyperparameters of the toolkit itself: params.py, commit d355dad
TOOLKIT = """
    sagemaker_program sagemaker_submit_directory sagemaker_enable_cloudwatch_metrics
    sagemaker_region sagemaker_container_log_level sagemaker_job_name default_user_module_name
    _tuning_objective_metric sagemaker_s3_output
""".split()
TENSORS = "/opt/ml/output/tensors"
CACHE = "sagemaker/warmpoolcache"
# member of the request: its S3 location, its default folder, what SageMaker appends
SYNCED = {
    "CheckpointConfig": ("S3Uri", "/opt/ml/checkpoints", ""),
    "TensorBoardOutputConfig": (
        "S3OutputPath",
        "/opt/ml/output/tensorboard",
        "/{}/tensorboard-output",
    ),
    "DebugHookConfig": ("S3OutputPath", TENSORS, "/{}/debug-output"),
}
# where each image keeps its interpreter, as its messages show it
PYTHONS = {
    "sklearn": "/miniconda3/bin/python",
    "xgboost": "/miniconda3/bin/python3",
    "tensorflow": "/usr/local/bin/python3",
    "framework": "/opt/conda/bin/python3",
    "own": "python",
}


@dataclass
class Host:
    """A host of a training job: a process, with a folder that stands for /opt/ml."""

    name: str
    ml: Path
    command: list
    environment: dict
    synced: list  # (folder, URI) to store
    checkpoints: list  # those of synced that are stored while the job runs
    tensors: Path  # where Debugger reads
    log: object  # what the script printed, a processes.Log
    process: Process | None = None
    stored: dict = field(default_factory=dict)  # checkpoints in S3, as files.upload_changed has it

    def start(self, hear):
        """Start the script. Raises OSError or ValueError if it cannot."""
        home = self.ml.parent / f"home-{self.name}"
        self.process = Process(self.command, self.ml / "code", home, self.environment, hear)


def image_kind(image):
    """Return what an image runs: "xgboost", "sklearn", "tensorflow", "framework" or "own".

    The first two are AWS's, framework its other deep learning containers, own what is none of them.
    """
    registry, _, name = image.partition("/")
    if registry.startswith(ACCOUNT):
        return "own"
    for kind, pattern in {
        "xgboost": r"sagemaker-xgboost[:@]",
        "sklearn": r"sagemaker-scikit-learn[:@]",
        "tensorflow": r"tensorflow-",
        "framework": r"(huggingface|pytorch|mxnet|autogluon)-",
    }.items():
        if re.match(pattern, name):
            return kind
    return "own"


def to_local(text, ml):
    """Return a text, or bytes, in which paths below /opt/ml lead to the folder `ml`."""
    if isinstance(text, str):
        return to_local(text.encode("utf8", "surrogateescape"), ml).decode("utf8", "replace")
    return OPT_ML.sub(lambda _: ml.as_posix().encode(), text)


def rewrite(folder, ml):
    """Make "/opt/ml" in the scripts below a folder lead to `ml`, whatever their encoding."""
    for path in folder.rglob("*"):
        if path.suffix in TEXTS and path.is_file() and path.stat().st_size < 1_000_000:
            content = path.read_bytes()
            if b"/opt/ml" in content and b"\0" not in content:
                path.write_bytes(to_local(content, ml))


def local_folder(path, member="LocalPath"):
    """Return a path or file:// address of the request below /opt/ml, relative to it.

    Raises NotImplementedError if it lies elsewhere: it would be a folder of this machine.
    """
    clean = posixpath.normpath(path.removeprefix("file://"))
    if not clean.startswith("/opt/ml/"):
        raise NotImplementedError(f"The sandbox has no {member} outside /opt/ml: {path}.")
    return clean.removeprefix("/opt/ml/")


def decode(text):
    """Return a hyperparameter as its JSON says, or the text: "3" is 3, "relu" is "relu"."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def program_of(request):
    """Return the script that a request names, as text or as JSON, or None."""
    given = request.get("HyperParameters", {}).get("sagemaker_program")
    return None if given is None else str(decode(given))


def refuse_what_needs_a_build(folder, program):
    """Raise NotImplementedError for what a container would install or run as a command.

    Source: _entry_point_type.py (commit 2de0eda) and entry_point.py: with a setup.py beside it the
    script is a package, what does not end in .py is a command, and requirements.txt is installed.
    """
    if program is not None and not program.endswith(".py"):
        raise NotImplementedError(f"The sandbox starts Python scripts, not commands: {program}.")
    if (folder / "setup.py").exists():
        raise NotImplementedError("The sandbox installs no package: setup.py beside the script.")
    path = folder / "requirements.txt"
    lines = path.read_text("utf8", "replace").splitlines() if path.is_file() else []
    missing = [line for line in (re.sub(r"(^|\s)#.*", "", one).strip() for one in lines) if line]
    missing = [line for line in missing if not is_installed(line)]
    if missing:
        raise NotImplementedError(
            f"The sandbox installs no requirements.txt, and {missing[0]} is not installed here."
        )


def is_installed(line):
    """Return whether a line of a requirements file is met by what is installed."""
    try:
        wanted = Requirement(line)
        if wanted.marker and not wanted.marker.evaluate():
            return True
        version = importlib.metadata.version(wanted.name)
        plain = not (wanted.extras or wanted.url)
        return plain and wanted.specifier.contains(version, prereleases=True)
    except (InvalidRequirement, importlib.metadata.PackageNotFoundError):
        return False


def fetch_code(source, ml, folder):
    """Fill `folder` from a sagemaker_submit_directory: S3, or a folder or archive below /opt/ml."""
    folder.mkdir(parents=True, exist_ok=True)
    if source.startswith("s3://"):
        files.unpack(source, folder)
    else:
        place = ml / local_folder(source, "submit directory")
        if place.is_dir():
            shutil.copytree(place, folder, dirs_exist_ok=True)
        else:
            files.extract(place, folder)
    rewrite(folder, ml)


def prepare(request, host, hosts, ml, port, log):
    """Fill /opt/ml, the folder `ml`, for the host of that name; return the Host.

    `port` is free, for the hosts to meet. With ShardedByS3Key each of n hosts gets about 1/n of the
    objects of a channel: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html.
    Raises NotImplementedError for a script that needs what the sandbox lacks, and for data or code
    that cannot be read whatever the library that reads them raises.
    """
    for folder in ("code", "model", "input/config", "input/data", "output/data", CACHE):
        (ml / folder).mkdir(parents=True)
    name, synced, checkpoints, channels = request["TrainingJobName"], [], [], {}
    stored = {}
    for member in SYNCED.keys() & request.keys():
        location, default, suffix = SYNCED[member]
        folder = ml / local_folder(request[member].get("LocalPath", default))
        folder.mkdir(parents=True, exist_ok=True)
        uri = request[member][location].rstrip("/") + suffix.format(name)
        synced.append((folder, uri))
        if member == "CheckpointConfig":
            files.download(uri + "/", folder)
            checkpoints.append((folder, uri))
            stored |= files.states(folder)
    for channel in request.get("InputDataConfig", []):
        folder = ml / "input/data" / channel["ChannelName"]
        folder.mkdir(parents=True, exist_ok=True)
        data = channel["DataSource"]["S3DataSource"]
        sharded = data.get("S3DataDistributionType") == "ShardedByS3Key"
        part = slice(hosts.index(host), None, len(hosts)) if sharded else slice(None)
        files.download(data["S3Uri"], folder, part)
        channels[channel["ChannelName"]] = str(folder)
    given = {k: to_local(v, ml) for k, v in request.get("HyperParameters", {}).items()}
    program = program_of(request)
    if program is not None:
        source = request["HyperParameters"].get("sagemaker_submit_directory", "/opt/ml/code")
        source = str(decode(source))  # the SageMaker Python SDK 2 writes it as JSON
        fetch_code(source, ml, ml / "code")
        refuse_what_needs_a_build(ml / "code", program)
    config = config_files(request, hosts, host, given)
    for file, content in config.items():
        (ml / f"input/config/{file}.json").write_text(to_local(json.dumps(content), ml), "utf8")
    variables = toolkit_variables(request, config, ml, channels)
    first = {"CURRENT_HOST_RANK": hosts.index(host), "HOST_COUNT": len(hosts)}
    first |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    environment = container_environment()
    environment |= {"TRAINING_JOB_NAME": name, "TRAINING_JOB_ARN": arn("training-job", name)}
    environment |= to_env_vars(variables | first)
    environment |= {k: to_local(v, ml) for k, v in request.get("Environment", {}).items()}
    paths = [str(ml / "code"), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    script = program or str(IMAGES / "xgboost_image.py")
    command = [sys.executable, script, *variables["user_args"]]
    tensors = ml / local_folder(request.get("DebugHookConfig", {}).get("LocalPath", TENSORS))
    sync = synced, checkpoints
    return Host(host, ml, command, environment, *sync, tensors, log, stored=stored)


def config_files(request, hosts, host, hyperparameters):
    """Return the content of the files below input/config, {name: dict}."""
    group, kind = "homogeneousCluster", request.get("ResourceConfig", {}).get("InstanceType")
    groups = [{"instance_group_name": group, "instance_type": kind, "hosts": hosts}]
    resources = {
        "current_host": host,
        "current_instance_type": kind,
        "current_group_name": group,
        "hosts": hosts,
        "instance_groups": groups,
        "network_interface_name": "lo",
    }
    default, inputs = request.get("AlgorithmSpecification", {}).get("TrainingInputMode"), {}
    for channel in request.get("InputDataConfig", []):
        data = channel["DataSource"]["S3DataSource"]
        one = {"ContentType": channel["ContentType"]} if "ContentType" in channel else {}
        one["TrainingInputMode"] = channel.get("InputMode", default or "File")
        one["S3DistributionType"] = data.get("S3DataDistributionType", "FullyReplicated")
        one["RecordWrapperType"] = channel.get("RecordWrapperType", "None")
        inputs[channel["ChannelName"]] = one
    config = {"resourceconfig": resources, "inputdataconfig": inputs}
    if "CheckpointConfig" in request:
        config["checkpointconfig"] = request["CheckpointConfig"]
    if "DebugHookConfig" in request:
        config["debughookconfig"] = {"LocalPath": TENSORS} | request["DebugHookConfig"]
    return config | {"hyperparameters": hyperparameters}


def toolkit_variables(request, config, ml, channels):
    """Return what the toolkit's Environment.to_env_vars holds, {name without SM_: value}."""
    resources, inputs = config["resourceconfig"], config["inputdataconfig"]
    decoded = {key: decode(value) for key, value in config["hyperparameters"].items()}
    own = {k: v for k, v in decoded.items() if k in TOOLKIT or k.startswith("sagemaker_")}
    hyper = {key: value for key, value in decoded.items() if key not in own}
    group, groups = resources["current_group_name"], resources["instance_groups"]
    program = own.get("sagemaker_program")
    source = own.get("sagemaker_submit_directory")
    kind = image_kind(request["AlgorithmSpecification"].get("TrainingImage", ""))
    framework = {"sklearn": "sagemaker_sklearn_container", "xgboost": "sagemaker_xgboost_container"}
    module = framework.get(kind)
    variables = {
        "hosts": resources["hosts"],
        "network_interface_name": resources["network_interface_name"],
        "user_entry_point": program,
        "resource_config": resources,
        "input_data_config": inputs,
        "output_data_dir": str(ml / "output/data"),
        "current_host": resources["current_host"],
        "current_instance_type": resources["current_instance_type"],
        "current_instance_group": group,
        "current_instance_group_hosts": groups[0]["hosts"],
        "instance_groups": [group],
        "instance_groups_dict": {group: groups[0]},
        "distribution_instance_groups": [],
        "is_hetero": False,
        "module_name": str(program).removesuffix(".py") if program else None,
        "log_level": own.get("sagemaker_container_log_level", 20),
        "framework_module": module and f"{module}.training:main",
        "input_dir": str(ml / "input"),
        "input_config_dir": str(ml / "input/config"),
        "output_dir": str(ml / "output"),
        "num_cpus": os.cpu_count(),
        "num_gpus": 0,
        "num_neurons": 0,
        "model_dir": str(ml / "model"),
        "module_dir": source or str(ml / "code"),
        "output_intermediate_dir": str(ml / "output/intermediate"),
    }
    framework_parameters = {key: value for key, value in own.items() if key not in TOOLKIT}
    everything = variables | {
        "additional_framework_parameters": framework_parameters,
        "channel_input_dirs": channels,
        "distribution_hosts": [],
        "hyperparameters": hyper,
        "is_master": resources["current_host"] == resources["hosts"][0],
        "is_modelparallel_enabled": None,
        "job_name": request["TrainingJobName"],
        "master_hostname": resources["hosts"][0],
    }
    variables |= {
        "channels": sorted(channels),
        "framework_params": framework_parameters,
        "hps": hyper,
        "training_env": everything,
        "user_args": arguments(hyper),
        # of the images' Dockerfiles, such as docker/1.4-2/final/Dockerfile.cpu of
        # https://github.com/aws/sagemaker-scikit-learn-container, commit 00a1c95
        "input": str(ml / "input"),
        "input_training_config_file": str(ml / "input/config/hyperparameters.json"),
        "input_data_config_file": str(ml / "input/config/inputdataconfig.json"),
        "checkpoint_config_file": str(ml / "input/config/checkpointconfig.json"),
    }
    variables |= {f"channel_{key}": path for key, path in channels.items()}
    return variables | {f"hp_{key}": value for key, value in hyper.items()}


def to_env_vars(variables):
    """Return variables, {name: anything}, as those of a process, {"SM_NAME": text}."""

    def text(value):
        if value is None or isinstance(value, str):
            return value or ""
        return json.dumps(value, sort_keys=True, separators=(",", ":"))

    return {f"SM_{key.upper()}": text(value) for key, value in variables.items()}


def arguments(hyperparameters):
    """Return the arguments of a script, a list of texts, as mapping.py's to_cmd_args makes them."""
    found = []
    for key, value in sorted(hyperparameters.items()):
        found.append("-" * min(len(key), 2) + key)
        if isinstance(value, dict):
            value = ",".join(f"{k}={v}" for k, v in sorted(value.items()))
        found.append("" if value is None else str(value))
    return found


def failure_reason(request, host):
    """Return why a script failed, as the image in the request tells it.

    A failure file that the script wrote counts first (files.py). The scikit-learn and XGBoost
    images do not capture what their script prints to stderr, so that their ErrorMessage is empty:
    sagemaker_sklearn_container/training.py (commit 7496ad6) and
    sagemaker_xgboost_container/training.py (11d18b6). The deep learning
    containers do, and tell from the first line on that names an error.
    """
    failure, code = host.ml / "output/failure", host.process.returncode
    if failure.is_file():
        with failure.open(encoding="utf8", errors="replace") as file:
            return f"{file.read(1024)}, exit code: 1"
    image = request["AlgorithmSpecification"].get("TrainingImage", "")
    kind = image_kind(image)
    program = host.command[1]
    python = PYTHONS[kind]
    if kind in ("tensorflow", "framework") and (tag := re.search(r"-py(3)(\d+)", image)):
        python += f".{tag[2]}"
    command = " ".join([python, program, *host.command[2:]])
    command = command.replace(host.ml.as_posix(), "/opt/ml")
    if kind == "xgboost":  # _errors.py of https://github.com/aws/sagemaker-containers, 913aa80
        module = program.removesuffix(".py")
        command = " ".join([python, "-m", module, *host.command[2:]])
        return f'ExecuteUserScriptError:\nCommand "{command}", exit code: 1'
    lines = host.log.lines() if kind in ("tensorflow", "framework") else []
    named = (n for n, line in enumerate(lines) if re.search(r"\w(Error|Exception)\b", line))
    start = next(named, len(lines))
    told = "\n".join(line.strip(" :") for line in lines[start:])
    return (
        f'ExecuteUserScriptError:\nExitCode {code}\nErrorMessage "{told}"\n'
        f'Command "{command}", exit code: 1'
    )


def metric_definitions(request):
    """Return the expressions by which a job's metrics are found in its log, a list of dicts."""
    algorithm = request["AlgorithmSpecification"]
    if image_kind(algorithm.get("TrainingImage", "")) == "xgboost":
        return xgboost_rules.metric_definitions()
    return algorithm.get("MetricDefinitions", [])
