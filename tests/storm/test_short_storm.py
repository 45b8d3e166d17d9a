"""The short form of the storm; `make storm` runs the long one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import postgres

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(1200)
@pytest.mark.skipif(postgres.find_programs() is None, reason="this machine has no PostgreSQL")
def test_short_storm(tmp_path):
    storm = subprocess.run(
        [sys.executable, "-m", "tests.storm", "--out", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    print(storm.stdout)
    assert storm.returncode == 0, storm.stdout + storm.stderr[-3000:]
    result = json.loads((tmp_path / "storm.json").read_text())
    assert result["takeovers"] and result["fence_refusals"] >= 20
    assert not any(promise["failed"] for promise in result["promises"].values())
