"""Loaded by every Python that starts with this folder on PYTHONPATH: it finds no host of AWS.

An audit hook sees each look-up and connection of the process, whichever library asks, and cannot
be taken away: https://docs.python.org/3/library/audit_events.html (3.8 and later).
"""

import sys

# the domains of AWS's endpoints, and the addresses at which an instance gives out credentials
DENIED = ("amazonaws.com", "amazonaws.com.cn", "amazonaws.eu", "aws", "aws.dev")
METADATA = ("169.254.", "fd00:ec2:")
ASKS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "socket.sendto")


def is_aws(host):
    """Return whether a host, a name or an address, is one of AWS."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    name = str(host).lower().rstrip(".")
    return name.startswith(METADATA) or any(("." + name).endswith("." + d) for d in DENIED)


def deny(event, arguments):
    """Raise NotImplementedError where the process asks for a host of AWS; an audit hook."""
    if event not in ASKS:
        return
    host = arguments[0] if event.startswith("socket.get") else arguments[1]
    host = host[0] if isinstance(host, tuple) else host
    if is_aws(host):
        raise NotImplementedError("The sandbox lets nothing out to AWS: " + str(host))


if hasattr(sys, "addaudithook"):
    sys.addaudithook(deny)
