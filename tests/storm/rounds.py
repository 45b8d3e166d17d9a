"""One round: every free host gets a request, faults are injected, and once all is quiet everything is checked."""

import random
import signal
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

from deployer.engine.failpoints import Failpoint

from . import faults
from .checks import check_round
from .holds import Hold
from .installation import VERSIONS
from .plan import Item, Turn
from .quiet import Remainders, wait_for_ends
from .scene import Scene

AT_MOST_ASKED = 2.0  # seconds that the database gives no answer while late workers go on
OLD, NEW = VERSIONS


class Round:
    """`things`: (seconds from the start, fault). They are injected while the requests run."""

    def __init__(
        self,
        scene: Scene,
        turns: list[Turn],
        things: list[tuple[float, faults.Fault]],
        stops: tuple[Failpoint, ...] = (),
        hold: str = "",
    ):
        self.scene, self.turns, self.things = scene, turns, sorted(things, key=lambda thing: thing[0])
        self.stops = stops  # one worker after the other stands still at these points
        self.late: dict[int, float] = {}  # those, by process id: since when
        self._over = threading.Event()
        self.kinds: set[str] = set()
        self.ids: list[int] = []
        self.remainders = Remainders(scene)
        self.hold = Hold(scene, hold)

    def play(self) -> None:
        scene = self.scene
        scene.tally.rounds += 1
        before = frozenset(scene.ended)
        scene.tally.context = f"round {scene.tally.rounds} on {scene.tally.database}"
        for turn in self.turns:
            prepare(scene, turn)
        self.hold.begin()
        began = time.monotonic()
        if self.stops:
            scene.arm(self.stops[0], "stop")
        guard = threading.Thread(target=self._guard, daemon=True)
        guard.start()
        with ThreadPoolExecutor(8) as hands:
            requests = [hands.submit(self._request, key, turns) for key, turns in grouped(self.turns).items()]
            self._inject(requests)
        for request in requests:
            request.result()
        self._cancel()
        wait_for_ends(scene, self.remainders)
        self._over.set()
        guard.join()
        self._thaw()
        for turn in self.turns:
            if turn.place.disarm() and turn.item:
                turn.died = True
                turn.notes.append("crash point met")
        self.hold.end(self.turns)
        check_round(scene, self.turns, bool(self.kinds & BROKER), before)
        self._nothing_changed_afterwards()
        self.remainders.let_go()
        for turn in self.turns:
            turn.place.calm()
        took = f"{time.monotonic() - began:.1f} s"
        what = f"{sorted(self.kinds)}, {self.hold.kind or 'begins at once'}"
        scene.say(f"{scene.tally.context}: {len(self.turns)} hosts, {what}, {took}")

    def _inject(self, requests: list) -> None:
        began = time.monotonic()
        for seconds, fault in self.things:
            time.sleep(max(0.0, began + seconds - time.monotonic()))
            kind = fault(self.scene, self.scene.chance, self.turns)
            for _ in range(5):
                if kind:
                    break
                time.sleep(0.2)  # there was nothing to hit yet
                kind = fault(self.scene, self.scene.chance, self.turns)
            if kind:
                self.scene.hit.add(fault)
                self.kinds.add(kind)
                self.scene.tally.faults[kind] += 1

    def _request(self, key: tuple, turns: list[Turn]) -> None:
        action, old, new, _ = key
        scene = self.scene
        path, body = address(scene, action, old, new, turns)
        status, answer = scene.client.send("POST", path, body | self.hold.more())
        while status == 422 and "must_be_in_future" in str(answer):  # the web process was away until then
            status, answer = scene.client.send("POST", path, body | self.hold.more())
        if status == 202:
            for turn in turns:
                turn.deployment = answer["id"]
            self.ids.append(answer["id"])
            self.hold.answer(answer, turns[0].cancel)
        elif status != 409:  # 409: the system itself tries a failed delete again
            scene.tally.wrong(f"{path} answered {status} {answer}")

    def _cancel(self) -> None:
        for number in {turn.deployment for turn in self.turns if turn.cancel and turn.deployment}:
            status, answer = self.scene.client.send("POST", f"/deployments/{number}/cancel")
            if status not in (200, 409):
                self.scene.tally.wrong(f"cancel answered {status} {answer}")
            self.scene.tally.faults["cancelled"] += 1

    def _guard(self) -> None:
        while not self._over.wait(0.1):
            self._look_who_stands_still()

    def _look_who_stands_still(self) -> None:
        scene, now = self.scene, time.monotonic()
        for one in scene.self_stopped():
            if one.pid not in self.late:
                self.late[one.pid] = now
                scene.say(f"{one.name} stands still")
                scene.tally.faults["worker frozen"] += 1
                if len(self.late) < len(self.stops):
                    scene.arm(self.stops[len(self.late)], "stop")
                scene.takeovers.lost_by(one.pid, now)
            elif scene.postgres is None and scene.is_held():
                # It stopped with SQLite's one write lock, and no process can write meanwhile: for a moment it goes
                # on, and stops again at the same point.
                one.signal(signal.SIGCONT)

    def _thaw(self) -> None:
        """Who stood still goes on now, late; what it does is seen in the checks of this round and of the next ones."""
        late = self.scene.self_stopped()
        if not late:
            return
        self._nothing_changed_afterwards()
        # The rows would tell them at once that they are late. They cannot be asked, so it is the host that has to.
        kind = faults.no_answers(self.scene, AT_MOST_ASKED)
        self.scene.tally.faults[kind] += 1
        for one in late:
            self.scene.thaw(one)
        time.sleep(AT_MOST_ASKED + 2.5)

    def _nothing_changed_afterwards(self) -> None:
        """Check that what had ended stays as it was, whichever worker comes late."""
        tally, now = self.scene.tally, self.scene.rows(ends)
        for number, row in now.items():
            before = self.scene.ended.get(number, row)
            if row["takeovers"] or row != before:
                tally.check(7, row == before, f"operation {number} was changed after its end: {before} → {row}")
        self.scene.ended.update(now)


