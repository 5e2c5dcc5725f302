"""Records know each other: names, model data, objectives, combinations, warm starts, groups and
tags.
"""

import json

import boto3
import botocore.exceptions
import pytest
from local_aws import IMAGE, XGBOOST, Aws, alpha, at, refused, tarball


@pytest.fixture(scope="module")
def aws():
    return Aws()


def model(aws, name, key="models/a.tar.gz", **container):
    """Returns the request of a model whose data lie under a key."""
    if not container:
        container = {"Image": XGBOOST, "ModelDataUrl": f"s3://{aws.bucket}/{key}"}
    return {"ModelName": name, "ExecutionRoleArn": aws.role, "PrimaryContainer": container}


def config(name, model, count=1, **more):
    """Returns the request of an endpoint configuration."""
    variant = {"VariantName": "all", "ModelName": model, "InitialInstanceCount": count}
    variant |= {"InstanceType": "ml.m5.large"} | more
    return {"EndpointConfigName": name, "ProductionVariants": [variant]}


def test_names_are_taken(aws):
    for letter in "ab":
        aws.put(f"models/{letter}.tar.gz", tarball({"xgboost-model": letter}))
    aws.sm.create_model(**model(aws, "one"))
    aws.sm.create_model(**model(aws, "one"))  # the very same call, as of a cell that runs twice
    code, message = refused(aws.sm.create_model, **model(aws, "one", "models/b.tar.gz"))
    assert code == "ValidationException" and "Cannot create already existing model" in message
    assert "models/a" in str(aws.sm.describe_model(ModelName="one"))
    aws.sm.create_endpoint_config(**config("one", "one"))
    message = refused(aws.sm.create_endpoint_config, **config("one", "one", 2))[1]
    assert "Cannot create already existing endpoint configuration" in message
    aws.sm.delete_endpoint_config(EndpointConfigName="one")
    aws.sm.create_endpoint_config(**config("one", "one", 2))
    aws.sm.create_experiment(ExperimentName="taken")
    taken = {"ExperimentName": "taken", "Description": "another"}
    assert "already existing experiment" in refused(aws.sm.create_experiment, **taken)[1]
    aws.sm.delete_model(ModelName="one")
    aws.sm.create_model(**model(aws, "one", "models/b.tar.gz"))


def test_model_data_and_models_exist(aws):
    aws.put("models/c.tar.gz", tarball({"xgboost-model": "c"}))
    for container in (
        {"Image": XGBOOST, "ModelDataUrl": f"s3://{aws.bucket}/nowhere.tar.gz"},
        {"Image": XGBOOST, "ModelDataUrl": "s3://no-such-bucket/model.tar.gz"},
        {"Image": XGBOOST, "ModelDataUrl": f"s3://{aws.bucket}/models/"},
    ):
        message = refused(aws.sm.create_model, **model(aws, "no-data", **container))[1]
        assert message == f"Could not find model data at {container['ModelDataUrl']}."
    several = [{"Image": XGBOOST, "ModelDataUrl": f"s3://{aws.bucket}/models/x.tar.gz"}]
    request = {"ModelName": "several", "ExecutionRoleArn": aws.role, "Containers": several}
    assert "Could not find model data" in refused(aws.sm.create_model, **request)[1]
    arn = "arn:aws:sagemaker:us-east-1:123456789012:model-package/nobody/1"
    assert refused(aws.sm.create_model, **model(aws, "no-package", ModelPackageName=arn))
    message = refused(aws.sm.create_endpoint_config, **config("lost", "nobody"))[1]
    assert "Could not find model" in message
    aws.sm.create_model(**model(aws, "two", "models/c.tar.gz"))
    twice = config("twice", "two")
    twice["ProductionVariants"] *= 2
    assert "unique names" in refused(aws.sm.create_endpoint_config, **twice)[1]


def test_the_model_of_a_job_that_saves_none(aws):
    job = aws.run("saves-none", "print('done')")
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert job["TrainingJobStatus"] == "Completed"
    assert uri == f"s3://{aws.bucket}/models/saves-none/output/model.tar.gz"
    request = model(aws, "of-none", Image=XGBOOST, ModelDataUrl=uri)
    assert refused(aws.sm.create_model, **request)[1] == f"Could not find model data at {uri}."


def test_parents_exist(aws):
    trial = {"TrialName": "t", "ExperimentName": "nobody"}
    code, message = refused(aws.sm.create_trial, **trial)
    assert code == "ResourceNotFound" and "Could not find experiment" in message
    both = {"TrialName": "nobody", "TrialComponentName": "nobody"}
    assert refused(aws.sm.associate_trial_component, **both)[0] == "ResourceNotFound"
    message = refused(aws.sm.create_model_package, ModelPackageGroupName="nobody")[1]
    assert message.startswith("Could not find model package group")
    aws.sm.create_experiment(ExperimentName="parent")
    aws.sm.create_trial(TrialName="t", ExperimentName="parent")


