"""The storm: `python -m tests.storm` (the short form), `python -m tests.storm --minutes 30` (all of it).

One storm a database, side by side, each a process of its own. Ends with a table and var/storm.json, and with status 1
where a promise was broken, or where so little went wrong that nothing was shown.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from .residents import ROOT
from .tally import Tally, added_up, summary, table, unreal

SHORT_LIMIT = 900  # seconds after which a short storm on a busy machine is given up
LEAST_REFUSALS = {"short": 20, "long": 100}


def main() -> int:
    options = _options()
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    databases = options.databases.split(",")
    began = time.monotonic()
    histories = _histories(options)
    storms = [_start(database, number, len(databases), options) for number, database in enumerate(databases)]
    limit = options.minutes * 60 + 600 if options.minutes else SHORT_LIMIT
    statuses = [_wait(storm, began + limit) for storm in storms]
    results = [path for path in map(_result(out), databases) if path.exists()]
    tallies = [Tally.from_json(json.loads(path.read_text())) for path in results]
    whole = added_up(tallies)
    whole.seconds = time.monotonic() - began
    if len(tallies) < len(databases):
        whole.failures.append(f"a storm ended without a result; {databases} ended with {statuses}")
    if histories is not None and histories.wait():
        whole.failures.append("the random histories of rollouts failed")
    words = unreal(whole, bool(options.minutes), LEAST_REFUSALS["long" if options.minutes else "short"])
    (out / "storm.json").write_text(json.dumps({**summary(whole), "seed": options.seed, "unreal": words}, indent=1))
    print(table(whole))
    for line in [*whole.failures[:40], *(f"not a storm: {word}" for word in words), *whole.impossible]:
        print(line[:2000])
    print(f"seed {options.seed}; {'FAILED' if whole.failures or words else 'every promise held'}")
    return 1 if whole.failures or words else 0


def _start(database: str, number: int, count: int, options: argparse.Namespace) -> subprocess.Popen:
    out = _result(Path(options.out))(database)
    out.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "tests.storm.one",
        "--database",
        database,
        "--seed",
        str(options.seed + number),
        "--out",
        str(out),
        "--lease",
        str(options.lease),
        "--hosts",
        str(options.hosts),
        "--share",
        f"{number + 1}/{count}",
    ]
    if options.minutes:
        command += ["--thorough", "--seconds", str(options.minutes * 60), "--contests", "1000"]
    else:
        command += ["--contests", "8", "--seconds", "300"]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)


def _wait(storm: subprocess.Popen, until: float) -> int:
    try:
        return storm.wait(max(1.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        storm.terminate()
        return storm.wait()


def _result(out: Path):
    return lambda database: out / f"storm-{database}.json"


def _histories(options: argparse.Namespace) -> subprocess.Popen | None:
    """100,000 random histories of rollouts, beside the long form."""
    if not options.minutes:
        return None
    environment = {**os.environ, "ROLLOUT_HISTORIES": str(options.histories)}
    command = [sys.executable, "-m", "pytest", "-q", "tests/microservice/deployments/test_rollout.py"]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("--minutes", type=float, default=0, help="0: the short form")
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--lease", type=int, default=3)
    parser.add_argument("--hosts", type=int, default=10)
    parser.add_argument("--histories", type=int, default=100_000)
    parser.add_argument("--out", default=str(ROOT / "var"))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
