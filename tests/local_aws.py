"""What the tests of the sandbox share: clients, requests to start from, scripts and archives."""

import csv
import io
import json
import sys
import tarfile

import boto3
import botocore.exceptions
import numpy as np
import pytest
from notebooks import ROOT

CHAPTERS = ROOT / "chapters"
sys.path.insert(0, str(CHAPTERS))
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5"
# Maximum of val: 1, at alpha = 2; it grows with the epochs, so that a poor alpha shows early.
SCRIPT = """
import argparse, json, os, time

parser = argparse.ArgumentParser()
parser.add_argument("--alpha", type=float, default=1.0)
parser.add_argument("--epochs", type=int, default=4)
parser.add_argument("--act", default="up")
parser.add_argument("--sleep", type=float, default=0)
args = parser.parse_args()
if args.act == "fail":
    raise ValueError("alpha is missing")
for epoch in range(1, args.epochs + 1):
    score = 1 - (args.alpha - 2) ** 2 - 1 / epoch
    shown = f"epoch={epoch} val={score:.4f} noise=x{epoch}"
    print("nothing to see" if args.act == "silent" else shown)
    time.sleep(args.sleep)
contract = {key: value for key, value in os.environ.items() if key.startswith("SM_")}
contract["GREETING"] = os.environ.get("GREETING")
contract["files"] = os.listdir(os.environ["SM_CHANNEL_TRAIN"])
with open(os.path.join(os.environ["SM_MODEL_DIR"], "model.json"), "w") as file:
    json.dump({"alpha": args.alpha}, file)
with open(os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], "contract.json"), "w") as file:
    json.dump(contract, file)
with open("/opt/ml/checkpoints/last", "a") as file:
    file.write(f"{args.epochs} ")
"""
SERVING = """
import json, os

def model_fn(folder):
    with open(os.path.join(folder, "model.json")) as file:
        return json.load(file)["alpha"]

def predict_fn(data, model):
    return data.sum(axis=1) * model
"""


