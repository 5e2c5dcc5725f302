"""Endpoints: each loads its model archive in a process of its own and predicts (`serve`)."""

import base64
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from . import files
from .api import Refused, answer, arn, client, emit, listed, now, write_log
from .jobs import is_xgboost, unpack_code

SERVER = Path(__file__).with_name("serve.py")

endpoints = {}  # name: Endpoint


@dataclass
class Endpoint:
    """An endpoint: what describe tells, its model server, and the folder that holds the model while it lives."""

    description: dict
    server: subprocess.Popen | None = None
    folder: tempfile.TemporaryDirectory | None = None

    def ask(self, request):
        """Return the server's answer to a request, dicts; without a request its first word: is the model loaded?"""
        if request is not None:
            self.server.stdin.write(json.dumps(request) + "\n")
            self.server.stdin.flush()
        return json.loads(
            self.server.stdout.readline() or '{"error": "the model server has ended"}'
        )

    def close(self):
        """End the server and drop its folder."""
        if self.server:
            self.server.kill()
            self.server.communicate()
            self.folder.cleanup()


def container_of(config):
    """Return (variant, container definition) of an endpoint configuration with one variant.

    Raises NotImplementedError for what the sandbox does not serve.
    """
    variants = config["ProductionVariants"]
    extra = {
        "DataCaptureConfig",
        "AsyncInferenceConfig",
        "ExplainerConfig",
        "ShadowProductionVariants",
    }
    if len(variants) != 1 or extra & {key for key, value in config.items() if value}:
        raise NotImplementedError(
            "The sandbox serves one variant per endpoint, without capture, async or explainer."
        )
    sagemaker = client("sagemaker")
    model = sagemaker.describe_model(ModelName=variants[0]["ModelName"])
    containers = (
        [model["PrimaryContainer"]]
        if model.get("PrimaryContainer")
        else model.get("Containers", [])
    )
    if len(containers) == 1 and (package := containers[0].get("ModelPackageName")):
        package = sagemaker.describe_model_package(ModelPackageName=package)
        environment = containers[0].get("Environment", {})
        containers = [
            one | {"Environment": one.get("Environment", {}) | environment}
            for one in package["InferenceSpecification"]["Containers"]
        ]
    if len(containers) != 1 or "ModelDataUrl" not in containers[0]:
        raise NotImplementedError(
            "The sandbox serves models of one container with a ModelDataUrl."
        )
    if "SAGEMAKER_PROGRAM" not in containers[0].get(
        "Environment", {}
    ) and not is_xgboost(containers[0]["Image"]):
        raise NotImplementedError(
            "The sandbox serves a script (SAGEMAKER_PROGRAM in the container's Environment) or the built-in XGBoost."
        )
    return variants[0], containers[0]


def deploy(name, config_name, created=None):
    """Load the model of a configuration and return an Endpoint, in service or failed."""
    config = client("sagemaker").describe_endpoint_config(
        EndpointConfigName=config_name
    )
    variant, container = container_of(config)
    served = {"VariantName": variant["VariantName"]}
    for key, ours in (
        ("InitialInstanceCount", "InstanceCount"),
        ("InitialVariantWeight", "Weight"),
    ):
        if key in variant:
            served |= {f"Current{ours}": variant[key], f"Desired{ours}": variant[key]}
    description = {
        "EndpointName": name,
        "EndpointArn": arn("endpoint", name),
        "EndpointConfigName": config_name,
    }
    description |= {
        "ProductionVariants": [served],
        "CreationTime": created or now(),
        "LastModifiedTime": now(),
    }
    endpoint = Endpoint(description, folder=tempfile.TemporaryDirectory())
    error = load(endpoint, container)
    description["EndpointStatus"] = "Failed" if error else "InService"
    if error:
        endpoint.close()
        description["FailureReason"] = (
            f"The primary container for production variant {variant['VariantName']} did not pass the ping health "
            "check. Please check CloudWatch logs for this endpoint."
        )
        write_log(
            f"/aws/sagemaker/Endpoints/{name}",
            f"{variant['VariantName']}/i-1",
            error.splitlines(),
        )
    state = {"InService": "IN_SERVICE", "Failed": "FAILED"}[
        description["EndpointStatus"]
    ]
    emit(
        "Endpoint", description["EndpointArn"], description | {"EndpointStatus": state}
    )
    return endpoint


