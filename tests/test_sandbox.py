"""The local AWS: jobs that run, searches that search, endpoints that predict, requests refused, and
the guard.
"""

import csv
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import textwrap
import threading
import time
import types

import boto3
import botocore.exceptions
import nbformat
import numpy as np
import pytest
from notebooks import NOTEBOOKS, ROOT, code_cells, read

CHAPTERS = ROOT / "chapters"
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


class Aws:
    """Clients, and the requests from which the tests start."""

    def __init__(self):
        sys.path.insert(0, str(CHAPTERS))
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


@pytest.fixture(scope="module")
def aws():
    return Aws()


# Training jobs


def test_job_succeeds(aws):
    job = aws.train("succeeds", {"alpha": "1.5", "act": '"up"'}, Environment={"GREETING": "hello"})
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed"
    steps = [step["Status"] for step in job["SecondaryStatusTransitions"]]
    assert steps == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    # the last value that matched; what is no number is no metric
    assert [(m["MetricName"], m["Value"]) for m in job["FinalMetricDataList"]] == [("val", 0.5)]
    assert job["AlgorithmSpecification"]["MetricDefinitions"][0]["Name"] == "val"
    model = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert model == f"s3://{aws.bucket}/models/succeeds/output/model.tar.gz"
    assert json.loads(aws.unpacked(model)["model.json"]) == {"alpha": 1.5}
    assert aws.log("succeeds")[-1] == "epoch=4 val=0.5000 noise=x4"
    contract = json.loads(aws.unpacked(model.replace("model.tar", "output.tar"))["contract.json"])
    assert json.loads(contract["SM_HPS"]) == {"alpha": 1.5, "act": "up"}
    assert json.loads(contract["SM_HOSTS"]) == ["algo-1"] == [contract["SM_CURRENT_HOST"]]
    assert contract["SM_NUM_GPUS"] == "0" and contract["SM_HP_ALPHA"] == "1.5"
    assert contract["GREETING"] == "hello" and contract["files"] == ["part.csv"]


def test_checkpoints_return(aws):
    at = {"CheckpointConfig": {"S3Uri": f"s3://{aws.bucket}/resume"}}
    for name, epochs in (("first-part", "2"), ("second-part", "3")):
        aws.train(name, {"epochs": epochs}, **at)
    assert aws.s3.get_object(Bucket=aws.bucket, Key="resume/last")["Body"].read() == b"2 3 "


def test_tensorboard_output(aws):
    script = "open('/opt/ml/output/tensorboard/events', 'w').write('scalar')"
    aws.put("code/tb.tar.gz", archive(train=script))
    hyper = {"sagemaker_submit_directory": f"s3://{aws.bucket}/code/tb.tar.gz"}
    aws.train("tb", hyper, TensorBoardOutputConfig={"S3OutputPath": f"s3://{aws.bucket}/tb"})
    body = aws.s3.get_object(Bucket=aws.bucket, Key="tb/tb/tensorboard-output/events")["Body"]
    assert body.read() == b"scalar"


def test_job_fails(aws):
    job = aws.train("fails", {"act": "fail"})
    assert job["TrainingJobStatus"] == "Failed" and job["ModelArtifacts"] == {}
    assert job["FailureReason"] == (
        "AlgorithmError: ExecuteUserScriptError:\nExitCode 1\n"
        'ErrorMessage "ValueError: alpha is missing"\n'
        'Command "python train.py --act fail", exit code: 1'
    )
    assert any(line.startswith("Traceback") for line in aws.log("fails"))
    job = aws.train("no-code", {"sagemaker_submit_directory": f"s3://{aws.bucket}/nothing.tar.gz"})
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: framework error: ")


def test_failure_file(aws):
    script = "import sys; open('/opt/ml/output/failure', 'w').write('out of beans'); sys.exit(3)"
    aws.put("code/failure.tar.gz", archive(train=script))
    job = aws.train(
        "failure-file", {"sagemaker_submit_directory": f"s3://{aws.bucket}/code/failure.tar.gz"}
    )
    assert job["FailureReason"] == "AlgorithmError: out of beans, exit code: 3"


def test_job_is_stopped_by_its_time(aws):
    started = time.monotonic()
    job = aws.train("slow", {"sleep": "20"}, StoppingCondition={"MaxRuntimeInSeconds": 2})
    assert 2 <= time.monotonic() - started < 15
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert aws.log("slow") == ["epoch=1 val=-1.0000 noise=x1"]
    assert aws.train("quick", {"sleep": "0"})["TrainingJobStatus"] == "Completed"


def test_job_is_stopped_by_a_call(aws):
    thread = threading.Thread(target=aws.train, args=("stopped", {"sleep": "20"}))
    thread.start()
    for _ in range(100):
        time.sleep(0.1)
        try:
            aws.sm.stop_training_job(TrainingJobName="stopped")
            break
        except botocore.exceptions.ClientError:
            pass  # not yet running
    thread.join(10)
    assert aws.sm.describe_training_job(TrainingJobName="stopped")["SecondaryStatus"] == "Stopped"
    with pytest.raises(botocore.exceptions.ClientError, match="in status Stopped"):
        aws.sm.stop_training_job(TrainingJobName="stopped")


def test_no_metric(aws):
    assert aws.train("silent", {"act": "silent"})["FinalMetricDataList"] == []


def test_missing_input(aws):
    with pytest.raises(botocore.exceptions.ClientError, match="No S3 objects found under S3 URL"):
        aws.train("no-data", InputDataConfig=[aws.channel("train", "nothing")])
    with pytest.raises(aws.sm.exceptions.ResourceNotFound):
        aws.sm.describe_training_job(TrainingJobName="no-data")


def test_names_are_unique(aws):
    first = aws.train("again", {"alpha": "1"})
    assert (
        aws.train("again", {"alpha": "1"})["FinalMetricDataList"][0]["Value"]
        == first["FinalMetricDataList"][0]["Value"]
    )
    with pytest.raises(aws.sm.exceptions.ResourceInUse, match="unique"):
        aws.train("again", {"alpha": "2"})


def test_lists_have_pages(aws):
    for number in range(3):
        aws.train(f"page-{number}")
    ask = {"NameContains": "page-", "SortBy": "Name", "SortOrder": "Descending", "MaxResults": 2}
    pages = list(aws.sm.get_paginator("list_training_jobs").paginate(**ask))
    names = [[job["TrainingJobName"] for job in page["TrainingJobSummaries"]] for page in pages]
    assert names == [["page-2", "page-1"], ["page-0"]]
    assert aws.sm.list_training_jobs(StatusEquals="Deleting")["TrainingJobSummaries"] == []


