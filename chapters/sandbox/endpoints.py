"""Endpoints: each loads its model archive in a process of its own and predicts (`images/serve`)."""

import io
import itertools
import json
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Listener
from pathlib import Path

from botocore.response import StreamingBody

from . import container, files, records
from .api import ACCOUNT, REGION, Refused, answer, append_log, arn, client, emit, listed, now, pick
from .images import xgboost_rules
from .processes import LINES, Process, container_environment, uninterrupted

SERVER = Path(__file__).parent / "images" / "serve.py"
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html says both
LOAD_SECONDS, ANSWER_SECONDS = 480, 60
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the "
    "latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)

endpoints = {}  # name: Endpoint


class Lost(Exception):
    """The model server gave no answer: it has ended, or took too long."""


class Server:
    """A model server: its process, and the channel on which it alone answers.

    `tell(lines)` gets what it printed, a list.
    """

    def __init__(self, settings, folder, variables, tell):  # noqa: D107
        self.key, self.tell = secrets.token_hex(32), tell
        self.lines, self.ended = [], threading.Event()
        self.marks, self.heard = set(), threading.Condition()
        self.numbers, self.channel = itertools.count(1), None
        listener = Listener(authkey=bytes.fromhex(self.key))
        try:
            home = folder / "home"
            command = [sys.executable, str(SERVER)]
            code = folder / "code"
            self.process = Process(command, code, home, variables, self._hear, subprocess.PIPE)
            settings = settings | {"address": listener.address, "key": self.key}
            with self.process.popen.stdin as stdin:
                stdin.write(json.dumps(settings).encode() + b"\n")
            self.channel = self._accept(listener)
        except BaseException:
            if hasattr(self, "process"):
                self.process.kill()
            self.tell(self.lines)
            raise
        finally:
            listener.close()

    def _accept(self, listener):
        """Return the connection of the server. Raises Lost if it ends before it connects."""
        found = []
        waiting = threading.Thread(target=lambda: found.append(listener.accept()), daemon=True)
        waiting.start()
        while waiting.is_alive() and not self.ended.is_set():
            waiting.join(0.02)
        if not found:
            raise Lost
        return found[0]

    def _hear(self, line):
        with self.heard:
            if line is None:
                self.ended.set()
            elif line.startswith(self.key):
                self.marks.add(int(line.rpartition(" ")[2]))
            else:
                self.lines.append(line)
                del self.lines[:-LINES]  # a script that floods its log
            self.heard.notify_all()

    def receive(self, number, seconds):
        """Return (head, body) of the answer of that number. Raises Lost."""
        until = time.monotonic() + seconds
        try:
            while True:
                if not self.channel.poll(max(0, until - time.monotonic())):
                    raise Lost(TIMED_OUT)
                head, body = json.loads(self.channel.recv_bytes()), self.channel.recv_bytes()
                if head["id"] == number:  # another is that of a caller who has left
                    break
        except (EOFError, OSError):
            raise Lost("the model server has ended") from None
        finally:
            self.tell_log(number)
        return head, body

    def tell_log(self, number):
        """Pass on what was printed up to the answer of that number."""
        with self.heard:
            self.heard.wait_for(lambda: number in self.marks or self.ended.is_set(), 0.5)
            self.marks.discard(number)
            lines, self.lines = self.lines, []
        self.tell(lines)

    def ask(self, body, kind, accept):
        """Return (head, body) of the answer to a request. Raises Lost."""
        number = next(self.numbers)
        head = {"id": number, "kind": kind, "accept": accept}
        try:
            self.channel.send_bytes(json.dumps(head).encode())
            self.channel.send_bytes(body)
        except OSError:
            raise Lost("the model server has ended") from None
        return self.receive(number, ANSWER_SECONDS)

    def close(self):
        """End the server and all that it has started."""
        self.process.kill()
        self.ended.wait(3)
        if self.channel:
            self.channel.close()
        lines, self.lines = self.lines, []
        self.tell(lines)


