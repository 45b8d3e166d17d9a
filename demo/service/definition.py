"""How the demo's services are deployed, and the first one's builds. A good place to copy from for your own service.

The commands see SERVICE, VERSION, RELEASE, CURRENT, SHARED, HOST, PORT, TAG and WEIGHT, besides `environment`.
"""

import gzip
import io
import tarfile
from pathlib import Path

NAME = "checkout"
BUILT = "search"  # the same program, built from a git repository (demo/repository.py)
PROGRAM = Path(__file__).with_name("app.py")

# CI's form: timestamp-branch-commit. The bool says whether the build was a success.
BUILDS = [
    ("20250301090000-master-1a2b3c4", True, "Take the invoice address from the account"),
    ("20250308101500-master-5d6e7f8", True, "Show the delivery date in the basket"),
    ("20250310120000-master-9e8d7c6", False, "Accept gift cards (does not compile)"),
    ("20250315143000-master-0c1d2e3", True, "Accept gift cards; ask for the postcode first"),
]
FIRST = BUILDS[0][0]
INSTALLED = BUILDS[1][0]  # in the middle: there is something to upgrade to and something to revert to

# All of the demo's hosts are one machine: what tells them apart is an address, which lies beside their base path.
# On hosts of your own a service listens on all addresses, or on the one that is in its configuration.
ADDRESS = 'address=$(cat "$SHARED/../../../address")\n'

# Launches the service in a session of its own and returns. The process id is kept for the stop command.
START = (
    ADDRESS
    + """\
echo "$PORT" > "$SHARED/app.port"
setsid "$PYTHON" -I -S "$RELEASE/app.py" serve "$address" "$PORT" "$VERSION" </dev/null >>"$SHARED/app.log" 2>&1 &
echo $! > "$SHARED/app.pid"
"""
)

# Returns once the process is gone. A process id that meanwhile belongs to something else is left alone.
STOP = """\
pid=$(cat "$SHARED/app.pid" 2>/dev/null || echo none)
ours() { grep -q app.py "/proc/$pid/cmdline" 2>/dev/null; }
if ours; then kill "$pid"; fi
tries=0
while ours && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
if ours; then kill -9 "$pid"; sleep 0.2; fi
rm -f "$SHARED/app.pid"
! ours
"""

# The process that answers must be the version that was started, not an older one that still holds the port.
CHECK = (
    ADDRESS
    + """\
tries=0
until "$PYTHON" -I -S "$RELEASE/app.py" check "$address" "$PORT" "$VERSION"; do
  tries=$((tries + 1))
  [ "$tries" -lt 20 ] || exit 1
  sleep 0.1
done
"""
)

# Where there is a load balancer, these take the instance out of traffic and put it back.
OUT = 'echo "out of traffic: $VERSION, going from or to ${OTHER_VERSION:-nothing}" >> "$SHARED/traffic.log"\n'
BACK = 'echo "in traffic: $VERSION" >> "$SHARED/traffic.log"\n'


def _may_misbehave(step: str) -> str:
    """Return a line that only the demo's service needs: it lets `python -m demo.misbehave` make a step fail or hang."""
    return f'at={step}; [ ! -e "$SHARED/misbehave" ] || . "$SHARED/misbehave"\n'


def links(name: str) -> dict[str, str]:
    """Return where the service's repository, its pipelines and its commits are on the web; in the demo, nowhere."""
    repository = f"https://git.example.com/store/{name}"
    return {
        "repository_url": repository,
        "ci_url": f"https://ci.example.com/job/{name}/",
        "commit_url": f"{repository}/commit/{{commit}}",
    }


def service(python: str) -> dict:
    """Return the body of POST /api/v1/services/. `python` is the interpreter that the hosts run it with."""
    return {
        "name": NAME,
        "language": "python",
        "description": "Basket, delivery and payment of the web shop",
        "start_command": _may_misbehave("start") + START,
        "stop_command": _may_misbehave("stop") + STOP,
        "check_command": _may_misbehave("check") + CHECK,
        "check_timeout": 20,
        "environment": {"PYTHON": python},
        "pre_command": _may_misbehave("pre") + OUT,
        "pre_undo_command": BACK,
        "post_command": _may_misbehave("post") + BACK,
        "post_undo_command": OUT,
        "keep_releases": 3,
        **links(NAME),
    }


def built(python: str, repository: str) -> dict:
    """Return the same service, with versions built from the repository at this address."""
    return service(python) | {
        "name": BUILT,
        "description": "Search and suggestions",
        "build_orig": "git",
        "build_url": repository,
        "build_command": "./build",
        **links(BUILT),
    }


def package(version: str) -> bytes:
    """Return the version's .tar.gz. The same bytes each time, so that sending it again changes nothing."""
    files = {"app.py": (PROGRAM.read_bytes(), 0o755), "VERSION": (version.encode() + b"\n", 0o644)}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), mode, 1735689600
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)
