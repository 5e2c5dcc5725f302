"""Who answers a request: the sandbox, moto's store, or nobody."""

import contextlib
import copy
import functools
import itertools
import json
from datetime import UTC, datetime, timedelta

import boto3
from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.handlers import BUILTIN_HANDLERS
from moto import mock_aws
from moto.moto_api._internal import mock_random
from moto.sagemaker.responses import SageMakerResponse
from werkzeug.exceptions import HTTPException

from . import validation

ACCOUNT, REGION = "123456789012", "us-east-1"
ROLE, BUCKET = "SageMakerExecutionRole", f"sagemaker-{REGION}-{ACCOUNT}"
# What moto truly does with these is to store them and give them back; elsewhere it invents results.
STORED = (
    "Cluster Domain EndpointConfig Experiment Model ModelPackageGroup Pipeline Tag Trial "
    "TrialComponent"
).split()
SEARCHED = ("Experiment", "ExperimentTrial", "ExperimentTrialComponent")

# members that name a group and may hold its ARN, which moto does not take
BY_ARN = ("ModelPackageGroupName",)

answers = {}  # operation in snake case: function(request) -> answer, or None to leave it to moto
checks = []  # function(operation, request), which raises Refused
_seconds = itertools.count()


class Refused(Exception):
    """AWS would answer with this error: a message, a code and further members of the answer."""

    def __init__(self, message, code="ValidationException", **more):  # noqa: D107
        super().__init__(message)
        self.answer = {"Error": {"Code": code, "Message": message}, **more}


def answer(function):
    """Register a function(request: dict) -> dict for the API operation of its name; a decorator."""
    answers[function.__name__] = function
    return function


def before(function):
    """Register a function(operation, request) that may raise Refused; a decorator."""
    checks.append(function)
    return function


def now():
    """Return the next second of the sandbox's calendar, a datetime in UTC."""
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(_seconds))


def arn(kind, name):
    """Return the ARN of a SageMaker resource."""
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{kind}/{name}"


@functools.cache
def client(service):
    """Return one boto3 client per service, for the sandbox's own calls."""
    # a checksum in chunks takes moto a minute for 300 MB
    plain = Config(request_checksum_calculation="when_required")
    return boto3.client(service, region_name=REGION, config=plain)


def emit(kind, source, detail):
    """Send the state-change event of a resource to EventBridge, as its ARN `source` would.

    Source:
    https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
    """

    def milliseconds(date):
        return int(date.timestamp() * 1000)

    event = {
        "Source": "aws.sagemaker",
        "DetailType": f"SageMaker {kind} State Change",
        "Resources": [source],
    }
    with contextlib.suppress(Exception):  # an event that cannot be delivered changes nothing
        entry = event | {"Detail": json.dumps(detail, default=milliseconds)}
        client("events").put_events(Entries=[entry])


def replace_log(group, stream, lines):
    """Store lines in CloudWatch Logs, in a new stream of that name."""
    with contextlib.suppress(ClientError):  # there is none
        client("logs").delete_log_stream(logGroupName=group, logStreamName=stream)
    append_log(group, stream, lines)


def append_log(group, stream, lines):
    """Add lines to a stream of CloudWatch Logs, which is made where there is none."""
    logs = client("logs")
    with contextlib.suppress(ClientError):  # there is one
        logs.create_log_group(logGroupName=group)
    with contextlib.suppress(ClientError):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    stamp = int(datetime.now().timestamp() * 1000)  # CloudWatch takes no old events
    events = [{"timestamp": stamp, "message": line} for line in lines if line.strip()]
    for first in range(0, len(events), 1000):
        logs.put_log_events(
            logGroupName=group, logStreamName=stream, logEvents=events[first : first + 1000]
        )


def pick(record, names):
    """Return the members of a dict that `names`, words, name and that it has."""
    return {name: record[name] for name in names.split() if name in record}


def listed(items, request, noun, default="CreationTime", order="Ascending", **more):
    """Return the items (dicts) that a list request asks for, and the next page's token.

    `noun` begins the members for name and status; `default` and `order` are the SortBy and
    SortOrder of requests without; `more` has functions of an item for further SortBy values, of
    which items without a value are left out. Raises NotImplementedError for other filters.
    """
    known = "NameContains StatusEquals SortBy SortOrder MaxResults NextToken"
    known += " HyperParameterTuningJobName"
    if other := sorted(request.keys() - set(known.split())):
        raise NotImplementedError(f"The sandbox's lists have no {', '.join(other)}.")
    part, status = request.get("NameContains", ""), request.get("StatusEquals")
    keys = {"Name": f"{noun}Name", "Status": f"{noun}Status"}
    sort = request.get("SortBy", default)
    key = more.get(sort) or (lambda item: item[keys.get(sort, sort)])
    chosen = [i for i in items if part in i[f"{noun}Name"] and key(i) is not None]
    chosen = [i for i in chosen if status in (None, i[f"{noun}Status"])]
    chosen.sort(key=key, reverse=request.get("SortOrder", order) == "Descending")
    token = request.get("NextToken", "0")
    if not (token.isascii() and token.isdigit() and len(token) < 10):
        raise Refused(f"Invalid NextToken: {token}")
    start = int(token)
    end = start + request.get("MaxResults", 10)
    token = {"NextToken": str(end)} if end < len(chosen) else {}
    return chosen[start:end], token


