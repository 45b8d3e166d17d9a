"""The parts without the demo: their ordinary commands, set up by the environment, as README says."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from demo import parts
from demo.client import OPENER, Client
from tests import test_docs
from tests.lab import processes
from tests.lab.broker import Broker
from tests.lab.network import free_port, wait_until
from tests.lab.sshd import Sshd
from tests.lab.web import Web
from tests.lab.worker import Process, Worker

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent  # where pip put gunicorn and celery

pytestmark = pytest.mark.demo


def plain(var: Path, **more: str) -> dict[str, str]:
    """Return an environment with nothing in it but what README requires."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    return kept | {
        "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
        "DATA_DIR": str(var),
        "SECRET_KEY": secrets.token_urlsafe(40),
        "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        **more,
    }


def run(command: str, environment: dict[str, str], timeout: float = 60) -> subprocess.CompletedProcess:
    """Run one command of README's. One that does not end in time is ended with all that it started."""
    process = subprocess.Popen(
        ["sh", "-c", command],
        cwd=ROOT,
        env=environment,
        text=True,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        output, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the environment of an installation with its tables, its static files and its first user."""
    environment = plain(tmp_path_factory.mktemp("installation") / "var")
    for command in ("python manage.py migrate", "python manage.py collectstatic --noinput"):
        done = run(command, environment)
        assert done.returncode == 0, done.stderr
    first = {"USERNAME": "first", "PASSWORD": "a-long-one-17", "EMAIL": ""}
    answers = {f"DJANGO_SUPERUSER_{name}": value for name, value in first.items()}
    done = run("python manage.py createsuperuser --noinput", environment | answers)
    assert done.returncode == 0, done.stderr
    return environment


@pytest.fixture
def installation(made, short_tmp):
    """`installation.web` and a worker, on a broker of their own; `installation.environment` is theirs."""
    with Broker(short_tmp / "b") as broker:
        environment = made | {"BROKER_URL": broker.url, "SWEEP_INTERVAL": "1"}
        with Web(environment, short_tmp / "web.log") as web, Worker(environment, short_tmp / "worker.log"):
            web.environment = environment
            yield web


@pytest.mark.slow
@pytest.mark.parametrize(
    "command", ["gunicorn -c gunicorn.conf.py deployer.wsgi --check-config", "python manage.py check"]
)
def test_checks_configuration(made, command):
    done = run(command, made)
    assert done.returncode == 0, done.stderr


def test_token_command(installation):
    done = run("python manage.py service_account pipeline", installation.environment)
    assert done.returncode == 0, done.stderr
    done = run("python manage.py token ci --user pipeline --scopes read,publish,deploy", installation.environment)
    assert done.returncode == 0, done.stderr
    [token] = done.stdout.split()
    client = Client(installation.url, token)
    assert client.get("services/")["data"] == []
    OPENER.open(f"{installation.url}/healthz", timeout=60).close()


def test_makes_field_key_without_settings(tmp_path):
    done = run("python manage.py field_key", plain(tmp_path, FIELD_ENCRYPTION_KEYS="", SECRET_KEY=""))
    assert done.returncode == 0, done.stderr
    Fernet(done.stdout.strip())


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"FIELD_ENCRYPTION_KEYS": ""}, "FIELD_ENCRYPTION_KEYS"),
        ({"FIELD_ENCRYPTION_KEYS": "not-a-key"}, "FIELD_ENCRYPTION_KEYS"),
        ({"DATABASE_URL": "mysql://somewhere/x"}, "DATABASE_URL"),
        ({"DEBUG": "perhaps"}, "DEBUG"),
        ({"OPERATION_LEASE_SECONDS": "soon"}, "OPERATION_LEASE_SECONDS"),
    ],
)
@pytest.mark.parametrize(
    "command", ["python manage.py migrate", "gunicorn -c gunicorn.conf.py deployer.wsgi", "celery -A deployer worker"]
)
def test_invalid_setting_stops_start(change, names, command, tmp_path):
    environment = plain(tmp_path, PORT=str(free_port())) | change
    done = run(command, environment, timeout=30)
    assert done.returncode != 0
    lines = [line for line in (done.stderr + done.stdout).splitlines() if "deployer cannot start" in line]
    assert len(lines) == 1
    assert names in lines[0]
    assert "Traceback" not in done.stderr + done.stdout
    for value in change.values():
        if names in ("SECRET_KEY", "FIELD_ENCRYPTION_KEYS") and value:
            assert value not in done.stderr + done.stdout, "a secret is never printed, not even a bad one"


@pytest.mark.slow
def test_worker_starts_and_ends(installation, tmp_path):
    command = "exec celery -A deployer worker --loglevel INFO"  # at that level it says when it is ready
    with Process(["sh", "-c", command], installation.environment, tmp_path / "log") as one:
        one.wait_for(" ready.", 40)
        one.process.terminate()
        assert one.process.wait(60) == 0, one.log()


def test_embedded_broker_runs_in_foreground(made, short_tmp):
    environment = made | {"DATA_DIR": str(short_tmp)}
    socket = short_tmp / "broker.sock"
    with Process(["sh", "-c", "exec python manage.py broker"], environment, short_tmp / "log") as one:
        probe = Broker(socket)
        wait_until(probe.answers, 15, "the broker's answer")
        assert socket.stat().st_mode & 0o077 == 0
        one.process.terminate()
        assert one.process.wait(60) == 0
    refused = run("python manage.py broker", environment | {"BROKER_URL": "redis://127.0.0.1:1/0"})
    assert refused.returncode != 0
    assert "BROKER_URL is set" in refused.stderr


@pytest.mark.slow
def test_make_run_starts_and_ends(made, short_tmp):
    environment = made | {"DATA_DIR": str(short_tmp), "PORT": str(free_port())}
    url = f"http://127.0.0.1:{environment['PORT']}"
    with Process([sys.executable, "-m", "demo.run"], environment, short_tmp / "said") as one:
        one.wait_for("Running at", 120)

        def ready():
            try:
                with OPENER.open(f"{url}/readyz", timeout=5) as answer:
                    return json.loads(answer.read())
            except OSError:
                return None

        assert wait_until(ready, 60, "a ready system")
        below = processes.descendants(one.pid)
        one.process.send_signal(signal.SIGINT)
        assert one.process.wait(60) == 0
        assert not [pid for pid in below if processes.alive(pid)]


def test_make_run_explains_failure(short_tmp):
    (short_tmp / "log").write_text("a file where the folder for logs should be")
    done = run("python -m demo.run", plain(short_tmp, PORT=str(free_port())), timeout=60)
    assert done.returncode == 1
    assert done.stderr.strip().startswith("cannot start: ")
    assert "Traceback" not in done.stderr


def test_make_run_requires_secrets(tmp_path):
    done = run("python -m demo.run", plain(tmp_path, SECRET_KEY=""), timeout=30)
    assert done.returncode == 1
    assert done.stderr.strip().startswith("deployer cannot start: SECRET_KEY")


def test_demo_starts_ordinary_commands():
    assert parts.WEB[1:] == ["-m", "gunicorn", "-c", "gunicorn.conf.py", "deployer.wsgi"]
    assert parts.WORKER[1:6] == ["-m", "celery", "-A", "deployer", "worker"]


def test_readme_quick_start(installation, tmp_path):
    """README's commands, word for word; only the places where it says "put yours here" are filled in."""
    token = run("python manage.py token five --user first --scopes admin", installation.environment).stdout.strip()
    port = free_port()
    with Sshd(tmp_path / "web1") as host:
        folder = tmp_path / "checkout"
        shutil.copytree(ROOT / "docs", folder / "docs")
        (folder / "deploy_key").write_text(host.client_key)
        script = test_docs.five_minutes()
        for placeholder, value in {
            "http://127.0.0.1:8000": installation.url,
            "dpl_the-token-that-was-printed": token,
            "192.0.2.11": host.address,
            '"port": 22,': f'"port": {host.port},',
            '"username": "deploy"': f'"username": "{host.username}"',
            "/srv/services": str(host.root),
            "ssh-ed25519 AAAA-the-public-key-of-the-host": host.host_key,
            '"port": 8080': f'"port": {port}',
        }.items():
            assert placeholder in script, f"README says no more {placeholder!r}"
            script = script.replace(placeholder, value)
        caught = {"capture_output": True, "text": True, "env": installation.environment, "timeout": 90}
        done = subprocess.run(["sh", "-eu"], input=script, cwd=folder, **caught)
        assert done.returncode == 0, done.stdout + done.stderr
        last = json.loads(done.stdout.strip().splitlines()[-1])
        assert last["status"] == "succeeded", done.stdout
        asked = subprocess.run([host.root / "shop" / "current" / "ask", str(port)], **caught)
        assert asked.stdout.strip() == "20260101120000-master-1a2b3c4", asked.stderr
