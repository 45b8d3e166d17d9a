"""Keys stay with the process that needs them: files instead of the environment, memory and files closed to others."""

import os
import secrets
import sqlite3
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from runtime import environment as env
from tests.lab.broker import Broker
from tests.lab.network import wait_until
from tests.lab.web import Web
from tests.lab.worker import Process, Worker

ROOT = Path(__file__).resolve().parents[2]
# Another process of the same user. Where the tests run as root, neither side keeps root's power over others.
SAME_USER = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []


def installation(var: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(var),
        "SECRET_KEY": secrets.token_urlsafe(40),
        "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        **more,
    }


def evaluated(environment: dict[str, str], what: str) -> subprocess.CompletedProcess:
    """Return an expression over `settings`, evaluated in a process of its own."""
    code = f"from django.conf import settings; settings.DEBUG; print(({what}))"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=environment | {"DJANGO_SETTINGS_MODULE": "deployer.settings"},
    )


def environment_of(pid: int) -> subprocess.CompletedProcess:
    return subprocess.run([*SAME_USER, "cat", f"/proc/{pid}/environ"], capture_output=True, text=True)


@pytest.fixture
def var(short_tmp):
    made = short_tmp / "var"
    made.mkdir()
    return made


def test_environment_is_unreadable_for_other_processes(short_tmp, var):
    key = Fernet.generate_key().decode()
    environment = installation(var, FIELD_ENCRYPTION_KEYS=key, DEBUG="1")
    assert (
        subprocess.run(
            [sys.executable, "manage.py", "migrate"], cwd=ROOT, env=environment, capture_output=True
        ).returncode
        == 0
    )
    log = short_tmp / "log"
    with Broker(short_tmp / "b") as broker:
        environment["BROKER_URL"] = broker.url
        open_one = Process([*SAME_USER, "sleep", "600"], environment, log)
        web, worker = Web(environment, log), Worker(environment, log)
        for process in (web, worker):
            process.command = [*SAME_USER, *process.command]
        with open_one, web, worker:
            assert key in environment_of(open_one.pid).stdout  # else nothing is shown here
            of_web = [web.pid, *children_of(web.pid)]
            assert len(of_web) > 1
            for pid in (*of_web, worker.pid):
                seen = environment_of(pid)
                assert seen.returncode and not seen.stdout, f"{pid} shows its environment"
            assert "set in the environment" in log.read_text()
            assert key not in log.read_text()


def children_of(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_children_inherit_no_secrets(monkeypatch):
    for name in env.SECRETS:
        monkeypatch.setenv(name, "canary")
    env.forget_secrets()
    seen = subprocess.run([sys.executable, "-c", "import os; print(dict(os.environ))"], capture_output=True, text=True)
    assert "canary" not in seen.stdout


def test_embedded_broker_gets_no_keys(short_tmp, var):
    environment = installation(var)
    with Process([sys.executable, "manage.py", "broker"], environment, short_tmp / "log") as broker:
        broker.wait_for("broker: ")
        process = Path(f"/proc/{broker.pid}")
        wait_until(lambda: "manage.py" not in (process / "cmdline").read_text(), 30, "the broker itself")
        seen = (process / "environ").read_text()
        assert environment["FIELD_ENCRYPTION_KEYS"] not in seen and environment["SECRET_KEY"] not in seen


def test_reads_secrets_from_files_and_credentials(tmp_path, var):
    keys, credentials = tmp_path / "keys", tmp_path / "credentials"
    credentials.mkdir()
    first, second = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    keys.write_text(f"{first}\n{second}\n")
    (credentials / "SECRET_KEY").write_text("x" * 50 + "\n")
    (credentials / "DATABASE_URL").write_text(f"sqlite://{tmp_path}/of-credentials/db\n")
    environment = {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(var),
        "FIELD_ENCRYPTION_KEYS_FILE": str(keys),
        "CREDENTIALS_DIRECTORY": str(credentials),
    }
    done = evaluated(
        environment, "settings.SECRET_KEY, *settings.FIELD_ENCRYPTION_KEYS, settings.DATABASES['default']['NAME']"
    )
    assert done.stdout.strip() == str(("x" * 50, first, second, f"{tmp_path}/of-credentials/db")), done.stderr


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"SECRET_KEY_FILE": "/nowhere/key", "SECRET_KEY": ""}, "SECRET_KEY_FILE names a file that cannot be read"),
        ({"SECRET_KEY_FILE": "/dev/null"}, "SECRET_KEY is set twice: remove SECRET_KEY or SECRET_KEY_FILE"),
        ({"SECRET_KEY_FILE": "/dev/null", "SECRET_KEY": ""}, "SECRET_KEY must be set to at least 32 random characters"),
        ({"UMASK": "089"}, "UMASK must be a umask in octal digits such as 077, not '089'"),
        ({"UMASK": "7777"}, "UMASK must be a umask in octal digits such as 077, not '7777'"),
    ],
)
def test_invalid_file_or_umask_stops_the_start(var, more, line):
    done = evaluated(installation(var) | more, "0")
    assert done.returncode and done.stderr.startswith(f"deployer cannot start: {line}")
    assert len(done.stderr.splitlines()) == 1


