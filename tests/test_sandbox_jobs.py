"""Training jobs run their script, on one host and on several."""

import json
import threading
import time

import boto3
import botocore.exceptions
import pytest
from local_aws import Aws, archive, at


@pytest.fixture(scope="module")
def aws():
    return Aws()


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
        'ErrorMessage ""\n'
        'Command "/miniconda3/bin/python train.py --act fail", exit code: 1'
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
    assert job["FailureReason"] == "AlgorithmError: out of beans, exit code: 1"


def test_job_is_stopped_by_its_time(aws):
    job = aws.train("slow", {"sleep": "20"}, StoppingCondition={"MaxRuntimeInSeconds": 2})
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
    """Runs a job on several hosts; returns its description and whether all its
    processes have ended.
    """
    from sandbox import jobs

    aws.sm.create_training_job(**several(aws, name, *arguments, **changes))
    ended = [host.process.returncode is not None for host in jobs.jobs[name].hosts]
    return aws.sm.describe_training_job(TrainingJobName=name), all(ended)


def test_hosts_meet(aws):
    for letter in "abc":
        aws.put(f"data/sharded/{letter}.csv", b"1")
    channel = aws.channel("train", "data/sharded/")
    channel["DataSource"]["S3DataSource"]["S3DataDistributionType"] = "ShardedByS3Key"
    job, ended = train(aws, "meet", MEET, InputDataConfig=[channel])
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
    job, ended = train(aws, "host-fails", script)
    assert job["TrainingJobStatus"] == "Failed" and ended
    assert job["ModelArtifacts"] == {}
    assert aws.log("host-fails", "algo-2")[-1] == "ValueError: no beans"
    assert job["FailureReason"].endswith("exit code: 1")
    assert aws.log("host-fails", "algo-2")[0] == "here"


SLOW = "import time; print('val=1'); time.sleep(60)"


def test_hosts_are_stopped_by_their_time(aws):
    limit = {"StoppingCondition": {"MaxRuntimeInSeconds": 3}}
    job, ended = train(aws, "slow-hosts", SLOW, 3, **limit)
    assert job["SecondaryStatus"] == "MaxRuntimeExceeded" and ended
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

    job = jobs.run_to_end(several(aws, "early-hosts", SLOW), lambda *_: True)
    assert job.description["SecondaryStatus"] == "Stopped" and job.hopeless
    with pytest.raises(KeyboardInterrupt):
        jobs.run_to_end(several(aws, "interrupted", SLOW), interrupt)
    for host in job.hosts + jobs.jobs["interrupted"].hosts:
        assert host.process.returncode


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
