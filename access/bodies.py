"""How large a request's body may be, by its address: the one place that knows which addresses take more.

What is larger is refused by its Content-Length before a byte of it is read or written anywhere.
"""

import re

KIB = 1024
MIB = 1024 * KIB
DEFAULT = MIB  # forms of the console, and whatever has no address of its own here
API = 8 * MIB  # JSON, whose caller is recognised before it is read; as DATA_UPLOAD_MAX_MEMORY_SIZE
REPORT = 512 * KIB  # of a build server, which nobody has recognised yet
_PACKAGES = re.compile(r"/api/v1/services/[^/]+/versions(?:/|\Z)")
_REPORTS = re.compile(r"/api/v1/builds/[^/]+/webhook/?\Z")
_API = re.compile(r"/api/")


def takes_packages(path: str) -> bool:
    """Return whether the path takes a package, whose own limit is publishing.upload.MAX_BYTES."""
    return _PACKAGES.match(path) is not None


def max_size(path: str) -> int | None:
    """Bytes of a body at most; None where the endpoint itself says it, once it knows who is asking."""
    if takes_packages(path):
        return None
    if _REPORTS.match(path):
        return REPORT
    return API if _API.match(path) else DEFAULT