BROKER = {"broker killed", "broker emptied", "message sent ten times"}


def ends() -> dict[int, dict]:
    """Operations that have ended, as they are."""
    from microservice.models import Operation
    from microservice.status import OPERATION_ENDED

    columns = ("pk", "status", "finished", "output_size", "owner", "error", "fence", "bytes_sent", "takeovers")
    return {
        row["pk"]: row
        for row in Operation.objects.filter(status__in=OPERATION_ENDED).order_by("-pk").values(*columns)[:200]
    }


def states(scene: Scene) -> dict[int, tuple[str, str, str]]:
    """For each place that is free: (what it may do: "" absent, "well", or what failed; version; the other version)."""
    from microservice.models import MicroServiceInstance
    from microservice.status import FAILED_ACTION

    found = {}
    rows = {row.host_id: row for row in MicroServiceInstance.objects.select_related("version")}
    for place in scene.places:
        row = rows.get(place.asset_id)
        if row is None:
            found[place.number] = ("", "", "")
        elif not row.locked:
            failed = FAILED_ACTION.get(row.status)
            found[place.number] = (str(failed) if failed else "well", row.version.version if row.version else "", "")
    return found


def choices(state: tuple[str, str, str], number: int) -> list[tuple[str, str, str, str]]:
    """(asked, doing, old, new) that a place in this state may be told. Place 0 is never without a version."""
    what, version, _ = state
    if not what:
        return [("install", "install", "", OLD)]
    found = []
    if version and what not in ("delete", "install"):
        found.append(("upgrade", "upgrade", OLD, NEW) if version == OLD else ("revert", "revert", NEW, OLD))
    if number:
        found.append(("delete", "delete", version, ""))
    if what != "well":
        new = "" if what == "delete" else NEW if what == "upgrade" else OLD
        found.append(("retry", what, version, new))
    return found