def test_waiters_and_answers_fit_the_model(aws):
    """Every member that the sandbox answers is of the service model, with its type."""
    aws.sm.get_waiter("training_job_completed_or_stopped").wait(
        TrainingJobName=aws.job("waited")["TrainingJobName"]
    ) if (aws.train("waited")) else None
    found = []

    def check(parsed, model, **_):
        report = botocore.validate.ParamValidator().validate(
            {key: value for key, value in parsed.items() if key != "ResponseMetadata"},
            model.output_shape,
        )
        if report.has_errors():
            found.append(f"{model.name}: {report.generate_report()}")

    client = boto3.client("sagemaker")
    client.meta.events.register("after-call.sagemaker", check)
    client.create_hyper_parameter_tuning_job(**aws.tuning("fits"))
    client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="fits")
    client.list_hyper_parameter_tuning_jobs()
    client.list_training_jobs_for_hyper_parameter_tuning_job(HyperParameterTuningJobName="fits")
    client.describe_training_job(TrainingJobName="waited")
    client.list_training_jobs(MaxResults=100)
    assert found == []
    check(
        {"TrainingJobSummaries": [{"Banana": 1}]},
        client.meta.service_model.operation_model("ListTrainingJobs"),
    )
    assert "Banana" in found[0]


def test_warm_pool(aws):
    pool = {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10}
    aws.train("warm-1", ResourceConfig=pool | {"KeepAlivePeriodInSeconds": 600})
    aws.train("warm-2", ResourceConfig=pool | {"VolumeSizeInGB": 20})
    describe = aws.sm.describe_training_job
    assert describe(TrainingJobName="warm-1")["WarmPoolStatus"] == {"Status": "Available"}
    aws.train("warm-3", ResourceConfig=pool)
    status = describe(TrainingJobName="warm-1")["WarmPoolStatus"]
    assert status == {"Status": "Reused", "ReusedByJob": "warm-3"}


def test_events_reach_a_queue(aws):
    sqs, events = boto3.client("sqs"), boto3.client("events")
    url = sqs.create_queue(QueueName="jobs")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    pattern = {"source": ["aws.sagemaker"], "detail": {"TrainingJobStatus": ["Failed"]}}
    events.put_rule(Name="failed", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="failed", Targets=[{"Id": "queue", "Arn": queue}])
    aws.train("event-good")
    aws.train("event-bad", {"act": "fail"})
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [json.loads(m["Body"])["detail"]["TrainingJobName"] for m in messages] == ["event-bad"]
    with pytest.raises(NotImplementedError, match="EventBridge"):
        events.put_targets(
            Rule="failed", Targets=[{"Id": "topic", "Arn": "arn:aws:sns:us-east-1:123456789012:t"}]
        )


# Training jobs on several hosts

MEET = """
import json, os, socket, time
host, rank = os.environ["SM_CURRENT_HOST"], int(os.environ["SM_CURRENT_HOST_RANK"])
master = os.environ["SM_MASTER_ADDR"], int(os.environ["SM_MASTER_PORT"])
if rank == 0:
    server = socket.create_server(master)
    got = server.accept()[0].recv(9).decode()
else:
    for _ in range(200):
        try:
            got = ""
            socket.create_connection(master).sendall(b"41")
            break
        except ConnectionRefusedError:  # not yet there
            time.sleep(0.02)
print(f"{host} val={rank}.5")
contract = {key: value for key, value in os.environ.items() if key.startswith("SM_")}
contract["files"] = sorted(os.listdir(os.environ["SM_CHANNEL_TRAIN"]))
contract["file"] = json.load(open("/opt/ml/input/config/resourceconfig.json"))
os.mkdir("/opt/ml/model/parts")
for path in ("model/got", f"model/parts/{host}", f"output/data/{host}"):
    with open(f"/opt/ml/{path}", "w") as file:
        file.write(got if path == "model/got" else json.dumps(contract))
"""


def several(aws, name, script, count=2, **changes):
    """Returns the request of a script's job on several hosts."""
    aws.put(f"code/{name}.tar.gz", archive(train=script))
    code = {"sagemaker_submit_directory": f"s3://{aws.bucket}/code/{name}.tar.gz"}
    request = aws.job(name, code, **changes)
    return at(request, "ResourceConfig.InstanceCount", count)


def train(aws, name, *arguments, **changes):
    """Runs a job on several hosts; returns its description, its seconds and whether all its
    processes have ended.
    """
    from sandbox import jobs

    started = time.monotonic()
    aws.sm.create_training_job(**several(aws, name, *arguments, **changes))
    seconds = time.monotonic() - started
    ended = [host.process.returncode is not None for host in jobs.jobs[name].hosts]
    return aws.sm.describe_training_job(TrainingJobName=name), seconds, all(ended)


def test_hosts_meet(aws):
    for letter in "abc":
        aws.put(f"data/sharded/{letter}.csv", b"1")
    channel = aws.channel("train", "data/sharded/")
    channel["DataSource"]["S3DataSource"]["S3DataDistributionType"] = "ShardedByS3Key"
    job, _, ended = train(aws, "meet", MEET, InputDataConfig=[channel])
    assert job["TrainingJobStatus"] == "Completed" and ended
    names = ["algo-1", "algo-2"]
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    output = aws.unpacked(uri.replace("model.tar", "output.tar"))
    assert sorted(output) == names
    model = aws.unpacked(uri)
    assert model.keys() == {"got", "parts/algo-1", "parts/algo-2"}
    assert model["got"] == b"41"  # sent by algo-2, kept by algo-1
    assert [aws.log("meet", name) for name in names] == [["algo-1 val=0.5"], ["algo-2 val=1.5"]]
    assert job["FinalMetricDataList"][0]["Value"] in (0.5, 1.5)
    found = [json.loads(output[name]) for name in names]
    for rank, (name, contract) in enumerate(zip(names, found)):
        assert contract["SM_CURRENT_HOST"] == contract["file"]["current_host"] == name
        assert json.loads(contract["SM_HOSTS"]) == contract["file"]["hosts"] == names
        assert contract["SM_CURRENT_HOST_RANK"] == str(rank)
        assert contract["SM_HOST_COUNT"] == "2"
        assert contract["file"]["current_instance_type"] == "ml.m5.large"
    assert [contract["files"] for contract in found] == [["a.csv", "c.csv"], ["b.csv"]]
    assert len({contract["SM_MODEL_DIR"] for contract in found}) == 2
    assert len({contract["SM_MASTER_PORT"] for contract in found}) == 1


