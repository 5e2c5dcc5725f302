"""Endpoints: each loads its model archive in a process of its own and predicts (`images/serve`)."""

import base64
import io
import itertools
import json
import random
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import uuid
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


class Served:
    """A variant: its model server, and the folder that stands for its /opt/ml."""

    def __init__(self, endpoint, variant, image):  # noqa: D107
        self.endpoint, self.variant, self.image = endpoint, variant, image
        self.name, self.lock = variant["VariantName"], threading.Lock()
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.ml = Path(self.folder.name).resolve()
        self.server = None

    def tell(self, lines):
        """Add lines to the endpoint's log."""
        append_log(f"/aws/sagemaker/Endpoints/{self.endpoint}", f"{self.name}/i-1", lines)

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


class Endpoint:
    """What describe tells, the variants that answer, and those that only listen."""

    def __init__(self, name, variants, shadows, capture, description):  # noqa: D107
        self.variants, self.shadows, self.capture = variants, shadows, capture
        self.description, self.captured = description, {}  # {address: lines}
        self.random = random.Random(name)  # so that a page's requests go the same way again

    def weight(self, variant):
        """Return the current weight of a variant."""
        told = self.description["ProductionVariants"]
        return {one["VariantName"]: one.get("CurrentWeight", 1) for one in told}[variant.name]

    def choose(self, target):
        """Return the variant of that name, or one by chance in proportion to the weights."""
        if target:
            found = [variant for variant in self.variants if variant.name == target]
            if not found:
                raise Refused(f"Variant {target} not found.", "ValidationError")
            return found[0]
        weights = [self.weight(variant) for variant in self.variants]
        if not any(weights):
            raise Refused("No variant of the endpoint has a weight.", "ValidationError")
        return self.random.choices(self.variants, weights)[0]

    def ask(self, body, kind, accept, target, known_as):
        """Return (variant, status, body, content type); shadows hear their share of requests.

        Source: https://docs.aws.amazon.com/sagemaker/latest/dg/shadow-tests.html
        """
        variant = self.choose(target)
        answer = variant.ask(body, kind, accept)
        self.keep(variant, body, kind, answer, known_as)
        for shadow in self.shadows:
            share = shadow.variant.get("InitialVariantWeight", 1) / self.weight(variant)
            if self.random.random() < share:
                heard = shadow.ask(body, kind, accept)
                self.keep(shadow, body, kind, heard, known_as)
        return variant, *answer

    def keep(self, variant, body, kind, answer, known_as):
        """Capture a request and its answer, as DataCaptureConfig asks, if it was answered.

        Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
        """
        status, found, found_kind = answer
        percent = self.capture.get("InitialSamplingPercentage", 100)
        if not self.capture.get("EnableCapture") or status not in (200, 204):
            return
        if self.random.random() >= percent / 100:
            return
        modes = {one["CaptureMode"] for one in self.capture["CaptureOptions"]}
        headers, data = self.capture.get("CaptureContentTypeHeader", {}), {}
        for mode, content, header in (("Input", body, kind), ("Output", found, found_kind)):
            if modes & {mode, "InputAndOutput"}:
                data[f"endpoint{mode}"] = captured(content, header, mode.upper(), headers)
        time, event = now(), str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        about = {"eventId": event, "inferenceTime": time.strftime("%Y-%m-%dT%H:%M:%SZ")}
        if known_as:
            about["inferenceId"] = known_as
        line = json.dumps({"captureData": data, "eventMetadata": about, "eventVersion": "0"})
        place = self.capture["DestinationS3Uri"].rstrip("/")
        hour = time.strftime("%Y/%m/%d/%H")
        address = (
            f"{place}/{self.description['EndpointName']}/{variant.name}/{hour}/00-00-000.jsonl"
        )
        self.captured[address] = self.captured.get(address, "") + line + "\n"
        bucket, key = files.split(address)
        client("s3").put_object(Bucket=bucket, Key=key, Body=self.captured[address].encode())

    def close(self):
        """End all model servers."""
        for variant in [*self.variants, *self.shadows]:
            variant.close()


