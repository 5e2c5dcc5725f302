"""Endpoints with several variants, a shadow variant, and captured requests."""

import json

import boto3
import botocore.exceptions
import pytest
from local_aws import IMAGE, Aws, tarball

SAYS = """
def model_fn(folder):
    return open(folder + "/word").read()
def input_fn(body, kind):
    return body
def predict_fn(data, model):
    if data == "fall":
        raise ValueError(data)
    return model
def output_fn(found, accept):
    return '"' + found + '"', accept
"""


@pytest.fixture(scope="module")
def aws():
    aws = Aws()
    for word in ("old", "new"):
        aws.put(f"models/{word}.tar.gz", tarball({"word": word, "code/serve.py": SAYS}))
        folder = "/opt/ml/model/code"
        own = {"SAGEMAKER_PROGRAM": "serve.py", "SAGEMAKER_SUBMIT_DIRECTORY": folder}
        data = f"s3://{aws.bucket}/models/{word}.tar.gz"
        container = {"Image": IMAGE, "ModelDataUrl": data, "Environment": own}
        aws.sm.create_model(
            ModelName=f"says-{word}", ExecutionRoleArn=aws.role, PrimaryContainer=container
        )
    return aws


def variant(word, weight):
    return {
        "VariantName": word,
        "ModelName": f"says-{word}",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        "InitialVariantWeight": weight,
    }


def serve(aws, name, *variants, **more):
    aws.sm.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[*variants], **more)
    aws.sm.create_endpoint(EndpointName=name, EndpointConfigName=name)


def asked(aws, name, count=1, body="1,2", **more):
    """Return what answered each of so many requests."""
    found = []
    for _ in range(count):
        answer = aws.runtime.invoke_endpoint(
            EndpointName=name, Body=body, ContentType="text/csv", Accept="application/json", **more
        )
        word = json.loads(answer["Body"].read())
        assert word == answer["InvokedProductionVariant"]
        found.append(word)
    return found


def captured(aws, prefix):
    """Return the captured records of a variant, dicts."""
    listed = aws.s3.list_objects_v2(Bucket=aws.bucket, Prefix=prefix).get("Contents", [])
    bodies = [aws.s3.get_object(Bucket=aws.bucket, Key=o["Key"])["Body"].read() for o in listed]
    return [json.loads(line) for body in bodies for line in body.splitlines()]


def test_weights_share_the_requests(aws):
    serve(aws, "says-shared", variant("old", 9), variant("new", 1))
    first = asked(aws, "says-shared", 100)
    assert 2 <= first.count("new") <= 25
    assert asked(aws, "says-shared", 5, TargetVariant="new") == ["new"] * 5
    weights = [{"VariantName": word, "DesiredWeight": w} for word, w in (("old", 0), ("new", 1))]
    aws.sm.update_endpoint_weights_and_capacities(
        EndpointName="says-shared", DesiredWeightsAndCapacities=weights
    )
    assert asked(aws, "says-shared", 20) == ["new"] * 20
    told = aws.sm.describe_endpoint(EndpointName="says-shared")["ProductionVariants"]
    assert [(one["VariantName"], one["CurrentWeight"]) for one in told] == [("old", 0), ("new", 1)]
    with pytest.raises(botocore.exceptions.ClientError, match="Variant third not found"):
        asked(aws, "says-shared", TargetVariant="third")
    with pytest.raises(botocore.exceptions.ClientError, match="third must be present"):
        aws.sm.update_endpoint_weights_and_capacities(
            EndpointName="says-shared",
            DesiredWeightsAndCapacities=[{"VariantName": "third", "DesiredWeight": 1}],
        )
    aws.sm.delete_endpoint(EndpointName="says-shared")
    serve(aws, "says-shared-again", variant("old", 9), variant("new", 1))
    aws.sm.delete_endpoint(EndpointName="says-shared-again")


def test_a_shadow_hears_and_does_not_answer(aws):
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{aws.bucket}/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
    }
    shadow = [variant("new", 0.5)]
    serve(
        aws,
        "says-real",
        variant("old", 1),
        ShadowProductionVariants=shadow,
        DataCaptureConfig=capture,
    )
    config = aws.sm.describe_endpoint_config(EndpointConfigName="says-real")
    assert config["ShadowProductionVariants"] == shadow
    told = aws.sm.describe_endpoint(EndpointName="says-real")
    assert told["ShadowProductionVariants"][0]["VariantName"] == "new"
    assert told["DataCaptureConfig"]["CaptureStatus"] == "Started"
    assert asked(aws, "says-real", 60, InferenceId="case-7") == ["old"] * 60
    production, mirrored = (
        captured(aws, "capture/says-real/old/"),
        captured(aws, "capture/says-real/new/"),
    )
    assert len(production) == 60 and 15 <= len(mirrored) <= 45
    one = mirrored[0]
    assert one["captureData"]["endpointInput"] == {
        "observedContentType": "text/csv",
        "mode": "INPUT",
        "encoding": "CSV",
        "data": "1,2",
    }
    assert one["captureData"]["endpointOutput"]["data"] == '"new"'
    assert one["eventMetadata"]["inferenceId"] == "case-7"
    with pytest.raises(aws.runtime.exceptions.ModelError):
        asked(aws, "says-real", body="fall")
    assert len(captured(aws, "capture/says-real/old/")) == 60
    aws.sm.delete_endpoint(EndpointName="says-real")


