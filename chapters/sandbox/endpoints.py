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
from .api import ACCOUNT, Refused, answer, arn, client, emit, listed, now, pick, write_log
from .jobs import container_environment, is_xgboost, unpack_code

SERVER = Path(__file__).with_name("serve.py")

endpoints = {}  # name: Endpoint


@dataclass
class Endpoint:
    """What describe tells, the model server, and the folder that holds the model."""

    description: dict
    folder: tempfile.TemporaryDirectory
    server: subprocess.Popen | None = None

    def ask(self, request=None):
        """Return the server's answer to a request, or its first word: is it loaded?"""
        if request is not None:
            self.server.stdin.write(json.dumps(request) + "\n")
            self.server.stdin.flush()
        lost = '{"error": "the model server has ended"}'
        return json.loads(self.server.stdout.readline() or lost)

    def close(self):
        """End the server and drop its folder."""
        if self.server:
            self.server.kill()
            self.server.communicate()
        self.folder.cleanup()


def container_of(config):
    """Return (variant, container) of an endpoint configuration with one variant.

    Raises NotImplementedError for what the sandbox does not serve.
    """
    variants, aws = config["ProductionVariants"], client("sagemaker")
    extra = "DataCaptureConfig AsyncInferenceConfig ExplainerConfig ShadowProductionVariants"
    if len(variants) != 1 or any(pick(config, extra).values()):
        raise NotImplementedError("The sandbox serves one variant, without capture or async.")
    model = aws.describe_model(ModelName=variants[0]["ModelName"])
    containers = model.get("Containers") or [model["PrimaryContainer"]]
    if name := containers[0].get("ModelPackageName"):
        package = aws.describe_model_package(ModelPackageName=name)
        containers = package["InferenceSpecification"]["Containers"]
    if len(containers) != 1 or "ModelDataUrl" not in containers[0]:
        raise NotImplementedError("The sandbox serves one container with a ModelDataUrl.")
    script = "SAGEMAKER_PROGRAM" in containers[0].get("Environment", {})
    if not script and not is_xgboost(containers[0]["Image"]):
        raise NotImplementedError(
            "The sandbox serves a script (SAGEMAKER_PROGRAM in the container's Environment) "
            "or the built-in XGBoost."
        )
    return variants[0], containers[0]


def deploy(name, config_name, created=None):
    """Load the model of a configuration and return an Endpoint, in service or failed."""
    config = client("sagemaker").describe_endpoint_config(EndpointConfigName=config_name)
    variant, container = container_of(config)
    served, label = {"VariantName": variant["VariantName"]}, variant["VariantName"]
    for given in ("InstanceCount", "VariantWeight"):
        for kind in ("Current", "Desired"):
            if f"Initial{given}" in variant:
                member = kind + given.removeprefix("Variant")
                served[member] = variant[f"Initial{given}"]
    description = {
        "EndpointName": name,
        "EndpointArn": arn("endpoint", name),
        "EndpointConfigName": config_name,
        "ProductionVariants": [served],
        "EndpointStatus": "InService",
        "CreationTime": created or now(),
        "LastModifiedTime": now(),
    }
    endpoint, state = Endpoint(description, tempfile.TemporaryDirectory()), "IN_SERVICE"
    if error := load(endpoint, container):
        endpoint.close()
        description["EndpointStatus"], state = "Failed", "FAILED"
        description["FailureReason"] = (
            f"The primary container for production variant {label} did not pass the ping "
            "health check. Please check CloudWatch logs for this endpoint."
        )
        write_log(f"/aws/sagemaker/Endpoints/{name}", f"{label}/i-1", [error])
    emit("Endpoint", description["EndpointArn"], description | {"EndpointStatus": state})
    return endpoint


def load(endpoint, container):
    """Start the model server; return what went wrong, or None."""
    ml, given = Path(endpoint.folder.name).resolve(), container.get("Environment", {})
    source = given.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    try:
        files.unpack(container["ModelDataUrl"], ml / "model")
        if source.startswith("s3://"):
            unpack_code(source, ml, "model/code")
    except (ClientError, tarfile.TarError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    command = [sys.executable, str(SERVER), str(ml / "model")]
    if "SAGEMAKER_PROGRAM" in given:
        command.append(str(ml / "model/code" / given["SAGEMAKER_PROGRAM"]))
    own = {key: value.replace("/opt/ml", ml.as_posix()) for key, value in given.items()}
    endpoint.server = subprocess.Popen(
        command,
        env=container_environment() | own,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf8",
    )
    return endpoint.ask().get("error")


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
        where = arn("endpoint", name)
        raise Refused(f'Cannot create already existing endpoint "{where}".')
    endpoint = deploy(name, config)
    if earlier:
        earlier.close()
    endpoints[name] = endpoint
    return pick(endpoint.description, "EndpointArn")


@answer
def update_endpoint(request):
    """Serve another configuration, or keep the old one if it fails; UpdateEndpoint."""
    if other := sorted(request.keys() - {"EndpointName", "EndpointConfigName"}):
        raise NotImplementedError(f"The sandbox's UpdateEndpoint has no {', '.join(other)}.")
    old, name = find_endpoint(request), request["EndpointName"]
    new = deploy(name, request["EndpointConfigName"], old.description["CreationTime"])
    if new.description["EndpointStatus"] == "InService":
        old.close()
        endpoints[name] = new
    else:
        old.description["FailureReason"] = new.description["FailureReason"]
    return pick(new.description, "EndpointArn")


@answer
def describe_endpoint(request):
    """DescribeEndpoint."""
    return find_endpoint(request).description


@answer
def list_endpoints(request):
    """ListEndpoints, without filters by date."""
    shown = "EndpointName EndpointArn CreationTime LastModifiedTime EndpointStatus"
    items = [pick(endpoint.description, shown) for endpoint in endpoints.values()]
    found, more = listed(items, request, "Endpoint")
    return {"Endpoints": found, **more}


@answer
def delete_endpoint(request):
    """DeleteEndpoint."""
    find_endpoint(request).close()
    del endpoints[request["EndpointName"]]
    return {}


@answer
def invoke_endpoint(request):
    """Predict; InvokeEndpoint. What the model's script raises comes back as ModelError."""
    name, body = request["EndpointName"], request.get("Body", b"")
    endpoint = endpoints.get(name)
    if not endpoint or endpoint.description["EndpointStatus"] != "InService":
        raise Refused(f"Endpoint {name} of account {ACCOUNT} not found.", "ValidationError")
    known = {"EndpointName", "Body", "ContentType", "Accept"}
    if other := sorted(request.keys() - known):
        raise NotImplementedError(f"The sandbox's endpoints have no {', '.join(other)}.")
    body = body.read() if hasattr(body, "read") else body
    body = base64.b64encode(body.encode() if isinstance(body, str) else body).decode()
    kind = request.get("ContentType", "application/octet-stream")
    asked = {"body": body, "content_type": kind, "accept": request.get("Accept")}
    reply = endpoint.ask(asked)
    if error := reply.get("error"):
        message = f'Received server error (500) from primary with message "{error}".'
        original = {"OriginalStatusCode": 500, "OriginalMessage": error}
        raise Refused(message, "ModelError", **original)
    result = base64.b64decode(reply["body"])
    return {
        "Body": StreamingBody(io.BytesIO(result), len(result)),
        "ContentType": reply["content_type"],
        "InvokedProductionVariant": endpoint.description["ProductionVariants"][0]["VariantName"],
    }
