"""The tests' SQLite file as all migrations leave it: made once for each state of the migrations, and then copied.

To apply them takes more of a processor than most tests of rows, and each process of a run needs a file of its own.
"""

import contextlib
import fcntl
import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from . import caches

ROOT = Path(__file__).resolve().parents[2]
KEPT = 20  # files: other branches and mutants of migrations have their own


class Prepared:
    def __init__(self, folder: Path | None = None, root: Path = ROOT):
        self.folder, self._root = folder or caches.folder() / "databases", root

    def copy(self, database: Path, make: Callable[[], None]) -> None:
        """Copy what is kept of this state to `database`. `make` keeps it, where nothing is; other processes wait."""
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(self.file, database)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.file.exists():
                make()
            shutil.copyfile(self.file, database)

    def keep(self, database: Path) -> None:
        """Keep a copy of `database`, which others may have open; and the newest of what was kept before."""
        part = self.file.with_suffix(".part")
        part.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(database)) as source, contextlib.closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
        part.replace(self.file)
        for old in sorted(self.folder.glob("*.sqlite3"), key=lambda each: each.stat().st_mtime)[:-KEPT]:
            old.unlink()

    @property
    def file(self) -> Path:
        """Its name says all that the schema and its first rows depend on."""
        digest = hashlib.sha256(sqlite3.sqlite_version.encode())
        for path in [self._root / "requirements.txt", *sorted(self._root.glob("*/migrations/*.py"))]:
            digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
        return self.folder / f"{digest.hexdigest()[:32]}.sqlite3"
