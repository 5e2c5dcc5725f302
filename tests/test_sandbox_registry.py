"""The registry: versions, approval, life cycle, events; model cards."""

import json

import boto3
import pytest
from local_aws import IMAGE, Aws, refused


@pytest.fixture(scope="module")
def aws():
    return Aws()


def version(aws, group, **more):
    """Registers a version and returns its ARN."""
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{aws.bucket}/models/one.tar.gz"}
    kinds = dict.fromkeys(["SupportedContentTypes", "SupportedResponseMIMETypes"], ["text/csv"])
    request = {"ModelPackageGroupName": group} | more
    request |= {"InferenceSpecification": {"Containers": [container]} | kinds}
    return aws.sm.create_model_package(**request)["ModelPackageArn"]


def group(aws, name):
    """Makes a group and returns its name."""
    aws.sm.create_model_package_group(ModelPackageGroupName=name)
    return name


def test_an_update_keeps_what_it_does_not_name(aws):
    stage = {"Stage": "QA", "StageStatus": "InProgress"}
    card = {"ModelCardContent": '{"intended_uses": {}}', "ModelCardStatus": "Draft"}
    more = {"ModelLifeCycle": stage, "ModelCard": card, "CustomerMetadataProperties": {"a": "1"}}
    arn = version(aws, group(aws, "kept"), **more)
    update = aws.sm.update_model_package
    update(ModelPackageArn=arn, ModelApprovalStatus="Approved", ApprovalDescription="good")
    update(ModelPackageArn=arn, ModelLifeCycle=stage | {"StageStatus": "Approved"})
    update(ModelPackageArn=arn, CustomerMetadataProperties={"b": "2"})
    update(ModelPackageArn=arn, CustomerMetadataPropertiesToRemove=["a"])
    update(ModelPackageArn=arn, ModelCard={"ModelCardStatus": "Approved"})
    found = aws.sm.describe_model_package(ModelPackageName=arn)
    assert found["ModelApprovalStatus"] == "Approved" and found["ApprovalDescription"] == "good"
    assert found["ModelLifeCycle"] == stage | {"StageStatus": "Approved"}
    assert found["CustomerMetadataProperties"] == {"b": "2"}
    assert found["ModelCard"] == card | {"ModelCardStatus": "Approved"}
    update(ModelPackageArn=arn, CustomerMetadataPropertiesToRemove=["b"])
    assert "CustomerMetadataProperties" not in aws.sm.describe_model_package(ModelPackageName=arn)
    with pytest.raises(NotImplementedError, match="AdditionalInferenceSpecificationsToAdd"):
        more = {"Name": "x", "Containers": [{"Image": IMAGE}]}
        update(ModelPackageArn=arn, AdditionalInferenceSpecificationsToAdd=[more])


def test_numbers_are_not_used_again(aws):
    name = group(aws, "numbers")
    first, second = version(aws, name), version(aws, name, ClientToken="once")
    assert version(aws, name, ClientToken="once") == second
    assert (
        "another request"
        in refused(aws.sm.create_model_package, ModelPackageGroupName=name, ClientToken="once")[1]
    )
    aws.sm.delete_model_package(ModelPackageName=second)
    assert version(aws, name).endswith("/3")
    assert "Could not find" in refused(aws.sm.describe_model_package, ModelPackageName=second)[1]
    aws.sm.update_model_package(ModelPackageArn=first, ModelApprovalStatus="Rejected")
    ask = {"ModelPackageGroupName": name, "SortOrder": "Descending"}
    found = aws.sm.list_model_packages(**ask)["ModelPackageSummaryList"]
    assert [one["ModelPackageVersion"] for one in found] == [3, 1]
    page = aws.sm.list_model_packages(**ask, MaxResults=1)
    assert [one["ModelPackageVersion"] for one in page["ModelPackageSummaryList"]] == [3]
    page = aws.sm.list_model_packages(**ask, NextToken=page["NextToken"])
    assert [one["ModelPackageVersion"] for one in page["ModelPackageSummaryList"]] == [1]
    waiting = aws.sm.list_model_packages(**ask, ModelApprovalStatus="PendingManualApproval")
    assert len(waiting["ModelPackageSummaryList"]) == 1
    delete = aws.sm.delete_model_package_group
    assert "with versions" in refused(delete, ModelPackageGroupName=name)[1]
    with pytest.raises(NotImplementedError, match="list of packages has no NameContains"):
        aws.sm.list_model_packages(NameContains="n")


@pytest.mark.parametrize(
    "request_, message",
    [
        ({}, "needs a ModelPackageGroupName"),
        ({"ModelPackageGroupName": "rules", "ModelPackageName": "x"}, "needs a ModelPackageGroup"),
        ({"ModelPackageGroupName": "rules", "Tags": [{"Key": "a", "Value": "b"}]}, "tags of its"),
        ({"ModelPackageName": "x", "ModelApprovalStatus": "Approved"}, "without a group"),
        ({"ModelPackageGroupName": "rules", "ModelApprovalStatus": "Pending"}, "enum value set"),
        (
            {
                "ModelPackageGroupName": "rules",
                "ModelLifeCycle": {"Stage": "a b", "StageStatus": "c"},
            },
            "regular expression pattern",
        ),
    ],
)
def test_what_a_version_may_not_have(aws, request_, message):
    group(aws, "rules")
    assert message in refused(aws.sm.create_model_package, **request_)[1]


