"""What a sentence of docker or podman means where a command of a service, or a pull, failed with it. Pure."""

import re

from .codes import Code

# Whose sentence it is: another program's words mean something else. Podman's begin with what it was doing.
_OF_ENGINE = re.compile(
    r"(?:docker|podman): |error response from daemon"
    r"|^error: (?:initializing source|creating container|preparing container|writing blob|copying system image"
    r"|rootlessport|unable to (?:pull|copy|connect to podman)|choosing an image|cannot listen|OCI runtime|crun|runc"
    r"|[0-9a-f]{12})"
    r"| container process|exec \S{1,200}: exec format"
    r"|failed to register layer|error pulling image"
    r"|permission denied while trying to connect|(?:cannot|failed to|unable to) connect to (?:the docker|podman)",
    re.IGNORECASE,
)
# The first that matches. Each stands for what the engines really print; see tests/engine/test_container_errors.py.
PATTERNS = {
    Code.ENGINE_DENIED: r"permission denied while trying to connect to the docker|podman.{0,200}: permission denied$",
    Code.ENGINE_AWAY: r"(?:cannot|failed to|unable to) connect to (?:the docker|podman)",
    Code.PORT_TAKEN: (
        r"port is already allocated"
        r"|(?:bind host port|external connectivity|rootlessport|cannot listen).{0,200}address already in use"
    ),
    Code.CONTAINER_EXISTS: r"container name \S{1,200} is already in use|that name is already in use",
    Code.ENGINE_DISK: r"no space left on device",
    Code.WRONG_PLATFORM: (
        r"exec format error|no matching manifest for|no image found in .{0,200} for architecture"
        r"|cannot be used on this platform|does not match the (?:specified|detected host) platform"
    ),
    Code.IMAGE_DENIED: (
        r"no basic auth credentials|unauthorized|pull access denied|authentication required|invalid username/password"
        r"|requested access to the resource is denied|denied: "
    ),
    Code.IMAGE_UNKNOWN: r"manifest unknown|manifest for \S{1,200} not found|name unknown|repository name not known",
    Code.REGISTRY_AWAY: (
        r"(?:get|head|pinging|registry).{0,200}"
        r"(?:dial tcp|no such host|i/o timeout|connection refused|timeout exceeded)"
        r"|x509: |tls: |http response to https client"
    ),
}
_SAID = tuple((code, re.compile(pattern, re.IGNORECASE)) for code, pattern in PATTERNS.items())


def meaning(said: str) -> Code | None:
    """Return what the line that names a failure's cause means; None where it is no engine's, or is not known."""
    if not _OF_ENGINE.search(said):
        return None
    return next((code for code, pattern in _SAID if pattern.search(said)), None)