def archive(**files):
    """Returns a tar.gz of Python files, bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            content = text.encode()
            member = tarfile.TarInfo(f"{name}.py")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def tarball(files):
    """Returns a tar.gz of files, {name: text or bytes}, as bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            content = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def refused(call, **request):
    """Returns (code, message) of the ClientError that a call raises."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    assert caught.value.operation_name.lower() == call.__name__.replace("_", "")
    return error["Code"], error["Message"]


class Aws:
    """Clients, and the requests from which the tests start."""

    def __init__(self):
        import sandbox

        self.role, self.bucket = sandbox.role, sandbox.bucket
        self.sm, self.s3 = boto3.client("sagemaker"), boto3.client("s3")
        self.runtime = boto3.client("sagemaker-runtime")
        self.put("data/train/part.csv", b"1,2\n")
        self.put("code/sourcedir.tar.gz", archive(train=SCRIPT, serve=SERVING))
        self.script = {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": f"s3://{self.bucket}/code/sourcedir.tar.gz",
        }
        self.definition = {
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": [
                    {"Name": "val", "Regex": r"val=(\S+)"},
                    {"Name": "noise", "Regex": r"noise=(\S+)"},
                ],
            },
            "RoleArn": self.role,
            "InputDataConfig": [self.channel("train", "data/train")],
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.bucket}/models"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.large",
                "InstanceCount": 1,
                "VolumeSizeInGB": 10,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "CheckpointConfig": {"S3Uri": f"s3://{self.bucket}/checkpoints"},
        }

    def put(self, key, body):
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def channel(self, name, prefix, **more):
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{self.bucket}/{prefix}"}
        return {"ChannelName": name, "DataSource": {"S3DataSource": source}} | more

    def job(self, name, hyper=(), **changes):
        """Returns the request of a training job."""
        request = {"TrainingJobName": name, "HyperParameters": self.script | dict(hyper)}
        return request | self.definition | changes

    def train(self, name, hyper=(), **changes):
        """Runs a training job and returns its description."""
        self.sm.create_training_job(**self.job(name, hyper, **changes))
        return self.sm.describe_training_job(TrainingJobName=name)

    def request(self, name, code, hyper=(), program="train.py", image=IMAGE, **changes):
        """Returns the request of a job of its own script: a text, files, or a whole archive."""
        files = {program: code} if isinstance(code, str) else code
        body = tarball(files) if isinstance(files, dict) else files
        self.put(f"code/{name}.tar.gz", body)
        source = f"s3://{self.bucket}/code/{name}.tar.gz"
        own = {"sagemaker_program": program, "sagemaker_submit_directory": source} | dict(hyper)
        request = self.job(name, own, **changes)
        request.pop("CheckpointConfig", None)
        algorithm = {"TrainingImage": image, "TrainingInputMode": "File"}
        if metrics := changes.pop("metrics", None):
            request.pop("metrics")
            algorithm["MetricDefinitions"] = [{"Name": n, "Regex": r} for n, r in metrics]
        return request | {"AlgorithmSpecification": algorithm} | changes

    def run(self, name, code, *arguments, **changes):
        """Runs a job of its own script and returns its description."""
        self.sm.create_training_job(**self.request(name, code, *arguments, **changes))
        return self.sm.describe_training_job(TrainingJobName=name)

    def serve(self, name, script, environment=(), image=IMAGE, **files):
        """Deploys a script that lies in the model archive; returns the endpoint's description."""
        body = tarball({"weights.json": "[1]", "code/inference.py": script} | files)
        self.put(f"models/{name}.tar.gz", body)
        own = {
            "SAGEMAKER_PROGRAM": "inference.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        }
        model = f"s3://{self.bucket}/models/{name}.tar.gz"
        environment = (own if script else {}) | dict(environment)
        return deploy(
            self, name, {"Image": image, "ModelDataUrl": model, "Environment": environment}
        )

    def ask(self, name, body, kind="text/csv", **more):
        """Returns an endpoint's answer, bytes."""
        ask = self.runtime.invoke_endpoint
        return ask(EndpointName=name, Body=body, ContentType=kind, **more)["Body"].read()

    def said(self, name):
        """Returns the log of an endpoint, lines."""
        group = f"/aws/sagemaker/Endpoints/{name}"
        events = boto3.client("logs").get_log_events(logGroupName=group, logStreamName="all/i-1")
        return [event["message"] for event in events["events"]]

    def tuning(self, name, strategy="Random", static=(), **config):
        """Returns the request of a tuning job."""
        return {
            "HyperParameterTuningJobName": name,
            "HyperParameterTuningJobConfig": {
                "Strategy": strategy,
                "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "val"},
                "ResourceLimits": {"MaxNumberOfTrainingJobs": 6, "MaxParallelTrainingJobs": 1},
                "ParameterRanges": {"ContinuousParameterRanges": [alpha("0", "4")]},
            }
            | config,
            "TrainingJobDefinition": self.definition
            | {"StaticHyperParameters": self.script | {"epochs": "9"} | dict(static)},
        }

    def tune(self, request):
        """Runs a tuning job; returns its description and its jobs, in order."""
        name = {"HyperParameterTuningJobName": request["HyperParameterTuningJobName"]}
        self.sm.create_hyper_parameter_tuning_job(**request)
        jobs = self.sm.list_training_jobs_for_hyper_parameter_tuning_job(**name, MaxResults=100)
        return self.sm.describe_hyper_parameter_tuning_job(**name), jobs["TrainingJobSummaries"]

    def unpacked(self, uri):
        """Returns the files of an archive on S3, a dict of bytes."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body = self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}

    def log(self, name, host="algo-1"):
        logs = boto3.client("logs").get_log_events(
            logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=f"{name}/{host}"
        )
        return [event["message"] for event in logs["events"]]


def alpha(low, high, **more):
    return {"Name": "alpha", "MinValue": low, "MaxValue": high} | more


def values(jobs):
    return [job["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for job in jobs]


def at(request, path, value):
    """Returns a deep copy of a request with one member changed; a None removes it."""
    request = json.loads(json.dumps(request))
    *above, last = path.split(".")
    part = request
    for name in above:
        part = part[int(name) if name.isdigit() else name]
    if value is None:
        del part[last]
    else:
        part[last] = value
    return request


def deploy(aws, name, container):
    aws.sm.create_model(ModelName=name, ExecutionRoleArn=aws.role, PrimaryContainer=container)
    variant = {
        "VariantName": "all",
        "ModelName": name,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    aws.sm.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    aws.sm.create_endpoint(EndpointName=name, EndpointConfigName=name)
    return aws.sm.describe_endpoint(EndpointName=name)


def table(X, y=None):
    buffer = io.StringIO()
    csv.writer(buffer).writerows(X.tolist() if y is None else np.c_[y, X].tolist())
    return buffer.getvalue().encode()


def serving(aws, name="serve.py"):
    code = aws.script["sagemaker_submit_directory"]
    return {"SAGEMAKER_PROGRAM": name, "SAGEMAKER_SUBMIT_DIRECTORY": code}