def test_every_host_has_all_data(aws):
    script = "import os; print(os.listdir('/opt/ml/input/data/train'))"
    train(aws, "replicated", script)
    for host in ("algo-1", "algo-2"):
        assert aws.log("replicated", host) == ["['part.csv']"]


def test_a_host_fails(aws):
    script = """
import os, time
print("here")
if os.environ["SM_CURRENT_HOST"] == "algo-2":
    raise ValueError("no beans")
time.sleep(60)
"""
    job, seconds, ended = train(aws, "host-fails", script)
    assert job["TrainingJobStatus"] == "Failed" and seconds < 30 and ended
    assert job["ModelArtifacts"] == {}
    assert 'ErrorMessage "ValueError: no beans"' in job["FailureReason"]
    assert job["FailureReason"].endswith("exit code: 1")
    assert aws.log("host-fails", "algo-2")[0] == "here"


SLOW = "import time; print('val=1'); time.sleep(60)"


def test_hosts_are_stopped_by_their_time(aws):
    limit = {"StoppingCondition": {"MaxRuntimeInSeconds": 1}}
    job, seconds, ended = train(aws, "slow-hosts", SLOW, 3, **limit)
    assert job["SecondaryStatus"] == "MaxRuntimeExceeded" and ended
    assert 1 <= seconds < 30
    for host in ("algo-1", "algo-2", "algo-3"):
        assert aws.log("slow-hosts", host) == ["val=1"]


def test_hosts_are_stopped_by_a_call(aws):
    from sandbox import jobs

    thread = threading.Thread(target=train, args=(aws, "call-hosts", SLOW))
    thread.start()
    while "call-hosts" not in jobs.jobs or not jobs.jobs["call-hosts"].metrics:
        time.sleep(0.02)
    aws.sm.stop_training_job(TrainingJobName="call-hosts")
    thread.join(30)
    job = aws.sm.describe_training_job(TrainingJobName="call-hosts")
    assert job["SecondaryStatus"] == "Stopped"
    hosts = jobs.jobs["call-hosts"].hosts
    assert [host.process.returncode is not None for host in hosts] == [True, True]


def test_hosts_are_stopped_early_or_interrupted(aws):
    from sandbox import jobs

    def interrupt(*_):
        raise KeyboardInterrupt

    job = jobs.launch(several(aws, "early-hosts", SLOW), lambda *_: True)
    assert job.description["SecondaryStatus"] == "Stopped" and job.hopeless
    with pytest.raises(KeyboardInterrupt):
        jobs.launch(several(aws, "interrupted", SLOW), interrupt)
    for host in job.hosts + jobs.jobs["interrupted"].hosts:
        assert host.process.wait(10)


def test_checkpoints_of_several_hosts(aws):
    script = """
import os
with open(f"/opt/ml/checkpoints/{os.environ['SM_CURRENT_HOST']}", "a") as file:
    file.write("x")
"""
    config = {"CheckpointConfig": {"S3Uri": f"s3://{aws.bucket}/hosts"}}
    for name in ("hosts-first", "hosts-second"):
        train(aws, name, script, **config)
    for key in ("algo-1", "algo-2"):
        # the other host's old copy does not come back
        body = aws.s3.get_object(Bucket=aws.bucket, Key=f"hosts/{key}")["Body"]
        assert body.read() == b"xx"


def test_a_tuning_job_of_several_hosts(aws):
    request = aws.tuning(
        "hosts", ResourceLimits=dict(MaxNumberOfTrainingJobs=2, MaxParallelTrainingJobs=1)
    )
    path = "TrainingJobDefinition.ResourceConfig.InstanceCount"
    tuned, jobs = aws.tune(at(request, path, 2))
    assert right_best(tuned, jobs)
    assert aws.log(jobs[0]["TrainingJobName"], "algo-2")[-1].startswith("epoch=9")


# The built-in XGBoost, and endpoints


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


