"""AWS's XGBoost image: its metrics, answers, hyperparameters, what of them can be tuned."""

import json

import numpy as np
import pytest
from local_aws import XGBOOST, Aws, at, refused

OWN = XGBOOST.replace("683313688378", "123456789012")
ROWS = "\n".join(f"{i % 2},{i},{i * i % 7}" for i in range(40))


@pytest.fixture(scope="module")
def aws():
    return Aws()


def job(aws, name, hyper=(), rows=ROWS, image=XGBOOST, validation=ROWS):
    """Returns the request of a job of the image without a script."""
    channels = []
    for channel, body in {"train": rows, "validation": validation}.items():
        if body is not None:
            aws.put(f"{name}/{channel}/rows.csv", body.encode())
            channels.append(aws.channel(channel, f"{name}/{channel}/", ContentType="text/csv"))
    request = aws.job(name) | {"InputDataConfig": channels}
    request.pop("CheckpointConfig")
    hyper = {"objective": "binary:logistic", "num_round": "2"} | dict(hyper)
    request["HyperParameters"] = {key: value for key, value in hyper.items() if value}
    algorithm = {"TrainingImage": image, "TrainingInputMode": "File"}
    return request | {"AlgorithmSpecification": algorithm}


def train(aws, *arguments, **more):
    """Runs a job of the image and returns its description."""
    request = job(aws, *arguments, **more)
    aws.sm.create_training_job(**request)
    return aws.sm.describe_training_job(TrainingJobName=request["TrainingJobName"])


def tuning(aws, name, ranges, objective="validation:auc", **config):
    """Returns the request of a tuning job of the image."""
    definition = job(aws, name)
    static = definition.pop("HyperParameters")
    definition.pop("TrainingJobName")
    for _, items in ranges.items():
        for item in items:
            static.pop(item["Name"], None)
    request = aws.tuning(name, "Random", ParameterRanges=ranges, **config)
    request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"] |= {
        "MetricName": objective
    }
    return request | {"TrainingJobDefinition": definition | {"StaticHyperParameters": static}}


@pytest.mark.parametrize("script", [True, False])
def test_own_metric_definitions_are_refused(aws, script):
    metrics = [{"Name": "ap", "Regex": "ap=([0-9.]+)"}]
    request = aws.request("own-metrics", "print('ap=1')") if script else job(aws, "own-metrics")
    algorithm = {"TrainingImage": XGBOOST, "TrainingInputMode": "File"}
    request["AlgorithmSpecification"] = algorithm | {"MetricDefinitions": metrics}
    code, message = refused(aws.sm.create_training_job, **request)
    assert code == "ValidationException" and "can't override the metric definitions" in message
    linear = "382416733822.dkr.ecr.us-east-1.amazonaws.com/linear-learner:1"
    request = at(request, "AlgorithmSpecification.TrainingImage", linear)
    assert "can't override" in refused(aws.sm.create_training_job, **request)[1]
    ranges = {"ContinuousParameterRanges": [{"Name": "eta", "MinValue": "0.1", "MaxValue": "1"}]}
    tuned = tuning(aws, "own-metrics", ranges)
    path = "TrainingJobDefinition.AlgorithmSpecification.MetricDefinitions"
    message = refused(aws.sm.create_hyper_parameter_tuning_job, **at(tuned, path, metrics))[1]
    assert "can't override" in message


def test_an_image_of_ones_own_is_no_image_of_aws(aws):
    job = aws.run("own-image", "print('ap=0.5')", image=OWN, metrics=[("ap", "ap=([0-9.]+)")])
    found = [(one["MetricName"], one["Value"]) for one in job["FinalMetricDataList"]]
    assert found == [("ap", 0.5)]


def test_its_metrics_hold_for_a_script_too(aws):
    code = "print('[0]#011train-auc:0.9'); print('[1]\\ttrain-auc:0.95\\tvalidation-auc:8e-1')"
    job = aws.run("xgb-script", code + "; print('validation-auc:0.1')", image=XGBOOST)
    found = {one["MetricName"]: one["Value"] for one in job["FinalMetricDataList"]}
    assert found == {"train:auc": 0.95, "validation:auc": 0.8}
    assert aws.log("xgb-script")[1] == "[1]#011train-auc:0.95#011validation-auc:8e-1"


