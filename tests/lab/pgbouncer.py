"""A real PgBouncer in front of a PostgreSQL: with its defaults, but for where it listens and how it pools."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import processes
from .network import free_port, wait_for_port
from .postgres import Postgres, _as, _server_user

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


class PgBouncer:
    """`with PgBouncer(postgres, "transaction") as pooler:` — `pooler.url("name")` is a DATABASE_URL.

    Of transactions it has few sessions of the server, so that those of one client are carried out by several of them.
    """

    def __init__(self, postgres: Postgres, mode: str):
        self.postgres, self.mode = postgres, mode
        self.sessions = 3 if mode == "transaction" else 20
        self.port = free_port()
        self.process: subprocess.Popen | None = None

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def __enter__(self) -> "PgBouncer":
        assert PROGRAM is not None, "this machine has no PgBouncer (Debian: pgbouncer)"
        self.folder = Path(tempfile.mkdtemp(prefix="deployer-pgbouncer-", dir="/tmp"))
        try:
            self._start(PROGRAM)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self, program: str) -> None:
        user = _server_user()
        (self.folder / "users").write_text('"postgres" ""\n')
        (self.folder / "ini").write_text(
            f"[databases]\n* = host={self.postgres.address} port={self.postgres.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {self.folder}/users\npool_mode = {self.mode}\n"
            f"default_pool_size = {self.sessions}\n"
        )
        if user.pw_uid != os.geteuid():
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, user.pw_uid, user.pw_gid)
        with (self.folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                [program, self.folder / "ini"],
                **_as(user, self.folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            wait_for_port("127.0.0.1", self.port, 30)
        except TimeoutError:
            raise RuntimeError(f"PgBouncer did not start: {(self.folder / 'log').read_text()}") from None

    def __exit__(self, *_) -> None:
        if self.process is not None:
            processes.end(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)
