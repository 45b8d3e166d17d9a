"""A real web process: gunicorn with the project's own configuration."""

import sys
from pathlib import Path

from .network import free_port, wait_for_port
from .worker import Process


class Web(Process):
    """`with Web(environment, log) as web:` — `web.url` answers."""

    def __init__(
        self, environment: dict[str, str], log: Path, *, port: int | None = None, application: str = "deployer.wsgi"
    ):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", application]
        super().__init__(command, {**environment, "PORT": str(self.port), "PUBLIC_URL": self.url}, log)

    def start(self) -> None:
        super().start()
        try:
            wait_for_port("127.0.0.1", self.port, 30)
        except TimeoutError:
            self.stop()
            raise RuntimeError(f"the web process did not start:\n{self.log()}") from None
