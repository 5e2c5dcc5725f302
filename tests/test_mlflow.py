"""MLflow, as chapter 157 uses it, reaches nobody."""

from test_sandbox_guard import WATCH, python

START = """
import os
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
import logging, pathlib, tempfile, time
import sandbox, mlflow

for name in ["mlflow", "alembic"]:
    logging.getLogger(name).setLevel(logging.ERROR)
folder = pathlib.Path(tempfile.mkdtemp())
"""
USE = """
mlflow.set_tracking_uri(f"sqlite:///{folder}/runs.db")
mlflow.create_experiment("one", artifact_location=(folder / "files").as_uri())
mlflow.set_experiment("one")
with mlflow.start_run(run_name="a"):
    mlflow.log_params({"seed": 1})
    mlflow.log_metric("score", 0.1 + 0.2)
    mlflow.log_dict({"numpy": "2"}, "packages.json")
[run] = mlflow.search_runs(filter_string="run_name = 'a'", output_format="list")
time.sleep(2)  # what a thread in the background might send
print(run.data.params, run.data.metrics["score"] == 0.1 + 0.2, tried)
"""
ELSEWHERE = """
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
mlflow.set_tracking_uri("http://tracking.example.org")
try:
    mlflow.search_experiments()
except Exception:
    print(tried)
"""


def test_mlflow_reaches_nobody(tmp_path):
    assert python(WATCH + START + USE, tmp_path) == ["{'seed': '1'} True []"]


def test_the_watch_sees_mlflow(tmp_path):
    [line] = python(WATCH + START + ELSEWHERE, tmp_path)
    assert "tracking.example.org" in line
