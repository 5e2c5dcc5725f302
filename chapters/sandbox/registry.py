"""The Model Registry and model cards: versions in groups, approval, life cycle, and the events.

What a request leaves out stays as it was; moto would drop it. Sources: SageMaker's service model in
botocore 1.44.8, and the pages of https://docs.aws.amazon.com/sagemaker/latest/dg/ that are named.
"""

import json

from . import records
from .api import Refused, answer, arn, before, client, emit, now, pick

SECTIONS = {
    "model_overview",
    "model_package_details",
    "intended_uses",
    "business_details",
    "training_details",
    "evaluation_details",
    "additional_information",
}
RATINGS = ("High", "Medium", "Low", "Unknown")
TOLD = "ModelPackageArn ModelPackageGroupName ModelPackageVersion ModelPackageDescription "
TOLD += "CreationTime ModelPackageStatus ModelApprovalStatus ModelLifeCycle"
CARD = "ModelCardName ModelCardArn ModelCardStatus CreationTime LastModifiedTime"
UPDATED = "ModelApprovalStatus ModelPackageRegistrationType ApprovalDescription "
UPDATED += "InferenceSpecification SourceUri ModelLifeCycle"

packages = {}  # ARN: what describe tells
counts = {}  # name of a group: the number of its last version
tokens = {}  # ClientToken: (request, ARN)
cards = {}  # name: list of versions, what describe tells of each


def check_card(text, of_package=False):
    """Refuse a card whose content is outside AWS's schema: its sections, and the risk rating.

    Sources: model-cards.html (the schema), and CreateModelPackage in the service model for the
    smaller schema of a card in a package.
    """
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise Refused("Model card content is not a JSON object.")
    if of_package:
        known = SECTIONS - {"model_package_details"}
        more = set(content.get("model_overview", {})) - {"model_creator", "model_artifact"}
    else:
        known, more = SECTIONS, set()
    if wrong := sorted(set(content) - known) + sorted(more):
        raise Refused(f"Model card content does not have {wrong[0]} in its schema.")
    rating = content.get("intended_uses", {}).get("risk_rating", "Unknown")
    if rating not in RATINGS:
        raise Refused(f"Model card content has the risk_rating {rating}, none of {RATINGS}.")


def find_package(name):
    """Return the package of an ARN, or of the name of an unversioned one; or refuse.

    Source: ModelPackage in sagemaker-python-sdk's model_card.py (how AWS's answer begins).
    """
    resource = name if name.startswith("arn:") else arn("model-package", name)
    if resource not in packages:
        raise Refused(f"Could not find model package {resource}.")
    return packages[resource]


def tell(package):
    """Send the event of a package; its detail is what describe tells."""
    emit("Model Package", package["ModelPackageArn"], package)


@answer
def create_model_package(request):
    """Register a version of a group, or an unversioned package; CreateModelPackage.

    The first version is 1: model-registry-models.html. A version has no tags of its own, an
    unversioned package no approval, and the same ClientToken makes nothing twice: the service
    model. PendingManualApproval is the default of `register` in sagemaker-python-sdk.
    """
    group, name = request.get("ModelPackageGroupName"), request.get("ModelPackageName")
    token = request.get("ClientToken")
    if token in tokens:
        earlier, resource = tokens[token]
        if earlier != request:
            raise Refused("The ClientToken was used with another request.")
        return {"ModelPackageArn": resource}
    if bool(group) == bool(name):
        raise Refused("A version needs a ModelPackageGroupName, other packages a ModelPackageName.")
    if group and "Tags" in request:
        raise Refused("A version uses the tags of its model package group.")
    if name and "ModelApprovalStatus" in request:
        raise Refused("ModelApprovalStatus does not apply to a package without a group.")
    if text := request.get("ModelCard", {}).get("ModelCardContent"):
        check_card(text, of_package=True)
    package = {key: value for key, value in request.items() if key not in ("ClientToken", "Tags")}
    if group:
        counts[group] = counts.get(group, 0) + 1
        package |= {"ModelPackageName": group, "ModelPackageVersion": counts[group]}
        package.setdefault("ModelApprovalStatus", "PendingManualApproval")
        resource = arn("model-package", f"{group}/{counts[group]}")
    else:
        resource = arn("model-package", name)
        if resource in packages:
            raise Refused(f"ModelPackage {resource} already exists.")
    status = {"ModelPackageStatus": "Completed"}
    status["ModelPackageStatusDetails"] = {"ValidationStatuses": []}
    packages[resource] = package | {"ModelPackageArn": resource, "CreationTime": now()} | status
    if token:
        tokens[token] = request, resource
    tell(packages[resource])
    return {"ModelPackageArn": resource}


@answer
def update_model_package(request):
    """Change what the request names, of a version only; UpdateModelPackage."""
    package = find_package(request["ModelPackageArn"])
    if "ModelPackageVersion" not in package:
        raise Refused("Only a version of a model package group can be updated.")
    known = UPDATED + " ModelPackageArn ClientToken ModelCard CustomerMetadataProperties"
    known += " CustomerMetadataPropertiesToRemove"
    if other := sorted(request.keys() - set(known.split())):
        raise NotImplementedError(f"The sandbox's UpdateModelPackage has no {', '.join(other)}.")
    new = pick(request, UPDATED)
    if "ModelCard" in request:
        new["ModelCard"] = package.get("ModelCard", {}) | request["ModelCard"]
        check_card(new["ModelCard"].get("ModelCardContent", "{}"), of_package=True)
    kept = package.get("CustomerMetadataProperties", {})
    kept = kept | request.get("CustomerMetadataProperties", {})
    gone = request.get("CustomerMetadataPropertiesToRemove", [])
    kept = {key: value for key, value in kept.items() if key not in gone}
    if kept:
        new["CustomerMetadataProperties"] = kept
    else:
        package.pop("CustomerMetadataProperties", None)
    package |= new | {"LastModifiedTime": now()}
    tell(package)
    return pick(package, "ModelPackageArn")