def test_hyperparameters_are_those_of_its_list(aws):
    from sandbox.images import xgboost_rules as rules

    right = {"num_round": "2", "objective": "binary:logistic", "rate_drop": "0.3"}
    right |= {"tweedie_variance_power": "1.4", "csv_weights": "0", "sketch_eps": "0.03"}
    right |= {"lambda_bias": "0", "predictor": "cpu_predictor", "eval_metric": "auc,error@0.4"}
    right |= {"save_model_on_termination": "false", "deterministic_histogram": "true"}
    assert list(rules.faults(right)) == []
    for change, message in (
        ({"num_round": None}, "Missing required hyperparameter: num_round"),
        ({"num_round": "0"}, "num_round: value 0 is not in range"),
        ({"num_round": "2.5"}, "num_round"),
        ({"eta": "1.1"}, "eta: value 1.1 is not in range [0,1]"),
        ({"subsample": "0"}, "subsample"),
        ({"tweedie_variance_power": "2"}, "tweedie_variance_power"),
        ({"booster": "tree"}, "booster"),
        ({"epochs": "3"}, "Extraneous hyperparameter found: epochs"),
        ({"eval_metric": "auc,banana"}, "Metric 'banana' is not supported"),
        ({"eval_metric": "auc@0.5"}, "Metric 'auc@0.5' is not supported"),
        ({"eval_metric": "error@x"}, "expects float input"),
        ({"objective": "multi:softmax"}, "num_class"),
        ({"objective": "reg:squarederror"}, "Metric 'auc' can only be applied"),
    ):
        given = {key: value for key, value in (right | change).items() if value}
        assert message in next(rules.faults(given))


def test_a_job_with_much_of_the_list(aws):
    hyper = {"rate_drop": "0.3", "tweedie_variance_power": "1.4", "csv_weights": "0"}
    hyper |= {"save_model_on_termination": "false", "sketch_eps": "0.03", "lambda_bias": "0"}
    hyper |= {"one_drop": "0", "sample_type": "uniform", "normalize_type": "tree"}
    hyper |= {"predictor": "cpu_predictor", "deterministic_histogram": "true", "booster": "gbtree"}
    hyper |= {"eval_metric": "auc,f1,accuracy,mse,error@0.4", "early_stopping_rounds": "5"}
    done = train(aws, "xgb-list", hyper)
    assert done["TrainingJobStatus"] == "Completed", aws.log("xgb-list")
    found = {one["MetricName"].partition(":")[2] for one in done["FinalMetricDataList"]}
    assert found == {"auc", "f1", "accuracy", "mse"}
    assert "error@0.4" in aws.log("xgb-list")[0]
    for hyper in ({"tree_method": "gpu_hist"}, {"_kfold": "3"}, {"use_dask_gpu_training": "true"}):
        with pytest.raises(NotImplementedError, match=next(iter(hyper))):
            train(aws, "xgb-elsewhere", hyper)


@pytest.mark.parametrize(
    "name, rows, message",
    [
        ("header", "label,a,b\n" + ROWS, "could not convert string to float: 'label'"),
        ("missing", ROWS.replace(",2\n", ",\n").replace(",", ";"), None),
        ("no-channel", None, "Missing required channel: train"),
    ],
)
def test_its_csv_files(aws, name, rows, message):
    done = train(aws, f"xgb-{name}", rows=rows)
    assert done["TrainingJobStatus"] == ("Failed" if message else "Completed")
    assert message is None or message in done["FailureReason"]
    assert message is None or "framework error" in done["FailureReason"]


@pytest.fixture(scope="module")
def model(aws):
    """The URI of a trained model."""
    return train(aws, "xgb-to-serve")["ModelArtifacts"]["S3ModelArtifacts"]


def deploy(aws, name, model, image, environment=()):
    """Serves a model without a script."""
    from local_aws import deploy

    container = {"Image": image, "ModelDataUrl": model, "Environment": dict(environment)}
    assert deploy(aws, name, container)["EndpointStatus"] == "InService"


def test_its_answers(aws, model):
    deploy(aws, "xgb-new", model, XGBOOST)
    lines = aws.ask("xgb-new", "1,2\n3,4\n5,6").decode()
    scores = [float(line) for line in lines.splitlines()]
    assert len(scores) == 3 and "," not in lines
    found = aws.ask("xgb-new", "1,2\n3,4\n5,6", Accept="application/json")
    assert [one["score"] for one in json.loads(found)["predictions"]] == scores
    found = aws.ask("xgb-new", "1,2\n3,4\n5,6", Accept="application/jsonlines")
    assert [json.loads(line)["score"] for line in found.splitlines()] == scores
    for more in ({"Accept": "*/*"}, {"kind": "text/csv; charset=utf-8"}):
        assert aws.ask("xgb-new", "1,2\n3,4\n5,6", **more).decode() == lines
    assert len(aws.ask("xgb-new", "1,\n3,4").splitlines()) == 2
    libsvm = aws.ask("xgb-new", "0 0:1 1:2\n0 0:3 1:4", "text/libsvm")
    assert [float(line) for line in libsvm.splitlines()] == scores[:2]
    for body, kind, accept, status in (
        ("[[1, 2]]", "application/json", "text/csv", 415),
        ("1,x", "text/csv", "text/csv", 415),
        ("1,2", "text/csv", "image/png", 406),
    ):
        with pytest.raises(aws.runtime.exceptions.ModelError) as caught:
            aws.ask("xgb-new", body, kind, Accept=accept)
        assert caught.value.response["OriginalStatusCode"] == status
    aws.sm.delete_endpoint(EndpointName="xgb-new")


