"""The demo as people start it, for browser tests, in a folder of its own, on free ports.

Without environments, unless they are asked for: a host is then one of four, as where nobody has environments.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.lab.busy import within

DESKTOP, PHONE = {"width": 1366, "height": 768}, {"width": 390, "height": 844}
READY_WITHIN = 20  # seconds on a quiet machine, where it takes about ten


class Demo:
    """`with Demo(folder) as demo:` — `demo.record` is what `var/demo.json` says."""

    def __init__(self, folder: Path, environments: bool = False):
        self.folder, self.more = folder, {} if environments else {"DEMO_ENVIRONMENTS": "off"}
        self.record: dict = {}
        self._process: subprocess.Popen | None = None

    def __enter__(self) -> "Demo":
        ours = (
            "DATABASE_URL",
            "BROKER_URL",
            "PACKAGE_ROOT",
            "PUBLIC_URL",
            "PORT",
            "SECRET_KEY",
            "FIELD_ENCRYPTION_KEYS",
            "DEBUG",
            "LOG_LEVEL",
        )
        environment = {name: value for name, value in os.environ.items() if name not in ours}
        log = self.folder / "demo.out"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "demo"],
                env={**environment, **self.more, "DATA_DIR": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=Path(__file__).parents[3],
            )
        deadline = time.monotonic() + max(180, within(READY_WITHIN))
        while "Ready after" not in log.read_text():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise RuntimeError(f"the demo did not start:\n{log.read_text()}")
            time.sleep(0.2)
        self.record = json.loads((self.folder / "demo.json").read_text()) | {"pid": self._process.pid}
        return self

    def __exit__(self, *_) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
