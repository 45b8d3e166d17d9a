"""By hand: `python -m tests.away --seconds 5,20,40 --kinds killed,frozen,held,cut`. Prints what came back when.

Each figure is the seconds from the database's return until that part works again: the sweep of each worker, its writers
(every operation under way is written, and no lease has run out), all pages, the live events, a management command.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from tests.lab import cable

from .scene import KINDS, PARTS, Scene


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.away", description=__doc__)
    parser.add_argument("--seconds", default="5,20,40")
    parser.add_argument("--kinds", default=",".join(KINDS))
    options = parser.parse_args()
    why = cable.why_not()
    kinds = [kind for kind in options.kinds.split(",") if kind != "cut" or not why]
    if why:
        print(f"not cut: {why}")
    print(f"| database | away, s | load | {' | '.join(PARTS)} | statuses meanwhile |")
    print("| --- " * (len(PARTS) + 4) + "|", flush=True)
    for kind in kinds:
        with tempfile.TemporaryDirectory(prefix="away-", dir="/tmp") as folder, Scene(Path(folder), not why) as scene:
            for seconds in map(float, options.seconds.split(",")):
                measure(scene, kind, seconds)


def measure(scene: Scene, kind: str, seconds: float) -> None:
    scene.pages.seen.clear()
    scene.away(kind, seconds)
    found = scene.back(240)
    statuses = " ".join(str(one) for one in sorted(scene.pages.statuses()))
    figures = " | ".join(str(found[part]) for part in PARTS)
    print(f"| {kind} | {seconds:.0f} | {os.getloadavg()[0]:.1f} | {figures} | {statuses} |", flush=True)
    time.sleep(5)


if __name__ == "__main__":
    main()
