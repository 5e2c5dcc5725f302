"""The training contract: variables, files, folders, packages, entry points, and the FailureReason
of the image in the request.
"""

import json
import os

import pytest
from local_aws import XGBOOST, Aws, tarball

TELL = """
import json, os, sys
told = {key: value for key, value in os.environ.items()}
told["files"] = sorted(os.listdir("/opt/ml/input/config"))
told["arguments"] = sys.argv[1:]
told["there"] = os.path.isdir(os.environ.get("SM_HP_FOLDER", ""))
for name in told["files"]:
    told[name] = json.load(open("/opt/ml/input/config/" + name))
print(json.dumps(told))
"""
# of environment.py's to_env_vars, in sagemaker-training-toolkit, commit 02f62b3
NAMES = """
    HOSTS NETWORK_INTERFACE_NAME HPS USER_ENTRY_POINT FRAMEWORK_PARAMS RESOURCE_CONFIG
    INPUT_DATA_CONFIG OUTPUT_DATA_DIR CHANNELS CURRENT_HOST CURRENT_INSTANCE_TYPE
    CURRENT_INSTANCE_GROUP CURRENT_INSTANCE_GROUP_HOSTS INSTANCE_GROUPS INSTANCE_GROUPS_DICT
    DISTRIBUTION_INSTANCE_GROUPS IS_HETERO MODULE_NAME LOG_LEVEL FRAMEWORK_MODULE INPUT_DIR
    INPUT_CONFIG_DIR OUTPUT_DIR NUM_CPUS NUM_GPUS MODEL_DIR MODULE_DIR TRAINING_ENV USER_ARGS
    OUTPUT_INTERMEDIATE_DIR CHANNEL_TRAIN HP_RATE
""".split()
TENSORFLOW = "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-training:2.19-cpu-py312"
PYTORCH = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6-cpu-py312"


@pytest.fixture(scope="module")
def aws():
    return Aws()


def test_the_whole_contract(aws):
    hyper = {"rate": "0.1", "deep": '{"b": 2, "a": 1}', "on": "true", "none": "null", "k": "3"}
    hyper |= {"folder": "/opt/ml/input/data/train", "sagemaker_container_log_level": "10"}
    config = {"S3Uri": f"s3://{aws.bucket}/contract", "LocalPath": "/opt/ml/checkpoints"}
    request = aws.request("whole", TELL, hyper)
    aws.sm.create_training_job(**request | {"CheckpointConfig": config})
    told = json.loads(aws.log("whole")[0])
    assert [name for name in NAMES if f"SM_{name}" not in told] == []
    files = ["checkpointconfig", "hyperparameters", "inputdataconfig", "resourceconfig"]
    assert told["files"] == [f"{name}.json" for name in files]
    expected = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}
    expected |= {"RecordWrapperType": "None"}
    assert told["inputdataconfig.json"] == {"train": expected}
    assert json.loads(told["SM_INPUT_DATA_CONFIG"]) == {"train": expected}
    assert told["SM_HP_DEEP"] == '{"a":1,"b":2}' and told["SM_HP_NONE"] == ""
    assert told["SM_LOG_LEVEL"] == "10" and told["SM_MODULE_NAME"] == "train"
    whole = json.loads(told["SM_TRAINING_ENV"])
    assert whole["job_name"] == "whole" and whole["is_master"] is True
    assert whole["hyperparameters"]["rate"] == 0.1
    assert whole["channel_input_dirs"] == {"train": "/opt/ml/input/data/train"}
    arguments = dict(zip(told["arguments"][::2], told["arguments"][1::2]))
    assert arguments["--deep"] == "a=1,b=2" and arguments["--on"] == "True"
    assert arguments["-k"] == "3" and arguments["--none"] == ""
    folder = told["hyperparameters.json"]["folder"]
    assert folder == arguments["--folder"] == told["SM_CHANNEL_TRAIN"] and told["there"]


def test_a_path_is_a_path_of_its_own(aws):
    code = """
print(open("/opt/ml/input/config/resourceconfig.json").read()[:1])
print("/opt/mlflow/db", "/opt/ml-old", "s3://bucket/opt/ml/model", f"{'x'}/opt/ml", "~/opt/ml")
"""
    aws.run("own-path", code, {"uri": "s3://bucket/opt/ml/model"})
    first, second = aws.log("own-path")
    assert first == "{"
    assert second == "/opt/mlflow/db /opt/ml-old s3://bucket/opt/ml/model x/opt/ml ~/opt/ml"


