"""Hold chapters/scripts/train_with_sdk.py against the installed SageMaker SDK: its calls against
the signatures, and the request that it sends, to moto, against what chapter 141.1 says of it.

Run in the environment of requirements-sdk.txt. Prints one sentence a problem; exits with 1 if there
is one.
"""

import ast
import contextlib
import inspect
import io
import os
import runpy
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "chapters" / "scripts" / "train_with_sdk.py"
BUCKET = "sagemaker-us-east-1-123456789012"
SETTINGS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "SAGEMAKER_ROLE": "arn:aws:iam::123456789012:role/fraud",
    "SAGEMAKER_BUCKET": BUCKET,
    "SAGEMAKER_VALIDATE_ROLE": "false",  # moto cannot simulate policies
}
OWN = {"code", "sm_drivers"}  # the channels that the SDK adds


def keywords(source, known):
    """Yield the keyword arguments of calls that a class or method does not have; known is {name in
    the script: class or function}.
    """
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", None))
        if name in known:
            allowed = inspect.signature(known[name]).parameters
            for keyword in node.keywords:
                if keyword.arg not in allowed:
                    yield f"{name} has no argument {keyword.arg}"


def sent(run):
    """Return the requests of CreateTrainingJob that run() sends, with a local AWS in front."""
    import boto3
    from moto import mock_aws

    requests = []
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket=BUCKET)
        for name in ("train", "validation"):
            key = f"fraud/data/{name}/payments.csv"
            boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"")
        listen = "before-parameter-build.sagemaker.CreateTrainingJob"
        make = boto3.Session.client

        def client(session, *names, **options):
            made = make(session, *names, **options)
            made.meta.events.register(listen, lambda params, **_: requests.append(params))
            return made

        boto3.Session.client = client
        try:
            run()
        finally:
            boto3.Session.client = make
    return requests


def request(told):
    """Yield where a request is not the one that the chapter describes."""
    algorithm, resources = told["AlgorithmSpecification"], told["ResourceConfig"]
    channels = {channel["ChannelName"] for channel in told["InputDataConfig"]}
    expected = {
        "the name begins with base_job_name": told["TrainingJobName"].startswith("fraud-trees"),
        "the code comes as a channel": channels == {"train", "validation"} | OWN,
        "no code is fetched from inside": "sagemaker_submit_directory"
        not in told.get("HyperParameters", {}),
        "the container starts with a command": algorithm["ContainerEntrypoint"] == ["/bin/bash"],
        "there are three metrics": len(algorithm["MetricDefinitions"]) == 3,
        "the instance is ml.m5.large": resources["InstanceType"] == "ml.m5.large",
        "the limit is 900 seconds": told["StoppingCondition"]["MaxRuntimeInSeconds"] == 900,
    }
    for what, holds in expected.items():
        if not holds:
            yield f"not so: {what}"


def main():
    """Check the script; return the exit status."""
    os.environ.update(SETTINGS)
    from sagemaker.train import ModelTrainer, configs, defaults

    known = {name: value for name, value in vars(configs).items() if inspect.isclass(value)}
    known |= {"ModelTrainer": ModelTrainer, "train": ModelTrainer.train}
    known["with_metric_definitions"] = ModelTrainer.with_metric_definitions
    problems = list(keywords(SCRIPT.read_text(encoding="utf8"), known))
    if not problems:
        with contextlib.redirect_stdout(io.StringIO()):
            requests = sent(lambda: runpy.run_path(str(SCRIPT)))
        problems = [problem for told in requests for problem in request(told)]
        problems += [] if len(requests) == 1 else [f"{len(requests)} requests were sent, not one"]
    told = (defaults.DEFAULT_INSTANCE_TYPE, defaults.DEFAULT_MAX_RUNTIME_IN_SECONDS)
    if told != ("ml.m5.xlarge", 3600):
        problems.append(f"the chapter tells other defaults than {told}")
    print(*problems or ["calls, request and defaults are as the chapter says"], sep="\n")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
