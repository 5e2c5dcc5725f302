"""The serving contract: types, environment, defaults, answers, a server that dies, logs."""

import json
import threading

import numpy as np
import pytest
from local_aws import XGBOOST, Aws, deploy, tarball

FRAMEWORK = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6-cpu-py312"
TYPES = """
import json
def model_fn(folder): return None
def input_fn(body, kind): return type(body).__name__
def predict_fn(data, model): return data
def output_fn(found, accept): return json.dumps(found)
"""
ECHO = "def model_fn(folder): return None\ndef predict_fn(data, model): return data\n"


@pytest.fixture(scope="module")
def aws():
    return Aws()


def model_error(aws, name, body, kind="text/csv", **more):
    """Returns (status, message) of the ModelError of an endpoint."""
    with pytest.raises(aws.runtime.exceptions.ModelError) as caught:
        aws.ask(name, body, kind, **more)
    answer = caught.value.response
    assert f"/aws/sagemaker/Endpoints/{name}" in answer["Error"]["Message"]
    return answer["OriginalStatusCode"], answer["OriginalMessage"]


def test_the_type_of_a_body(aws):
    aws.serve("types", TYPES)
    kinds = ("text/csv", "application/json", "application/x-npy", "text/csv; charset=utf-8")
    found = [json.loads(aws.ask("types", "1,2", kind)) for kind in kinds]
    assert found == ["str", "str", "bytes", "bytes"]
    aws.sm.delete_endpoint(EndpointName="types")


def test_the_environment_of_a_model(aws):
    script = """
import os, numpy as np
def model_fn(folder): return folder
def predict_fn(data, model):
    path = open("/opt/ml/model/weights.json").read()
    return np.array([os.environ.get("LIMIT"), os.environ["SM_MODEL_DIR"] == model, path])
"""
    own = {"LIMIT": "0.7", "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"}
    aws.serve("environment", script, own)
    assert aws.ask("environment", "1,2\n3,4") == b"0.7\nTrue\n[1]\n"
    assert json.loads(aws.ask("environment", "1", Accept="application/json"))[0] == "0.7"
    assert aws.ask("environment", "1", Accept="*/*") == b"0.7\nTrue\n[1]\n"
    aws.sm.delete_endpoint(EndpointName="environment")


def test_transform_fn_alone_and_not_beside_others(aws):
    script = "def model_fn(folder): return 2\ndef transform_fn(model, body, kind, accept):\n"
    script += "    return f'{body}{model}', 'text/plain'\n"
    aws.serve("transform", script)
    assert aws.ask("transform", "7,", "text/csv") == b"7,2"
    both = aws.serve("transform-2", script + "def input_fn(body, kind): return body\n")
    assert both["EndpointStatus"] == "Failed"
    assert any("Cannot use transform_fn" in line for line in aws.said("transform-2"))
    aws.sm.delete_endpoint(EndpointName="transform")


def test_defaults_decode_and_encode_as_the_image(aws):
    aws.serve("echo", ECHO)
    assert json.loads(aws.ask("echo", "1,2\n3,4.5")) == [[1, 2], [3, 4.5]]
    assert json.loads(aws.ask("echo", "1,2")) == [1, 2]  # one row has one dimension
    assert aws.ask("echo", "[[1, 2]]", "application/json", Accept="text/csv") == b"1.0,2.0\n"
    found = aws.ask("echo", "[[1, 2]]", "application/json", Accept="application/x-npy")
    assert np.load(__import__("io").BytesIO(found)).dtype == np.float32
    assert model_error(aws, "echo", "1", "text/plain")[0] == 415
    assert model_error(aws, "echo", "1", Accept="image/png")[0] == 406
    status, message = model_error(aws, "echo", "one,two")
    assert status == 500 and "500 Internal Server Error" in message
    assert "ValueError: could not convert string to float" in aws.said("echo")[-1]
    aws.sm.delete_endpoint(EndpointName="echo")


def test_dictionaries_and_other_images(aws):
    script = "def model_fn(folder, context): return context.system_properties['model_dir']\n"
    script += "def predict_fn(data, model): return {'mean': data.mean(), 'text': 'ü'}\n"
    aws.serve("dict", script, image=FRAMEWORK)
    assert json.loads(aws.ask("dict", "1,2")) == {"mean": 1.5, "text": "ü"}
    assert "ValueError" in model_error(aws, "dict", "x")[1]
    plain = "def model_fn(folder): return None\ndef input_fn(body, kind): return body\n"
    plain += "def predict_fn(data, model): return {'got': data}\n"
    plain += "def output_fn(found, accept): return found\n"
    aws.serve("dict-2", plain)
    assert json.loads(aws.ask("dict-2", "1,2")) == {"got": "1,2"}
    for name in ("dict", "dict-2"):
        aws.sm.delete_endpoint(EndpointName=name)