class Endpoint:
    """What describe tells, the model server, and the folder that stands for its /opt/ml."""

    def __init__(self, name, variant, image, description):  # noqa: D107
        self.name, self.variant, self.image = name, variant, image
        self.description, self.lock = description, threading.Lock()
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.ml = Path(self.folder.name).resolve()
        self.server = None

    def tell(self, lines):
        """Add lines to the endpoint's log."""
        stream = f"{self.variant['VariantName']}/i-1"
        append_log(f"/aws/sagemaker/Endpoints/{self.name}", stream, lines)

    def load(self):
        """Fetch the model and the script and start the server; return whether it loaded.

        Raises NotImplementedError for a script that needs what the sandbox lacks.
        """
        given = self.image.get("Environment", {})
        model, program = self.ml / "model", given.get("SAGEMAKER_PROGRAM")
        try:
            (self.ml / "code").mkdir()
            files.unpack(self.image["ModelDataUrl"], model)
            place = model / "code"
            container.rewrite(place, self.ml)
            source = given.get("SAGEMAKER_SUBMIT_DIRECTORY", "/opt/ml/model/code")
            if source.startswith("s3://"):
                place = self.ml / "code"
                container.fetch_code(source, self.ml, place)
            elif program:
                place = self.ml / container.local_folder(source, "submit directory")
            if program:
                container.refuse_what_needs_a_build(place, program)
                program = str(place / program)
        except NotImplementedError:
            raise
        except Exception as error:  # whatever the user's files made a library raise
            self.tell([f"{type(error).__name__}: {error}"])
            return False
        variables = container_environment() | {"SM_MODEL_DIR": str(model)}
        variables |= {key: container.to_local(value, self.ml) for key, value in given.items()}
        self.settings = {
            "model": str(model),
            "program": program,
            "kind": container.image_kind(self.image["Image"]),
            "lines": xgboost_rules.version(self.image["Image"]) >= (1, 5),
        }
        self.variables = variables
        return self.start()

    def start(self):
        """Start the server; return whether it loaded its model."""
        limit = self.variant.get("ContainerStartupHealthCheckTimeoutInSeconds", LOAD_SECONDS)
        try:
            self.server = Server(self.settings, self.ml, self.variables, self.tell)
            head, _ = self.server.receive(0, limit)
            if "error" not in head:
                return True
        except (Lost, OSError, ValueError) as error:
            self.tell([str(error)])
        if self.server:
            self.server.close()
        return False

    def ask(self, body, kind, accept):
        """Return (status, body, content type); a server that has died comes back first."""
        with self.lock:
            if self.server.ended.is_set() and not self.start():
                return 503, b"The model server does not start again.", "text/plain"
            try:
                head, found = self.server.ask(body, kind, accept)
            except Lost as error:
                self.server.close()
                timed_out = str(error) == TIMED_OUT
                return 0 if timed_out else 502, str(error).encode(), "text/plain"
        return head["status"], found, head["kind"]

    def close(self):
        """End the server and drop its folder."""
        if self.server:
            self.server.close()
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
    multi = containers[0].get("Mode") == "MultiModel"
    if len(containers) != 1 or "ModelDataUrl" not in containers[0] or multi:
        raise NotImplementedError("The sandbox serves one container with a ModelDataUrl.")
    given = containers[0].get("Environment", {})
    if "SAGEMAKER_INFERENCE_OUTPUT" in given:
        raise NotImplementedError("The sandbox's XGBoost has no SAGEMAKER_INFERENCE_OUTPUT.")
    xgboost = container.image_kind(containers[0]["Image"]) == "xgboost"
    if "SAGEMAKER_PROGRAM" not in given and not xgboost:
        raise NotImplementedError(
            "The sandbox serves a script (SAGEMAKER_PROGRAM in the container's Environment) "
            "or the built-in XGBoost."
        )
    return variants[0], containers[0]


def deploy(name, config_name, created=None):
    """Load the model of a configuration and return an Endpoint, in service or failed.

    After an interrupt, and after NotImplementedError, there is none.
    """
    config = client("sagemaker").describe_endpoint_config(EndpointConfigName=config_name)
    variant, image = container_of(config)
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
    endpoint, state = Endpoint(name, variant, image, description), "IN_SERVICE"
    loaded = False
    try:
        loaded = endpoint.load()
    finally:
        with uninterrupted():
            if not loaded:
                endpoint.close()
    if not loaded:
        description["EndpointStatus"], state = "Failed", "FAILED"
        description["FailureReason"] = (
            f"The primary container for production variant {label} did not pass the ping "
            "health check. Please check CloudWatch logs for this endpoint."
        )
    emit("Endpoint", description["EndpointArn"], description | {"EndpointStatus": state})
    return endpoint


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
    records.tag(endpoint.description["EndpointArn"], request.get("Tags", []))
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
    found, more = listed(items, request, "Endpoint", order="Descending")
    return {"Endpoints": found, **more}


@answer
def delete_endpoint(request):
    """DeleteEndpoint."""
    endpoint = find_endpoint(request)
    del endpoints[request["EndpointName"]]
    records.tags.pop(endpoint.description["EndpointArn"], None)
    endpoint.close()
    return {}


@answer
def invoke_endpoint(request):
    """Predict; InvokeEndpoint. An answer that is not 200 comes back as ModelError."""
    name, body = request["EndpointName"], request.get("Body", b"")
    endpoint = endpoints.get(name)
    if not endpoint or endpoint.description["EndpointStatus"] != "InService":
        raise Refused(f"Endpoint {name} of account {ACCOUNT} not found.", "ValidationError")
    known = {"EndpointName", "Body", "ContentType", "Accept"}
    if other := sorted(request.keys() - known):
        raise NotImplementedError(f"The sandbox's endpoints have no {', '.join(other)}.")
    body = body.read() if hasattr(body, "read") else body
    body = body.encode() if isinstance(body, str) else bytes(body)
    kind = request.get("ContentType", "application/octet-stream")
    status, found, kind = endpoint.ask(body, kind, request.get("Accept"))
    if status not in (200, 204):
        told = found.decode("utf8", "replace")
        side = "client" if 400 <= status < 500 else "server"
        place = f"https://{REGION}.console.aws.amazon.com/cloudwatch/home?region={REGION}"
        message = (
            f'Received {side} error ({status}) from primary with message "{told}". See {place}'
            f"#logEventViewer:group=/aws/sagemaker/Endpoints/{name} in account {ACCOUNT} for more "
            "information."
        )
        original = {"OriginalStatusCode": status, "OriginalMessage": told}
        raise Refused(message, "ModelError", **original)
    return {
        "Body": StreamingBody(io.BytesIO(found), len(found)),
        "ContentType": kind,
        "InvokedProductionVariant": endpoint.variant["VariantName"],
    }
