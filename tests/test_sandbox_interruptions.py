"""Jobs whose hosts are taken away go on from their checkpoints; warm pools keep a cache."""

import threading
import time

import pytest
from local_aws import Aws

# counts to 6, one number a file in the checkpoints, and goes on from what is there
COUNT = """
import os, time
folder = "/opt/ml/checkpoints"
os.makedirs(folder, exist_ok=True)
for number in range(len(os.listdir(folder)), 6):
    open(f"{folder}/{number}", "w").write(str(number))
    print("step", number, flush=True)
    time.sleep(0.3)
open("/opt/ml/model/steps", "w").write(" ".join(sorted(os.listdir(folder))))
"""
CACHED = """
path = "/opt/ml/sagemaker/warmpoolcache/data"
try:
    print("found", open(path).read())
except FileNotFoundError:
    print("nothing there")
    open(path, "w").write("a download")
"""


@pytest.fixture(scope="module")
def aws():
    return Aws()


def counted(aws, name, when, times=1, **more):
    import sandbox

    sandbox.lose_host(name, when, times)
    return aws.run(name, COUNT, **more)


def kept(aws, name):
    return {"CheckpointConfig": {"S3Uri": f"s3://{aws.bucket}/{name}"}}


def steps(job):
    return [step["Status"] for step in job["SecondaryStatusTransitions"]]


SPOT = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
}


def test_a_spot_job_goes_on_from_its_checkpoints(aws):
    job = counted(aws, "taken-spot", "step 2", **kept(aws, "taken-spot"), **SPOT)
    assert job["TrainingJobStatus"] == "Completed"
    once = ["Starting", "Downloading", "Training"]
    assert steps(job) == [*once, "Interrupted", *once, "Uploading", "Completed"]
    assert aws.log("taken-spot") == [f"step {number}" for number in range(6)]
    model = aws.unpacked(job["ModelArtifacts"]["S3ModelArtifacts"])
    assert model["steps"] == b"0 1 2 3 4 5"


def test_without_checkpoints_it_begins_again(aws):
    job = counted(aws, "taken-forgetful", "step 2", **SPOT)
    assert job["TrainingJobStatus"] == "Completed"
    assert aws.log("taken-forgetful") == [f"step {n}" for n in [0, 1, 2, *range(6)]]


def test_a_lost_machine_fails_a_job_that_is_not_retried(aws):
    job = counted(aws, "taken-lost", "step 1")
    assert job["TrainingJobStatus"] == "Failed" and job["ModelArtifacts"] == {}
    assert job["FailureReason"].startswith("InternalServerError: We encountered an internal")


def test_a_retry_strategy_bears_so_many_losses(aws):
    once = {"RetryStrategy": {"MaximumRetryAttempts": 1}}
    job = counted(aws, "taken-retried", "step 1", **kept(aws, "taken-retried"), **once)
    assert job["TrainingJobStatus"] == "Completed" and "Restarting" in steps(job)
    assert aws.log("taken-retried")[-1] == "step 5"
    job = counted(aws, "taken-lost-twice", "step [13]", 2, **kept(aws, "taken-lost-twice"), **once)
    assert job["TrainingJobStatus"] == "Failed"
    assert aws.log("taken-lost-twice") == [f"step {number}" for number in range(4)]


def test_the_script_failing_by_itself_is_not_retried(aws):
    job = aws.run("taken-broken", "raise ValueError(1)", RetryStrategy={"MaximumRetryAttempts": 3})
    assert job["FailureReason"].startswith("AlgorithmError") and steps(job).count("Training") == 1


def test_checkpoints_are_stored_while_the_job_runs(aws):
    script = (
        "import time\nopen('/opt/ml/checkpoints/early', 'w').write('x')\nprint('saved', flush=True)"
        "\nfor _ in range(40):\n    time.sleep(0.1)\n    print('.', flush=True)"
    )
    request = aws.request("taken-early", script)
    request["CheckpointConfig"] = {"S3Uri": f"s3://{aws.bucket}/taken-early"}
    thread = threading.Thread(target=aws.sm.create_training_job, kwargs=request)
    thread.start()
    seen, until = False, time.monotonic() + 20
    while thread.is_alive() and not seen and time.monotonic() < until:
        found = aws.s3.list_objects_v2(Bucket=aws.bucket, Prefix="taken-early/")
        seen = found["KeyCount"] == 1 and thread.is_alive()
        time.sleep(0.05)
    aws.sm.stop_training_job(TrainingJobName="taken-early")
    thread.join()
    assert seen


# keeps the newest of its files only, begins by removing what it finds
KEEP_ONE = """
import glob, os, time
folder = "/opt/ml/checkpoints"
for number in range(3):
    for old in glob.glob(f"{folder}/*"):
        print("removes", os.path.basename(old))
        os.remove(old)
    open(f"{folder}/{number}", "w").write("x")
    time.sleep(0.3)
"""


def test_a_checkpoint_that_the_script_deletes_is_deleted_in_s3(aws):
    aws.s3.put_object(Bucket=aws.bucket, Key="taken-thrifty/earlier", Body=b"x")
    aws.run("taken-thrifty", KEEP_ONE, **kept(aws, "taken-thrifty"))
    assert aws.log("taken-thrifty") == [f"removes {name}" for name in ["earlier", "0", "1"]]
    found = aws.s3.list_objects_v2(Bucket=aws.bucket, Prefix="taken-thrifty/")["Contents"]
    assert [one["Key"] for one in found] == ["taken-thrifty/2"]


def test_a_warm_pool_keeps_its_cache(aws):
    pool = {"InstanceType": "ml.m5.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10}
    keep = {"ResourceConfig": pool | {"KeepAlivePeriodInSeconds": 600}}

    def status(name):
        return aws.sm.describe_training_job(TrainingJobName=name)["WarmPoolStatus"]

    aws.run("taken-cold", CACHED, **keep)
    assert aws.log("taken-cold") == ["nothing there"] and status("taken-cold") == {
        "Status": "Available"
    }
    aws.run("taken-warm", CACHED, **keep)
    assert aws.log("taken-warm") == ["found a download"]
    assert status("taken-cold") == {"Status": "Reused", "ReusedByJob": "taken-warm"}
    aws.run("taken-other", CACHED, ResourceConfig=pool | {"VolumeSizeInGB": 20})
    assert aws.log("taken-other") == ["nothing there"]
    none = {"KeepAlivePeriodInSeconds": 0}
    aws.sm.update_training_job(TrainingJobName="taken-warm", ResourceConfig=none)
    assert status("taken-warm") == {"Status": "Terminated"}
    aws.run("taken-late", CACHED, **keep)
    assert aws.log("taken-late") == ["nothing there"]
    aws.run("taken-last", CACHED, ResourceConfig=pool)
    assert aws.log("taken-last") == ["found a download"] and status("taken-last") == {
        "Status": "Terminated"
    }
