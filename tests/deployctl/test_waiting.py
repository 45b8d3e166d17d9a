"""deployctl waits until its own --timeout, whatever happens to the web process."""

import email.utils
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model

from access.tokens import make_token
from builds import build_requests
from builds.models import Build
from deployctl import patience
from deployctl.commands import main
from messages.rendering import literal
from microservice.models import Deployment, MicroServiceInstance
from microservice.status import BuildStatus, DeploymentStatus, OperationStatus
from tests import factories
from tests.lab.busy import within
from tests.lab.network import free_port, wait_until
from tests.lab.web import Web

from .scripted import Scripted

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.found("waiting")
AWAY = 9  # seconds: longer than the tries of a command that does not wait


def run(url: str, *words: str, token: str = "x") -> subprocess.CompletedProcess:
    known = {"PATH": os.environ["PATH"], "DEPLOYCTL_URL": url, "DEPLOYCTL_TOKEN": token}
    return subprocess.run(
        [sys.executable, "-m", "deployctl", *words], cwd=ROOT, env=known, text=True, capture_output=True, timeout=100
    )


class Command:
    """deployctl in the background. `ended()` waits for it: (exit status, what it wrote to stderr)."""

    def __init__(self, url: str, *words: str, token: str):
        known = {"PATH": os.environ["PATH"], "DEPLOYCTL_URL": url, "DEPLOYCTL_TOKEN": token}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deployctl", *words],
            cwd=ROOT,
            env=known,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def ended(self) -> tuple[int, str, str]:
        out, errors = self.process.communicate(timeout=90)
        return self.process.returncode, out, errors

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


@pytest.fixture
def background():
    started: list[Command] = []

    def start(url: str, *words: str, token: str) -> Command:
        started.append(Command(url, *words, token=token))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture
def webs(environment, tmp_path):
    """`webs(port)`: a web process on that port; all end with the test."""
    started: list[Web] = []

    def start(port: int) -> Web:
        web = Web(environment, tmp_path / f"web{len(started)}.log", port=port)
        started.append(web)
        web.start()
        return web

    yield start
    for web in started:
        web.stop()


def secret() -> str:
    user = get_user_model().objects.create(username="ann", is_superuser=True)
    return make_token(user, "ci", ["read", "publish", "deploy", "admin"])[1]


# --- a real web process -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("end", "status"), [(DeploymentStatus.SUCCEEDED, 0), (DeploymentStatus.FAILED, 1)])
def test_waits_across_killed_web_process(webs, background, end, status):
    token, port = secret(), free_port()
    old, _ = factories.versions(factories.service("shop"), 2)
    factories.instances(old, factories.hosts(2))
    web = webs(port)
    command = background(web.url, "upgrade", "shop", "2.0", "--timeout", "80", token=token)
    wait_until(Deployment.objects.exists, 30, "the deployment")
    web.kill()
    time.sleep(AWAY)
    Deployment.objects.update(status=end)
    assert command.process.poll() is None, command.ended()
    webs(port)
    code, out, errors = command.ended()
    assert code == status, errors
    assert "does not answer" in errors and "answers again" in errors
    assert Deployment.objects.count() == 1
    assert str(end) in out


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_repeats_unanswered_request_once(webs, background):
    """The web process dies before it can answer the request itself: it is sent again under the same key."""
    token, port = secret(), free_port()
    made = factories.running(1)
    made.operations.update(status=OperationStatus.UNDONE)
    Deployment.objects.update(status=DeploymentStatus.FAILED)
    MicroServiceInstance.objects.update(locked=False)
    command = background(f"http://127.0.0.1:{port}", "retry", str(made.pk), "--timeout", "80", token=token)
    time.sleep(AWAY)
    assert command.process.poll() is None, command.ended()
    webs(port)
    wait_until(lambda: Deployment.objects.count() > 1, 40, "the second deployment")
    Deployment.objects.filter(origin=made).update(status=DeploymentStatus.SUCCEEDED)
    assert command.ended()[0] == 0
    assert Deployment.objects.count() == 2


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_builds_across_killed_web_process(webs, background):
    """Away when it is asked for, and once more while it goes on: one build, and the command ends as that did."""
    token, port = secret(), free_port()
    factories.service("shop", build_url="file:///nowhere", build_command="true")
    words = ("build", "shop", "1.0", "--ref", "main", "--timeout", "80")
    command = background(f"http://127.0.0.1:{port}", *words, token=token)
    time.sleep(AWAY)
    assert command.process.poll() is None, command.ended()
    web = webs(port)
    wait_until(Build.objects.exists, 40, "the build")
    web.kill()
    build_requests.end(Build.objects.get(), BuildStatus.FAILED, literal("no compiler"))
    time.sleep(AWAY)
    assert command.process.poll() is None, command.ended()
    webs(port)
    code, out, errors = command.ended()
    assert code == 1 and "no compiler" in out, errors
    assert Build.objects.count() == 1


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_follows_output_across_killed_web_process(webs, background):
    token, port = secret(), free_port()
    made = factories.running(1)
    operation = made.operations.get()
    factories.output(operation, b"one\n")
    web = webs(port)
    command = background(web.url, "logs", str(made.pk), "-f", token=token)
    assert command.process.stdout.readline().endswith("one\n")
    web.kill()
    from microservice.models import Operation, Output

    Output.objects.create(operation=operation, start=4, line=1, data=b"two\n")
    Operation.objects.filter(pk=operation.pk).update(output_size=8, output_lines=2)
    time.sleep(AWAY)
    Deployment.objects.update(status=DeploymentStatus.SUCCEEDED)
    webs(port)
    code, out, errors = command.ended()
    assert (code, [line.partition("| ")[2] for line in out.splitlines()]) == (0, ["two"]), errors