def load(endpoint, container):
    """Start the model server; return what went wrong, or None."""
    ml, environment = (
        Path(endpoint.folder.name).resolve(),
        container.get("Environment", {}),
    )
    script, source = (
        environment.get("SAGEMAKER_PROGRAM"),
        environment.get("SAGEMAKER_SUBMIT_DIRECTORY", ""),
    )
    try:
        files.unpack(container["ModelDataUrl"], ml / "model")
        if source.startswith("s3://"):
            unpack_code(source, ml, "model/code")
    except (ClientError, tarfile.TarError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    command = [sys.executable, str(SERVER), str(ml / "model")] + (
        [str(ml / "model/code" / script)] if script else []
    )
    endpoint.server = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf8",
    )
    return endpoint.ask(None).get("error")


def find_endpoint(request):
    """Return the Endpoint that a request names, or refuse in the words of AWS."""
    name = request["EndpointName"]
    if name not in endpoints:
        raise Refused(f'Could not find endpoint "{arn("endpoint", name)}".')
    return endpoints[name]


@answer
def create_endpoint(request):
    """Load the model and serve it; CreateEndpoint."""
    name, config = request["EndpointName"], request["EndpointConfigName"]
    earlier = endpoints.get(name)
    if earlier and earlier.description["EndpointConfigName"] != config:
        raise Refused(
            f'Cannot create already existing endpoint "{arn("endpoint", name)}".'
        )
    endpoint = deploy(name, config)
    if earlier:
        earlier.close()
    endpoints[name] = endpoint
    return {"EndpointArn": endpoint.description["EndpointArn"]}


@answer
def update_endpoint(request):
    """Move an endpoint to another configuration; if its model does not load, the old one stays. UpdateEndpoint."""
    if other := sorted(request.keys() - {"EndpointName", "EndpointConfigName"}):
        raise NotImplementedError(
            f"The sandbox replaces a model at once, without {', '.join(other)}."
        )
    old = find_endpoint(request)
    new = deploy(
        request["EndpointName"],
        request["EndpointConfigName"],
        old.description["CreationTime"],
    )
    if new.server and new.description["EndpointStatus"] == "InService":
        old.close()
        endpoints[request["EndpointName"]] = new
    else:  # a failed update rolls back
        old.description["FailureReason"] = new.description["FailureReason"]
    return {"EndpointArn": old.description["EndpointArn"]}


@answer
def describe_endpoint(request):
    """DescribeEndpoint."""
    return find_endpoint(request).description


@answer
def list_endpoints(request):
    """ListEndpoints, without filters by date."""
    shown = (
        "EndpointName",
        "EndpointArn",
        "CreationTime",
        "LastModifiedTime",
        "EndpointStatus",
    )
    found, more = listed(
        [
            {key: endpoint.description[key] for key in shown}
            for endpoint in endpoints.values()
        ],
        request,
        name="EndpointName",
        status="EndpointStatus",
        keys={
            "CreationTime": lambda endpoint: endpoint["CreationTime"],
            "Name": lambda endpoint: endpoint["EndpointName"],
            "Status": lambda endpoint: endpoint["EndpointStatus"],
        },
    )
    return {"Endpoints": found, **more}


@answer
def delete_endpoint(request):
    """DeleteEndpoint."""
    find_endpoint(request).close()
    del endpoints[request["EndpointName"]]
    return {}


@answer
def invoke_endpoint(request):
    """Predict; InvokeEndpoint. What the model's script raises comes back as a ModelError."""
    name, body = request["EndpointName"], request.get("Body", b"")
    if (
        name not in endpoints
        or endpoints[name].description["EndpointStatus"] != "InService"
    ):
        raise Refused(
            f"Endpoint {name} of account 123456789012 not found.", "ValidationError"
        )
    known = {"EndpointName", "Body", "ContentType", "Accept", "TargetVariant"}
    if other := sorted(request.keys() - known):
        raise NotImplementedError(
            f"The sandbox's endpoints have no {', '.join(other)}."
        )
    body = (
        body.read()
        if hasattr(body, "read")
        else body.encode()
        if isinstance(body, str)
        else bytes(body)
    )
    content_type = request.get("ContentType", "application/octet-stream")
    accept = request.get("Accept", content_type)
    reply = endpoints[name].ask(
        {
            "body": base64.b64encode(body).decode(),
            "content_type": content_type,
            "accept": accept,
        }
    )
    if "error" in reply:
        message = (
            f'Received server error (500) from primary with message "{reply["error"]}".'
        )
        raise Refused(
            message,
            "ModelError",
            OriginalStatusCode=500,
            OriginalMessage=reply["error"],
        )
    answer = base64.b64decode(reply["body"])
    return {
        "Body": StreamingBody(io.BytesIO(answer), len(answer)),
        "ContentType": reply["content_type"],
        "InvokedProductionVariant": endpoints[name].description["ProductionVariants"][
            0
        ]["VariantName"],
    }
