"""Requests that are refused, and what the sandbox says that it cannot do."""

import ast

import boto3
import botocore.exceptions
import nbformat
import pytest
from local_aws import Aws, alpha, at
from notebooks import NOTEBOOKS, code_cells, read


@pytest.fixture(scope="module")
def aws():
    return Aws()


SPOT = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}


@pytest.mark.parametrize(
    "path, value, message",
    [
        (
            "ResourceConfig.InstanceType",
            "ml.banana",
            r"at 'resourceConfig\.instanceType' .* enum value set: \[",
        ),
        ("RetryStrategy", {"MaximumRetryAttempts": 31}, "value less than or equal to 30"),
        (
            "TrainingJobName",
            "a_b",
            "Value 'a_b' at 'trainingJobName' .* regular expression pattern",
        ),
        ("TrainingJobName", "a" * 64, "pattern"),
        ("RoleArn", "arn:aws:iam::12:role/short-account", "pattern"),
        ("HyperParameters", {str(n): "" for n in range(101)}, "length less than or equal to 100"),
        ("InputDataConfig.0.ChannelName", "two words", "pattern"),
        (
            "ResourceConfig.InstanceCount",
            "1",
            "Invalid type for parameter ResourceConfig.InstanceCount",
        ),
        ("ResourceConfig.Banana", 1, "Unknown parameter"),
        ("OutputDataConfig", None, "Missing required parameter"),
        ("StoppingCondition.MaxRuntimeInSeconds", 0, "valid min value: 1"),
        ("StoppingCondition", SPOT, "only supported when EnableManagedSpotTraining"),
        ("EnableManagedSpotTraining", True, "needs a MaxWaitTimeInSeconds above"),
        ("StoppingCondition.MaxRuntimeInSeconds", 2_419_201, "28 days"),
        ("AlgorithmSpecification.AlgorithmName", "mine", "either TrainingImage or AlgorithmName"),
        ("AlgorithmSpecification.MetricDefinitions.0.Regex", "val=(", "not a regular expression"),
        ("AlgorithmSpecification.MetricDefinitions.0.Regex", "val=.*", "no group"),
        (
            "ProfilerConfig",
            {"ProfilingIntervalInMilliseconds": 300},
            "ProfilingIntervalInMilliseconds must be",
        ),
    ],
)
def test_refused_training_jobs(aws, path, value, message):
    request = at(aws.job("refused"), path, value)
    with pytest.raises(
        (botocore.exceptions.ClientError, botocore.exceptions.ParamValidationError), match=message
    ):
        aws.sm.create_training_job(**request)
    assert aws.sm.list_training_jobs(NameContains="refused")["TrainingJobSummaries"] == []


def test_spot_and_warm_pool_rules(aws):
    assert (
        aws.train("spot", EnableManagedSpotTraining=True, StoppingCondition=SPOT)[
            "TrainingJobStatus"
        ]
        == "Completed"
    )
    short = SPOT | {"MaxWaitTimeInSeconds": 59}
    with pytest.raises(botocore.exceptions.ClientError, match="above or equal"):
        aws.train("spot-short", EnableManagedSpotTraining=True, StoppingCondition=short)
    pool = aws.definition["ResourceConfig"] | {"KeepAlivePeriodInSeconds": 60}
    with pytest.raises(botocore.exceptions.ClientError, match="KeepAlive"):
        aws.train(
            "spot-warm", EnableManagedSpotTraining=True, StoppingCondition=SPOT, ResourceConfig=pool
        )


CONFIG = "HyperParameterTuningJobConfig."
RANGE = CONFIG + "ParameterRanges.ContinuousParameterRanges"
INTEGER = [alpha("1", "4", ScalingType="ReverseLogarithmic")]
STATIC = "TrainingJobDefinition.StaticHyperParameters."


