"""What SageMaker's records know of each other: names taken, model data that exist, tags.

moto keeps models, configurations and the registry; here a request is checked before it stores it.
"""

import json

from . import files
from .api import Refused, answer, arn, before, client

# what is created: the member that names it, the kind in its ARN, and how AWS calls it
NAMED = {
    "Model": ("model", "model"),
    "EndpointConfig": ("endpoint-config", "endpoint configuration"),
    "ModelPackageGroup": ("model-package-group", "model package group"),
    "Experiment": ("experiment", "experiment"),
    "Trial": ("experiment-trial", "trial"),
    "TrialComponent": ("experiment-trial-component", "trial component"),
    "Pipeline": ("pipeline", "pipeline"),
    "ModelCard": ("model-card", "model card"),
}
# what a record belongs to, by the members that name it, and the code of AWS's answer without it
BELONGS = {
    "CreateTrial": (("Experiment", "ResourceNotFound"),),
    "AssociateTrialComponent": (
        ("Trial", "ResourceNotFound"),
        ("TrialComponent", "ResourceNotFound"),
    ),
    "CreateModelPackage": (("ModelPackageGroup", "ValidationException"),),
}
OURS = ("training-job", "hyper-parameter-tuning-job", "endpoint")

requests = {}  # (noun, name): the request that made it
policies = {}  # name of a model package group: its resource policy, JSON
tags = {}  # ARN of a job or endpoint: {key: value}


def tag(resource, given):
    """Remember the Tags of a create call for an ARN."""
    tags[resource] = {one["Key"]: one["Value"] for one in given}


@before
def names_are_taken(operation, request):
    """Refuse a second record of a name, unless it is the very same request.

    Sources: aws/amazon-sagemaker-examples issues 2264 and 2498, astronomer/astronomer-providers
    issue 1055 (the words that AWS answers with).
    """
    noun = operation.removeprefix("Create")
    if noun not in NAMED or noun == operation:
        return
    kind, words = NAMED[noun]
    name = request[f"{noun}Name"]
    earlier = requests.get((noun, name))
    if earlier is not None and earlier != request:
        raise Refused(f'Cannot create already existing {words} "{arn(kind, name)}".')


def remember(operation, request):
    """Take note of a record that moto has made or deleted."""
    for prefix in ("Create", "Delete"):
        noun = operation.removeprefix(prefix)
        if noun in NAMED and noun != operation:
            key = noun, request[f"{noun}Name"]
            requests[key] = request if prefix == "Create" else None


@before
def model_data_exist(operation, request):
    """Refuse a model whose data are not in S3, or whose package is not in the registry.

    Source: aws/amazon-sagemaker-examples issue 2264 and pull request 4476.
    """
    if operation != "CreateModel":
        return
    given = request.get("Containers") or [request.get("PrimaryContainer", {})]
    for one in given:
        source = one.get("ModelDataSource", {}).get("S3DataSource", {})
        single = source.get("S3DataType", "S3Object") == "S3Object"
        uri = one.get("ModelDataUrl") or source.get("S3Uri")
        if uri and not (files.exists(uri) if single else files.find(uri)):
            raise Refused(f"Could not find model data at {uri}.")
        if name := one.get("ModelPackageName"):
            client("sagemaker").describe_model_package(ModelPackageName=name)


@before
def variants_have_models(operation, request):
    """Refuse a configuration whose models do not exist.

    Source: awslabs/spot-tagging-bot-for-digital-assets issue 2 (the words).
    """
    if operation != "CreateEndpointConfig":
        return
    shadows = request.get("ShadowProductionVariants", [])
    names = [variant["VariantName"] for variant in request["ProductionVariants"]]
    if len(set(names)) < len(names):
        raise Refused("Production variants must have unique names.")
    if shadows and max(len(names), len(shadows)) > 1:
        raise Refused(
            "With a shadow variant there is one production variant, and one shadow variant."
        )
    for variant in request["ProductionVariants"] + shadows:
        name = variant.get("ModelName")
        if name and not requests.get(("Model", name)):
            raise Refused(f'Could not find model "{arn("model", name)}".')


@before
def parents_exist(operation, request):
    """Refuse a record of what does not exist, such as a trial of no experiment.

    Sources: the errors of API_CreateTrial.html, API_AssociateTrialComponent.html and
    API_CreateModelPackage.html in https://docs.aws.amazon.com/sagemaker/latest/APIReference/.
    """
    for noun, code in BELONGS.get(operation, ()):
        name = request.get(f"{noun}Name")
        if name and not requests.get((noun, name)):
            kind, words = NAMED[noun]
            raise Refused(f'Could not find {words} "{arn(kind, name)}".', code)


def group_of(request):
    """Return the name of a model package group that exists, or refuse."""
    name = request["ModelPackageGroupName"]
    if not requests.get(("ModelPackageGroup", name)):
        raise Refused(f'Could not find model package group "{arn("model-package-group", name)}".')
    return name


@answer
def put_model_package_group_policy(request):
    """Store a resource policy, JSON; PutModelPackageGroupPolicy. Nobody is held to it here."""
    name = group_of(request)
    try:
        statements = json.loads(request["ResourcePolicy"])["Statement"]
        complete = statements and all({"Effect", "Action", "Principal"} <= {*s} for s in statements)
    except (ValueError, KeyError, TypeError):
        complete = False
    if not complete:
        raise Refused("The resource policy is not valid.")
    policies[name] = request["ResourcePolicy"]
    return {"ModelPackageGroupArn": arn("model-package-group", name)}


@answer
def get_model_package_group_policy(request):
    """GetModelPackageGroupPolicy."""
    name = group_of(request)
    if name not in policies:
        raise Refused(f"Cannot find resource policy for {arn('model-package-group', name)}.")
    return {"ResourcePolicy": policies[name]}


@answer
def delete_model_package_group_policy(request):
    """DeleteModelPackageGroupPolicy."""
    policies.pop(group_of(request), None)
    return {}


def tagged(request):
    """Return the tags, {key: value}, of a job or endpoint; None for what moto keeps."""
    resource = request["ResourceArn"]
    kind = resource.split(":")[-1].partition("/")[0]
    if kind not in OURS:
        return None
    if resource not in tags:
        raise Refused(f"Could not find resource {resource}.", "ResourceNotFound")
    return tags[resource]


def as_list(found):
    """Return tags as the API lists them."""
    return {"Tags": [{"Key": key, "Value": value} for key, value in found.items()]}


@answer
def list_tags(request):
    """ListTags."""
    found = tagged(request)
    return None if found is None else as_list(found)


@answer
def add_tags(request):
    """AddTags; an equal key gets the new value."""
    found, given = tagged(request), request["Tags"]
    if found is None:
        keys = [one["Key"] for one in given]
        client("sagemaker").delete_tags(ResourceArn=request["ResourceArn"], TagKeys=keys)
        return None
    found.update({one["Key"]: one["Value"] for one in given})
    return as_list(found)


@answer
def delete_tags(request):
    """DeleteTags."""
    found = tagged(request)
    if found is None:
        return None
    for key in request["TagKeys"]:
        found.pop(key, None)
    return {}