@pytest.fixture(scope="module")
def xgboost_job(aws):
    """A trained job of the built-in XGBoost, with its request and its validation data."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    y = (X[:, 0] + X[:, 1] + rng.normal(size=300) > 0).astype(int)
    aws.put("xgb/train/a.csv", table(X[:200], y[:200]))
    aws.put("xgb/validation/a.csv", table(X[200:], y[200:]))
    request = aws.job("xgb") | {
        "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        "HyperParameters": {
            "objective": "binary:logistic",
            "num_round": "8",
            "eval_metric": "auc,error",
            "max_depth": "3",
        },
        "InputDataConfig": [
            aws.channel(name, f"xgb/{name}", ContentType="text/csv")
            for name in ("train", "validation")
        ],
    }
    aws.sm.create_training_job(**request)
    return (request, aws.sm.describe_training_job(TrainingJobName="xgb"), X[200:], y[200:])


def test_xgboost_trains_and_predicts(aws, xgboost_job, tmp_path):
    import xgboost
    from sklearn.metrics import roc_auc_score

    request, job, X, y = xgboost_job
    metrics = {m["MetricName"]: m["Value"] for m in job["FinalMetricDataList"]}
    assert metrics.keys() == {"train:auc", "train:error", "validation:auc", "validation:error"}
    model = job["ModelArtifacts"]["S3ModelArtifacts"]
    (tmp_path / "model.ubj").write_bytes(aws.unpacked(model)["xgboost-model"])
    score = xgboost.Booster(model_file=tmp_path / "model.ubj").predict(xgboost.DMatrix(X))
    assert metrics["validation:auc"] == pytest.approx(roc_auc_score(y, score), abs=1e-5)
    assert (
        deploy(aws, "xgb", {"Image": XGBOOST, "ModelDataUrl": model})["EndpointStatus"]
        == "InService"
    )
    answer = aws.runtime.invoke_endpoint(EndpointName="xgb", ContentType="text/csv", Body=table(X))
    assert np.allclose(np.array(answer["Body"].read().split(b","), float), score)

    for number, (change, message) in enumerate(
        [
            ({"num_round": None}, "Missing required hyperparameter: num_round"),
            ({"bogus": "1"}, "bogus"),
        ]
    ):
        hyper = request["HyperParameters"] | change
        hyper = {key: value for key, value in hyper.items() if value}
        aws.sm.create_training_job(
            **request | {"TrainingJobName": f"xgb-{number}", "HyperParameters": hyper}
        )
        assert (
            message
            in aws.sm.describe_training_job(TrainingJobName=f"xgb-{number}")["FailureReason"]
        )
    with pytest.raises(NotImplementedError, match="text/csv"):
        aws.sm.create_training_job(
            **request
            | {"TrainingJobName": "libsvm", "InputDataConfig": [aws.channel("train", "xgb")]}
        )
    with pytest.raises(NotImplementedError, match="XGBoost on one host"):
        two = at(request, "ResourceConfig.InstanceCount", 2)
        aws.sm.create_training_job(**two | {"TrainingJobName": "two"})


def test_xgboost_is_tuned(aws, xgboost_job):
    request = aws.tuning("xgb", "Random")
    config = request["HyperParameterTuningJobConfig"]
    config["HyperParameterTuningJobObjective"]["MetricName"] = "validation:auc"
    config["ParameterRanges"] = {
        "IntegerParameterRanges": [{"Name": "max_depth", "MinValue": "1", "MaxValue": "6"}]
    }
    definition = {
        key: value
        for key, value in xgboost_job[0].items()
        if key not in ("TrainingJobName", "HyperParameters")
    }
    static = {"objective": "binary:logistic", "num_round": "4"}
    tuned, jobs = aws.tune(
        request | {"TrainingJobDefinition": definition | {"StaticHyperParameters": static}}
    )
    assert (
        tuned["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        == max(values(jobs))
        > 0.7
    )


def serving(aws, name="serve.py"):
    code = aws.script["sagemaker_submit_directory"]
    return {"SAGEMAKER_PROGRAM": name, "SAGEMAKER_SUBMIT_DIRECTORY": code}


def test_endpoint_predicts_as_the_script(aws):
    model = aws.train("to-serve", {"alpha": "3"})["ModelArtifacts"]["S3ModelArtifacts"]
    container = {"Image": IMAGE, "ModelDataUrl": model, "Environment": serving(aws)}
    assert deploy(aws, "served", container)["EndpointStatus"] == "InService"
    aws.sm.get_waiter("endpoint_in_service").wait(EndpointName="served")
    ask = aws.runtime.invoke_endpoint
    X = np.array([[1.0, 2.0], [3.0, 4.5]])
    own = {}
    exec(SERVING, own)
    for body, kind, parse in (
        (json.dumps(X.tolist()), "application/json", json.loads),
        (table(X), "text/csv", lambda text: [float(part) for part in text.split()]),
    ):
        answer = ask(EndpointName="served", ContentType=kind, Accept=kind, Body=body)
        assert parse(answer["Body"].read()) == own["predict_fn"](X, 3).tolist()
        assert answer["ContentType"] == kind and answer["InvokedProductionVariant"] == "all"
    with pytest.raises(aws.runtime.exceptions.ModelError, match="text/plain is not supported"):
        ask(EndpointName="served", ContentType="text/plain", Body="1")
    assert json.loads(
        ask(EndpointName="served", ContentType="application/json", Body="[[2]]")["Body"].read()
    ) == [6]
    aws.sm.delete_endpoint(EndpointName="served")
    with pytest.raises(botocore.exceptions.ClientError, match="Endpoint served of account"):
        ask(EndpointName="served", ContentType="text/csv", Body="1")


def test_endpoint_from_the_registry(aws):
    model = aws.train("to-register", {"alpha": "3"})["ModelArtifacts"]["S3ModelArtifacts"]
    aws.sm.create_model_package_group(ModelPackageGroupName="models")
    package = aws.sm.create_model_package(
        ModelPackageGroupName="models",
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [{"Image": IMAGE, "ModelDataUrl": model, "Environment": serving(aws)}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    assert deploy(aws, "registered", {"ModelPackageName": package})["EndpointStatus"] == "InService"
    answer = aws.runtime.invoke_endpoint(
        EndpointName="registered", ContentType="text/csv", Body=b"1,1"
    )
    assert answer["Body"].read() == b"[6.0]"


def test_endpoint_fails(aws):
    model = aws.train("no-model-fn")["ModelArtifacts"]["S3ModelArtifacts"]
    for name, container in {
        "broken": {
            "Image": IMAGE,
            "ModelDataUrl": model,
            "Environment": serving(aws, "nowhere.py"),
        },
        "missing": {"Image": IMAGE, "ModelDataUrl": model + "x", "Environment": serving(aws)},
    }.items():
        description = deploy(aws, name, container)
        assert (
            description["EndpointStatus"] == "Failed"
            and "health check" in description["FailureReason"]
        )


# Tuning jobs


def test_grid(aws):
    ranges = {
        "CategoricalParameterRanges": [
            {"Name": "alpha", "Values": ["1", "2", "4"]},
            {"Name": "epochs", "Values": ["2", "4"]},
        ]
    }
    request = aws.tuning(
        "grid", "Grid", ParameterRanges=ranges, ResourceLimits={"MaxParallelTrainingJobs": 3}
    )
    request["TrainingJobDefinition"]["StaticHyperParameters"].pop("epochs")
    tuned, jobs = aws.tune(request)
    tried = [
        (job["TunedHyperParameters"]["alpha"], job["TunedHyperParameters"]["epochs"])
        for job in jobs
    ]
    assert tried == [(a, e) for a in "124" for e in "24"]
    assert values(jobs) == pytest.approx([1 - (float(a) - 2) ** 2 - 1 / float(e) for a, e in tried])
    assert tuned["BestTrainingJob"]["TunedHyperParameters"] == {"alpha": "2", "epochs": "4"}
    assert (
        tuned["TrainingJobStatusCounters"]["Completed"]
        == tuned["ObjectiveStatusCounters"]["Succeeded"]
        == 6
    )


def right_best(tuned, jobs, choose=max):
    """Says whether the best job is the best of those that completed, and its model really has that
    objective.
    """
    done = [job for job in jobs if job["TrainingJobStatus"] == "Completed"]
    best = tuned["BestTrainingJob"]
    objective = best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    exact = 1 - (float(best["TunedHyperParameters"]["alpha"]) - 2) ** 2 - 1 / 9
    return objective == choose(values(done)) == pytest.approx(exact, abs=1e-4)


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_random_and_bayesian(aws, strategy):
    limits = {"MaxNumberOfTrainingJobs": 12, "MaxParallelTrainingJobs": 1}
    tuned, jobs = aws.tune(aws.tuning(strategy, strategy, ResourceLimits=limits))
    assert len(jobs) == 12 and right_best(tuned, jobs)
    assert {job["TrainingJobStatus"] for job in jobs} == {"Completed"}
    away = [abs(float(job["TunedHyperParameters"]["alpha"]) - 2) for job in jobs]
    # after its three random jobs Bayesian search has found the maximum, random search has not
    assert (min(away[3:]) < 0.02) == (strategy == "Bayesian")


def test_bayesian_learns_between_batches_only(aws):
    found = []
    for parallel in (1, 8):
        limits = {"MaxNumberOfTrainingJobs": 8, "MaxParallelTrainingJobs": parallel}
        _, jobs = aws.tune(aws.tuning(f"parallel-{parallel}", "Bayesian", ResourceLimits=limits))
        found.append([job["TunedHyperParameters"]["alpha"] for job in jobs])
    assert found[0][:3] == found[1][:3] and found[0] != found[1]


def test_hyperband_stops_poor_jobs(aws):
    limits = {"MaxNumberOfTrainingJobs": 12, "MaxParallelTrainingJobs": 1}
    tuned, jobs = aws.tune(aws.tuning("hyperband", "Hyperband", ResourceLimits=limits))
    states = [job["TrainingJobStatus"] for job in jobs]
    assert right_best(tuned, jobs)
    assert 0 < states.count("Stopped") == tuned["TrainingJobStatusCounters"]["Stopped"] < 12
    assert max(values(jobs)) == max(
        value for value, state in zip(values(jobs), states) if state == "Completed"
    )


def test_early_stopping(aws):
    ranges = {
        "CategoricalParameterRanges": [
            {"Name": "alpha", "Values": ["2", "2.1", "1.9", "4", "2.05"]}
        ]
    }
    request = aws.tuning(
        "early", "Grid", ParameterRanges=ranges, ResourceLimits={"MaxParallelTrainingJobs": 1}
    )
    request["HyperParameterTuningJobConfig"]["TrainingJobEarlyStoppingType"] = "Auto"
    _, jobs = aws.tune(request)
    assert [job["TrainingJobStatus"] for job in jobs] == ["Completed"] * 3 + [
        "Stopped",
        "Completed",
    ]
    stopped = aws.sm.describe_training_job(TrainingJobName=jobs[3]["TrainingJobName"])
    assert stopped["ModelArtifacts"] == {} and values(jobs)[3] == -4  # after its first epoch


def test_minimize(aws):
    request = aws.tuning("minimize")
    request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["Type"] = (
        "Minimize"
    )
    assert right_best(*aws.tune(request), choose=min)


@pytest.mark.parametrize(
    "scale, low, high",
    [
        ("Logarithmic", "1e-6", "1"),
        ("Auto", "1e-6", "1"),
        ("ReverseLogarithmic", "0", "0.999999"),
        ("Linear", "1e-6", "1"),
    ],
)
def test_scales(aws, scale, low, high):
    ranges = {"ContinuousParameterRanges": [alpha(low, high, ScalingType=scale)]}
    _, jobs = aws.tune(
        aws.tuning(
            f"scale-{scale}",
            ParameterRanges=ranges,
            ResourceLimits={"MaxNumberOfTrainingJobs": 9, "MaxParallelTrainingJobs": 1},
        )
    )
    drawn = np.median([float(job["TunedHyperParameters"]["alpha"]) for job in jobs])
    assert drawn > 0.95 if scale == "ReverseLogarithmic" else (drawn < 0.05) == (scale != "Linear")


def test_completion_criteria(aws):
    tuned, jobs = aws.tune(
        aws.tuning("target", TuningJobCompletionCriteria={"TargetObjectiveMetricValue": 0.5})
    )
    assert values(jobs)[-1] >= 0.5 > max(values(jobs)[:-1], default=-9) and len(jobs) < 6
    criteria = {"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}}
    limits = {"MaxNumberOfTrainingJobs": 40, "MaxParallelTrainingJobs": 1}
    tuned, jobs = aws.tune(
        aws.tuning("idle", TuningJobCompletionCriteria=criteria, ResourceLimits=limits)
    )
    assert max(values(jobs)) == values(jobs)[-4] and len(jobs) < 40
    assert tuned["TuningJobCompletionDetails"] == {"NumberOfTrainingJobsObjectiveNotImproving": 3}


def test_tuning_time(aws, monkeypatch):
    from sandbox import tuning

    clock = iter(range(0, 10_000, 100))
    monkeypatch.setattr(tuning, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))
    limits = {"MaxNumberOfTrainingJobs": 6, "MaxParallelTrainingJobs": 1}
    tuned, jobs = aws.tune(aws.tuning("time", ResourceLimits=limits | {"MaxRuntimeInSeconds": 150}))
    assert (tuned["HyperParameterTuningJobStatus"], len(jobs)) == ("Stopped", 2)


def test_tuning_without_a_result(aws):
    tuned, jobs = aws.tune(aws.tuning("silent", static={"act": "silent"}))
    assert tuned["HyperParameterTuningJobStatus"] == "Failed" and "BestTrainingJob" not in tuned
    assert "No objective metrics found after running 6 training jobs" in tuned["FailureReason"]
    assert {job["ObjectiveStatus"] for job in jobs} == {"Failed"}
    ask = {"HyperParameterTuningJobName": "silent", "SortBy": "FinalObjectiveMetricValue"}
    assert (
        aws.sm.list_training_jobs_for_hyper_parameter_tuning_job(**ask)["TrainingJobSummaries"]
        == []
    )
    tuned, jobs = aws.tune(aws.tuning("failing", static={"act": "fail"}))
    assert "ValueError: alpha is missing" in tuned["FailureReason"]
    assert tuned["TrainingJobStatusCounters"]["NonRetryableError"] == 6


def warm(request, *parents, kind="IdenticalDataAndAlgorithm"):
    names = [{"HyperParameterTuningJobName": parent} for parent in parents]
    return request | {
        "WarmStartConfig": {"ParentHyperParameterTuningJobs": names, "WarmStartType": kind}
    }


def test_warm_start(aws):
    limits = {"MaxNumberOfTrainingJobs": 10, "MaxParallelTrainingJobs": 1}
    parent, _ = aws.tune(aws.tuning("parent", "Random", ResourceLimits=limits))
    few = {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 1}
    cold, cold_jobs = aws.tune(aws.tuning("cold", "Bayesian", ResourceLimits=few))
    child, jobs = aws.tune(warm(aws.tuning("child", "Bayesian", ResourceLimits=few), "parent"))
    assert values(jobs) != values(cold_jobs) and "OverallBestTrainingJob" not in cold
    both = [parent["BestTrainingJob"], child["BestTrainingJob"]]
    overall = child["OverallBestTrainingJob"]
    assert values([overall])[0] == max(values(both))
    assert overall["TuningJobName"] in ("parent", "child")
    other, _ = aws.tune(
        warm(
            aws.tuning("transfer", "Bayesian", ResourceLimits=few),
            "parent",
            kind="TransferLearning",
        )
    )
    assert "OverallBestTrainingJob" not in other


def test_warm_start_rules(aws):
    aws.tune(
        aws.tuning(
            "base", ResourceLimits={"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1}
        )
    )
    other = aws.tuning("w")
    other["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"] = (
        "noise"
    )
    more = aws.tuning("w", static={"sleep": "0"})
    data = aws.tuning("w")
    data["TrainingJobDefinition"]["InputDataConfig"] = [aws.channel("train", "data")]
    for request, message in (
        (warm(aws.tuning("w"), "nobody"), "does not exist"),
        (warm(other, "base"), "must have the same objective"),
        (warm(more, "base"), "must have as many static"),
        (warm(data, "base"), "must have the same input data"),
        (warm(aws.tuning("w"), *["base"] * 6), "less than or equal to 5"),
        (warm(aws.tuning("w"), "base", kind="IDENTICAL"), "enum value set"),
    ):
        with pytest.raises(botocore.exceptions.ClientError, match=message):
            aws.sm.create_hyper_parameter_tuning_job(**request)
    assert (
        aws.tune(warm(data, "base", kind="TransferLearning"))[0]["HyperParameterTuningJobStatus"]
        == "Completed"
    )


def test_tuning_is_stopped_by_a_call(aws):
    thread = threading.Thread(
        target=aws.tune, args=(aws.tuning("halted", static={"sleep": "0.1"}),)
    )
    thread.start()
    for _ in range(100):
        time.sleep(0.05)
        try:
            aws.sm.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="halted")
            break
        except aws.sm.exceptions.ResourceNotFound:
            pass  # not yet there
    thread.join(20)
    tuned = aws.sm.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="halted")
    assert tuned["HyperParameterTuningJobStatus"] == "Stopped"
    assert sum(tuned["TrainingJobStatusCounters"].values()) < 6
    with pytest.raises(botocore.exceptions.ClientError, match="in status Stopped"):
        aws.sm.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName="halted")


# Requests that are refused


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


SPOT = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}


@pytest.mark.parametrize(
    "path, value, message",
    [
        (
            "ResourceConfig.InstanceType",
            "ml.banana",
            r"at 'resourceConfig\.instanceType' .* enum value set: \[",
        ),
        ("RetryStrategy", {"MaximumRetryAttempts": 31}, "value less than or equal to 30"),
        (
            "TrainingJobName",
            "a_b",
            "Value 'a_b' at 'trainingJobName' .* regular expression pattern",
        ),
        ("TrainingJobName", "a" * 64, "pattern"),
        ("RoleArn", "arn:aws:iam::12:role/short-account", "pattern"),
        ("HyperParameters", {str(n): "" for n in range(101)}, "length less than or equal to 100"),
        ("InputDataConfig.0.ChannelName", "two words", "pattern"),
        (
            "ResourceConfig.InstanceCount",
            "1",
            "Invalid type for parameter ResourceConfig.InstanceCount",
        ),
        ("ResourceConfig.Banana", 1, "Unknown parameter"),
        ("OutputDataConfig", None, "Missing required parameter"),
        ("StoppingCondition.MaxRuntimeInSeconds", 0, "valid min value: 1"),
        ("StoppingCondition", SPOT, "only supported when EnableManagedSpotTraining"),
        ("EnableManagedSpotTraining", True, "needs a MaxWaitTimeInSeconds above"),
        ("StoppingCondition.MaxRuntimeInSeconds", 2_419_201, "28 days"),
        ("AlgorithmSpecification.AlgorithmName", "mine", "either TrainingImage or AlgorithmName"),
        ("AlgorithmSpecification.MetricDefinitions.0.Regex", "val=(", "not a regular expression"),
        ("AlgorithmSpecification.MetricDefinitions.0.Regex", "val=.*", "no group"),
        (
            "ProfilerConfig",
            {"ProfilingIntervalInMilliseconds": 300},
            "ProfilingIntervalInMilliseconds must be",
        ),
    ],
)
def test_refused_training_jobs(aws, path, value, message):
    request = at(aws.job("refused"), path, value)
    with pytest.raises(
        (botocore.exceptions.ClientError, botocore.exceptions.ParamValidationError), match=message
    ):
        aws.sm.create_training_job(**request)
    assert aws.sm.list_training_jobs(NameContains="refused")["TrainingJobSummaries"] == []


def test_spot_and_warm_pool_rules(aws):
    assert (
        aws.train("spot", EnableManagedSpotTraining=True, StoppingCondition=SPOT)[
            "TrainingJobStatus"
        ]
        == "Completed"
    )
    short = SPOT | {"MaxWaitTimeInSeconds": 59}
    with pytest.raises(botocore.exceptions.ClientError, match="above or equal"):
        aws.train("spot-short", EnableManagedSpotTraining=True, StoppingCondition=short)
    pool = aws.definition["ResourceConfig"] | {"KeepAlivePeriodInSeconds": 60}
    with pytest.raises(botocore.exceptions.ClientError, match="KeepAlive"):
        aws.train(
            "spot-warm", EnableManagedSpotTraining=True, StoppingCondition=SPOT, ResourceConfig=pool
        )


CONFIG = "HyperParameterTuningJobConfig."
RANGE = CONFIG + "ParameterRanges.ContinuousParameterRanges"
INTEGER = [alpha("1", "4", ScalingType="ReverseLogarithmic")]
STATIC = "TrainingJobDefinition.StaticHyperParameters."


@pytest.mark.parametrize(
    "path, value, message",
    [
        (CONFIG + "Strategy", "Banana", r"enum value set: \[Bayesian, Random, Hyperband, Grid\]"),
        (CONFIG + "Strategy", "Grid", "CategoricalParameterRanges only"),
        (CONFIG + "StrategyConfig", {"HyperbandStrategyConfig": {}}, "only for the Hyperband"),
        (RANGE, [alpha("4", "4")], "not below"),
        (RANGE, [alpha("low", "4")], "must be continuous numbers"),
        (RANGE, [alpha("0", "4", ScalingType="Logarithmic")], "only for ranges above 0"),
        (RANGE, [alpha("0", "1", ScalingType="ReverseLogarithmic")], "0 <= x < 1"),
        (CONFIG + "ParameterRanges.IntegerParameterRanges", INTEGER, "for continuous 0 <= x < 1"),
        (CONFIG + "ParameterRanges", {}, "At least one hyperparameter range"),
        (
            RANGE,
            [alpha("0", "1") | {"Name": f"h{n}"} for n in range(31)],
            "less than or equal to 30",
        ),
        (
            CONFIG + "ParameterRanges.CategoricalParameterRanges",
            [{"Name": f"h{n}", "Values": ["a"]} for n in range(30)],
            "At most 30 hyperparameters",
        ),
        (STATIC + "alpha", "1", "Hyperparameter alpha is given twice"),
        (CONFIG + "ResourceLimits.MaxParallelTrainingJobs", 11, "at most 10"),
        (CONFIG + "ResourceLimits.MaxNumberOfTrainingJobs", 751, "at most 750"),
        (CONFIG + "ResourceLimits.MaxNumberOfTrainingJobs", None, "ResourceLimits needs"),
        (
            CONFIG + "HyperParameterTuningJobObjective.MetricName",
            "auc",
            "not among the MetricDefinitions",
        ),
        (CONFIG + "HyperParameterTuningJobObjective", None, "Objective must be given"),
        ("TrainingJobDefinition", None, "TrainingImage|must be given"),
        ("TrainingJobDefinition.EnableManagedSpotTraining", True, "MaxWaitTimeInSeconds"),
        (
            "TrainingJobDefinition.AlgorithmSpecification.MetricDefinitions",
            [{"Name": f"m{n}", "Regex": "(x)"} for n in range(21)],
            "20 metrics",
        ),
        (
            "TrainingJobDefinition.StaticHyperParameters",
            {f"h{n}": "" for n in range(99)},
            "At most 100 hyperparameters",
        ),
        ("HyperParameterTuningJobName", "a" * 33, "pattern"),
    ],
)
def test_refused_tuning_jobs(aws, path, value, message):
    request = at(aws.tuning("refused"), path, value)
    with pytest.raises(
        (botocore.exceptions.ClientError, botocore.exceptions.ParamValidationError), match=message
    ):
        aws.sm.create_hyper_parameter_tuning_job(**request)
    assert (
        aws.sm.list_hyper_parameter_tuning_jobs(NameContains="refused")[
            "HyperParameterTuningJobSummaries"
        ]
        == []
    )


def test_refused_grid_and_hyperband(aws):
    grid = aws.tuning(
        "r",
        "Grid",
        ParameterRanges={"CategoricalParameterRanges": [{"Name": "alpha", "Values": ["1", "2"]}]},
    )
    early = aws.tuning("r", "Hyperband", TrainingJobEarlyStoppingType="Auto")
    blind = at(aws.tuning("r", "Hyperband"), STATIC + "epochs", None)
    narrow = aws.tuning(
        "r",
        "Hyperband",
        StrategyConfig={"HyperbandStrategyConfig": {"MinResource": 9, "MaxResource": 9}},
    )
    for request, message in (
        (grid, "the grid 2 jobs"),
        (early, "must be Off"),
        (blind, "needs MaxResource"),
        (narrow, "above MinResource"),
    ):
        with pytest.raises(botocore.exceptions.ClientError, match=message):
            aws.sm.create_hyper_parameter_tuning_job(**request)


def test_every_rule_has_a_source(aws):
    from sandbox import validation

    for rule, source, operations in validation.rules:
        assert rule.__doc__ and operations
        assert source.startswith("https://docs.aws.amazon.com/sagemaker/latest/")


# What the sandbox does not do


@pytest.mark.parametrize(
    "path, value, message",
    [
        ("ResourceConfig.InstanceCount", 9, "at most 8 hosts"),
        (
            "ResourceConfig.InstanceGroups",
            [{"InstanceType": "ml.m5.large", "InstanceCount": 2, "InstanceGroupName": "a"}],
            "hosts of one kind",
        ),
        ("AlgorithmSpecification.TrainingInputMode", "Pipe", "input modes"),
        ("InputDataConfig.0.CompressionType", "Gzip", "as it is"),
        ("InputDataConfig.0.DataSource.S3DataSource.S3DataType", "ManifestFile", "S3 prefixes"),
        ("OutputDataConfig.CompressionType", "NONE", "tar.gz"),
        ("AlgorithmSpecification.ContainerEntrypoint", ["bash"], "not commands"),
        ("HyperParameters.sagemaker_mpi_enabled", "true", "without torchrun"),
        ("HyperParameters.sagemaker_torch_distributed_enabled", "true", "without torchrun"),
        ("HyperParameters", {}, "runs a script"),
    ],
)
def test_unsupported_jobs(aws, path, value, message):
    with pytest.raises(NotImplementedError, match=message):
        aws.sm.create_training_job(**at(aws.job("unsupported"), path, value))


def test_unsupported_actions(aws):
    data = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{aws.bucket}/data"}}
    automl = {
        "AutoMLJobName": "auto",
        "AutoMLJobInputDataConfig": [{"ChannelType": "training", "DataSource": data}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{aws.bucket}/auto"},
        "AutoMLProblemTypeConfig": {"TabularJobConfig": {"TargetAttributeName": "y"}},
        "RoleArn": aws.role,
    }
    for call, request in (
        (aws.sm.create_auto_ml_job_v2, automl),
        (aws.sm.list_processing_jobs, {}),
        (aws.sm.list_cluster_nodes, {"ClusterName": "c"}),
        (aws.sm.start_pipeline_execution, {"PipelineName": "p"}),
        (aws.sm.search, {"Resource": "TrainingJob"}),
        (aws.sm.delete_model_package, {"ModelPackageName": "p"}),
        (boto3.client("sagemaker", region_name="eu-west-1").list_training_jobs, {}),
    ):
        with pytest.raises(NotImplementedError):
            call(**request)
    with pytest.raises(botocore.exceptions.ClientError, match="enum"):
        aws.sm.create_auto_ml_job_v2(
            **at(automl, "AutoMLJobInputDataConfig.0.ChannelType", "banana")
        )


def test_stored_resources(aws):
    aws.sm.create_experiment(ExperimentName="study")
    aws.sm.create_trial(TrialName="one", ExperimentName="study")
    aws.sm.create_trial_component(TrialComponentName="part")
    aws.sm.associate_trial_component(TrialComponentName="part", TrialName="one")
    assert [
        trial["TrialName"] for trial in aws.sm.list_trials(ExperimentName="study")["TrialSummaries"]
    ] == ["one"]
    answer = aws.sm.list_experiments()
    assert answer["ResponseMetadata"] == {"HTTPStatusCode": 200}


def unguarded(notebook):
    """Says whether a notebook makes a client before it has imported the sandbox."""
    code = "\n".join(cell.source for cell in code_cells(notebook))
    first = re.search(r"boto3\.(client|resource|Session)\b", code)
    return bool(first) and not re.search(r"^import sandbox\b", code[: first.start()], re.M)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_import_the_sandbox_first(path):
    assert not unguarded(read(path))


def test_rejects_an_unguarded_notebook():
    def notebook(*cells):
        return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])

    client = "sm = boto3.client('sagemaker')"
    assert unguarded(notebook("import boto3", client, "import sandbox"))
    assert not unguarded(notebook("import boto3\nimport sandbox  # a local AWS", client))


# The guard, in processes of their own

REAL = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": "token",
    "AWS_PROFILE": "work",
    "AWS_DEFAULT_REGION": "eu-central-1",
}
WATCH = """
import os, socket, subprocess, sys
tried = []

