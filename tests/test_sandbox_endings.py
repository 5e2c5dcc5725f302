"""Every create call ends in an answer, an error of AWS or NotImplementedError; every job reaches a
final state and keeps its log, and all its processes end with it, whatever its files hold.
"""

import itertools
import os
import signal
import subprocess
import sys
import textwrap
import time
import types

import boto3
import botocore.exceptions
import psutil
import pytest
from local_aws import CHAPTERS, SCRIPT, Aws, refused, tarball

APPLE = bytes.fromhex("00051607000200004d6163204f532058") + bytes(range(128, 200))
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs the signals or shell of POSIX")
LATIN = "print('café')".encode("latin-1")


@pytest.fixture(scope="module")
def aws():
    return Aws()


def left(mark):
    """Returns the processes whose command holds a text."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(mark in part for part in process.cmdline()):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def gone(mark, seconds=10):
    """Says whether no process with this text in its command is left after a while."""
    for _ in range(seconds * 20):
        if not left(mark):
            return True
        time.sleep(0.05)
    return False


# The user's files


@pytest.mark.parametrize(
    "name, code, status",
    [
        ("apple", {"._train.py": APPLE, "train.py": "print('ok')"}, "Completed"),
        ("latin", {"train.py": b"# -*- coding: latin-1 -*-\n" + LATIN}, "Completed"),
        ("undeclared", {"train.py": LATIN}, "Failed"),
        ("nul", {"train.py": b"print('\0')"}, "Failed"),
        ("cut", tarball({"train.py": SCRIPT * 50})[:-90], "Failed"),
        ("no-tar", b"nothing of the kind", "Failed"),
        ("empty", b"", "Failed"),
        ("outside", {"../../train.py": "print('ok')"}, "Failed"),
        ("no-program", {"other.py": "print('ok')"}, "Failed"),
    ],
)
def test_whatever_an_archive_holds_the_job_ends(aws, name, code, status):
    job = aws.run(f"holds-{name}", code)
    assert job["TrainingJobStatus"] == status
    assert aws.sm.list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"] == []
    assert ("FailureReason" in job) == (status == "Failed")


@pytest.mark.parametrize(
    "name, hyper, changes, status",
    [
        ("deep", {"x": "[" * 2400}, {}, "Completed"),
        ("digits", {"x": "1" * 2400}, {}, "Completed"),
        ("zero", {}, {"Environment": {"X": "a\0b"}}, "Failed"),
        ("equals", {"a=b": "1"}, {}, "Failed"),
        ("nowhere", {}, {"OutputDataConfig": {"S3OutputPath": "s3://no-such-bucket/x"}}, "Failed"),
    ],
)
def test_whatever_a_request_holds_the_job_ends(aws, name, hyper, changes, status):
    code = "open('/opt/ml/model/m', 'w').write('m'); print('ran')"
    job = aws.run(f"asks-{name}", code, hyper, **changes)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == status
    if name == "nowhere":
        assert job["FailureReason"].startswith("ClientError: Artifact upload failed")
        assert aws.log(f"asks-{name}") == ["ran"]


def test_keys_that_lead_out_of_their_folder_are_not_followed(aws, tmp_path):
    aws.put("climb/../../../../../../../../tmp/climbed.csv", b"1")
    job = aws.run("climbs", "print(1)", InputDataConfig=[aws.channel("train", "climb/")])
    assert "leads out of its folder" in job["FailureReason"]
    assert not os.path.exists("/tmp/climbed.csv")


@pytest.mark.parametrize("path", ["/tmp/elsewhere", "/opt/ml/../../tmp/elsewhere", "/opt/mlx"])
def test_no_folder_of_this_machine_is_made(aws, path):
    config = {"S3Uri": f"s3://{aws.bucket}/c", "LocalPath": path}
    with pytest.raises(NotImplementedError, match="outside /opt/ml"):
        aws.run("elsewhere", "print(1)", CheckpointConfig=config)
    assert not os.path.exists("/tmp/elsewhere")
    with pytest.raises(aws.sm.exceptions.ResourceNotFound):
        aws.sm.describe_training_job(TrainingJobName="elsewhere")


def test_expressions_that_match_nothing_or_take_for_ever(aws):
    metrics = [
        ("either", r"accuracy=([0-9.]+)|acc: ([0-9.]+)"),
        ("maybe", r"acc(?: on ([a-z]+))?: [0-9.]+"),
        ("word", r"acc: (\w)"),
        ("endless", r"(a+)+b"),
        ("right", r"acc: ([0-9.]+)"),
        ("infinite", r"far: (\S+)"),
    ]
    code = "print('acc: 0.9'); print('a' * 60); print('far: inf'); print('far: nan')"
    found = aws.run("expressions", code, metrics=metrics)["FinalMetricDataList"]
    assert [(one["MetricName"], one["Value"]) for one in found] == [("word", 0), ("right", 0.9)]


# What is called, and what is answered


def test_an_error_names_the_operation_that_was_called(aws):
    code, message = refused(aws.sm.create_endpoint, EndpointName="e", EndpointConfigName="none")
    assert code == "ValidationException" and "Could not find endpoint configuration" in message
    for call in (aws.sm.list_training_jobs, aws.sm.list_endpoints):
        assert "NextToken" in refused(call, NextToken="²")[1]
    channel = aws.channel("train", "data")
    channel["DataSource"]["S3DataSource"]["S3Uri"] = "s3://Not_A_Bucket!/x"
    request = aws.request("bad-bucket", "print(1)", InputDataConfig=[channel])
    assert "No S3 objects found" in refused(aws.sm.create_training_job, **request)[1]


def test_an_event_that_cannot_be_delivered_changes_nothing(aws):
    events = boto3.client("events")
    events.put_rule(Name="lost", EventPattern='{"source": ["aws.sagemaker"]}')
    queue = "arn:aws:sqs:us-east-1:123456789012:no-such-queue"
    events.put_targets(Rule="lost", Targets=[{"Id": "queue", "Arn": queue}])
    assert aws.run("undelivered", "print(1)")["TrainingJobStatus"] == "Completed"
    events.remove_targets(Rule="lost", Ids=["queue"])
    events.delete_rule(Name="lost")


def test_what_the_store_cannot_take_is_said(aws):
    with pytest.raises(NotImplementedError, match="CreateCluster: .* cannot take it"):
        group = {"InstanceGroupName": "g", "InstanceType": "ml.c5.large", "InstanceCount": 1}
        group |= {"ExecutionRole": aws.role, "LifeCycleConfig": {"SourceS3Uri": "s3://sagemaker-x"}}
        group["LifeCycleConfig"]["OnCreate"] = "on.sh"
        aws.sm.create_cluster(ClusterName="c", InstanceGroups=[group])


# All processes of a job


@pytest.mark.parametrize(
    "name, start",
    [
        ("child", "subprocess.Popen(sleep)"),
        ("session", "subprocess.Popen(sleep, start_new_session=True)"),
        pytest.param(
            "orphan",
            "os.system(' '.join(sleep[:1] + ['-c', repr(sleep[2]), mark, '&']))",
            marks=POSIX,
        ),
        ("stubborn", "[subprocess.Popen(stubborn) for _ in range(5)]"),
    ],
)
def test_what_a_script_leaves_behind_ends_with_it(aws, name, start):
    mark = f"left-behind-{name}-{os.getpid()}"
    code = f"""
    import os, subprocess, sys, time
    mark = {mark!r}
    sleep = [sys.executable, "-c", "import time; time.sleep(600)", mark]
    stubborn = [sys.executable, "-c", "import signal, time; "
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)", mark]
    {start}
    print("started")
    """
    assert aws.run(mark, textwrap.dedent(code))["TrainingJobStatus"] == "Completed"
    assert gone(mark) and aws.log(mark)[-1] == "started"


@POSIX
def test_what_neither_ends_nor_listens_is_killed(aws, monkeypatch):
    from sandbox import processes

    monkeypatch.setattr(processes, "GRACE", 0.5)
    code = """
    import signal, subprocess, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("here")
    subprocess.run([sys.executable, "-c", "import time; time.sleep(600)", "never-ends"])
    time.sleep(600)
    """
    limit = {"MaxRuntimeInSeconds": 3}
    job = aws.run("never", textwrap.dedent(code), StoppingCondition=limit)
    assert job["SecondaryStatus"] == "MaxRuntimeExceeded" and aws.log("never")[0] == "here"
    assert gone("never-ends")


@POSIX
def test_a_script_that_kills_itself(aws):
    job = aws.run("kills", "import os, signal; print(1); os.kill(os.getpid(), signal.SIGKILL)")
    assert job["TrainingJobStatus"] == "Failed" and "ExitCode -9" in job["FailureReason"]
    assert aws.log("kills") == ["1"]


def test_a_flood_of_output(aws):
    code = "for n in range(50_000): print(f'line {n}')\nprint('x' * 2_000_000)\nprint('end')"
    assert aws.run("floods", code)["TrainingJobStatus"] == "Completed"
    from sandbox import jobs

    lines = jobs.jobs["floods"].logs["algo-1"].lines()
    assert lines[0] == "line 0" and lines[-1] == "end" and len(lines) == 20_001
    assert "left out" in lines[10_000]
    limit = {"MaxRuntimeInSeconds": 2}
    job = aws.run("floods-on", "while True: print('x' * 900)", StoppingCondition=limit)
    assert job["SecondaryStatus"] == "MaxRuntimeExceeded"


def test_a_script_has_no_input_and_a_home_of_its_own(aws):
    code = """
    import pathlib, sys
    print(repr(sys.stdin.read()))
    (pathlib.Path.home() / "sandbox-was-here").write_text("x")
    """
    assert aws.run("no-input", textwrap.dedent(code))["TrainingJobStatus"] == "Completed"
    assert aws.log("no-input") == ["''"]
    assert not os.path.exists(os.path.expanduser("~/sandbox-was-here"))


# Interrupts, and the end of the notebook

NOTEBOOK = """
import os, signal, sys, threading, time
sys.path[:0] = [{tests!r}]
from local_aws import Aws
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell runs behind
aws = Aws()
sm = aws.sm
WAITS = "import time; print('started', flush=True); time.sleep(600)"

