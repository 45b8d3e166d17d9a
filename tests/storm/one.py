"""A storm over one database: `python -m tests.storm.one --database sqlite --seconds 50 --seed 1 --out tally.json`."""

import argparse
import itertools
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from . import faults, holds
from .checks import check_overlaps
from .locks import Contest
from .points import Points
from .rides import ride
from .rounds import OLD, Round, Weather, pick
from .scene import Scene, Size
from .tally import Tally
from .watchers import Follower, Reader


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))  # so that everything that was started is ended
    folder = Path(tempfile.mkdtemp(prefix="storm-", dir="/tmp"))
    folder.chmod(0o755)
    tally = Tally(database=options.database)
    scene = Scene(folder, Size(options.database, hosts=options.hosts, lease=options.lease), options.seed, tally)
    began = time.monotonic()
    try:
        scene.open()
        Storm(scene, began, options).run()
    finally:
        try:
            scene.count_up()
        finally:
            scene.close()
            tally.seconds = time.monotonic() - began
            Path(options.out).write_text(json.dumps(tally.to_json()))
            _keep_logs(folder, options, tally)
    return 1 if tally.failures else 0


ENOUGH_REFUSALS = 11  # of late workers, on each of two databases, in the short form


class Storm:
    def __init__(self, scene: Scene, began: float, options: argparse.Namespace):
        self.scene, self.options = scene, options
        self.began, self.end = began, began + options.seconds
        share = "1/1" if options.thorough else options.share
        self.weather = Weather(scene.chance, faults.possible(options.database, share))
        self.holds = itertools.cycle([*holds.KINDS, ""])

    def run(self) -> None:
        scene, options = self.scene, self.options
        Contest(scene).play(options.contests, time.monotonic() + 0.15 * options.seconds)
        scene.say(f"contest over after {scene.tally.checked[1]} checks")
        scene.start_workers()
        scene.say("workers are ready")
        follower = Follower(scene)
        follower.start()
        Round(scene, [one for one in pick(scene, None) if one.new == OLD], []).play()  # installs everywhere, in calm
        reader = Reader(scene.places[0])
        reader.start()
        points = Points(scene, options.thorough, options.share)
        if options.thorough:
            points.play(self.began + 0.7 * options.seconds)
            while time.monotonic() < self.end - 6:
                self.storm()
        else:
            self.sample(points)
        ride(scene)
        self.quiet()
        outlive(scene)
        reader.end(scene)
        follower.end()
        check_overlaps(scene)
        scene.tally.points_met, scene.tally.points_missed = points.met(), points.missed()
        scene.tally.points_left = len(points.left()) if options.thorough else 0

    def sample(self, points: Points) -> None:
        """Run the short form: so many rounds of each sort, however long a busy machine takes for them."""
        for _ in range(2):
            points.mixed(5)
            points.late_workers()
        if self.scene.disk and self.scene.disk.made:
            points.full_disk()
        for _ in range(3):
            self.storm()
        self.what_is_missing(points)

    def what_is_missing(self, points: Points) -> None:
        """Repeat faults that found nothing to hit, and late workers until enough of them were refused."""
        for _ in range(3):
            missing = [fault for fault in self.weather.kinds if fault not in self.scene.hit]
            if missing:
                self.storm(missing)
            self.scene.count_up()
            if self.scene.tally.refused_by_rows + self.scene.tally.refused_by_hosts < ENOUGH_REFUSALS:
                points.late_workers()

    def storm(self, kinds: list[faults.Fault] | None = None) -> None:
        """One round of random weather, or of these faults."""
        scene = self.scene
        turns = pick(scene, None)
        if not turns:
            time.sleep(1)
            return
        chance = self.scene.chance
        for turn in turns:
            dress(scene, turn, chance)
        dealt = [(chance.uniform(0.5, 1.5), fault) for fault in kinds or []]
        things = dealt or self.weather.deal(chance.randint(3, 6))
        Round(scene, turns, things, hold=next(self.holds)).play()

    def quiet(self) -> None:
        """Run a last round without faults: everything still works."""
        Round(self.scene, pick(self.scene, None), []).play()


def outlive(scene: Scene) -> None:
    """Every server and connection goes away and comes again: the services do not notice."""
    before = scene.services()
    for sshd in scene.sshds:
        sshd.stop()
        sshd.start()
    after = scene.services()
    for place in scene.places:
        mine = before.get(str(place.shared))
        if mine:
            now = after.get(str(place.shared))
            scene.tally.check(20, now == mine, f"{place.name}: {mine} became {now}")


def dress(scene: Scene, turn, chance: random.Random) -> None:
    """Choose what one host's commands do in this round: fail, take long, or run as usual."""
    if turn.place.small_disk:
        return
    word = chance.choice(["pre", "stop", "migrate", "start", "post"])
    if chance.random() < 0.25:
        turn.fail = word
    elif chance.random() < 0.6:
        turn.slow = word
    turn.cancel = chance.random() < 0.15


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], required=True)
    parser.add_argument("--seconds", type=float, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hosts", type=int, default=10)
    parser.add_argument("--lease", type=int, default=3)
    parser.add_argument("--contests", type=int, default=20)
    parser.add_argument("--share", default="1/1", help="1/2 and 2/2: two storms side by side share the work")
    parser.add_argument("--thorough", action="store_true")
    parser.add_argument("--out", required=True)
    return parser.parse_args()


def _keep_logs(folder: Path, options: argparse.Namespace, tally: Tally) -> None:
    if tally.failures or sys.exc_info()[0] is not None:
        kept = Path(options.out).with_suffix(".logs")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(folder / "logs", kept)
        if (folder / "db.sqlite3").exists():
            shutil.copy(folder / "db.sqlite3", kept)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
