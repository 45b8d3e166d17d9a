"""What docker 20 to 29 and podman print when they fail: the line that is taken for the cause, and its code."""
# ruff: noqa: E501  what programs print is as long as it is

import pytest

from deployer.engine.codes import Code
from deployer.engine.container_errors import PATTERNS, meaning
from deployer.engine.decisions import decide
from deployer.engine.error_lines import cause
from deployer.engine.journal import JournalEvent, Kind, Result
from deployer.engine.run_state import AttemptResult, Mode, RunState
from messages import Message

pytestmark = [pytest.mark.pure, pytest.mark.found("output")]

HELP = "\n\nRun 'docker run --help' for more information\n"
OLD_HELP = "\nSee 'docker run --help'.\n"
ID = "7f2a3c9ea9bfd58f37c66341d9af28ff06262c614eaec51fe7f2641cadff2d1bb73e2a0\n"
SAID = [
    # (output, a part of the line that names the cause, its code); collected from a real engine unless it says podman
    (
        ID
        + "docker: Error response from daemon: failed to set up container networking: driver failed programming external connectivity on endpoint shop (6f): Bind for 0.0.0.0:8099 failed: port is already allocated"
        + HELP,
        "port is already allocated",
        Code.PORT_TAKEN,
    ),
    (
        ID
        + "docker: Error response from daemon: driver failed programming external connectivity on endpoint shop (6f): Bind for 0.0.0.0:8099 failed: port is already allocated."
        + OLD_HELP
        + 'time="2026-01-01T00:00:00Z" level=error msg="error waiting for container: context canceled"\n',
        "port is already allocated",
        Code.PORT_TAKEN,
    ),
    (
        "docker: Error response from daemon: driver failed programming external connectivity on endpoint shop (6f): failed to bind host port for 0.0.0.0:80:172.17.0.2:80/tcp: address already in use"
        + HELP,
        "address already in use",
        Code.PORT_TAKEN,
    ),
    ("Error: rootlessport listen tcp 0.0.0.0:8080: bind: address already in use\n", "rootlessport", Code.PORT_TAKEN),
    (
        'docker: Error response from daemon: Conflict. The container name "/shop-7" is already in use by container "4f9d". You have to remove (or rename) that container to be able to reuse that name.'
        + HELP,
        "is already in use",
        Code.CONTAINER_EXISTS,
    ),
    (
        'Error: creating container storage: the container name "shop-7" is already in use by 4f9d. You have to remove that container to be able to reuse that name: that name is already in use\n',
        "creating container storage",
        Code.CONTAINER_EXISTS,
    ),
    (
        "Error response from daemon: manifest for 10.0.0.1:5000/shop/web@sha256:00 not found: manifest unknown: manifest unknown\n",
        "manifest unknown",
        Code.IMAGE_UNKNOWN,
    ),
    (
        "Trying to pull r.example/web@sha256:00...\nError: initializing source docker://r.example/web@sha256:00: reading manifest sha256:00 in r.example/web: manifest unknown\n",
        "initializing source",
        Code.IMAGE_UNKNOWN,
    ),
    (
        'Error response from daemon: Get "http://10.0.0.1:5000/v2/shop/web/manifests/sha256:00": no basic auth credentials\n',
        "no basic auth credentials",
        Code.IMAGE_DENIED,
    ),
    ("Error response from daemon: unauthorized: authentication required\n", "unauthorized", Code.IMAGE_DENIED),
    (
        "Unable to find image 'shop:v9' locally\ndocker: Error response from daemon: pull access denied for shop, repository does not exist or may require 'docker login': denied: requested access to the resource is denied"
        + HELP,
        "pull access denied",
        Code.IMAGE_DENIED,
    ),
    (
        "Error: initializing source docker://r.example/web:1: unable to retrieve auth token: invalid username/password: unauthorized: authentication required\n",
        "invalid username/password",
        Code.IMAGE_DENIED,
    ),
    (
        "docker: Cannot connect to the Docker daemon at unix:///nowhere/s. Is the docker daemon running?" + HELP,
        "Cannot connect to the Docker daemon",
        Code.ENGINE_AWAY,
    ),
    (
        "docker: failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the daemon is running: dial unix /var/run/docker.sock: connect: no such file or directory"
        + HELP,
        "failed to connect to the docker API",
        Code.ENGINE_AWAY,
    ),
    ("Error: unable to connect to Podman socket: Get x: dial unix /run/podman.sock\n", "Podman", Code.ENGINE_AWAY),
    (
        'docker: permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Head "http://%2Fvar%2Frun%2Fdocker.sock/_ping": dial unix /var/run/docker.sock: connect: permission denied'
        + HELP,
        "permission denied while trying",
        Code.ENGINE_DENIED,
    ),
    (
        "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock\n",
        "permission denied while trying",
        Code.ENGINE_DENIED,
    ),
    (
        "3d03cd777b1e: Pulling fs layer\n3d03cd777b1e: Download complete\nfailed to register layer: write /bin/busybox: no space left on device\n",
        "no space left on device",
        Code.ENGINE_DISK,
    ),
    (
        "docker: Error response from daemon: failed to register layer: write /bin/busybox: no space left on device"
        + HELP,
        "no space left on device",
        Code.ENGINE_DISK,
    ),
    (
        "Error: writing blob: adding layer with blob sha256:00: processing tar file(write /bin/sh: no space left on device): exit status 1\n",
        "no space left on device",
        Code.ENGINE_DISK,
    ),
    (
        "WARNING: The requested image's platform (linux/arm64) does not match the detected host platform (linux/amd64) and no specific platform was requested\nexec /run: exec format error\n",
        "exec format error",
        Code.WRONG_PLATFORM,
    ),
    ("exec container process `/run`: Exec format error\n", "Exec format error", Code.WRONG_PLATFORM),
    (
        "Error response from daemon: no matching manifest for linux/amd64 in the manifest list entries\n",
        "no matching manifest",
        Code.WRONG_PLATFORM,
    ),
    (
        'Error response from daemon: Get "http://127.0.0.9:1/v2/": dial tcp 127.0.0.9:1: connect: connection refused\n',
        "connection refused",
        Code.REGISTRY_AWAY,
    ),
    (
        'Error response from daemon: Get "https://r.example/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority\n',
        "x509",
        Code.REGISTRY_AWAY,
    ),
    (
        'Error response from daemon: Get "https://r.example/v2/": http: server gave HTTP response to HTTPS client\n',
        "HTTP response to HTTPS client",
        Code.REGISTRY_AWAY,
    ),
    (
        ID
        + 'docker: Error response from daemon: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/nothing": stat /nothing: no such file or directory: unknown'
        + HELP,
        "stat /nothing",
        None,
    ),
    ("docker: Error response from daemon: Minimum memory limit allowed is 6MB" + HELP, "Minimum memory", None),
    ("unknown flag: --nosuch\n\nUsage:  docker run [OPTIONS] IMAGE [COMMAND] [ARG...]" + HELP, "unknown flag", None),
    (
        "Error response from daemon: No such container: shop\nError: listen EADDRINUSE: address already in use :::8080\n",
        "EADDRINUSE",
        None,
    ),
]


