"""The model server of an endpoint, a process of its own, as AWS's containers serve.

Standard input is one JSON object: {"address", "key", "model": folder, "program": path or null,
"kind": of the image, "lines": whether the XGBoost image answers a line a row}. Requests come and
answers go by that address, a multiprocessing.connection of this process alone: a JSON object with
an id, and the body. What user code prints goes to the log, whatever descriptor it takes.

Sources: serving.py of https://github.com/aws/sagemaker-scikit-learn-container (commit 0290afc) with
_worker.py, _transformer.py and _encoders.py of https://github.com/aws/sagemaker-containers
(913aa80); handler_service.py, encoder.py and algorithm_mode/serve.py, serve_utils.py of
https://github.com/aws/sagemaker-xgboost-container (204a4a5, 13a194f, 0cccfed, 258ab9c);
transformer.py, encoder.py and decoder.py of https://github.com/aws/sagemaker-inference-toolkit
(00c63ac, 1285ad5).
"""

import contextlib
import csv
import importlib
import inspect
import io
import json
import os
import sys
import traceback
import types
from multiprocessing.connection import Client
from pathlib import Path

import numpy as np

JSON, CSV, NPY, ANY = "application/json", "text/csv", "application/x-npy", "*/*"
JSONLINES = "application/jsonlines"
TEXTS = (JSON, CSV)  # the two content types that reach a script as str
# what Flask answers where a script raises; the exception stands in the log only
HTML = """<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<title>500 Internal Server Error</title>
<h1>Internal Server Error</h1>
<p>The server encountered an internal error and was unable to complete your request. Either the \
server is overloaded or there is an error in the application.</p>
"""


class Refusal(Exception):
    """An answer with another status than 200: (status, body)."""


class UnsupportedFormatError(Exception):
    """A content type that the image's own functions do not know."""

    def __init__(self, kind):  # noqa: D107
        super().__init__(
            f"Content type {kind} is not supported by this framework.\n\n    Please implement "
            "input_fn to to deserialize the request data or an output_fn to\n    serialize the "
            "response. For more information, see the SageMaker Python SDK README."
        )


def encode(found, accept):
    """Return predictions, anything NumPy takes or a dict for JSON, as str or bytes."""
    if accept == JSON:
        return json.dumps(found, default=lambda one: one.tolist())
    if accept == CSV:
        rows = np.array(found)
        stream = io.StringIO()
        rows = rows.reshape(-1, 1) if rows.ndim == 1 else rows
        csv.writer(stream, lineterminator="\n", strict=True).writerows(rows)
        return stream.getvalue()
    if accept == NPY:
        stream = io.BytesIO()
        np.save(stream, found)
        return stream.getvalue()
    raise UnsupportedFormatError(accept)


def decode(body, kind):
    """Return a body as an array; one row of CSV has one dimension, as in the container."""
    if kind == JSON:
        return np.array(json.loads(body))
    if kind == CSV:
        return np.array(list(csv.reader(io.StringIO(body), strict=True))).squeeze().astype(float)
    if kind == NPY:
        return np.load(io.BytesIO(body), allow_pickle=True)
    raise UnsupportedFormatError(kind)


def plain(kind):
    """Return a content type without its parameters."""
    return (kind or "").partition(";")[0].strip().lower()


def to_dmatrix(body, kind):
    """Return a body as XGBoost's DMatrix; an empty cell of CSV is a missing value."""
    import xgboost

    body = body.decode() if isinstance(body, bytes) else body
    if plain(kind) in (CSV, "csv"):
        rows = [line.split(",") for line in body.strip().splitlines()]
        return xgboost.DMatrix(np.array([[float(c.strip() or "nan") for c in r] for r in rows]))
    if plain(kind) in ("text/libsvm", "text/x-libsvm", "libsvm"):
        from scipy.sparse import csr_matrix

        cells = [
            (row, *cell.split(":"))
            for row, line in enumerate(body.strip().splitlines())
            for cell in line.split()
            if ":" in cell
        ]
        row, column, value = zip(*cells)
        return xgboost.DMatrix(csr_matrix((np.array(value, float), (row, np.array(column, int)))))
    raise UnsupportedFormatError(kind)


