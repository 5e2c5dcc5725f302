"""The built-in XGBoost trains, and endpoints predict."""

import json

import botocore.exceptions
import numpy as np
import pytest
from local_aws import IMAGE, SERVING, XGBOOST, Aws, at, deploy, serving, table, values


@pytest.fixture(scope="module")
def aws():
    return Aws()


@pytest.fixture(scope="module")
def xgboost_job(aws):
    """A trained job of the built-in XGBoost, with its request and its validation data."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    y = (X[:, 0] + X[:, 1] + rng.normal(size=300) > 0).astype(int)
    aws.put("xgb/train/a.csv", table(X[:200], y[:200]))
    aws.put("xgb/validation/a.csv", table(X[200:], y[200:]))
    request = aws.job("xgb") | {
        "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
        "HyperParameters": {
            "objective": "binary:logistic",
            "num_round": "8",
            "eval_metric": "auc,error",
            "max_depth": "3",
        },
        "InputDataConfig": [
            aws.channel(name, f"xgb/{name}", ContentType="text/csv")
            for name in ("train", "validation")
        ],
    }
    aws.sm.create_training_job(**request)
    return (request, aws.sm.describe_training_job(TrainingJobName="xgb"), X[200:], y[200:])


def test_xgboost_trains_and_predicts(aws, xgboost_job, tmp_path):
    import xgboost
    from sklearn.metrics import roc_auc_score

    request, job, X, y = xgboost_job
    metrics = {m["MetricName"]: m["Value"] for m in job["FinalMetricDataList"]}
    assert metrics.keys() == {"train:auc", "train:error", "validation:auc", "validation:error"}
    model = job["ModelArtifacts"]["S3ModelArtifacts"]
    (tmp_path / "model.ubj").write_bytes(aws.unpacked(model)["xgboost-model"])
    score = xgboost.Booster(model_file=tmp_path / "model.ubj").predict(xgboost.DMatrix(X))
    assert metrics["validation:auc"] == pytest.approx(roc_auc_score(y, score), abs=1e-5)
    assert (
        deploy(aws, "xgb", {"Image": XGBOOST, "ModelDataUrl": model})["EndpointStatus"]
        == "InService"
    )
    answer = aws.runtime.invoke_endpoint(EndpointName="xgb", ContentType="text/csv", Body=table(X))
    assert np.allclose(np.array(answer["Body"].read().split(), float), score)

    for number, (change, message) in enumerate(
        [
            ({"num_round": None}, "Missing required hyperparameter: num_round"),
            ({"bogus": "1"}, "bogus"),
        ]
    ):
        hyper = request["HyperParameters"] | change
        hyper = {key: value for key, value in hyper.items() if value}
        aws.sm.create_training_job(
            **request | {"TrainingJobName": f"xgb-{number}", "HyperParameters": hyper}
        )
        assert (
            message
            in aws.sm.describe_training_job(TrainingJobName=f"xgb-{number}")["FailureReason"]
        )
    with pytest.raises(NotImplementedError, match="text/csv"):
        aws.sm.create_training_job(
            **request
            | {"TrainingJobName": "libsvm", "InputDataConfig": [aws.channel("train", "xgb")]}
        )
    with pytest.raises(NotImplementedError, match="XGBoost on one host"):
        two = at(request, "ResourceConfig.InstanceCount", 2)
        aws.sm.create_training_job(**two | {"TrainingJobName": "two"})


def test_xgboost_is_tuned(aws, xgboost_job):
    limits = {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1}
    request = aws.tuning("xgb", "Random", ResourceLimits=limits)
    config = request["HyperParameterTuningJobConfig"]
    config["HyperParameterTuningJobObjective"]["MetricName"] = "validation:auc"
    config["ParameterRanges"] = {
        "IntegerParameterRanges": [{"Name": "max_depth", "MinValue": "1", "MaxValue": "6"}]
    }
    definition = {
        key: value
        for key, value in xgboost_job[0].items()
        if key not in ("TrainingJobName", "HyperParameters")
    }
    static = {"objective": "binary:logistic", "num_round": "4"}
    tuned, jobs = aws.tune(
        request | {"TrainingJobDefinition": definition | {"StaticHyperParameters": static}}
    )
    assert (
        tuned["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
        == max(values(jobs))
        > 0.7
    )


def test_endpoint_predicts_as_the_script(aws):
    model = aws.train("to-serve", {"alpha": "3"})["ModelArtifacts"]["S3ModelArtifacts"]
    container = {"Image": IMAGE, "ModelDataUrl": model, "Environment": serving(aws)}
    assert deploy(aws, "served", container)["EndpointStatus"] == "InService"
    aws.sm.get_waiter("endpoint_in_service").wait(EndpointName="served")
    ask = aws.runtime.invoke_endpoint
    X = np.array([[1.0, 2.0], [3.0, 4.5]])
    own = {}
    exec(SERVING, own)
    for body, kind, parse in (
        (json.dumps(X.tolist()), "application/json", json.loads),
        (table(X), "text/csv", lambda text: [float(part) for part in text.split()]),
    ):
        answer = ask(EndpointName="served", ContentType=kind, Accept=kind, Body=body)
        assert parse(answer["Body"].read()) == own["predict_fn"](X, 3).tolist()
        assert answer["ContentType"].partition(";")[0] == kind
        assert answer["InvokedProductionVariant"] == "all"
    with pytest.raises(aws.runtime.exceptions.ModelError, match="text/plain is not supported"):
        ask(EndpointName="served", ContentType="text/plain", Body="1")
    assert json.loads(
        ask(EndpointName="served", ContentType="application/json", Body="[[2]]")["Body"].read()
    ) == [6]
    aws.sm.delete_endpoint(EndpointName="served")
    with pytest.raises(botocore.exceptions.ClientError, match="Endpoint served of account"):
        ask(EndpointName="served", ContentType="text/csv", Body="1")


def test_endpoint_from_the_registry(aws):
    model = aws.train("to-register", {"alpha": "3"})["ModelArtifacts"]["S3ModelArtifacts"]
    aws.sm.create_model_package_group(ModelPackageGroupName="models")
    package = aws.sm.create_model_package(
        ModelPackageGroupName="models",
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [{"Image": IMAGE, "ModelDataUrl": model, "Environment": serving(aws)}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["text/csv"],
        },
    )["ModelPackageArn"]
    assert deploy(aws, "registered", {"ModelPackageName": package})["EndpointStatus"] == "InService"
    answer = aws.runtime.invoke_endpoint(
        EndpointName="registered", ContentType="text/csv", Body=b"1,1\n2,2"
    )
    assert answer["Body"].read() == b"[6.0, 12.0]"


def test_endpoint_fails(aws):
    model = aws.train("no-model-fn")["ModelArtifacts"]["S3ModelArtifacts"]
    environment = serving(aws, "nowhere.py")
    container = {"Image": IMAGE, "ModelDataUrl": model, "Environment": environment}
    description = deploy(aws, "broken", container)
    assert description["EndpointStatus"] == "Failed"
    assert "health check" in description["FailureReason"]