def test_an_entry_point_in_a_package(aws):
    files = {
        "tagger/__init__.py": "",
        "tagger/tools.py": "x = 42",
        "tagger/train.py": "import os; from tagger.tools import x; import shared\n"
        "print(x, shared.y, os.environ['SM_USER_ENTRY_POINT'], os.environ['SM_MODULE_NAME'])",
        "shared.py": "y = 7",
        "requirements.txt": "# what is here already\n\nnumpy>1  # any\nbox; python_version < '3'\n",
    }
    job = aws.run("package", files, program="tagger/train.py")
    assert job["TrainingJobStatus"] == "Completed", aws.log("package")
    assert aws.log("package") == ["42 7 tagger/train.py tagger/train"]


@pytest.mark.parametrize(
    "files, program, message",
    [
        ({"train.sh": "#!/bin/sh\necho hello"}, "train.sh", "not commands"),
        ({"train": "print(1)"}, "train", "not commands"),
        ({"train.py": "", "setup.py": "from setuptools import setup"}, "train.py", "setup.py"),
        ({"train.py": "", "requirements.txt": "tinydb==4.8.2\n"}, "train.py", "tinydb==4.8.2"),
        ({"train.py": "", "requirements.txt": "numpy<1.0"}, "train.py", "numpy<1.0"),
        ({"train.py": "", "requirements.txt": "-r more.txt"}, "train.py", "-r more.txt"),
        (
            {"train.py": "", "requirements.txt": "numpy @ https://x.org/n.whl"},
            "train.py",
            "numpy @",
        ),
    ],
)
def test_what_would_have_to_be_installed_or_run_as_a_command(aws, files, program, message):
    with pytest.raises(NotImplementedError, match=message):
        aws.run("installs", files, program=program)
    assert aws.sm.list_training_jobs(NameContains="installs")["TrainingJobSummaries"] == []


def test_values_may_be_written_as_json(aws):
    request = aws.request("as-json", "import sys; print(sys.argv[1:])", {"word": '"a b"'})
    for name in ("sagemaker_program", "sagemaker_submit_directory"):
        request["HyperParameters"][name] = json.dumps(request["HyperParameters"][name])
    aws.sm.create_training_job(**request)
    assert aws.log("as-json") == ["['--word', 'a b']"]


@pytest.mark.parametrize("folder", [False, True], ids=["archive", "folder"])
def test_code_from_a_channel(aws, folder):
    name = f"from-channel-{folder}".lower()
    key = f"{name}/train.py" if folder else f"{name}/source.tar.gz"
    code = b"print('isolated')"
    aws.put(key, code if folder else tarball({"train.py": code}))
    place = "/opt/ml/input/data/code" + ("" if folder else "/source.tar.gz")
    request = aws.request(name, "", {"sagemaker_submit_directory": place})
    request["InputDataConfig"] = [aws.channel("code", f"{name}/")]
    aws.sm.create_training_job(**request | {"EnableNetworkIsolation": True})
    assert aws.log(name) == ["isolated"]


@pytest.mark.parametrize(
    "image, reason",
    [
        (None, 'ExitCode 1\nErrorMessage ""\nCommand "/miniconda3/bin/python train.py -a 1"'),
        (XGBOOST, 'ExecuteUserScriptError:\nCommand "/miniconda3/bin/python3 -m train -a 1"'),
        (
            TENSORFLOW,
            'ValueError: first\nsecond"\nCommand "/usr/local/bin/python3.12 train.py -a 1"',
        ),
        (PYTORCH, 'ValueError: first\nsecond"\nCommand "/opt/conda/bin/python3.12 train.py -a 1"'),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1", 'ErrorMessage ""'),
    ],
)
def test_a_failure_reason_is_that_of_the_image(aws, image, reason):
    number = abs(hash(image)) % 10**6
    code = "import sys\nprint('before', file=sys.stderr)\nraise ValueError('first\\nsecond')"
    job = aws.run(f"reason-{number}", code, {"a": "1"}, **({"image": image} if image else {}))
    assert reason in job["FailureReason"]
    assert job["FailureReason"].startswith("AlgorithmError: ExecuteUserScriptError:\n")
    assert job["FailureReason"].endswith(", exit code: 1") and len(job["FailureReason"]) <= 1024
    assert aws.log(f"reason-{number}")[-2:] == ["ValueError: first", "second"]


def test_every_python_of_the_last_years_unpacks(aws, monkeypatch, tmp_path):
    import tarfile

    from sandbox import files

    (tmp_path / "a.tar.gz").write_bytes(tarball({"x/train.py": "print(1)"}))
    (tmp_path / "b.tar.gz").write_bytes(tarball({"../evil": "x"}))
    monkeypatch.delattr(tarfile, "data_filter")  # came with 3.11.4
    files.extract(tmp_path / "a.tar.gz", tmp_path / "out")
    assert (tmp_path / "out/x/train.py").read_text() == "print(1)"
    with pytest.raises(OSError, match="leads out"):
        files.extract(tmp_path / "b.tar.gz", tmp_path / "out")
    assert not os.path.exists(tmp_path / "evil")
    assert aws.run("old-python", "print('ran')")["TrainingJobStatus"] == "Completed"