@answer
def describe_model_package(request):
    """DescribeModelPackage."""
    return find_package(request["ModelPackageName"])


@answer
def delete_model_package(request):
    """DeleteModelPackage. Its number is not used again."""
    resource = find_package(request["ModelPackageName"])["ModelPackageArn"]
    del packages[resource]
    return {}


@answer
def list_model_packages(request):
    """ListModelPackages: of a group, or by type, which is Unversioned unless a request says more.

    Raises NotImplementedError for filters by date and name.
    """
    known = "ModelPackageGroupName ModelApprovalStatus ModelPackageType SortBy SortOrder MaxResults"
    if other := sorted(request.keys() - {"NextToken", *known.split()}):
        raise NotImplementedError(f"The sandbox's list of packages has no {', '.join(other)}.")
    group, approval = request.get("ModelPackageGroupName"), request.get("ModelApprovalStatus")
    kind = request.get("ModelPackageType", "Versioned" if group else "Unversioned")
    chosen = [
        one
        for one in packages.values()
        if group in (None, one.get("ModelPackageGroupName"))
        and approval in (None, one.get("ModelApprovalStatus"))
        and kind in ("Both", "Versioned" if "ModelPackageVersion" in one else "Unversioned")
    ]
    by = "ModelPackageName" if request.get("SortBy") == "Name" else "CreationTime"
    chosen.sort(key=lambda one: one[by], reverse=request.get("SortOrder") == "Descending")
    start = int(request.get("NextToken", "0"))
    end = start + request.get("MaxResults", 100)
    found = [pick(one, TOLD) for one in chosen[start:end]]
    more = {"NextToken": str(end)} if end < len(chosen) else {}
    return {"ModelPackageSummaryList": found} | more


@before
def a_group_is_empty(operation, request):
    """Refuse to delete a group that has versions; model-registry-delete-model-group.html."""
    if operation == "DeleteModelPackageGroup":
        name = request["ModelPackageGroupName"]
        if any(one.get("ModelPackageGroupName") == name for one in packages.values()):
            raise Refused("A model package group with versions cannot be deleted.")


@before
def a_version_is_approved(operation, request):
    """Refuse a model of a version that is not approved.

    Source: ModelApprovalStatus in the service model, "must be set to Approved to deploy the model".
    Which call AWS refuses, and in what words, it does not say.
    """
    if operation == "CreateModel":
        for one in request.get("Containers") or [request.get("PrimaryContainer", {})]:
            if name := one.get("ModelPackageName"):
                package = client("sagemaker").describe_model_package(ModelPackageName=name)
                status = package.get("ModelApprovalStatus", "Approved")
                if status != "Approved":
                    raise Refused(f"{name} is {status}; a version must be Approved to be deployed.")


def find_card(request):
    """Return all versions of a card, or refuse."""
    name = request["ModelCardName"].rpartition("/")[2]
    if name not in cards:
        raise Refused(f"Model card {name} does not exist.", "ResourceNotFound")
    return cards[name]


@answer
def create_model_card(request):
    """CreateModelCard; its first version is 1."""
    name = request["ModelCardName"]
    check_card(request["Content"])
    time = {"CreationTime": now()}
    card = {key: value for key, value in request.items() if key != "Tags"}
    card |= {
        "ModelCardArn": arn("model-card", name),
        "ModelCardVersion": 1,
        **time,
        "CreatedBy": {},
    }
    if name not in cards or records.requests.get(("ModelCard", name)) != request:
        cards[name] = [card]
    return pick(card, "ModelCardArn")


@answer
def update_model_card(request):
    """Give a card a new version with other content, or its last version another status.

    Sources: model-cards.html ("any edits other than an approval status update ... result in
    additional model card versions"), and the service model (not both in one call).
    """
    versions = find_card(request)
    last, content = versions[-1], request.get("Content")
    if content is not None and "ModelCardStatus" in request:
        raise Refused("Model card content and status cannot be updated in a single call.")
    if content is not None:
        check_card(content)
        number = {"ModelCardVersion": last["ModelCardVersion"] + 1, "Content": content}
        versions.append(last | number | {"LastModifiedTime": now()})
    else:
        last |= pick(request, "ModelCardStatus") | {"LastModifiedTime": now()}
    return pick(last, "ModelCardArn")


@answer
def describe_model_card(request):
    """DescribeModelCard, of its last version unless the request names one."""
    versions = find_card(request)
    number = request.get("ModelCardVersion", len(versions))
    if not 1 <= number <= len(versions):
        raise Refused(f"The model card has no version {number}.", "ResourceNotFound")
    return versions[number - 1]


@answer
def list_model_card_versions(request):
    """ListModelCardVersions, oldest first, without filters."""
    found = [pick(one, CARD + " ModelCardVersion") for one in find_card(request)]
    return {"ModelCardVersionSummaryList": found}


@answer
def list_model_cards(request):
    """ListModelCards, without filters."""
    found = [pick(versions[-1], CARD) for versions in cards.values()]
    return {"ModelCardSummaries": found}


@answer
def delete_model_card(request):
    """DeleteModelCard, with all versions."""
    name = find_card(request)[0]["ModelCardName"]
    del cards[name]
    return {}