def test_what_a_script_prints_is_its_log_and_no_answer(aws):
    script = """
import os, subprocess, sys
os.system("echo Collecting something")
subprocess.run([sys.executable, "-c", "print('installed')"])
os.write(1, b'{"id": 1, "status": 200, "kind": "text/csv"}')
def model_fn(folder): return None
def predict_fn(data, model):
    print("predicting")
    os.write(2, b"aside\\n")
    return data
"""
    assert aws.serve("prints", script)["EndpointStatus"] == "InService"
    assert {"Collecting something", "installed"} <= set(aws.said("prints"))
    assert json.loads(aws.ask("prints", "5,6")) == [5, 6]
    assert {"predicting", "aside"} <= set(aws.said("prints"))
    aws.sm.delete_endpoint(EndpointName="prints")


def test_each_caller_gets_its_own_answer(aws):
    script = ECHO + "import os\nos.system('echo hi')\n"
    script += "def input_fn(body, kind):\n    print(body)\n    return float(body)\n"
    aws.serve("callers", script)
    wrong = []

    def call(first):
        for n in range(first, first + 20):
            if float(aws.ask("callers", str(n))) != n:
                wrong.append(n)

    threads = [threading.Thread(target=call, args=(1000 * k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    aws.sm.delete_endpoint(EndpointName="callers")


def test_a_server_that_dies_or_hangs_comes_back(aws, monkeypatch):
    script = """
import os, time
def model_fn(folder): return None
def input_fn(body, kind):
    if body == "die":
        os._exit(3)
    if body == "hang":
        time.sleep(600)
    return body
def predict_fn(data, model): return data
"""
    from sandbox import endpoints

    aws.serve("mortal", script)
    assert model_error(aws, "mortal", "die")[0] == 502
    assert json.loads(aws.ask("mortal", "alive")) == "alive"
    monkeypatch.setattr(endpoints, "ANSWER_SECONDS", 1)
    status, message = model_error(aws, "mortal", "hang")
    assert status == 0 and "timed out while waiting for a response" in message
    monkeypatch.undo()
    assert json.loads(aws.ask("mortal", "again")) == "again"
    aws.sm.delete_endpoint(EndpointName="mortal")


@pytest.mark.parametrize(
    "name, script, told",
    [
        ("no-model-fn", "x = 1", "Please provide a model_fn"),
        ("raises", "raise ValueError('no beans')", "ValueError: no beans"),
        ("exits", "import os; print('leaving', flush=True); os._exit(0)", "leaving"),
        ("syntax", "def model_fn(:", "SyntaxError"),
    ],
)
def test_what_does_not_load_fails_and_says_why(aws, name, script, told):
    assert aws.serve(f"bad-{name}", script)["EndpointStatus"] == "Failed"
    assert any(told in line for line in aws.said(f"bad-{name}"))


def test_a_server_that_never_loads(aws):
    aws.put("models/slow.tar.gz", tarball({"code/inference.py": "import time; time.sleep(600)"}))
    uri = f"s3://{aws.bucket}/models/slow.tar.gz"
    container = {"Image": FRAMEWORK, "ModelDataUrl": uri}
    container["Environment"] = {"SAGEMAKER_PROGRAM": "inference.py"}
    from sandbox import endpoints

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(endpoints, "LOAD_SECONDS", 2)
        assert deploy(aws, "slow", container)["EndpointStatus"] == "Failed"


def test_what_the_sandbox_does_not_serve(aws):
    need = {"code/requirements.txt": "tinydb==4.8.2"}
    for name, more, message in (
        ("needs", {"script": ECHO} | need, "tinydb"),
        ("output", {"script": "", "image": XGBOOST}, "SAGEMAKER_INFERENCE_OUTPUT"),
    ):
        own = {"SAGEMAKER_INFERENCE_OUTPUT": "probability"} if name == "output" else {}
        with pytest.raises(NotImplementedError, match=message):
            aws.serve(name, environment=own, **more)
        assert aws.sm.list_endpoints(NameContains=name)["Endpoints"] == []
