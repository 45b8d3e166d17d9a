"""deployctl as a process with the real web server: output, exit codes and requests."""

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from builds import build_requests
from builds.models import Build
from callbacks.models import Callback
from messages.rendering import literal
from microservice.models import Deployment, MicroServiceVersion
from microservice.status import BuildStatus, DeploymentStatus, OperationStatus
from tests import factories
from tests.api.archives import GOOD

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).resolve().parents[2]


def test_publishing_again_changes_nothing(ctl, tmp_path):
    factories.service("shop")
    package = tmp_path / "shop.tar.gz"
    package.write_bytes(GOOD)
    for _ in range(2):
        done = ctl("--json", "versions", "publish", "shop", "1.0", str(package), "--ref", "main")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["source_sha256"] == hashlib.sha256(GOOD).hexdigest()
    row = MicroServiceVersion.objects.get()
    assert (row.status, row.ref) == (BuildStatus.SUCCESS, "main")
    package.write_bytes(GOOD[:-9])
    refused = ctl("versions", "publish", "shop", "1.0", str(package), "--ref", "main")
    assert refused.returncode in (2, 4)
    assert "Hint: " in refused.stderr
    assert "1.0" in ctl("versions", "list", "shop").stdout


@pytest.mark.found("packages")
def test_publishes_zip_and_reports_differences(ctl, tmp_path):
    from tests.microservice.packages import zips

    factories.service("shop")
    package = tmp_path / "shop.zip"
    package.write_bytes(zips.made(zips.entry("bin/run", b"x", 0o100755)))
    assert ctl("versions", "publish", "shop", "1.0", str(package)).returncode == 0
    package.write_bytes(zips.made(zips.entry("bin/run", b"yy", 0o100755), zips.entry("more", b"z")))
    refused = ctl("versions", "publish", "shop", "1.0", str(package))
    assert refused.returncode == 4 and "changed: bin/run: was 1 bytes, is 2" in refused.stderr
    assert "added: more" in refused.stderr
    package.write_bytes(b"<!doctype html>")
    refused = ctl("versions", "publish", "shop", "2.0", str(package))
    assert refused.returncode == 2 and "web page" in refused.stderr and "tar -czf" in refused.stderr


@pytest.mark.found("builds")
def test_starts_names_and_awaits_builds(ctl, tmp_path):
    named = ctl(
        "versions", "name", "--ref", "功能/#42", "--commit", "0a1b2c3d4e", "--time", "2026-07-14T10:09:10+02:00"
    )
    assert (named.returncode, named.stdout) == (0, "20260714080910-42-0a1b2c3d\n")
    for words in (
        ("--commit", "HEAD", "--time", "2026-07-14T10:09:10Z"),
        ("--commit", "0a1b2c3d", "--time", "noon"),
        ("--commit", "0a1b2c3d", "--time", "2026-07-14T10:09:10"),
    ):
        assert ctl("versions", "name", "--ref", "x", *words).returncode == 2
    service = factories.service("shop", build_url="file:///nowhere", build_command="true")
    late = ctl("build", "shop", "1.0", "--ref", "fix(cart)", "--timeout", "5")
    assert late.returncode == 3 and "It continues" in late.stderr
    version = MicroServiceVersion.objects.get(microservice=service)
    (tmp_path / "headers").write_text("X-Api-Key: hush\n\nX-Job:7\n")
    words = ("--callback-url", "https://ci.example.org/done", "--callback-state", "job 7", "--no-wait")
    told = ctl("build", "shop", "1.0", *words, "--callback-headers", str(tmp_path / "headers"))
    callback = Callback.objects.get()
    assert (told.returncode, callback.url) == (0, "https://ci.example.org/done"), told.stderr
    assert json.loads(callback.headers.reveal()) == {"X-Api-Key": "hush", "X-Job": "7"}
    assert json.loads(callback.returned) == "job 7"
    (tmp_path / "headers").write_text("nonsense")
    assert ctl("build", "shop", "1.0", *words, "--callback-headers", str(tmp_path / "headers")).returncode == 2
    assert (version.ref, version.status) == ("fix(cart)", BuildStatus.BUILDING)
    build_requests.end(Build.objects.get(), BuildStatus.FAILED, literal("no compiler"), log="make: cc: not found")
    refused = ctl("build", "shop", "1.0")
    assert refused.returncode == 4 and "again" in refused.stderr
    assert ctl("build", "shop", "1.0", "--again", "--no-wait").returncode == 0
    assert Build.objects.count() == 2
    lines = ctl("versions", "attempts", "shop", "1.0").stdout.splitlines()
    assert len(lines) == 2 and "no compiler" in lines[1]
    assert "pending" in ctl("builds", "list", "--service", "shop", "--status", "open").stdout
    done = ctl("builds", "cancel", "shop", "1.0", "--reason", "wrong branch")
    assert done.returncode == 0 and "wrong branch" in done.stdout, done.stderr
    assert len(ctl("builds", "list").stdout.splitlines()) == 2


def test_exit_codes(ctl):
    assert ctl("upgrade").returncode == 2
    assert ctl("nonsense").returncode == 2
    missing = ctl("status", "shop")
    assert (missing.returncode, "404 not_found" in missing.stderr) == (2, True)
    assert ctl("status", "1", DEPLOYCTL_TOKEN="wrong").returncode == 2
    none = ctl("status", "1", DEPLOYCTL_TOKEN="")
    assert (none.returncode, "DEPLOYCTL_TOKEN" in none.stderr) == (2, True)
    deployment = factories.running()
    late = ctl("status", str(deployment.pk), "--wait", "--timeout", "1")
    assert (late.returncode, "Timeout" in late.stderr) == (3, True)
    locked = ctl("retry", str(deployment.pk))
    assert (locked.returncode, "409 deployment_open" in locked.stderr) == (4, True)
    Deployment.objects.update(status=DeploymentStatus.FAILED)
    deployment.operations.update(status=OperationStatus.FAILED, error="no \x1b[31mspace")
    ended = ctl("status", str(deployment.pk))
    assert ended.returncode == 1
    assert "no [31mspace" in ended.stdout
    Deployment.objects.update(status=DeploymentStatus.SUCCEEDED)
    assert ctl("status", str(deployment.pk)).returncode == 0