class Script:
    """A script's functions, with those of its image where it has none."""

    def __init__(self, settings):  # noqa: D107
        self.kind = settings["kind"]
        path = Path(settings["program"])
        sys.path.insert(0, str(path.parent))
        module = importlib.import_module(path.stem)
        own = {n: getattr(module, n, None) for n in ("input_fn", "predict_fn", "output_fn")}
        self.transform_fn = getattr(module, "transform_fn", None)
        if self.transform_fn and any(own.values()):
            raise ValueError(
                "Cannot use transform_fn implementation with input_fn, predict_fn, and/or output_fn"
            )
        self.context = types.SimpleNamespace(system_properties={"model_dir": settings["model"]})
        self.input_fn = own["input_fn"] or self.default_input_fn
        self.predict_fn = own["predict_fn"] or self.default_predict_fn
        self.output_fn = own["output_fn"] or encode
        if not hasattr(module, "model_fn"):
            raise NotImplementedError("Please provide a model_fn implementation.")
        self.model = self.call(module.model_fn, settings["model"])

    def call(self, function, *arguments):
        """Call a function of the script; with one parameter more, it takes the context."""
        if self.kind != "sklearn" and callable(function):
            if len(inspect.signature(function).parameters) == len(arguments) + 1:
                return function(*arguments, self.context)
        return function(*arguments)

    def default_input_fn(self, body, kind):
        """Decode as the image does."""
        if self.kind == "xgboost":
            return to_dmatrix(body, kind)
        found = decode(body, kind)
        return found.astype(np.float32) if self.kind == "sklearn" and kind in TEXTS else found

    def default_predict_fn(self, data, model):
        """Predict as the image does."""
        if self.kind == "xgboost":
            return model.predict(data, validate_features=False)
        return model.predict(data)

    def answer(self, body, kind, accept):
        """Return (status, body, content type)."""
        if not accept or accept == ANY:
            accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", JSON)
        body = body.decode() if kind in TEXTS else body
        if self.transform_fn:
            found = self.call(self.transform_fn, self.model, body, kind, accept)
            return self.response(found, accept)
        try:
            data = self.call(self.input_fn, body, kind)
        except UnsupportedFormatError as error:
            raise Refusal(415, self.told(error)) from error
        prediction = self.call(self.predict_fn, data, self.model)
        try:
            found = self.call(self.output_fn, prediction, accept)
        except UnsupportedFormatError as error:
            raise Refusal(406, self.told(error)) from error
        return self.response(found, accept)

    def told(self, error):
        """Return the body that tells of a format that is not supported."""
        told = {"error": type(error).__name__, "error-message": str(error)}
        return json.dumps(told | {"stack-trace": traceback.format_exc()})

    def response(self, found, accept):
        """Return what a function answered as (status, body, content type)."""
        kind = accept
        if isinstance(found, tuple):
            found, kind = found[:2]
        elif self.kind == "sklearn" and self.output_fn is not encode and not self.transform_fn:
            kind = "text/html" if isinstance(found, (str, bytes)) else JSON  # as Flask says of them
        if isinstance(found, (dict, list)):
            found = json.dumps(found)
        if self.kind == "sklearn" and kind.startswith("text/") and ";" not in kind:
            kind += "; charset=utf-8"
        found = found.encode() if isinstance(found, str) else bytes(found)
        return 200, found, kind


class Algorithm:
    """The XGBoost image without a script."""

    def __init__(self, settings):  # noqa: D107
        import xgboost

        self.lines = settings["lines"]
        files = [path for path in sorted(Path(settings["model"]).iterdir()) if path.is_file()]
        self.boosters = [xgboost.Booster(model_file=path) for path in files]
        if not self.boosters:
            raise RuntimeError("No valid model file found")

    def answer(self, body, kind, accept):
        """Return (status, body, content type)."""
        if not body:
            return 204, b"", CSV
        try:
            data = to_dmatrix(body, kind or CSV)
        except Exception as error:
            raise Refusal(415, f"Loading data failed: {error}") from error
        accept = plain(accept)
        if not accept or accept == ANY:
            accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", CSV)
        if accept not in (JSON, JSONLINES, CSV) and self.lines:
            raise Refusal(406, f"Accept type {accept} is not supported.")
        try:
            found = [booster.predict(data, validate_features=False) for booster in self.boosters]
        except Exception as error:
            raise Refusal(400, f"Unable to evaluate payload provided: {error}") from error
        found = (found[0] if len(found) == 1 else np.mean(found, axis=0)).tolist()
        if not self.lines:
            return 200, ",".join(map(str, found)).encode(), "text/csv; charset=utf-8"
        if accept == CSV:
            rows = [row if isinstance(row, list) else [row] for row in found]
            text = "".join(",".join(map(str, row)) + "\n" for row in rows)
            return 200, text.encode(), "text/csv; charset=utf-8"
        scores = [{"score": row} for row in found]
        if accept == JSON:
            return 200, json.dumps({"predictions": scores}).encode(), JSON
        return 200, "".join(json.dumps(one) + "\n" for one in scores).encode(), JSONLINES


def main():
    """Load the model, and answer until the notebook is gone."""
    settings = json.loads(sys.stdin.readline())
    sys.path[:] = [path for path in sys.path if path != str(Path(__file__).parent)]
    channel = Client(settings["address"], authkey=bytes.fromhex(settings["key"]))

    def send(head, body=b""):
        with contextlib.suppress(OSError, ValueError):  # a script may have closed them
            sys.stdout.flush()
            sys.stderr.flush()
            # the log is complete up to here
            os.write(1, f"\n{settings['key']} {head['id']}\n".encode())
        channel.send_bytes(json.dumps(head).encode())
        channel.send_bytes(body)

    try:
        server = (Script if settings["program"] else Algorithm)(settings)
        send({"id": 0})
    except BaseException:
        traceback.print_exc()
        send({"id": 0, "error": True})
        raise
    while True:
        try:
            request, body = json.loads(channel.recv_bytes()), channel.recv_bytes()
        except (EOFError, OSError):
            return
        try:
            status, body, kind = server.answer(body, request["kind"], request["accept"])
        except Refusal as refusal:
            traceback.print_exc()
            (status, body), kind = refusal.args, JSON
            body = body.encode()
        except Exception as error:
            traceback.print_exc()
            html = settings["kind"] == "sklearn"
            body = HTML if html else f"{error}\n{traceback.format_exc()}"
            status, body, kind = 500, body.encode(), "text/html" if html else "text/plain"
        send({"id": request["id"], "status": status, "kind": kind}, body)


if __name__ == "__main__":
    main()
