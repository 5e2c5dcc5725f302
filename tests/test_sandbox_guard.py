"""The guard, in processes of their own, and two sandboxes at once."""

import os
import subprocess
import sys
import textwrap

import pytest
from local_aws import CHAPTERS, Aws, archive
from notebooks import ROOT


@pytest.fixture(scope="module")
def aws():
    return Aws()


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
    assert job["TrainingJobStatus"] == "Failed"
    assert aws.log("caller")[0] == "sandbox" and "127.0.0.1:9" in aws.log("caller")[-1]


# what asks for AWS without botocore, each an expression that tells what came of it
LEAKS = """
import http.client, os, socket, subprocess, sys, urllib.request

def what(call, *arguments):
    try:
        return f"answered {call(*arguments)}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"

addresses = ["https://b.s3.amazonaws.com/k?X-Amz-Signature=1", "https://t.sagemaker.aws/x"]
addresses += ["http://169.254.169.254/latest/meta-data/iam/", "https://x.api.aws/"]
addresses += ["https://s3.us-east-1.amazonaws.com.cn/"]
told = [what(urllib.request.urlopen, address) for address in addresses]
told.append(what(http.client.HTTPSConnection("sts.amazonaws.com", timeout=3).request, "GET", "/"))
told.append(what(socket.create_connection, ("sagemaker.us-east-1.amazonaws.com.", 443), 3))
told.append(what(socket.gethostbyname, "s3.amazonaws.com"))
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
told.append(what(datagrams.sendto, b"x", ("169.254.170.2", 80)))
"""
LEFT = "print(sum('lets nothing out to AWS' in one for one in told), len(told), told)"
SDK = """
import boto3
asked = what(boto3.client("s3").list_buckets)
print(asked.split(":")[0], boto3.Session().get_credentials().access_key)
"""


NOBODY = "EndpointConnectionError sandbox"


def held(line):
    """Says whether each attempt of LEAKS was refused, by the line that LEFT prints."""
    refused, tried = line.split()[:2]
    return refused == tried == "9"


def test_no_library_reaches_aws_from_the_notebook(tmp_path):
    proxy = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    for more in ({}, proxy):
        [line] = python("import sandbox\n" + LEAKS + LEFT, tmp_path, **more)
        assert held(line), line
    code = """
    import requests, sandbox
    for address in ("https://t.experiments.sagemaker.aws/api", "https://x.s3.eu-west-1.api.aws/"):
        try:
            print(requests.get(address, timeout=3))
        except BaseException as error:
            print("lets nothing out" in str(error))
    """
    assert python(code, tmp_path) == ["True", "True"]


def test_children_of_the_notebook_reach_nobody(tmp_path):
    child = tmp_path / "child.py"
    child.write_text(LEAKS + LEFT + "\n" + SDK)
    code = f"""
    import multiprocessing, os, runpy, subprocess, sys
    import sandbox
    os.system(f"{{sys.executable}} {child}")
    sys.stdout.flush()
    print(subprocess.run([sys.executable, {str(child)!r}], capture_output=True, text=True).stdout)
    os.environ["PYTHONPATH"] += os.pathsep + "here"
    print(subprocess.run([sys.executable, {str(child)!r}], capture_output=True, text=True).stdout)
    """
    lines = [line for line in python(code, tmp_path) if line]
    assert [held(line) for line in lines[::2]] == [True] * 3, lines
    assert lines[1::2] == [NOBODY] * 3


def test_jobs_and_endpoints_reach_nobody_whatever_their_environment(aws):
    own = REAL | {"AWS_ENDPOINT_URL": "https://s3.amazonaws.com", "PYTHONPATH": "/nowhere"}
    own |= {"AWS_ENDPOINT_URL_S3": "https://s3.amazonaws.com", "AWS_CONFIG_FILE": "/etc/aws"}
    own |= {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "localhost", "AWS_BUCKET": "kept"}
    own |= {"aws_access_key_id": "AKIA"}
    script = LEAKS + LEFT + "\n" + SDK + "\nprint(os.environ['AWS_BUCKET'])"
    aws.run("leaks", script, Environment=own)
    first, *others = aws.log("leaks")
    assert held(first) and others == [NOBODY, "kept"]
    serving = "def model_fn(folder): return None\ndef predict_fn(data, model): return data\n"
    aws.serve("leaks", script + "\n" + serving, own)
    first, *others = aws.said("leaks")
    assert held(first) and others[:2] == [NOBODY, "kept"]
    aws.sm.delete_endpoint(EndpointName="leaks")


@pytest.mark.parametrize(
    "host, aws_host",
    [
        ("s3.amazonaws.com", True),
        ("AMAZONAWS.COM.", True),
        (b"sts.us-east-1.amazonaws.com", True),
        ("bucket.s3.cn-north-1.amazonaws.com.cn", True),
        ("abc.experiments.sagemaker.aws", True),
        ("169.254.169.254", True),
        ("fd00:ec2::254", True),
        ("notamazonaws.com", False),
        ("amazonaws.com.example.org", False),
        ("docs.python.org", False),
        ("127.0.0.1", False),
        (None, False),
    ],
)
def test_hosts_of_aws(aws, host, aws_host):
    from sandbox.images.guarded.sitecustomize import is_aws

    assert is_aws(host) is aws_host


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


STORY = f"""
import sys
sys.path[:0] = [{str(ROOT / "tests")!r}]
import boto3, local_aws
aws = local_aws.Aws()
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
    code = "import sys, sandbox; print({'optuna', 'xgboost', 'sklearn', 'pandas'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHAPTERS, capture_output=True, text=True
    )
    assert done.stdout.strip() == "set()", done.stderr