def test_new_database_is_private(var):
    environment = installation(var)
    done = subprocess.run(
        ["sh", "-c", 'umask 022; "$1" manage.py migrate', "sh", sys.executable],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    keep_open = sqlite3.connect(var / "deployer.sqlite3")
    keep_open.execute("CREATE TABLE more (a)")
    files = sorted(var.glob("deployer.sqlite3*"))
    assert len(files) >= 2
    keep_open.close()
    assert {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in files if path.exists()} == {
        path.name: "0o600" for path in files if path.exists()
    }


def test_start_makes_the_database_private(var):
    database = var / "deployer.sqlite3"
    for path in (database, var / "deployer.sqlite3-wal"):
        path.touch()
        path.chmod(0o644)
    assert evaluated(installation(var), "0").returncode == 0
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    assert stat.S_IMODE((var / "deployer.sqlite3-wal").stat().st_mode) == 0o600


def test_umask_may_allow_the_group(var):
    database = var / "deployer.sqlite3"
    database.touch()
    database.chmod(0o664)
    assert evaluated(installation(var, UMASK="007"), "0").returncode == 0
    assert stat.S_IMODE(database.stat().st_mode) == 0o660


def test_unprotectable_database_stops_the_start(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    database = tmp_path / "db"
    database.touch(0o644)
    database.chmod(0o644)
    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(env.InvalidSetting, match="a database that other users can read"):
        env.restrict_access("DATABASE_URL", database)


def test_https_sets_host_cookies_and_hsts(short_tmp, var):
    environment = installation(var, DEBUG="1", TRUSTED_PROXIES="127.0.0.1")
    assert (
        subprocess.run(
            [sys.executable, "manage.py", "migrate"], cwd=ROOT, env=environment, capture_output=True
        ).returncode
        == 0
    )
    web = Web(environment, short_tmp / "log")
    web.environment["PUBLIC_URL"] = "https://127.0.0.1"
    with web:
        request = urllib.request.Request(f"{web.url}/login/", headers={"X-Forwarded-Proto": "https"})
        with urllib.request.urlopen(request) as answer:
            cookies = answer.headers.get_all("Set-Cookie")
            assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    (cookie,) = [one for one in cookies if "csrftoken" in one]
    assert cookie.startswith("__Host-csrftoken=")
    assert "Secure" in cookie and "Path=/" in cookie and "Domain" not in cookie
    names = evaluated(
        environment | {"PUBLIC_URL": "https://a"}, "settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME"
    )
    assert names.stdout.strip() == "('__Host-sessionid', '__Host-csrftoken')"
    assert evaluated(environment, "settings.SESSION_COOKIE_NAME").stdout.strip() == "sessionid"
