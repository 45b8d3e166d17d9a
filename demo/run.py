"""`python -m demo.run` (`make run`): run web, worker and, without BROKER_URL, a broker, with the settings of the
environment. There are no demo values: without SECRET_KEY and FIELD_ENCRYPTION_KEYS it does not start.
"""

import os
import signal
import sys
import threading
from pathlib import Path

from runtime.privacy import deny_inspection

from . import parts
from .supervise import Supervisor
from .surroundings import ROOT


def main() -> int:
    environment = dict(os.environ)
    environment["DATA_DIR"] = str(Path(environment.get("DATA_DIR", "").strip() or ROOT / "var").absolute())
    if wrong := parts.check_settings(environment):
        print(wrong, file=sys.stderr)
        return 1
    var = Path(environment["DATA_DIR"])
    deny_inspection()  # the environment of the processes contains keys
    supervisor = Supervisor(say=lambda line: print(line, flush=True))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: supervisor.stopping.set())
    failed: list[str] = []
    threading.Thread(target=_bring_up, args=(supervisor, environment, var / "log", failed), daemon=True).start()
    supervisor.watch()
    supervisor.end()
    return 1 if failed else 0


def _bring_up(supervisor: Supervisor, environment: dict[str, str], logs: Path, failed: list[str]) -> None:
    """Prepare tables and static files, then start the processes. Any error ends everything with one line."""
    try:
        for words in (["migrate", "--noinput"], ["collectstatic", "--noinput", "-v", "0"]):
            if supervisor.job([*parts.MANAGE, *words], environment, ROOT, logs / "prepare.log"):
                raise RuntimeError(f"manage.py {words[0]} failed; see {logs / 'prepare.log'}")
        for part in parts.product(environment, lambda name: logs / f"{name}.log"):
            parts.short_log(part.log)
            supervisor.start(part)
    except (OSError, RuntimeError) as error:
        if not supervisor.stopping.is_set():
            failed.append(str(error))
            print(f"cannot start: {error}", file=sys.stderr, flush=True)
        supervisor.stopping.set()
        return
    where = environment.get("BIND") or f"http://127.0.0.1:{environment.get('PORT') or 8000}/"
    print(f"Running at {where}; logs in {logs}; Ctrl-C stops it.", flush=True)


if __name__ == "__main__":
    sys.exit(main())
