"""What the settings read, for a test run: set before Django's settings are imported (pytest loads this with -p).

`TEST_DATABASE=postgresql` runs on PostgreSQL instead of SQLite.
"""

import atexit
import gc
import os
import shutil
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet

from tests.lab.network import free_port

READ_BY_SETTINGS = (
    "BROKER_URL",
    "PACKAGE_ROOT",
    "ALLOWED_HOSTS",
    "TRUSTED_PROXIES",
    "PUBLIC_URL",
    "WORKER_CONCURRENCY",
    "WEB_THREADS",
    "MAX_EVENT_STREAMS",
    "DATABASE_POOL_SIZE",
    "OPERATION_LEASE_SECONDS",
    "SWEEP_INTERVAL",
    "LOG_LEVEL",
    "PORT",
)
ON_POSTGRESQL = os.environ.get("TEST_DATABASE") == "postgresql"
POSTGRESQL_PORT = free_port()
DATA_DIR = Path(tempfile.mkdtemp(prefix="deployer-test-", dir="/tmp"))


def _set() -> None:
    for name in READ_BY_SETTINGS:
        os.environ.pop(name, None)
    # A test holds one transaction from beginning to end, and loads and compiles what it needs in it: on a busy machine
    # longer than the product lets any of its own be idle.
    patient = "options=-c%20idle_in_transaction_session_timeout%3D60000"
    server = f"postgresql://postgres@127.0.0.1:{POSTGRESQL_PORT}/deployer?{patient}"
    database = server if ON_POSTGRESQL else f"sqlite://{DATA_DIR}/db"
    os.environ |= {
        "DEBUG": "1",  # no collectstatic before a test; pytest-django turns Django's own DEBUG off again
        "SECRET_KEY": "only-for-this-test-run-" + Fernet.generate_key().decode(),
        "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "DATA_DIR": str(DATA_DIR),
        "DATABASE_URL": database,
        "LOG_LEVEL": "WARNING",
        # For this process alone (tests/conftest.py): what tests make stands for other machines and other people.
        "UMASK": "022",
    }
    (DATA_DIR / "static").mkdir()  # empty, as nothing is collected; WhiteNoise warns of a missing one
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(DATA_DIR, ignore_errors=True) if os.getpid() == owner else None)


_set()

# What a run of all tests imports and collects stays until its end: it would be looked through again and again.
gc.disable()


def pytest_collection_finish():
    gc.freeze()
    gc.enable()