def test_the_answers_of_an_old_version(aws, model):
    from sandbox.images import xgboost_rules as rules

    deploy(aws, "xgb-old", model, XGBOOST.replace("3.0-5", "1.2-1"))
    found = aws.ask("xgb-old", "1,2\n3,4\n5,6", Accept="application/json").decode()
    assert found.count(",") == 2 and "\n" not in found
    aws.sm.delete_endpoint(EndpointName="xgb-old")
    versions = {":3.0-5": True, ":1.5-1": True, ":1.3-1": False, ":0.90-2": False, ":latest": True}
    for tag, new in versions.items():
        assert (rules.version(f"x/sagemaker-xgboost{tag}") >= (1, 5)) is new


def test_a_script_gets_a_dmatrix(aws):
    script = """
def model_fn(folder): return None
def predict_fn(data, model): return [type(data).__name__, data.num_row(), data.num_col()]
"""
    aws.serve("xgb-dmatrix", script, image=XGBOOST)
    assert json.loads(aws.ask("xgb-dmatrix", "1,2\n3,")) == ["DMatrix", 2, 2]
    with pytest.raises(aws.runtime.exceptions.ModelError):
        aws.ask("xgb-dmatrix", "[[1, 2]]", "application/json")
    aws.sm.delete_endpoint(EndpointName="xgb-dmatrix")


def spread(name, low="0.1", high="0.9", kind="Continuous"):
    """Returns ranges with one hyperparameter."""
    if kind == "Categorical":
        return {"CategoricalParameterRanges": [{"Name": name, "Values": [low, high]}]}
    return {f"{kind}ParameterRanges": [{"Name": name, "MinValue": low, "MaxValue": high}]}


@pytest.mark.parametrize(
    "ranges, objective, message",
    [
        (spread("feature_xform", "onehot", "ordinal", "Categorical"), None, "none of those that"),
        (spread("scale_pos_weight", "1", "9"), None, "none of those that XGBoost can tune"),
        (spread("seed", "1", "9", "Integer"), None, "none of those that XGBoost can tune"),
        (spread("num_round", "2", "9"), None, "takes a range of type Integer"),
        (spread("eta", "0.1", "1.5"), None, "leaves what XGBoost takes"),
        (spread("max_depth", "-1", "9", "Integer"), None, "leaves what XGBoost takes"),
        (spread("subsample", "0", "1", "Categorical"), None, "leaves what XGBoost takes"),
        (spread("eta"), "train:auc", "none of the XGBoost algorithm's"),
        (spread("eta"), "validation:banana", "none of the XGBoost algorithm's"),
    ],
)
def test_what_it_cannot_tune(aws, ranges, objective, message):
    for script in (False, True):
        limits = {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1}
        more = {"objective": objective or "validation:auc", "ResourceLimits": limits}
        request = tuning(aws, "xgb-refused", ranges, **more)
        if script:
            code = {"sagemaker_program": "train.py", "sagemaker_submit_directory": "s3://x/y"}
            request["TrainingJobDefinition"]["StaticHyperParameters"] |= code
        answer = refused(aws.sm.create_hyper_parameter_tuning_job, **request)
        assert answer[0] == "ValidationException" and message in answer[1]


def test_what_it_can_tune(aws):
    limits = {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1}
    request = tuning(aws, "xgb-f1", spread("eta"), "validation:f1", ResourceLimits=limits)
    tuned, jobs = aws.tune(request)
    assert tuned["HyperParameterTuningJobStatus"] == "Completed" and len(jobs) == 2
    last = aws.sm.describe_training_job(TrainingJobName=jobs[0]["TrainingJobName"])
    found = {one["MetricName"]: one["Value"] for one in last["FinalMetricDataList"]}
    objective = jobs[0]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    assert found["validation:f1"] == objective and np.isfinite(objective)
    assert last["TuningJobArn"].endswith("xgb-f1")
