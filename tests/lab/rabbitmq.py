"""A real RabbitMQ server for a test: its own folder, its own free ports, loopback only, ended by its process id."""

import os
import shutil
import subprocess
from pathlib import Path

from . import processes
from .network import free_port, wait_until

BIN = Path("/usr/lib/rabbitmq/bin")  # not /usr/sbin's wrapper, which becomes the system's own user


class RabbitMq:
    """`with RabbitMq(folder) as broker:` — `broker.url` is a BROKER_URL."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.port, self.dist = free_port(), free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self.process: subprocess.Popen | None = None

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "enabled_plugins").write_text("[].\n")
        (self.folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{self.port}\n")
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),  # the Erlang cookie
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_BASE": str(self.folder),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_DIST_PORT": str(self.dist),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-start_epmd false -erl_epmd_port " + str(self.dist) + " +S 2:2",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        with (self.folder / "out").open("a") as out:
            self.process = subprocess.Popen(
                [str(BIN / "rabbitmq-server")],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                cwd=self.folder,  # where Mnesia leaves what it dumps when it is killed
            )
        wait_until(self.answers, 90, "RabbitMQ's first answer")

    def stop(self) -> None:
        if self.process is not None:
            below = processes.descendants(self.process.pid)
            processes.end(self.process)
            for pid in below:
                processes.kill(pid)
            self.process = None

    def answers(self) -> bool:
        from kombu import Connection
        from kombu.exceptions import OperationalError

        try:
            with Connection(self.url, connect_timeout=2) as connection:
                connection.ensure_connection(max_retries=1, timeout=2)
            return True
        except (OperationalError, OSError):
            return False