def _remember(params, context, **_):
    for member in BY_ARN:
        if str(params.get(member, "")).startswith("arn:"):
            params[member] = params[member].rpartition("/")[2]
    body = {"Body": params["Body"]} if "Body" in params else {}  # may be an open file
    context["request"] = (
        copy.deepcopy({key: value for key, value in params.items() if key != "Body"}) | body
    )


def _reply(model, context, request_signer, **_):
    """Answer a call, or return None to let moto do it."""
    request, operation, name = context["request"], model.name, xform_name(model.name)
    try:
        validation.check(model, request, Refused)
        if request_signer.region_name != REGION:
            raise NotImplementedError(f"The sandbox has one region for SageMaker, {REGION}.")
        for check in checks:
            check(operation, request)
        if name in answers and (answer := answers[name](request)) is not None:
            return AWSResponse("", 200, {}, None), copy.deepcopy(answer)
    except Refused as refused:
        return AWSResponse("", 400, {}, None), refused.answer
    except ClientError as error:  # of a call that the sandbox made itself, which nobody asked for
        return AWSResponse("", 400, {}, None), Refused(**_told(error)).answer
    except BotoCoreError as error:
        return AWSResponse("", 400, {}, None), Refused(str(error)).answer
    noun = operation[len(name.partition("_")[0]) :]
    stored = noun in STORED or noun.removesuffix("s") in STORED or noun.endswith("TrialComponent")
    found = operation == "Search" and request["Resource"] in SEARCHED
    metrics = model.service_model.service_name == "sagemaker-metrics"
    if metrics or hasattr(SageMakerResponse, name) and (stored or found):
        return None
    raise NotImplementedError(
        f"{operation}: the request is valid, but the sandbox cannot do this for real."
    )


def _held(model, context, **_):
    """Refuse a call that breaks its service model, or return None to let moto answer it."""
    try:
        validation.check(model, context["request"], Refused)
    except Refused as refused:
        return AWSResponse("", 400, {}, None), refused.answer


def _told(error):
    """Return message and code of a ClientError."""
    return {"message": error.response["Error"]["Message"], "code": error.response["Error"]["Code"]}


def _stores_or_says_so(call):
    """Return moto's `call_action`, with NotImplementedError where it stumbles over a request."""

    @functools.wraps(call)
    def call_action(self):
        try:
            return call(self)
        except (HTTPException, NotImplementedError):
            raise
        except Exception as error:
            action = self._get_action()
            raise NotImplementedError(
                f"{action}: the request is valid, but the sandbox's store cannot take it "
                f"({type(error).__name__}: {error})."
            ) from error

    return call_action


def _check_targets(params, **_):
    for target in params["Targets"]:
        if target["Arn"].split(":")[2] not in ("sqs", "logs", "events"):
            raise NotImplementedError(
                "EventBridge in the sandbox delivers to SQS and log groups, "
                f"not to {target['Arn']}."
            )


def _record(parsed, model, context, http_response, **_):
    from . import records

    if http_response.status_code == 200:
        records.remember(model.name, context["request"])


def _shadows(parsed, **_):
    from . import records

    name = parsed.get("EndpointConfigName")
    made = records.requests.get(("EndpointConfig", name)) or {}  # moto drops these
    parsed.update(pick(made, "ShadowProductionVariants"))


def _settle(parsed, **_):
    if (
        "ResponseMetadata" in parsed
    ):  # request identifiers, dates and servers change from run to run
        parsed["ResponseMetadata"] = {
            "HTTPStatusCode": parsed["ResponseMetadata"].get("HTTPStatusCode")
        }


def start():
    """Put moto and the sandbox in front of every session made from now on.

    Returns the ARN of a role and the name of a bucket that exist.
    """
    for service in ("sagemaker", "sagemaker-runtime", "sagemaker-metrics"):
        BUILTIN_HANDLERS.append((f"before-parameter-build.{service}", _remember))
        BUILTIN_HANDLERS.append((f"before-call.{service}", _reply))
    BUILTIN_HANDLERS.append(("before-parameter-build.cloudwatch", _remember))
    BUILTIN_HANDLERS.append(("before-call.cloudwatch", _held))
    SageMakerResponse.call_action = _stores_or_says_so(SageMakerResponse.call_action)
    BUILTIN_HANDLERS.append(("after-call.sagemaker", _record))
    BUILTIN_HANDLERS.append(("after-call.sagemaker.DescribeEndpointConfig", _shadows))
    BUILTIN_HANDLERS.append(("before-parameter-build.events.PutTargets", _check_targets))
    BUILTIN_HANDLERS.append(("after-call", _settle))
    mock_aws(config={"core": {"mock_credentials": False}}).start()
    mock_random.seed(0)  # the same identifiers on every run
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    role = client("iam").create_role(
        RoleName=ROLE,
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    client("s3").create_bucket(Bucket=BUCKET)
    return role["Role"]["Arn"], BUCKET