def test_status_lists_instances(ctl):
    factories.running(2)
    done = ctl("status", "shop")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 2), done.stderr
    assert len(json.loads(ctl("--json", "status", "shop").stdout)) == 2


def test_upgrade_without_target_is_a_conflict(ctl):
    version = factories.versions(factories.service("shop"), 1)[0]
    factories.instances(version, factories.hosts(1))
    done = ctl("upgrade", "shop", "1.0")
    assert (done.returncode, "Nothing to upgrade" in done.stderr) == (4, True)


def test_logs_escape_control_characters(ctl):
    deployment = factories.running()
    factories.output(deployment.operations.get(), b"stopping\n", b"starting \x1b]0;x\x07\n")
    Deployment.objects.update(status=DeploymentStatus.SUCCEEDED)
    done = ctl("logs", str(deployment.pk), "-f")
    assert done.returncode == 0, done.stderr
    assert [line.partition("| ")[2] for line in done.stdout.splitlines()] == ["stopping", "starting ]0;x"]


def test_reports_unknown_host(ctl):
    factories.hosts(1)
    done = ctl("hosts", "check", "nowhere")
    assert (done.returncode, "Host nowhere not found" in done.stderr) == (2, True)


def test_cancels_deployment(ctl):
    deployment = factories.running()
    done = ctl("--json", "cancel", str(deployment.pk))
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "cancelling"), done.stderr


# --- without a server -------------------------------------------------------------------------------------------------


def alone(*words: str, **more: str) -> subprocess.CompletedProcess:
    known = {"PATH": os.environ["PATH"], **more}
    return subprocess.run(
        [sys.executable, "-m", "deployctl", *words], cwd=ROOT, env=known, text=True, capture_output=True, timeout=60
    )


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ([], ["approve", "build", "builds"]),
        (["ver"], ["versions"]),
        (["versions", ""], ["attempts", "delete", "list", "name", "publish"]),
        (["--json", "versions", "n"], ["name"]),
        (["deploy", "shop", "--c"], ["--canary"]),
        (["deploy", "shop", "2"], []),
    ],
)
def test_completes_commands_and_options(words, offered):
    done = alone("complete", *words)
    found = [line for line in done.stdout.splitlines() if line]
    assert (done.returncode, found[: len(offered) or None]) == (0, offered), done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_asks_for_what_may_follow(shell):
    done = alone("completion", shell)
    assert (done.returncode, "deployctl complete" in done.stdout) == (0, True), done.stderr


def test_bash_completes(tmp_path):
    program = tmp_path / "deployctl"
    program.write_text(f'#!/bin/sh\ncd {ROOT} && exec {sys.executable} -m deployctl "$@"\n')
    program.chmod(0o755)
    script = """eval "$(deployctl completion bash)"
COMP_WORDS=(deployctl versions pub) COMP_CWORD=2
_deployctl
echo "${COMPREPLY[@]}"
"""
    known = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-euc", script], env=known, text=True, capture_output=True, timeout=60)
    assert done.stdout == "publish\n", done.stderr


def test_without_a_command_it_shows_them():
    done = alone()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.index("  versions ") < done.stderr.index("  deploy ") < done.stderr.index("  hosts ")


def test_file_that_cannot_be_read_is_named():
    done = alone("--token-file", "/proc/self/mem", "status", "1")
    assert (done.returncode, done.stderr.startswith("Error: [Errno 5]")) == (2, True), done.stderr


def test_does_not_import_django():
    code = "import deployctl.commands, sys; sys.exit(any(name.split('.')[0] == 'django' for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_reports_unreachable_server():
    done = alone("status", "1", DEPLOYCTL_URL="http://127.0.0.1:1", DEPLOYCTL_TOKEN="x")
    assert (done.returncode, "does not answer" in done.stderr) == (1, True)


def test_retries_lost_answer_with_same_key():
    keys: list[str] = []

    class Forgetful(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            keys.append(self.headers["Idempotency-Key"])
            if len(keys) < 3:
                self.close_connection = True
                self.connection.close()
                return
            answer = {"id": 1, "service": "shop", "action": "retry", "status": "queued", "counts": {}}
            body = json.dumps(answer).encode()
            self.send_response(202)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forgetful)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        done = alone("retry", "1", "--no-wait", DEPLOYCTL_URL=url, DEPLOYCTL_TOKEN="x")
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stderr
    assert len(keys) == 3
    assert len(set(keys)) == 1


@pytest.mark.found("output")
def test_prints_lone_empty_line(capsys):
    """Followed while it is written: a piece of output may be a line's end and nothing more."""
    from deployctl.client import Answer
    from deployctl.output import _print_new

    pieces = [b"one\n", b"\n", b"tw", b"o\n", b"three", b""]

    class Asked:
        def ask(self, *_, query, **__):
            piece = pieces.pop(0)
            return Answer(200, None, piece, {"X-Next-Offset": str(int(query["offset"]) + len(piece))})

    class Context:
        client = Asked()

    _print_new(Context(), {"id": 1, "host": "h"}, {}, {}, last=True)
    assert capsys.readouterr().out == "h | one\nh | \nh | two\nh | three\n"