def pick(scene: Scene, todo: list[Item] | None) -> list[Turn]:
    """Return a turn for every free place: one that the list still wants, if there is any; it is taken off the list."""
    turns, now = [], scene.rows(lambda: states(scene))
    for place in scene.places:
        if place.number not in now:
            continue
        allowed = choices(now[place.number], place.number)
        item, chosen = None, scene.chance.choice(allowed)
        if todo and place.number and not place.small_disk:
            item, chosen = wanted(todo, allowed, chosen)
        turns.append(Turn(place, *chosen, item=item, fail=item.fail if item else ""))
    return turns


def wanted(todo: list[Item], allowed: list[tuple], otherwise: tuple) -> tuple[Item | None, tuple]:
    for item in todo:
        for one in allowed:
            if one[1] == item.action and (one[0] == "retry") == item.retry:
                todo.remove(item)
                return item, one
    return None, otherwise


def prepare(scene: Scene, turn: Turn) -> None:
    place = turn.place
    place.calm()
    turn.mark = len(place.trace())
    acts = turn.new or turn.old
    if turn.fail and acts:
        place.at(turn.fail, turn.old if turn.fail == "stop" else acts, "exit 3")
        scene.tally.faults["step failed"] += 1
    if turn.slow and acts:
        place.at(turn.slow, turn.old if turn.slow == "stop" else acts, f"sleep {scene.chance.uniform(0.5, 4):.1f}")
    if turn.item:
        place.arm("\n".join(turn.item.points))
        turn.died = True
    if turn.new and scene.chance.random() < 0.5 and place.current != turn.new:
        import shutil

        shutil.rmtree(place.folder / "releases" / turn.new, ignore_errors=True)  # so that its package is sent again


def grouped(turns: list[Turn]) -> dict[tuple, list[Turn]]:
    """One request for all that ask for the same, and one for those of them that will be cancelled."""
    found: dict[tuple, list[Turn]] = defaultdict(list)
    for turn in turns:
        ends = {"upgrade": (turn.old, turn.new), "revert": (turn.old, turn.new), "install": ("", turn.new)}
        found[(turn.action, *ends.get(turn.action, ("", "")), turn.cancel)].append(turn)
    return found


def address(scene: Scene, action: str, old: str, new: str, turns: list[Turn]) -> tuple[str, dict]:
    """Where to post what, for one group of turns."""
    from microservice.models import MicroServiceInstance

    strategy = {"max_failures": 1000}
    hosts = [turn.place.asset_id for turn in turns]
    if action == "install":
        return f"/services/shop/versions/{scene.versions[new]}/install", {"host": hosts, "strategy": strategy}
    rows = MicroServiceInstance.objects.filter(host__in=hosts)
    there = scene.rows(lambda: dict(rows.values_list("pk", "host_id")))
    if action in ("delete", "retry"):
        return f"/services/shop/instances/{action}", {"instances": list(there)}
    body = {"host": list(there.values()), "dest_version": scene.versions[new], "strategy": strategy, "force": True}
    return f"/services/shop/versions/{scene.versions[old]}/{action}", body


class Weather:
    """Deals faults like cards: each kind comes before any comes a second time, in an order that chance gives."""

    def __init__(self, chance: random.Random, kinds: list[faults.Fault]):
        self._chance, self.kinds = chance, kinds
        self._cards: list[faults.Fault] = []

    def deal(self, count: int) -> list[tuple[float, faults.Fault]]:
        """So many faults, and when in a round: (seconds, fault)."""
        while len(self._cards) < count:
            self._cards += self._chance.sample(self.kinds, len(self.kinds))
        dealt, self._cards = self._cards[:count], self._cards[count:]
        return [(self._chance.uniform(0.3, 4.0), fault) for fault in dealt]