def refuse(kind):
    def call(*arguments, **_):
        address = arguments[0] if kind == "lookup" else arguments[1]
        host = address[0] if isinstance(address, tuple) else address
        if str(host) not in ("127.0.0.1", "localhost", "::1"):
            tried.append(str(host))
        raise OSError(f"blocked: {host}")
    return call

socket.getaddrinfo = refuse("lookup")
socket.socket.connect = socket.socket.connect_ex = refuse("connect")
import boto3, botocore.config
fast = botocore.config.Config(retries={"max_attempts": 1}, connect_timeout=1)

def ask(call, **request):
    try:
        call(**request)
        return "answered"
    except BaseException as error:
        return type(error).__name__
"""


def python(code, tmp_path, **environment):
    """Runs code in a fresh process in chapters/, with credentials about; returns its output."""
    folder = tmp_path / ".aws"
    folder.mkdir(exist_ok=True)
    keys = "".join(
        f"{name.lower()} = {REAL[name]}\n"
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    )
    (folder / "credentials").write_text(f"[default]\n{keys}[work]\n{keys}")
    (folder / "config").write_text("[profile work]\nregion = eu-central-1\n")
    keep = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    given = keep | REAL | {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)} | environment
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=CHAPTERS,
        env=given,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


CALLS = """
session = boto3.Session()
before = session.client("sagemaker", config=fast)
import sandbox
made_late = session.client("s3", config=fast)
print(ask(before.list_training_jobs), ask(made_late.list_buckets))
print(ask(boto3.client("sagemaker").list_training_jobs), ask(boto3.client("s3").list_buckets))
print(
    ask(boto3.client("sts").get_caller_identity),
    ask(boto3.client("bedrock-runtime").converse, modelId="m"),
)
keys = {"aws_access_key_id": "AKIAI44QH8DHBEXAMPLE", "aws_secret_access_key": "x"}
own = boto3.client("s3", region_name="eu-west-3", **keys)
print(ask(own.list_buckets), ask(boto3.client("s3", endpoint_url="https://s3.example.org").list_buckets))
print(boto3.Session().get_credentials().access_key, ask(boto3.Session, profile_name="work"))
child = "import boto3; print(boto3.Session().get_credentials().access_key)"
print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout.strip())
print(tried)
"""


def test_nothing_leaves_the_machine(tmp_path):
    lines = python(WATCH + CALLS, tmp_path)
    assert lines == [
        "NotImplementedError NotImplementedError",
        "answered answered",
        "answered NotImplementedError",
        "answered NotImplementedError",
        "sandbox ProfileNotFound",
        "sandbox",
        "[]",
    ]
    unguarded = python(
        WATCH + "ask(boto3.client('s3', config=fast).list_buckets)\nprint(tried)", tmp_path
    )
    assert "amazonaws.com" in unguarded[0]  # the watch would have seen it


def test_a_script_reaches_nobody(aws):
    script = (
        "import boto3, os; print(os.environ['AWS_ACCESS_KEY_ID']); "
        "boto3.client('s3').list_buckets()"
    )
    aws.put("code/caller.tar.gz", archive(train=script))
    job = aws.train(
        "caller", {"sagemaker_submit_directory": f"s3://{aws.bucket}/code/caller.tar.gz"}
    )
    assert aws.log("caller")[0] == "sandbox" and "127.0.0.1:9" in job["FailureReason"]


AWS_MODE = {
    "AWS_SANDBOX": "0",
    "AWS_I_ACCEPT_COSTS": "1",
    "SAGEMAKER_ROLE": "arn:aws:iam::111122223333:role/mine",
    "SAGEMAKER_BUCKET": "mine",
}
ATTEMPT = """
try:
    import sandbox
    print(sandbox.role, sandbox.bucket)
