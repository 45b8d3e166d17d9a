"""Limit the size of request bodies, by address.

A larger body is refused by its Content-Length before a byte of it is read or written anywhere.
"""

import re

KIB = 1024
MIB = 1024 * KIB
DEFAULT = MIB  # forms of the console, and every address without a rule here
API = 8 * MIB  # JSON, read after authentication; as DATA_UPLOAD_MAX_MEMORY_SIZE
REPORT = 512 * KIB  # of a build server, read before it is verified
_PACKAGES = re.compile(r"/api/v1/services/[^/]+/versions(?:/|\Z)")
_REPORTS = re.compile(r"/api/v1/builds/[^/]+/webhook/?\Z")
_API = re.compile(r"/api/")


def takes_packages(path: str) -> bool:
    """Return whether the path takes a package, whose own limit is publishing.upload.MAX_BYTES."""
    return _PACKAGES.match(path) is not None


def max_size(path: str) -> int | None:
    """Return the largest body in bytes; None where the endpoint itself decides after authentication."""
    if takes_packages(path):
        return None
    if _REPORTS.match(path):
        return REPORT
    return API if _API.match(path) else DEFAULT