@pytest.mark.parametrize(
    "path, value, message",
    [
        (CONFIG + "Strategy", "Banana", r"enum value set: \[Bayesian, Random, Hyperband, Grid\]"),
        (CONFIG + "Strategy", "Grid", "CategoricalParameterRanges only"),
        (CONFIG + "StrategyConfig", {"HyperbandStrategyConfig": {}}, "only for the Hyperband"),
        (RANGE, [alpha("4", "4")], "not below"),
        (RANGE, [alpha("low", "4")], "must be continuous numbers"),
        (RANGE, [alpha("0", "4", ScalingType="Logarithmic")], "only for ranges above 0"),
        (RANGE, [alpha("0", "1", ScalingType="ReverseLogarithmic")], "0 <= x < 1"),
        (CONFIG + "ParameterRanges.IntegerParameterRanges", INTEGER, "for continuous 0 <= x < 1"),
        (CONFIG + "ParameterRanges", {}, "At least one hyperparameter range"),
        (
            RANGE,
            [alpha("0", "1") | {"Name": f"h{n}"} for n in range(31)],
            "less than or equal to 30",
        ),
        (
            CONFIG + "ParameterRanges.CategoricalParameterRanges",
            [{"Name": f"h{n}", "Values": ["a"]} for n in range(30)],
            "At most 30 hyperparameters",
        ),
        (STATIC + "alpha", "1", "Hyperparameter alpha is given twice"),
        (CONFIG + "ResourceLimits.MaxParallelTrainingJobs", 11, "at most 10"),
        (CONFIG + "ResourceLimits.MaxNumberOfTrainingJobs", 751, "at most 750"),
        (CONFIG + "ResourceLimits.MaxNumberOfTrainingJobs", None, "ResourceLimits needs"),
        (
            CONFIG + "HyperParameterTuningJobObjective.MetricName",
            "auc",
            "not among the MetricDefinitions",
        ),
        (CONFIG + "HyperParameterTuningJobObjective", None, "Objective must be given"),
        ("TrainingJobDefinition", None, "TrainingImage|must be given"),
        ("TrainingJobDefinition.EnableManagedSpotTraining", True, "MaxWaitTimeInSeconds"),
        (
            "TrainingJobDefinition.AlgorithmSpecification.MetricDefinitions",
            [{"Name": f"m{n}", "Regex": "(x)"} for n in range(21)],
            "20 metrics",
        ),
        (
            "TrainingJobDefinition.StaticHyperParameters",
            {f"h{n}": "" for n in range(99)},
            "At most 100 hyperparameters",
        ),
        ("HyperParameterTuningJobName", "a" * 33, "pattern"),
    ],
)
def test_refused_tuning_jobs(aws, path, value, message):
    request = at(aws.tuning("refused"), path, value)
    with pytest.raises(
        (botocore.exceptions.ClientError, botocore.exceptions.ParamValidationError), match=message
    ):
        aws.sm.create_hyper_parameter_tuning_job(**request)
    assert (
        aws.sm.list_hyper_parameter_tuning_jobs(NameContains="refused")[
            "HyperParameterTuningJobSummaries"
        ]
        == []
    )


def test_refused_grid_and_hyperband(aws):
    grid = aws.tuning(
        "r",
        "Grid",
        ParameterRanges={"CategoricalParameterRanges": [{"Name": "alpha", "Values": ["1", "2"]}]},
    )
    early = aws.tuning("r", "Hyperband", TrainingJobEarlyStoppingType="Auto")
    blind = at(aws.tuning("r", "Hyperband"), STATIC + "epochs", None)
    narrow = aws.tuning(
        "r",
        "Hyperband",
        StrategyConfig={"HyperbandStrategyConfig": {"MinResource": 9, "MaxResource": 9}},
    )
    for request, message in (
        (grid, "the grid 2 jobs"),
        (early, "must be Off"),
        (blind, "needs MaxResource"),
        (narrow, "above MinResource"),
    ):
        with pytest.raises(botocore.exceptions.ClientError, match=message):
            aws.sm.create_hyper_parameter_tuning_job(**request)


def test_every_rule_has_a_source(aws):
    from sandbox import validation

    for rule, source, operations in validation.rules:
        assert rule.__doc__ and operations
        assert source.startswith(("https://docs.aws.amazon.com/sagemaker/", "https://github.com/"))