def test_a_package_without_a_group(aws):
    made = aws.sm.create_model_package(ModelPackageName="alone")["ModelPackageArn"]
    found = aws.sm.list_model_packages()["ModelPackageSummaryList"]
    assert made in [one["ModelPackageArn"] for one in found]
    assert "already exists" in refused(aws.sm.create_model_package, ModelPackageName="alone")[1]
    update = aws.sm.update_model_package
    assert "Only a version" in refused(update, ModelPackageArn=made, SourceUri="x")[1]


def test_a_version_is_deployed_when_it_is_approved(aws):
    arn = version(aws, group(aws, "gate"))
    request = {"ModelName": "gate", "ExecutionRoleArn": aws.role}
    request["PrimaryContainer"] = {"ModelPackageName": arn}
    for status in ("PendingManualApproval", "Rejected"):
        aws.sm.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=status)
        assert f"is {status}; a version must be" in refused(aws.sm.create_model, **request)[1]
    aws.sm.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    assert aws.sm.create_model(**request)["ModelArn"].endswith("model/gate")


def test_events_tell_what_describe_tells(aws):
    sqs, events = boto3.client("sqs"), boto3.client("events")
    queue = sqs.create_queue(QueueName="told")["QueueUrl"]
    target = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    detail = {"ModelPackageGroupName": ["told"]}
    pattern = {"source": ["aws.sagemaker"], "detail": detail}
    pattern["detail-type"] = ["SageMaker Model Package State Change"]
    events.put_rule(Name="told", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="told", Targets=[{"Id": "queue", "Arn": target["QueueArn"]}])
    arn = version(aws, group(aws, "told"))
    version(aws, group(aws, "untold"))
    aws.sm.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    stage = {"Stage": "Production", "StageStatus": "Approved"}
    aws.sm.update_model_package(ModelPackageArn=arn, ModelLifeCycle=stage)
    found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    found = [json.loads(one["Body"])["detail"] for one in found]
    assert [one["ModelApprovalStatus"] for one in found[:2]] == [
        "PendingManualApproval",
        "Approved",
    ]
    assert len(found) == 3 and found[2]["ModelLifeCycle"] == stage
    assert found[0]["InferenceSpecification"]["Containers"][0]["Image"] == IMAGE


def test_cards_have_versions(aws):
    sm, name = aws.sm, {"ModelCardName": "card"}
    first, second = '{"model_overview": {"model_name": "a"}}', '{"model_overview": {}}'
    sm.create_model_card(**name, Content=first, ModelCardStatus="Draft")
    sm.update_model_card(**name, ModelCardStatus="PendingReview")
    assert sm.describe_model_card(**name)["ModelCardVersion"] == 1  # a status makes no version
    sm.update_model_card(**name, Content=second)
    new = sm.describe_model_card(**name)
    assert (new["ModelCardVersion"], new["Content"]) == (2, second)
    assert new["ModelCardStatus"] == "PendingReview"
    assert sm.describe_model_card(**name, ModelCardVersion=1)["Content"] == first
    found = sm.list_model_card_versions(**name)["ModelCardVersionSummaryList"]
    assert [one["ModelCardVersion"] for one in found] == [1, 2]
    assert sm.list_model_cards()["ModelCardSummaries"][0]["ModelCardName"] == "card"
    both = {"Content": first, "ModelCardStatus": "Approved"}
    assert "in a single call" in refused(sm.update_model_card, **name, **both)[1]
    assert refused(sm.describe_model_card, **name, ModelCardVersion=3)[0] == "ResourceNotFound"
    sm.delete_model_card(**name)
    assert refused(sm.describe_model_card, **name)[0] == "ResourceNotFound"


@pytest.mark.parametrize(
    "content, message",
    [
        ("[]", "not a JSON object"),
        ("{", "not a JSON object"),
        ('{"model_purpose": {}}', "does not have model_purpose"),
        ('{"intended_uses": {"risk_rating": "Tiny"}}', "risk_rating Tiny"),
    ],
)
def test_a_card_keeps_to_its_schema(aws, content, message):
    request = {"ModelCardName": "wrong", "ModelCardStatus": "Draft", "Content": content}
    assert message in refused(aws.sm.create_model_card, **request)[1]


@pytest.mark.parametrize(
    "content, message",
    [
        ('{"model_package_details": {}}', "does not have model_package_details"),
        ('{"model_overview": {"model_name": "x"}}', "does not have model_name"),
    ],
)
def test_a_card_in_a_package_has_a_smaller_schema(aws, content, message):
    group(aws, "carded")
    card = {"ModelCardContent": content, "ModelCardStatus": "Draft"}
    request = {"ModelPackageGroupName": "carded", "ModelCard": card}
    assert message in refused(aws.sm.create_model_package, **request)[1]