def captured(content, kind, mode, headers):
    """Return what a capture file says of a body: as text for CSV and JSON, else as base64."""
    plain = kind.partition(";")[0]
    csv, as_json = headers.get("CsvContentTypes", []), headers.get("JsonContentTypes", [])
    known = dict.fromkeys(["text/csv", *csv], "CSV")
    known |= dict.fromkeys(["application/json", *as_json], "JSON")
    encoding = known.get(plain, "BASE64")
    text = base64.b64encode(content) if encoding == "BASE64" else content
    found = {"observedContentType": kind, "mode": mode, "encoding": encoding}
    return found | {"data": text.decode("utf8", "replace")}


def container_of(variant):
    """Return the container of a variant.

    Raises NotImplementedError for what the sandbox does not serve.
    """
    aws = client("sagemaker")
    model = aws.describe_model(ModelName=variant["ModelName"])
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
    return containers[0]


def told(variant):
    """Return what DescribeEndpoint tells of a variant."""
    found = {"VariantName": variant["VariantName"]}
    for given in ("InstanceCount", "VariantWeight"):
        for kind in ("Current", "Desired"):
            if f"Initial{given}" in variant:
                found[kind + given.removeprefix("Variant")] = variant[f"Initial{given}"]
    return found


def deploy(name, config_name, created=None):
    """Load the models of a configuration and return an Endpoint, in service or failed.

    After an interrupt, and after NotImplementedError, there is none.
    """
    client("sagemaker").describe_endpoint_config(EndpointConfigName=config_name)
    config = records.requests["EndpointConfig", config_name]
    if any(pick(config, "AsyncInferenceConfig ExplainerConfig").values()):
        raise NotImplementedError("The sandbox serves without asynchronous calls or explanations.")
    production, shadow = config["ProductionVariants"], config.get("ShadowProductionVariants", [])
    served = [Served(name, one, container_of(one)) for one in [*production, *shadow]]
    description = {
        "EndpointName": name,
        "EndpointArn": arn("endpoint", name),
        "EndpointConfigName": config_name,
        "ProductionVariants": [told(one) for one in production],
        "EndpointStatus": "InService",
        "CreationTime": created or now(),
        "LastModifiedTime": now(),
    }
    if shadow:
        description["ShadowProductionVariants"] = [told(one) for one in shadow]
    capture = config.get("DataCaptureConfig", {})
    if capture:
        shown = pick(capture, "EnableCapture DestinationS3Uri KmsKeyId")
        shown["CurrentSamplingPercentage"] = capture["InitialSamplingPercentage"]
        shown["CaptureStatus"] = "Started" if capture.get("EnableCapture") else "Stopped"
        description["DataCaptureConfig"] = {"EnableCapture": False} | shown
    count = len(production)
    endpoint = Endpoint(name, served[:count], served[count:], capture, description)
    state, label = "IN_SERVICE", None
    loaded = False
    try:
        label = next((one.name for one in served if not one.load()), None)
        loaded = label is None
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
def update_endpoint_weights_and_capacities(request):
    """Share the requests in another way; UpdateEndpointWeightsAndCapacities."""
    endpoint = find_endpoint(request)
    described = {one["VariantName"]: one for one in endpoint.description["ProductionVariants"]}
    for wanted in request["DesiredWeightsAndCapacities"]:
        if wanted["VariantName"] not in described:
            raise Refused(f"The variant name(s) {wanted['VariantName']} must be present.")
        if "ServerlessUpdateConfig" in wanted:
            raise NotImplementedError("The sandbox has no serverless variants.")
    for wanted in request["DesiredWeightsAndCapacities"]:
        for part in ("Weight", "InstanceCount"):
            if f"Desired{part}" in wanted:
                new = dict.fromkeys((f"Current{part}", f"Desired{part}"), wanted[f"Desired{part}"])
                described[wanted["VariantName"]].update(new)
    endpoint.description["LastModifiedTime"] = now()
    return pick(endpoint.description, "EndpointArn")


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
    known = {"EndpointName", "Body", "ContentType", "Accept", "TargetVariant", "InferenceId"}
    if other := sorted(request.keys() - known):
        raise NotImplementedError(f"The sandbox's endpoints have no {', '.join(other)}.")
    body = body.read() if hasattr(body, "read") else body
    body = body.encode() if isinstance(body, str) else bytes(body)
    kind = request.get("ContentType", "application/octet-stream")
    variant, status, found, kind = endpoint.ask(
        body, kind, request.get("Accept"), request.get("TargetVariant"), request.get("InferenceId")
    )
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
        "InvokedProductionVariant": variant.name,
    }
