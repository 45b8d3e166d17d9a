"""Schemathesis against the real web process: every answer is one that the description names, and none is a 5xx."""

import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests import factories
from tests.lab.busy import within
from tests.lab.web import Web

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

CHECKS = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")
SECONDS = 30


@pytest.fixture
def web(environment, store, tmp_path):
    with Web({**environment, "PACKAGE_ROOT": str(store)}, tmp_path / "web.log") as server:
        yield server


def test_every_response_is_documented(web, api, tmp_path):
    factories.running(2)
    authorization = api().headers["Authorization"]
    urllib.request.urlopen(f"{web.url}/api/v1/openapi.json", timeout=60).close()  # made once; then it is at hand
    # A live stream has no end to wait for; it has tests of its own. One worker: threads that parse Python at the same
    # moment, as Hypothesis does for its texts, trip over each other in CPython 3.11.
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "run",
        f"{web.url}/api/v1/openapi.json",
        "-H",
        f"Authorization: {authorization}",
        "--checks",
        ",".join(CHECKS),
        "--phases",
        "examples,fuzzing,stateful",
        "--max-examples",
        "4",
        "--max-time",
        str(SECONDS),
        "--workers",
        "1",
        "--exclude-path-regex",
        "/events$",
        "--request-timeout",
        "45",
        "--no-shrink",
        "--seed",
        "5",
        "--suppress-health-check",
        "all",
        "--warnings",
        "off",
        "--output-sanitize",
        "true",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=within(110))
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Stateful" in done.stdout
    assert "Traceback" not in Path(web.log_path).read_text()