def interrupted(call, **request):
    def interrupt():
        while not started(request):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    try:
        call(**request)
    except KeyboardInterrupt:
        return "interrupted"

def started(request):
    from sandbox import jobs
    running = [job for job in list(jobs.jobs.values()) if job.status == "InProgress"]
    return any(log.lines() for job in running for log in job.logs.values())
"""


def notebook(code, **more):
    """Starts Python as a notebook would run, on code; returns the process."""
    tests = os.path.dirname(os.path.abspath(__file__))
    whole = NOTEBOOK.format(tests=tests) + textwrap.dedent(code)
    command = [sys.executable, "-c", whole]
    return subprocess.Popen(command, cwd=CHAPTERS, stdout=subprocess.PIPE, text=True, **more)


@POSIX
def test_an_interrupt_ends_the_job_as_stopped():
    code = """
    print(interrupted(sm.create_training_job, **aws.request("broken-off", WAITS)))
    job = sm.describe_training_job(TrainingJobName="broken-off")
    print(job["TrainingJobStatus"], aws.log("broken-off"))
    aws.put("code/waits.tar.gz", __import__("local_aws").tarball({"train.py": WAITS}))
    code = {"sagemaker_submit_directory": f"s3://{aws.bucket}/code/waits.tar.gz"}
    request = aws.tuning("broken", static=code)
    print(interrupted(sm.create_hyper_parameter_tuning_job, **request))
    tuned = sm.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="broken")
    print(tuned["HyperParameterTuningJobStatus"], tuned["TrainingJobStatusCounters"]["Stopped"])
    print(sm.list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"])
    """
    process = notebook(code)
    lines = process.communicate(timeout=120)[0].splitlines()
    assert lines == ["interrupted", "Stopped ['started']", "interrupted", "Stopped 1", "[]"]


@POSIX
def test_what_runs_ends_with_the_notebook():
    number = os.getpid()
    mark = f"outlives-{number}"  # not as such in the command of the notebook itself
    code = f"""
    command = "import subprocess, sys; print(1, flush=True); " + (
        "subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)', 'outlives-%d'])"
    )
    sm.create_training_job(**aws.request("outlived", command % {number}))
    """
    process = notebook(code)
    for _ in range(600):
        if left(mark):
            break
        time.sleep(0.1)
    assert left(mark)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert gone(mark, 20)


def test_a_tuning_job_stops_its_running_job_when_its_time_is_over(aws):
    aws.put("code/naps.tar.gz", tarball({"train.py": SCRIPT + "\ntime.sleep(600)"}))
    code = {"sagemaker_submit_directory": f"s3://{aws.bucket}/code/naps.tar.gz"}
    request = aws.tuning("naps", static=code)
    limits = {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 3}
    config = request["HyperParameterTuningJobConfig"]
    config["ResourceLimits"] = limits | {"MaxRuntimeInSeconds": 120}
    from sandbox import tuning

    real = tuning.time.monotonic
    with pytest.MonkeyPatch.context() as patch:
        shifts = itertools.chain([117], itertools.repeat(0))
        ahead = types.SimpleNamespace(monotonic=lambda: real() - next(shifts))
        patch.setattr(tuning, "time", ahead)
        tuned, jobs = aws.tune(request)
    assert tuned["HyperParameterTuningJobStatus"] == "Stopped"
    assert [job["TrainingJobStatus"] for job in jobs] == ["Stopped"]


def test_a_request_that_is_not_real_leaves_no_job(aws):
    code = {"train.py": "print(1)", "requirements.txt": "no-such-package-here==1.0\n"}
    with pytest.raises(NotImplementedError, match="no-such-package-here"):
        aws.run("unreal", code)
    with pytest.raises(botocore.exceptions.ClientError):
        aws.sm.describe_training_job(TrainingJobName="unreal")
    first = aws.run("real", "print(1)")
    assert aws.run("real", "print(1)")["TrainingJobArn"] == first["TrainingJobArn"]
