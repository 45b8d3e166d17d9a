"""Fixtures for every test: which database, a broker, hosts, and the environment for real child processes."""

import logging
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from xdist.scheduler import LoadScopeScheduling

from tests.lab import prepared_database, surroundings
from tests.lab.broker import Broker
from tests.lab.postgres import Postgres
from tests.lab.sshd import Sshd
from tests.lab.worker import Worker

DATABASE_FIXTURES = {"db", "transactional_db", "django_db_setup", "live_server"}


def pytest_configure(config):
    from django.conf import settings

    logging.raiseExceptions = False  # daemon threads may outlive the stream that pytest gave to the last test
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick; nothing here is secret
    # How long an example takes says how busy the machine is. (A test's own `suppress_health_check` replaces this one.)
    hypothesis_settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    hypothesis_settings.load_profile("tests")


# Rows lie below these too, but they are about something else: a command line, a page of the documentation, a stream of
# bytes, the forms of answers, hosts that misbehave, who has which right. Once is enough, on SQLite.
ONCE = (
    "tests/bench",
    "tests/demo",
    "tests/deployctl",
    "tests/docs",
    "tests/mutants",
    "tests/test_lab.py",
    "tests/api/test_uploads.py",
    "tests/api/test_schemathesis.py",
    "tests/access/test_accounts.py",
    "tests/access/test_every_right.py",
    "tests/api/test_forms.py",
    "tests/api/test_packages.py::test_refuses_hostile_archives",
    "tests/worker/test_failed_steps.py",
    "tests/builds/test_servers.py",
    "tests/builds/test_checkout.py",
)


BROWSER, ATTACKS = "tests/console/browser/", "tests/attacks/"
WALKS = ("tests/console/browser/test_demo.py", "tests/console/browser/test_languages.py")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark with `rows` what touches rows, which is what runs on PostgreSQL, and with `slow` the attacks, which have a
    target of their own."""
    for item in items:
        if item.nodeid.startswith(ATTACKS):
            item.add_marker(pytest.mark.slow)
        if item.nodeid.startswith(ONCE):
            continue
        if item.get_closest_marker("django_db") or DATABASE_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.rows)
    items.sort(key=lambda item: next((at for at, long in enumerate(LONG) if item.nodeid.startswith(long)), len(LONG)))


# What takes long although it is few tests comes first, in this order: at the end it would go on alone.
LONG = (
    *WALKS,
    BROWSER,
    "tests/access/test_every_right.py",
    ATTACKS,
    "tests/worker/test_execution.py",
    "tests/worker/test_broker_messages.py",
    "tests/engine/test_jump_cache.py",
    "tests/engine/test_jump_cache_failures.py",
    "tests/console/views/test_many_tabs.py",
    "tests/builds/test_worker.py",
    "tests/demo",
    "tests/worker/test_broker_away.py",
    "tests/away",
    "tests/deployer/web_process",
    "tests/deployctl/test_waiting.py",
    "tests/console/forms/test_unchanged.py",
    "tests/worker/test_broker_under_load.py",
)


class Files(LoadScopeScheduling):
    """Which tests run in one process: those of a file, and those of a folder that shares what takes long to start: the
    demo and a browser, or the instance that is attacked. The walks through every page, which take as long as all other
    tests with a browser, have a demo and a browser of their own."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(WALKS):
            return "walks"
        return next((each for each in (BROWSER, ATTACKS) if nodeid.startswith(each)), nodeid.partition("::")[0])


@pytest.hookimpl(optionalhook=True)  # there is no such hook with -p no:xdist
def pytest_xdist_make_scheduler(config, log):
    config.option.loadscopereorder = False
    return Files(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Fail a skip without a reason. NO_SKIPS=1, as on the project's CI, allows none at all."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2].removeprefix("Skipped: ").strip() if isinstance(report.longrepr, tuple) else ""
        if reason in ("", "unconditional skip", "Skipped") or os.environ.get("NO_SKIPS") == "1":
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped: {reason or 'no reason given'}"
    return report


# --- the database -----------------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item):
    """Take back what would reach later tests: the language of the last request, and a connection that the test lost,
    which Django would keep."""
    try:
        return (yield)
    finally:
        from django.db import connections
        from django.utils import translation

        translation.deactivate()

        for connection in connections.all(initialized_only=True):
            if connection.connection and getattr(connection.connection, "closed", False):
                connection.connection, connection.in_atomic_block = None, False


@pytest.fixture(scope="session")
def postgres():
    """Yield a PostgreSQL server of this test run. Tests of rows need not name it."""
    with Postgres(surroundings.POSTGRESQL_PORT) as server:
        yield server


@pytest.fixture(scope="session")
def django_db_modify_db_settings(request):
    """SQLite in a file, so that threads and child processes see the same rows; or PostgreSQL, started now."""
    from django.db import connections

    if surroundings.ON_POSTGRESQL:
        request.getfixturevalue("postgres")
    else:
        connections["default"].settings_dict["TEST"]["NAME"] = str(surroundings.DATA_DIR / "test.sqlite3")


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment, django_db_blocker, django_db_modify_db_settings):
    """Set up the database as pytest-django does, on SQLite as a copy of a file to which all migrations were applied."""
    from django.db import connection
    from django.test.utils import setup_databases, teardown_databases

    def make() -> None:
        made = setup_databases(0, False, serialized_aliases=())
        prepared.keep(file)
        teardown_databases(made, 0)

    with django_db_blocker.unblock():
        if surroundings.ON_POSTGRESQL:
            made = setup_databases(0, False, serialized_aliases=())
        else:
            file, prepared = Path(connection.settings_dict["TEST"]["NAME"]), prepared_database.Prepared()
            prepared.copy(file, make)
            connection.settings_dict["NAME"] = str(file)
    yield
    with django_db_blocker.unblock():
        teardown_databases(made, 0) if surroundings.ON_POSTGRESQL else connection.close()


