"""The guard between a notebook and an AWS account."""

import os

from botocore.httpsession import URLLib3Session

NEEDED = {
    "AWS_I_ACCEPT_COSTS": "1",
    "SAGEMAKER_ROLE": "the ARN of an execution role",
    "SAGEMAKER_BUCKET": "the name of a bucket",
    "AWS_DEFAULT_REGION": "a region",
}
# what would send moto's answers elsewhere, or a request past it
MISLEADING = ("AWS_", "MOTO_", "TEST_SERVER_MODE", "TEST_PROXY_MODE")
LOCAL = {
    "AWS_ACCESS_KEY_ID": "sandbox",
    "AWS_SECRET_ACCESS_KEY": "sandbox",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


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


def close():
    """Put credentials aside, in this process and its children, and keep botocore from sending."""
    for name in list(os.environ):
        if name.startswith(MISLEADING) and name != "AWS_SANDBOX":
            del os.environ[name]
    os.environ.update(LOCAL)
    # of the class, so that it also holds for clients and sessions made before
    URLLib3Session.send = refuse
