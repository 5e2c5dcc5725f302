"""The guard between a notebook, with all that it starts, and an AWS account."""

import os
from pathlib import Path

from botocore.configprovider import ConfiguredEndpointProvider
from botocore.httpsession import URLLib3Session

NEEDED = {
    "AWS_I_ACCEPT_COSTS": "1",
    "SAGEMAKER_ROLE": "the ARN of an execution role",
    "SAGEMAKER_BUCKET": "the name of a bucket",
    "AWS_DEFAULT_REGION": "a region",
}
# what would send moto's answers elsewhere, or a request past it
MISLEADING = ("AWS_", "MOTO_", "TEST_SERVER_MODE", "TEST_PROXY_MODE")
# what would lead an SDK to other credentials or another address, wherever it is set
CREDENTIALS = """
    AWS_ACCESS_KEY AWS_SECRET AWS_SESSION_TOKEN AWS_SECURITY_TOKEN AWS_PROFILE AWS_DEFAULT_PROFILE
    AWS_ROLE AWS_WEB_IDENTITY AWS_CONTAINER AWS_ENDPOINT_URL AWS_IGNORE AWS_CONFIG AWS_SHARED
    AWS_EC2 AWS_BEARER
""".split()
LOCAL = {
    "AWS_ACCESS_KEY_ID": "sandbox",
    "AWS_SECRET_ACCESS_KEY": "sandbox",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",  # an SDK of AWS in a child process finds nobody
}
NEVER_BY_PROXY = "amazonaws.com,amazonaws.com.cn,amazonaws.eu,aws,aws.dev,169.254.169.254"
GUARDED = str(Path(__file__).parent / "images" / "guarded")


def refuse(session, request):
    """Stand in for botocore's `URLLib3Session.send`: what arrives here would leave the machine."""
    raise NotImplementedError(
        f"The sandbox has no answer to {request.method} {request.url.partition('?')[0]} "
        "and lets nothing out: "
        "make clients after `import sandbox`, and use services that moto has."
    )


def may_reach_aws():
    """Return whether the reader asked for AWS, with all that it takes.

    Raises RuntimeError if AWS_SANDBOX=0 but something else is missing; the way to AWS is closed
    then too.
    """
    if os.environ.get("AWS_SANDBOX") != "0":
        return False
    missing = [f"{name} ({value})" for name, value in NEEDED.items() if not os.environ.get(name)]
    if not missing and os.environ["AWS_I_ACCEPT_COSTS"] == "1":
        return True
    close()
    raise RuntimeError(
        "AWS_SANDBOX=0 asks for your own AWS account, which also needs "
        f"{', '.join(missing) or 'AWS_I_ACCEPT_COSTS=1'}: set them and restart the kernel."
    )


def guarded(variables):
    """Return environment variables, a dict of strings, with those of the guard put over them.

    A process that starts with them has no credentials, its SDKs of AWS find nobody, and if it is
    Python, it resolves no host of AWS and connects to none (`images/guarded`).
    """
    kept = {k: v for k, v in variables.items() if not k.upper().startswith(tuple(CREDENTIALS))}
    region = {k: v for k, v in kept.items() if k == "AWS_DEFAULT_REGION"}
    kept |= LOCAL | region
    paths = [p for p in kept.get("PYTHONPATH", "").split(os.pathsep) if p and p != GUARDED]
    kept["PYTHONPATH"] = os.pathsep.join([GUARDED, *paths])
    for name in ("NO_PROXY", "no_proxy"):
        others = kept.get(name, "").removesuffix(NEVER_BY_PROXY).rstrip(",")
        kept[name] = f"{others},{NEVER_BY_PROXY}".lstrip(",")
    return kept


def close():
    """Put credentials aside, and keep this process and its children from AWS's hosts."""
    for name in list(os.environ):
        if name.startswith(MISLEADING) and name != "AWS_SANDBOX":
            del os.environ[name]
    os.environ.update(guarded(dict(os.environ)))
    # the address of nobody is for children: here moto answers, by the usual addresses
    ConfiguredEndpointProvider.provide = lambda self: None
    # of the class, so that it also holds for clients and sessions made before
    URLLib3Session.send = refuse
    from .images.guarded import sitecustomize  # noqa: F401 (denies from its import on)
