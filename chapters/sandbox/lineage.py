"""Lineage: artifacts, actions and contexts that a page records, and what came from what.

On AWS, jobs, endpoints and packages of the registry make such records of themselves:
https://docs.aws.amazon.com/sagemaker/latest/dg/lineage-tracking.html. Here nothing does.
"""

import hashlib

from .api import Refused, answer, answers, arn, now, pick

KINDS = ("Artifact", "Action", "Context")

entities = {}  # ARN: what describe tells
associations = {}  # (source ARN, destination ARN): AssociationType


def create(kind, request):
    """Store an entity, the same again under the same ARN; return its ARN in the API's form."""
    name = request.get(f"{kind}Name")
    if kind == "Artifact":  # it is known by its source
        about = repr((request["Source"], request["ArtifactType"]))
        resource = arn("artifact", hashlib.sha256(about.encode()).hexdigest()[:32])
    else:
        resource = arn(kind.lower(), name)
    new = {key: value for key, value in request.items() if key != "Tags"}
    earlier = entities.get(resource, {})
    if earlier and pick(earlier, " ".join(new)) != new:
        words = f'Cannot create already existing {kind.lower()} "{resource}".'
        raise Refused(words, "ResourceInUse")
    times = {"CreationTime": now(), "LastModifiedTime": now()} | pick(earlier, "CreationTime")
    entities[resource] = new | {f"{kind}Arn": resource} | times
    return {f"{kind}Arn": resource}


def describe(kind, request):
    """Return an entity, or answer ResourceNotFound."""
    given = request.get(f"{kind}Arn") or arn(kind.lower(), request.get(f"{kind}Name"))
    return find(given)


def find(resource):
    """Return the entity of an ARN, or answer ResourceNotFound."""
    if resource not in entities:
        raise Refused(f"{resource} does not exist.", "ResourceNotFound")
    return entities[resource]


for _kind in KINDS:
    for _verb, _function in (("create", create), ("describe", describe)):
        answers[f"{_verb}_{_kind.lower()}"] = lambda request, kind=_kind, do=_function: do(
            kind, request
        )


def kind_of(resource):
    """Return "Artifact", "Action" or "Context", by an ARN."""
    return next(kind for kind in KINDS if f"{kind}Arn" in find(resource))


def type_of(resource):
    """Return the ArtifactType, ActionType or ContextType of an ARN."""
    return find(resource)[f"{kind_of(resource)}Type"]


@answer
def add_association(request):
    """AddAssociation; AssociatedWith if the request names no type."""
    ends = request["SourceArn"], request["DestinationArn"]
    for resource in ends:
        find(resource)
    associations[ends] = request.get("AssociationType", "AssociatedWith")
    return pick(request, "SourceArn DestinationArn")


@answer
def delete_association(request):
    """DeleteAssociation."""
    if associations.pop((request["SourceArn"], request["DestinationArn"]), None) is None:
        raise Refused("The association does not exist.", "ResourceNotFound")
    return pick(request, "SourceArn DestinationArn")


def edges():
    """Return all associations as the API tells them."""
    return [
        {"SourceArn": source, "DestinationArn": destination, "AssociationType": kind}
        for (source, destination), kind in associations.items()
    ]


def only(request, names):
    """Raise NotImplementedError for members of a request beside `names`."""
    if other := sorted(request.keys() - set(names.split())):
        raise NotImplementedError(f"The sandbox's lineage has no {', '.join(other)}.")


@answer
def list_associations(request):
    """ListAssociations by source, destination and type."""
    names = "SourceArn DestinationArn AssociationType"
    only(request, names)
    wanted = pick(request, names).items()
    return {
        "AssociationSummaries": [
            edge
            | {"SourceType": type_of(edge["SourceArn"])}
            | {"DestinationType": type_of(edge["DestinationArn"])}
            for edge in edges()
            if wanted <= edge.items()
        ]
    }


@answer
def query_lineage(request):
    """Return what the start came from (Ascendants), what came from it, or Both; QueryLineage."""
    only(request, "StartArns Direction IncludeEdges Filters MaxDepth")
    only(request.get("Filters", {}), "Types LineageTypes")
    direction, depth = request.get("Direction", "Both"), request.get("MaxDepth", 10)
    start = list(request["StartArns"])
    for resource in start:
        find(resource)
    found, used = list(start), []
    for way, near, far in (
        ("Ascendants", "DestinationArn", "SourceArn"),
        ("Descendants", "SourceArn", "DestinationArn"),
    ):
        level = start if direction in (way, "Both") else []
        for _ in range(depth):
            steps = [edge for edge in edges() if edge[near] in level and edge not in used]
            used += steps
            level = [edge[far] for edge in steps]
            found += [resource for resource in dict.fromkeys(level) if resource not in found]
    filters = request.get("Filters", {})
    vertices = [
        {"Arn": resource, "Type": type_of(resource), "LineageType": kind_of(resource)}
        for resource in found
        if type_of(resource) in filters.get("Types", [type_of(resource)])
        and kind_of(resource) in filters.get("LineageTypes", KINDS)
    ]
    return {"Vertices": vertices} | ({"Edges": used} if request.get("IncludeEdges", True) else {})