# --- servers that do not answer ---------------------------------------------------------------------------------------

SOON = {"Retry-After": "0"}
PASSES = ["reset", "cut", "cut error", "html", "garbage", 500, 502, 503, 504, 408, 429, 302]


@pytest.mark.parametrize("step", PASSES)
def test_retries_passing_errors(step):
    with Scripted("running", step, step, "running") as server:
        done = run(server.url, "status", "7", "--wait", "--timeout", "60")
    assert done.returncode == 0, done.stderr
    assert "Retrying" in done.stderr and "answers again" in done.stderr


def test_retries_until_timeout():
    with Scripted("running", *[(503, SOON), (429, SOON)] * 15) as server:
        done = run(server.url, "status", "7", "--wait", "--timeout", "90")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("how", ["seconds", "moment"])
def test_respects_retry_after(how):
    after = "3" if how == "seconds" else lambda: email.utils.formatdate(time.time() + 4, usegmt=True)
    with Scripted("running", (429, {"Retry-After": after})) as server:
        done = run(server.url, "status", "7", "--wait", "--timeout", "60")
    assert done.returncode == 0, done.stderr
    (_, refused, again) = (at for at, _ in server.requests)
    assert again - refused >= 2.9


@pytest.mark.parametrize("status", [401, 403, 404])
@pytest.mark.parametrize("before", [[], ["running", "running"]])
def test_refusal_ends_waiting(status, before):
    with Scripted(*before, status, "running", "running") as server:
        done = run(server.url, "status", "7", "--wait", "--timeout", "60")
    assert (done.returncode, len(server.requests)) == (2, len(before) + 1), done.stderr


@pytest.mark.parametrize("step", ["hang", 503])
def test_keeps_its_timeout(step):
    began = time.monotonic()
    with Scripted("running", *[step] * 40) as server:
        done = run(server.url, "status", "7", "--wait", "--timeout", "4")
    assert done.returncode == 3, done.stderr
    assert "Timeout: deployment 7" in done.stderr and "It continues" in done.stderr
    assert 4 <= time.monotonic() - began < within(10)


def test_timeout_names_reason():
    with Scripted("running") as server:

        def leave():
            while not server.requests:
                time.sleep(0.05)
            server.__exit__()

        server.steps = ["running"] * 100
        threading.Thread(target=leave, daemon=True).start()
        done = run(server.url, "--json", "status", "7", "--wait", "--timeout", "5")
    assert done.returncode == 3 and "does not answer" in json.loads(done.stdout)["detail"], done.stderr


def test_reports_end_without_reasons():
    class Half(Scripted):
        def answer(self, request):
            if "/operations/" in request.path:
                request.close_connection = True
                return self.send(request, 503, {"detail": "not now"})
            return super().answer(request)

    with Half("running", "running", end="failed") as server:
        done = run(server.url, "status", "7", "--wait", "--timeout", "5")
    assert done.returncode == 1 and "could not be listed" in done.stdout, done.stdout + done.stderr


def test_gives_up_on_repeated_error():
    with Scripted(*[500] * 40) as server:
        done = run(server.url, "retry", "7", "--timeout", "60")
    assert (done.returncode, len(server.requests)) == (1, patience.MAX_TRIES), done.stderr


def test_retries_failed_name_lookup(monkeypatch, capsys):
    """The resolver fails; the server is there."""
    looked, real = [], socket.getaddrinfo

    def lookup(host, *more, **others):
        looked.append(host)
        if 2 <= len(looked) < 10:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return real("127.0.0.1", *more, **others)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setattr(patience, "MAX_PAUSE", 0.05)
    with Scripted("running", "running") as server:
        port = server.server.server_port
        monkeypatch.setenv("DEPLOYCTL_TOKEN", "x")
        status = main(["--url", f"http://deployer.example:{port}", "--json", "status", "7", "--wait"])
    said = capsys.readouterr()
    assert status == 0, said.err
    assert len(looked) >= 10
    assert json.loads(said.out.splitlines()[-1])["status"] == "succeeded"
    assert "Temporary failure in name resolution" in said.err