@pytest.fixture
def database_url(transactional_db) -> str:
    """DATABASE_URL of the database that the test itself uses, for child processes."""
    from django.db import connection

    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite://{name}"
    return f"postgresql://postgres@127.0.0.1:{surroundings.POSTGRESQL_PORT}/{name}"


# --- the API and the package store ------------------------------------------------------------------------------------


@pytest.fixture
def api(request):
    """Return `api(*scopes)`, a caller by token; its user is a superuser, so that the token's scopes alone decide."""
    from access.tokens import make_token
    from tests.api.client import Api, person  # needs Django's models

    request.getfixturevalue("transactional_db" if "transactional_db" in request.fixturenames else "db")

    def some(*scopes: str, services=(), name="ann", **headers):
        user = person(name, is_superuser=True, is_staff=True)
        every = ("read", "publish", "deploy", "tokens", "admin")
        token = make_token(user, "test", scopes or every, services=services)[1]
        return Api(token, **headers)

    return some


@pytest.fixture
def store(settings, tmp_path):
    """Give the test an empty package store of its own; return its folder."""
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "store"},
        },
    }
    return tmp_path / "store"


# --- images ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def docker_engine():
    """Yield a Docker engine of this test run, over TLS and a unix socket. It has the image `base:1`, and no network but
    this machine's: tests that need the usual one, or that end it, start their own (tests/lab/docker.py)."""
    from tests.lab import docker

    if reason := docker.why_not():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="de-", dir="/tmp"))
    with docker.Dockerd(folder) as engine:
        engine.add_base("base:1")
        yield engine


# --- real processes ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _broker():
    from django.conf import settings

    with Broker(settings.BROKER_SOCKET) as server:
        yield server


@pytest.fixture
def broker(_broker):
    """Return the broker that the test's own settings name, emptied. A test may kill it."""
    if _broker.process is None or _broker.process.poll() is not None:
        _broker.start()
    _broker.empty()
    return _broker


@pytest.fixture
def short_tmp():
    """Yield a folder whose path is short enough for unix sockets, outside pytest's long ones."""
    folder = Path(tempfile.mkdtemp(prefix="dp-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def environment(database_url, broker, settings) -> dict[str, str]:
    """Return the environment of a child process that works on the test's own rows, broker and packages."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "DJANGO_")) and name != "UMASK"
    }
    return kept | {
        "DATABASE_URL": database_url,
        "BROKER_URL": broker.url,
        "PACKAGE_ROOT": str(settings.PACKAGE_ROOT),
        "DATABASE_POOL_SIZE": "40",
        "OPERATION_LEASE_SECONDS": "3",
        "SWEEP_INTERVAL": "1",
    }


@pytest.fixture
def sshd(tmp_path):
    """One host."""
    with Sshd(tmp_path / "host") as host:
        yield host


@pytest.fixture(scope="session")
def _hosts(tmp_path_factory):
    started: list[Sshd] = []
    yield started, tmp_path_factory.mktemp("hosts")
    for host in started:
        host.__exit__()


@pytest.fixture
def sshds(_hosts):
    """`sshds(3)`: that many hosts, each with its own address, key and empty root. The servers outlive the test."""
    started, folder = _hosts
    used: list[Sshd] = []

    def some(count: int) -> list[Sshd]:
        while len(started) < count:
            host = Sshd(folder / f"host{len(started) + 1}")
            host.start()
            started.append(host)
        used[:] = started[:count]
        return list(used)

    yield some
    from tests.lab import processes

    for host in used:
        processes.end_using(host.root)
        shutil.rmtree(host.root, ignore_errors=True)
        host.root.mkdir()


@pytest.fixture
def make_fleet(transactional_db, sshds):
    """`make_fleet(hosts=2, pre_command="true")`: a service on that many real hosts (`tests.lab.fleet.Fleet`)."""
    from tests.lab.fleet import Fleet  # needs Django's models

    return lambda hosts=2, **service: Fleet(sshds(hosts), **service)


@pytest.fixture
def worker(environment, tmp_path):
    """`worker()` starts a worker process, `worker(slots=1, SWEEP_INTERVAL="2")` one set up otherwise; all end with the
    test."""
    started: list[Worker] = []

    def start(slots: int = 8, **more: str) -> Worker:
        one = Worker({**environment, **more}, tmp_path / f"worker{len(started) + 1}.log", slots=slots)
        started.append(one)
        one.start()
        return one

    yield start
    for one in started:
        one.stop()