except RuntimeError as error:
    print(error)
print(ask(boto3.client("s3", config=fast).list_buckets), "amazonaws" in str(tried))
"""


@pytest.mark.parametrize(
    "missing", ["AWS_I_ACCEPT_COSTS", "SAGEMAKER_ROLE", "SAGEMAKER_BUCKET", "AWS_DEFAULT_REGION"]
)
def test_aws_needs_everything(tmp_path, missing):
    first, second = python(WATCH + ATTEMPT, tmp_path, **AWS_MODE | {missing: ""})
    assert missing in first and "restart the kernel" in first
    assert second == "NotImplementedError False"


def test_aws_when_asked_for(tmp_path):
    lines = python(WATCH + ATTEMPT, tmp_path, **AWS_MODE)
    assert lines == ["arn:aws:iam::111122223333:role/mine mine", "EndpointConnectionError True"]
    for sandbox in ("1", "", "false", "no"):
        lines = python(WATCH + ATTEMPT, tmp_path, **AWS_MODE | {"AWS_SANDBOX": sandbox})
        assert lines[0].endswith("SageMakerExecutionRole sagemaker-us-east-1-123456789012")
        assert lines[1] == "answered False"


# The same in every run and in two processes at once

STORY = f"""
import sys
sys.path[:0] = [{str(ROOT / "tests")!r}]
import boto3, test_sandbox
aws = test_sandbox.Aws()
print(aws.train("one"))
print(aws.tune(aws.tuning("two", "Bayesian")))
print(aws.sm.list_training_jobs())
url = boto3.client("sqs").create_queue(QueueName="q")["QueueUrl"]
print(boto3.client("sqs").send_message(QueueUrl=url, MessageBody="m")["MessageId"])
model = aws.sm.describe_training_job(TrainingJobName="one")["ModelArtifacts"]["S3ModelArtifacts"]
print(aws.s3.head_object(Bucket=aws.bucket, Key=model.split("/", 3)[3])["ETag"])
"""


def test_two_at_once_and_the_same():
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", STORY],
            cwd=CHAPTERS,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [run.communicate() for run in runs]
    assert all(run.returncode == 0 for run in runs), outputs
    assert outputs[0] == outputs[1] and outputs[0][0].count("\n") == 5 and outputs[0][1] == ""


def test_import_is_light():
    code = (
        "import sys, time; start = time.monotonic(); import sandbox; "
        "print(time.monotonic() - start, 'optuna' in sys.modules)"
    )
    seconds, optuna = subprocess.run(
        [sys.executable, "-c", code], cwd=CHAPTERS, capture_output=True, text=True, check=True
    ).stdout.split()
    assert float(seconds) < 5 and optuna == "False"