def test_an_objective_is_defined(aws):
    request = aws.tuning("no-metric")
    path = "TrainingJobDefinition.AlgorithmSpecification.MetricDefinitions"
    create = aws.sm.create_hyper_parameter_tuning_job
    for value in (None, []):
        assert "A metric is required" in refused(create, **at(request, path, value))[1]


@pytest.mark.parametrize(
    "ranges, jobs, enough",
    [
        ({"CategoricalParameterRanges": [{"Name": "act", "Values": ["up", "on"]}]}, 3, False),
        ({"IntegerParameterRanges": [alpha("1", "3")]}, 4, False),
        ({"IntegerParameterRanges": [alpha("1", "3")]}, 3, True),
    ],
)
def test_combinations_suffice(aws, ranges, jobs, enough):
    limits = {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": 1}
    name = f"combine-{len(ranges)}-{jobs}-{enough}"
    request = aws.tuning(name, ParameterRanges=ranges, ResourceLimits=limits)
    if not enough:
        message = refused(aws.sm.create_hyper_parameter_tuning_job, **request)[1]
        assert "You don't have enough combinations of hyperparameter ranges" in message
        return
    found = [job["TunedHyperParameters"]["alpha"] for job in aws.tune(request)[1]]
    assert sorted(found) == ["1", "2", "3"]  # none twice


def test_warm_starts_fit(aws):
    limits = {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1}
    aws.tune(aws.tuning("fit-base", ResourceLimits=limits))
    start = {"WarmStartType": "TransferLearning"}
    start["ParentHyperParameterTuningJobs"] = [{"HyperParameterTuningJobName": "fit-base"}]
    integer = {"IntegerParameterRanges": [alpha("1", "4")]}
    whole = aws.tuning("fit-1", ParameterRanges=integer, ResourceLimits=limits)
    band = aws.tuning("fit-2", "Hyperband", ResourceLimits=limits)
    for request, message in (
        (whole, "must keep the types"),
        (band, "Bayesian and Random search only"),
    ):
        create = aws.sm.create_hyper_parameter_tuning_job
        assert message in refused(create, **request, WarmStartConfig=start)[1]


def test_groups_by_name_and_by_arn(aws):
    arn = aws.sm.create_model_package_group(ModelPackageGroupName="group")["ModelPackageGroupArn"]
    for name in ("group", arn):
        made = aws.sm.create_model_package(ModelPackageGroupName=name)["ModelPackageArn"]
        found = aws.sm.describe_model_package_group(ModelPackageGroupName=name)
        assert found["ModelPackageGroupArn"] == arn
        listed = aws.sm.list_model_packages(ModelPackageGroupName=name)["ModelPackageSummaryList"]
        assert made in [one["ModelPackageArn"] for one in listed]
    assert len(listed) == 2 and made.endswith("/2")
    described = {"ModelPackageGroupName": "group", "ModelPackageGroupDescription": "again"}
    assert "already existing" in refused(aws.sm.create_model_package_group, **described)[1]


def test_tags(aws):
    tags = [{"Key": "team", "Value": "risk"}]
    arn = aws.run("tagged", "print(1)", Tags=tags)["TrainingJobArn"]
    assert aws.sm.list_tags(ResourceArn=arn)["Tags"] == tags
    more = [{"Key": "team", "Value": "fraud"}, {"Key": "cost", "Value": "7"}]
    assert aws.sm.add_tags(ResourceArn=arn, Tags=more)["Tags"] == more
    aws.sm.delete_tags(ResourceArn=arn, TagKeys=["team"])
    assert aws.sm.list_tags(ResourceArn=arn)["Tags"] == more[1:]
    code, _ = refused(aws.sm.list_tags, ResourceArn=arn.replace("tagged", "nobody"))
    assert code == "ResourceNotFound"
    limits = {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1}
    tuned, jobs = aws.tune(aws.tuning("tagged", ResourceLimits=limits) | {"Tags": tags})
    for one in (tuned["HyperParameterTuningJobArn"], jobs[0]["TrainingJobArn"]):
        assert aws.sm.list_tags(ResourceArn=one)["Tags"] == tags
    aws.put("models/t.tar.gz", tarball({"xgboost-model": "t"}))
    arn = aws.sm.create_model(**model(aws, "tagged", "models/t.tar.gz"))["ModelArn"]
    for given in (tags, more):
        aws.sm.add_tags(ResourceArn=arn, Tags=given)
    assert aws.sm.list_tags(ResourceArn=arn)["Tags"] == more  # moto keeps those of models


def test_log_groups_are_told_apart(aws):
    logs = boto3.client("logs")
    logs.create_log_group(logGroupName="/aws/sagemaker/TrainingJobs2")
    aws.run("grouped", "print('here')")
    assert aws.log("grouped") == ["here"]
    assert IMAGE in str(aws.sm.describe_training_job(TrainingJobName="grouped"))


def test_endpoints_are_listed_newest_first(aws):
    script = "def model_fn(folder): return None\ndef predict_fn(data, model): return data\n"
    for letter in "ab":
        aws.serve(f"listed-{letter}", script)
    found = aws.sm.list_endpoints(NameContains="listed-")["Endpoints"]
    assert [one["EndpointName"] for one in found] == ["listed-b", "listed-a"]
    for letter in "ab":
        aws.sm.delete_endpoint(EndpointName=f"listed-{letter}")


def test_lineage_tells_what_came_from_what(aws):
    sm, source = aws.sm, {"SourceUri": f"s3://{aws.bucket}/data/train"}
    data = sm.create_artifact(ArtifactName="data", Source=source, ArtifactType="DataSet")
    again = sm.create_artifact(ArtifactName="data", Source=source, ArtifactType="DataSet")
    assert data["ArtifactArn"] == again["ArtifactArn"]
    uri = {"SourceUri": f"s3://{aws.bucket}/models/one.tar.gz"}
    model = sm.create_artifact(ArtifactName="one", Source=uri, ArtifactType="Model")
    job = {"SourceUri": "arn:aws:sagemaker:us-east-1:123456789012:training-job/one"}
    action = sm.create_action(ActionName="fit", Source=job, ActionType="Training")["ActionArn"]
    context = sm.create_context(ContextName="live", Source=uri, ContextType="Endpoint")
    chain = [data["ArtifactArn"], action, model["ArtifactArn"], context["ContextArn"]]
    for source, destination, kind in zip(
        chain, chain[1:], ["ContributedTo", "Produced", "AssociatedWith"], strict=False
    ):
        sm.add_association(SourceArn=source, DestinationArn=destination, AssociationType=kind)
    [made] = sm.list_associations(SourceArn=action)["AssociationSummaries"]
    assert (made["AssociationType"], made["DestinationType"]) == ("Produced", "Model")
    back = sm.query_lineage(StartArns=chain[-1:], Direction="Ascendants")
    assert {one["Arn"] for one in back["Vertices"]} == set(chain) and len(back["Edges"]) == 3
    ahead = sm.query_lineage(StartArns=chain[-1:], Direction="Descendants", IncludeEdges=False)
    assert [one["Arn"] for one in ahead["Vertices"]] == chain[-1:] and "Edges" not in ahead
    near = sm.query_lineage(StartArns=[action], MaxDepth=1, Filters={"Types": ["DataSet"]})
    assert [one["Arn"] for one in near["Vertices"]] == chain[:1]
    assert sm.describe_context(ContextName="live")["ContextType"] == "Endpoint"
    sm.delete_association(SourceArn=chain[0], DestinationArn=action)
    assert sm.list_associations(DestinationArn=action)["AssociationSummaries"] == []
    with pytest.raises(sm.exceptions.ResourceNotFound):
        sm.add_association(SourceArn=chain[0], DestinationArn=chain[0] + "0")
    with pytest.raises(sm.exceptions.ResourceInUse):
        sm.create_action(ActionName="fit", Source=uri, ActionType="Training")
    with pytest.raises(NotImplementedError, match="lineage has no SortBy"):
        sm.list_associations(SortBy="SourceArn")


def test_a_group_keeps_its_policy(aws):
    sm = aws.sm
    sm.create_model_package_group(ModelPackageGroupName="lent")
    who = {"AWS": "arn:aws:iam::210987654321:root"}
    allow = {"Effect": "Allow", "Principal": who, "Action": "sagemaker:DescribeModelPackage"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    group = {"ModelPackageGroupName": "lent"}
    for wrong in ("{", "{}", json.dumps({"Statement": [{"Effect": "Allow"}]})):
        with pytest.raises(botocore.exceptions.ClientError, match="policy is not valid"):
            sm.put_model_package_group_policy(**group, ResourcePolicy=wrong)
    with pytest.raises(botocore.exceptions.ClientError, match="Cannot find resource policy"):
        sm.get_model_package_group_policy(**group)
    sm.put_model_package_group_policy(**group, ResourcePolicy=policy)
    assert sm.get_model_package_group_policy(**group)["ResourcePolicy"] == policy
    sm.delete_model_package_group_policy(**group)
    with pytest.raises(botocore.exceptions.ClientError, match="Could not find model package"):
        sm.put_model_package_group_policy(ModelPackageGroupName="none", ResourcePolicy=policy)
