"""With which variables the processes of jobs and endpoints start."""

import json
import os

import pytest
from local_aws import IMAGE, Aws, archive

# a notebook's terminal, its colours, its credentials, and whatever else it may hold
OTHERS = {
    "TERM": "xterm-256color",
    "CLICOLOR_FORCE": "1",
    "FORCE_COLOR": "1",
    "PYTHON_COLORS": "1",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "AWS_SESSION_TOKEN": "secret",
    "SM_HOSTS": '["elsewhere"]',
    "COURSE_TOKEN": "secret",
}
KEPT = {"OPENBLAS_CORETYPE": "Nehalem", "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
TELL = "import json, os; print(json.dumps(dict(os.environ)))"


@pytest.fixture(scope="module")
def aws():
    return Aws()


@pytest.fixture
def variables(monkeypatch):
    """Set the variables of a notebook."""
    for name, value in (OTHERS | KEPT).items():
        monkeypatch.setenv(name, value)


def test_named_variables_and_no_others(aws, variables):
    from sandbox import guard
    from sandbox.processes import INHERITED, container_environment

    environment = guard.guarded(container_environment())
    fixed = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_REGION": "us-east-1",
        "MPLBACKEND": "Agg",
        "NO_COLOR": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "PYTHON_COLORS": "0",
    }
    assert environment.items() >= (fixed | KEPT).items()
    assert environment["PATH"] == os.environ["PATH"]
    assert environment["AWS_ACCESS_KEY_ID"] == "sandbox"
    local = {name for name in environment if name.startswith("AWS_")} | {"NO_PROXY", "no_proxy"}
    assert environment.keys() - local <= set(INHERITED) | fixed.keys()
    assert "AWS_SESSION_TOKEN" not in local


def test_a_job_starts_with_them_and_with_its_contract(aws, variables):
    aws.put("code/tell.tar.gz", archive(train=TELL))
    hyper = {"sagemaker_submit_directory": f"s3://{aws.bucket}/code/tell.tar.gz"}
    aws.train("tells", hyper, Environment={"GREETING": "Grüße"})
    told = json.loads(aws.log("tells")[0])
    assert told["GREETING"] == "Grüße" and told["SM_HOSTS"] == '["algo-1"]'
    assert told["TRAINING_JOB_NAME"] == "tells" and told["PYTHON_COLORS"] == "0"
    assert told.items() >= KEPT.items()
    assert not told.keys() & (OTHERS.keys() - {"PYTHON_COLORS", "SM_HOSTS"})


def test_output_of_a_job_is_utf_8_and_its_traceback_has_no_colours(aws, variables):
    script = r"print('Gr\u00fc\u00dfe'); raise ValueError('gr\u00f6\u00dfer als 1')"
    aws.put("code/fail.tar.gz", archive(train=script))
    hyper = {"sagemaker_submit_directory": f"s3://{aws.bucket}/code/fail.tar.gz"}
    job = aws.train("fails-in-colour", hyper)
    assert aws.log("fails-in-colour")[0] == "Grüße"
    assert job["TrainingJobStatus"] == "Failed"
    assert aws.log("fails-in-colour")[-1] == "ValueError: größer als 1"


def test_an_endpoint_starts_with_them_and_with_its_own(aws, variables):
    serve = """
import json, os

def model_fn(folder):
    return None

def predict_fn(data, model):
    return None

def output_fn(prediction, accept):
    return json.dumps(dict(os.environ))
"""
    aws.put("code/told.tar.gz", archive(serve=serve))
    code = f"s3://{aws.bucket}/code/told.tar.gz"
    own = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": code}
    own |= {"GREETING": "Grüße", "PLACE": "/opt/ml/model/words"}
    container = {"Image": IMAGE, "ModelDataUrl": code, "Environment": own}
    aws.sm.create_model(ModelName="tell", ExecutionRoleArn=aws.role, PrimaryContainer=container)
    variant = {"VariantName": "all", "ModelName": "tell", "InitialInstanceCount": 1}
    variant["InstanceType"] = "ml.m5.large"
    aws.sm.create_endpoint_config(EndpointConfigName="tell", ProductionVariants=[variant])
    aws.sm.create_endpoint(EndpointName="tell", EndpointConfigName="tell")
    answer = aws.runtime.invoke_endpoint(
        EndpointName="tell", ContentType="application/json", Body="[1]"
    )
    told = json.loads(answer["Body"].read())
    aws.sm.delete_endpoint(EndpointName="tell")
    assert told["GREETING"] == "Grüße" and told["PLACE"].endswith("/model/words")
    assert not told["PLACE"].startswith("/opt/ml")
    assert told["PYTHON_COLORS"] == "0" and told.items() >= KEPT.items()
    assert not told.keys() & (OTHERS.keys() - {"PYTHON_COLORS"})
