"""`python -m demo.prepare FILE`: prepare static files, tables and people (people.py) for the web process.

One process and a fork of it, because loading Django takes longer than any of these.
"""

import hashlib
import multiprocessing
import os
import sys
from pathlib import Path

from . import people


def main(file: Path) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deployer.settings")
    import django

    django.setup()
    # Before this process has a thread or a connection to the database.
    collecting = multiprocessing.get_context("fork").Process(target=collect)
    collecting.start()
    people.make(file)
    collecting.join()
    return collecting.exitcode or 0


def collect() -> None:
    """Collect static files if a source has changed since the last run."""
    from django.conf import settings
    from django.core.management import call_command

    mark, now = Path(settings.STATIC_ROOT) / ".sources", sources()
    if not mark.exists() or mark.read_text() != now:
        call_command("collectstatic", interactive=False, verbosity=0)
        mark.write_text(now)


def sources() -> str:
    """Return a digest of the state of every static file."""
    from django.contrib.staticfiles.finders import get_finders

    seen = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list([]):
            status = Path(storage.path(name)).stat()
            seen.update(f"{storage.path(name)} {status.st_mtime_ns} {status.st_size}\n".encode())
    return seen.hexdigest()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
