"""The model server of an endpoint, a process of its own: `serve.py MODEL_FOLDER [SCRIPT]`.

Reads one JSON object per line from standard input ({"body": base64, "content_type", "accept"}) and
writes one to standard output ({"body": base64, "content_type"} or {"error": text}); the first line
says that the model is loaded. With a SCRIPT it follows the script-mode contract: model_fn, and
input_fn, predict_fn and output_fn if the script has them. Without, it serves the archive of the
built-in XGBoost: text/csv in, predictions joined by commas out. Source:
https://sagemaker.readthedocs.io/en/stable/frameworks/sklearn/using_sklearn.html#deploy-endpoints-from-model-data
"""

import base64
import importlib.util
import io
import json
import os
import sys

import numpy as np


def model_fn(folder):
    """Load the built-in XGBoost's model."""
    import xgboost

    return xgboost.Booster(model_file=os.path.join(folder, "xgboost-model"))


def input_fn(body, content_type):
    """Decode bytes to an array of shape (rows, columns). Raises ValueError for an unknown type."""
    if content_type == "text/csv":
        return np.loadtxt(io.StringIO(body.decode()), delimiter=",", ndmin=2)
    if content_type == "application/json":
        return np.array(json.loads(body))
    raise ValueError(f"Content type {content_type} is not supported")


def predict_fn(data, model):
    """Return the model's predictions for an array."""
    if type(model).__name__ == "Booster":
        from xgboost import DMatrix

        data = DMatrix(data)
    return model.predict(data)


def output_fn(prediction, accept):
    """Encode predictions, an array. Raises ValueError for an unknown type."""
    if accept == "application/json":
        return json.dumps(np.asarray(prediction).tolist())
    if accept == "text/csv":
        stream = io.StringIO()
        np.savetxt(stream, prediction, delimiter=",", fmt="%s")
        return stream.getvalue()
    raise ValueError(f"{accept} is not an accepted Accept type")


def xgboost_output_fn(prediction, accept):
    """Encode as the built-in XGBoost does, whose text/csv is one line."""
    if accept == "text/csv":
        return ",".join(map(str, prediction.tolist()))
    return output_fn(prediction, accept)


def main(folder, script=None):
    """Load the model and answer until standard input ends."""
    channel, sys.stdout = sys.stdout, sys.stderr  # what a script prints goes to the log
    functions, model = dict(globals()), None
    functions |= {} if script else {"output_fn": xgboost_output_fn}
    usual = "application/json" if script else "text/csv"

    def load(_):
        nonlocal model
        if script:
            sys.path.insert(0, os.path.dirname(script))
            spec = importlib.util.spec_from_file_location("inference_script", script)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            functions.update(vars(module))
        model = functions["model_fn"](folder)
        return {}

    def predict(request):
        body, accept = base64.b64decode(request["body"]), request["accept"] or usual
        data = functions["input_fn"](body, request["content_type"])
        result = functions["output_fn"](functions["predict_fn"](data, model), accept)
        if isinstance(result, tuple):  # a script may return the type with the body
            result, accept = result
        result = result.encode() if isinstance(result, str) else bytes(result)
        return {"body": base64.b64encode(result).decode(), "content_type": accept}

    def answer(step, request=None):
        try:
            reply = step(request)
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=channel, flush=True)

    answer(load)
    for line in sys.stdin:
        answer(predict, json.loads(line))


if __name__ == "__main__":
    main(*sys.argv[1:])