def test_a_sample_of_the_input_alone(aws):
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 50,
        "DestinationS3Uri": f"s3://{aws.bucket}/sample/",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    serve(aws, "says-sampled", variant("old", 1), DataCaptureConfig=capture)
    asked(aws, "says-sampled", 60)
    found = captured(aws, "sample/says-sampled/old/")
    assert 15 <= len(found) <= 45
    assert all(one["captureData"].keys() == {"endpointInput"} for one in found)
    aws.sm.delete_endpoint(EndpointName="says-sampled")


def test_another_type_is_captured_as_base64(aws):
    from sandbox.endpoints import captured as line

    assert line(b"\x00\x01", "application/x-npy", "INPUT", {})["data"] == "AAE="
    given = {"CsvContentTypes": ["text/x"]}
    assert line(b"a", "text/x; charset=utf-8", "INPUT", given)["encoding"] == "CSV"


def test_shadows_stand_beside_one_variant(aws):
    with pytest.raises(botocore.exceptions.ClientError, match="there is one production variant"):
        serve(
            aws,
            "says-crowd",
            variant("old", 1),
            variant("new", 1),
            ShadowProductionVariants=[variant("new", 1) | {"VariantName": "third"}],
        )


def routing(kind, **sizes):
    """Return a DeploymentConfig with traffic routing of that type; sizes are percentages."""
    sizes = {name: {"Type": "CAPACITY_PERCENT", "Value": n} for name, n in sizes.items()}
    traffic = {"Type": kind, "WaitIntervalInSeconds": 300, **sizes}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": traffic}}


@pytest.mark.parametrize(
    "deployment, message",
    [
        (routing("CANARI"), "enum value set"),
        (routing("CANARY", CanarySize=60), "CanarySize must be 1 to 50 percent"),
        (routing("LINEAR", LinearStepSize=5), "LinearStepSize must be 10 to 50 percent"),
        ("rolling", "MaximumBatchSize must be 5 to 50 percent"),
        ("both", "Only one update policy"),
    ],
)
def test_refused_deployments(aws, deployment, message):
    size = {"Type": "CAPACITY_PERCENT", "Value": 4 if deployment == "rolling" else 20}
    rolling = {"RollingUpdatePolicy": {"WaitIntervalInSeconds": 0, "MaximumBatchSize": size}}
    given = {"rolling": rolling, "both": rolling | routing("ALL_AT_ONCE")}
    if isinstance(deployment, str):
        deployment = given[deployment]
    with pytest.raises(botocore.exceptions.ClientError, match=message):
        aws.sm.update_endpoint(
            EndpointName="says-nobody", EndpointConfigName="x", DeploymentConfig=deployment
        )


def test_a_valid_deployment_is_not_made_up(aws):
    serve(aws, "says-deployed", variant("old", 1))
    for deployment in (routing("CANARY", CanarySize=10), routing("LINEAR", LinearStepSize=25)):
        with pytest.raises(NotImplementedError, match="has no DeploymentConfig"):
            aws.sm.update_endpoint(
                EndpointName="says-deployed",
                EndpointConfigName="says-deployed",
                DeploymentConfig=deployment,
            )
    aws.sm.delete_endpoint(EndpointName="says-deployed")


def test_alarms_are_held_against_their_model(aws):
    cloudwatch = boto3.client("cloudwatch", region_name="us-east-1")
    alarm = {
        "AlarmName": "says-errors",
        "Namespace": "AWS/SageMaker",
        "MetricName": "Invocation4XXErrors",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 0,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    cloudwatch.put_metric_alarm(**alarm)
    assert cloudwatch.describe_alarms()["MetricAlarms"][0]["AlarmName"] == "says-errors"
    with pytest.raises(botocore.exceptions.ClientError, match="enum value set"):
        cloudwatch.put_metric_alarm(**alarm | {"ComparisonOperator": "Above"})
    cloudwatch.delete_alarms(AlarmNames=["says-errors"])