@pytest.mark.parametrize(
    "path, value, message",
    [
        ("ResourceConfig.InstanceCount", 9, "at most 8 hosts"),
        (
            "ResourceConfig.InstanceGroups",
            [{"InstanceType": "ml.m5.large", "InstanceCount": 2, "InstanceGroupName": "a"}],
            "hosts of one kind",
        ),
        ("AlgorithmSpecification.TrainingInputMode", "Pipe", "input modes"),
        ("InputDataConfig.0.CompressionType", "Gzip", "as it is"),
        ("InputDataConfig.0.DataSource.S3DataSource.S3DataType", "ManifestFile", "S3 prefixes"),
        ("OutputDataConfig.CompressionType", "NONE", "tar.gz"),
        ("AlgorithmSpecification.ContainerEntrypoint", ["bash"], "not commands"),
        ("HyperParameters.sagemaker_mpi_enabled", "true", "without torchrun"),
        ("HyperParameters.sagemaker_torch_distributed_enabled", "true", "without torchrun"),
        ("HyperParameters", {}, "runs a script"),
    ],
)
def test_unsupported_jobs(aws, path, value, message):
    with pytest.raises(NotImplementedError, match=message):
        aws.sm.create_training_job(**at(aws.job("unsupported"), path, value))


def test_unsupported_actions(aws):
    data = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{aws.bucket}/data"}}
    automl = {
        "AutoMLJobName": "auto",
        "AutoMLJobInputDataConfig": [{"ChannelType": "training", "DataSource": data}],
        "OutputDataConfig": {"S3OutputPath": f"s3://{aws.bucket}/auto"},
        "AutoMLProblemTypeConfig": {"TabularJobConfig": {"TargetAttributeName": "y"}},
        "RoleArn": aws.role,
    }
    for call, request in (
        (aws.sm.create_auto_ml_job_v2, automl),
        (aws.sm.list_processing_jobs, {}),
        (aws.sm.list_cluster_nodes, {"ClusterName": "c"}),
        (aws.sm.start_pipeline_execution, {"PipelineName": "p"}),
        (aws.sm.search, {"Resource": "TrainingJob"}),
        (boto3.client("sagemaker", region_name="eu-west-1").list_training_jobs, {}),
    ):
        with pytest.raises(NotImplementedError):
            call(**request)
    with pytest.raises(botocore.exceptions.ClientError, match="enum"):
        aws.sm.create_auto_ml_job_v2(
            **at(automl, "AutoMLJobInputDataConfig.0.ChannelType", "banana")
        )


def test_stored_resources(aws):
    aws.sm.create_experiment(ExperimentName="study")
    aws.sm.create_trial(TrialName="one", ExperimentName="study")
    aws.sm.create_trial_component(TrialComponentName="part")
    aws.sm.associate_trial_component(TrialComponentName="part", TrialName="one")
    assert [
        trial["TrialName"] for trial in aws.sm.list_trials(ExperimentName="study")["TrialSummaries"]
    ] == ["one"]
    answer = aws.sm.list_experiments()
    assert answer["ResponseMetadata"] == {"HTTPStatusCode": 200}


CALLERS = {"boto3", "botocore", "aiobotocore", "s3fs", "sagemaker", "sagemaker_mlflow", "mlflow"}


def unguarded(notebook):
    """Says whether a notebook imports what may call AWS before the cell of `import sandbox`."""
    closed = False
    for cell in code_cells(notebook):
        imported = set()
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
        closed = closed or "sandbox" in imported
        if imported & CALLERS and not closed:
            return True
    return False


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_import_the_sandbox_first(path):
    assert not unguarded(read(path))


def test_rejects_an_unguarded_notebook():
    def notebook(*cells):
        return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])

    client = "sm = boto3.client('sagemaker')"
    assert unguarded(notebook("import boto3", client, "import sandbox"))
    assert unguarded(notebook("import boto3.session\nboto3.session.Session()"))
    for line in ("from boto3 import client", "import sagemaker", "import mlflow", "import s3fs"):
        assert unguarded(notebook(line, "import sandbox"))
        assert not unguarded(notebook("import sandbox", line))
    assert not unguarded(notebook("import boto3\nimport sandbox  # a local AWS", client))


@pytest.mark.parametrize(
    "member, value, message",
    [
        (
            "MlflowConfig",
            {"MlflowResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:mlflow-app/app-1"},
            "has no managed MLflow for jobs to log to",
        ),
        (
            "ExperimentConfig",
            {"ExperimentName": "fraud"},
            "makes no trial component of a job; make it by the API",
        ),
    ],
)
def test_a_job_is_not_tracked(aws, member, value, message):
    with pytest.raises(NotImplementedError, match=message):
        aws.sm.create_training_job(**aws.job("untracked", **{member: value}))
    with pytest.raises(botocore.exceptions.ClientError, match="pattern"):
        name = next(iter(value))
        aws.sm.create_training_job(**aws.job("untracked", **{member: {name: "?"}}))