@pytest.mark.parametrize(("printed", "part", "code"), SAID)
def test_cause_and_meaning(printed, part, code):
    line = cause(printed.split("\n"))
    assert part in line and "--help" not in line
    assert meaning(line) is code


def test_every_pattern_has_an_example():
    assert set(PATTERNS) == {code for _, _, code in SAID if code}


@pytest.mark.parametrize(
    "line",
    [
        "unauthorized",
        "Error: write x: no space left on device",
        "the port is already allocated",
        "denied: by our own firewall",
        "",
    ],
)
def test_words_of_other_programs_mean_nothing(line):
    assert meaning(line) is None


def test_operation_gets_the_code():
    said = "Error response from daemon: unauthorized: authentication required"
    why = Message("reason.with_output", {"reason": Message("reason.exit_status", {"status": "1"}), "said": said})
    failed = JournalEvent(4, 1.0, Kind.FAILED, position=3, step="pull", reason=why)
    end = JournalEvent(9, 1.0, Kind.END, result=Result.UNDONE, output_size=0)
    outcome = decide(
        RunState(safe=False), AttemptResult(Mode.START, answer=0, events=True, end=end, failed=failed)
    ).outcome
    assert outcome is not None and (outcome.code, outcome.step) == (Code.IMAGE_DENIED, "pull")
