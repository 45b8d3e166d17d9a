"""Crash points by the list: every one × every action, and on hosts × every undo as well."""

import time
from collections import Counter

from deployer.engine.failpoints import Failpoint

from .holds import APPROVAL, SCHEDULE
from .plan import Item, Turn, items
from .rounds import Round, pick
from .scene import Scene

ACTIONS = ("install", "upgrade", "revert", "delete", "retry")
NEVER = (Failpoint.ANSWERED, "retry")  # nobody is asked about it
OF_WAITS = {Failpoint.HELD: SCHEDULE, Failpoint.RELEASED: SCHEDULE, Failpoint.ANSWERED: APPROVAL}
# Points that are only met after another one was.
FIRST = {Failpoint.TAKEN_OVER: Failpoint.CLAIMED, Failpoint.SWEPT: Failpoint.ACCEPTED}


class Points:
    """Walks through the list; `thorough`: all of it, else a sample that is another one with every seed."""

    def __init__(self, scene: Scene, thorough: bool, share: str = "1/1"):
        self.scene, self.thorough = scene, thorough
        self.on_hosts = items(retry=thorough)
        actions = ACTIONS if thorough else ("any",)
        self.in_processes = [(point, action) for action in actions for point in Failpoint if (point, action) != NEVER]
        # Two databases side by side have half each: of what dies on hosts, which know of no database; and in the short
        # form of what dies in processes.
        which, of = map(int, share.split("/"))
        if thorough:
            self.on_hosts = self.on_hosts[which - 1 :: of]
        else:
            self.in_processes = self.in_processes[which - 1 :: of]
        scene.chance.shuffle(self.on_hosts)
        scene.chance.shuffle(self.in_processes)
        self._met: Counter[str] = Counter()
        self._tries: Counter[str] = Counter()
        self._wanted: set[str] = set()

    def play(self, until: float) -> None:
        """Run rounds until the list is done or the time is over, with late workers in between."""
        number = 0
        while time.monotonic() < until and (self.on_hosts or self.in_processes):
            number += 1
            if number % 8 == 2:
                self.late_workers()
            elif number % 8 == 6 and self.scene.disk and self.scene.disk.made:
                self.full_disk()
            elif number % 2 and self.in_processes:
                self.one_in_processes()
            else:
                self.mixed(0)

    def mixed(self, count: int) -> None:
        """Hosts die at points of their own, and some of our processes at others, in one round."""
        turns = pick(self.scene, self.on_hosts)
        points = [self.in_processes.pop() for _ in range(min(count, len(self.in_processes)))]
        self._play(turns, [point for point, _ in points], "any")

    def one_in_processes(self) -> None:
        """Run a round for a point and an action: no other action is requested, so it is this one that is met."""
        turns = pick(self.scene, None)
        doable = {turn.action for turn in turns if turn.place.number}
        found = next((one for one in self.in_processes if one[1] in doable), None)
        if found is None:  # no host allows what is left: a round that makes other states
            self._play([self._failing(turn) for turn in turns], [], "any")
            return
        self.in_processes.remove(found)
        self._play([turn for turn in turns if turn.action == found[1]], [found[0]], found[1])

    def _failing(self, turn: Turn) -> Turn:
        turn.fail = "post" if self.scene.chance.random() < 0.5 else ""
        return turn

    def _play(self, turns: list[Turn], points: list[Failpoint], action: str) -> None:
        if not turns:
            return
        scene = self.scene
        for point in points:
            for one in (FIRST.get(point), point):
                if one:
                    scene.arm(one)
                    self._wanted.add(f"{one} × {action}")
        on_hosts = [turn for turn in turns if turn.item]
        held = {OF_WAITS[point] for point in points if point in OF_WAITS}
        Round(scene, turns, [], hold=APPROVAL if APPROVAL in held else "".join(held)).play()
        missed = scene.disarm()
        if missed and self.thorough:
            self._try_again([(point, action) for point in points if point in missed], self.in_processes)
        for name in {str(one) for point in points for one in (FIRST.get(point), point) if one} - set(missed):
            self._met[f"{name} × {action}"] += 1
            scene.tally.faults["crash point in a process"] += 1
        for turn in on_hosts:
            self._count(turn)

    def _count(self, turn: Turn) -> None:
        item: Item = turn.item
        self._wanted.add(item.name)
        if "crash point met" in turn.notes:
            self._met[item.name] += 1
            self.scene.tally.faults["crash point on a host"] += 1
        elif self.thorough:
            self._try_again([item], self.on_hosts)

    def _try_again(self, some: list, todo: list) -> None:
        """Move what was not met to the end of the list, twice at most."""
        for one in some:
            self._tries[str(one)] += 1
            if self._tries[str(one)] <= 2:
                todo.append(one)

    def late_workers(self) -> None:
        """Workers stand still until others have ended what they had; then they go on."""
        scene = self.scene
        turns = [turn for turn in pick(scene, None) if not turn.place.small_disk]
        for turn in turns:
            turn.slow = "pre"
        # One has not yet spoken to its host, one has heard the end; one is left to take over what they had.
        Round(scene, turns, [], stops=(Failpoint.SENDING, Failpoint.END_READ)).play()
        scene.disarm()

    def full_disk(self) -> None:
        """Fill the last host's disk before anything is requested there: the old version runs on."""
        scene = self.scene
        turns = [turn for turn in pick(scene, None) if turn.place.small_disk and turn.action != "retry"]
        if not turns or not scene.disk:
            self.mixed(3)
            return
        before = turns[0].place.current
        leave = scene.chance.choice([0, 0, 60_000]) if self.thorough else 0
        scene.disk.fill(leave)
        scene.tally.faults["disk full"] += 1
        for turn in turns:
            turn.full = turn.died = turn.torn = True
            turn.notes.append(f"disk full, {leave} bytes left")
        try:
            Round(scene, turns, []).play()
            if leave == 0:
                same = turns[0].place.current == before
                scene.tally.check(18, same, f"{turns[0].place.name} went on with a full disk")
        finally:
            scene.disk.empty()

    def met(self) -> list[str]:
        return sorted(self._met)

    def missed(self) -> list[str]:
        """Return the points that were tried and never met."""
        return sorted(self._wanted - set(self._met) - set(self.left()))

    def left(self) -> list[str]:
        """Return the points that there was no time for."""
        return [f"{point} × {action}" for point, action in self.in_processes] + [item.name for item in self.on_hosts]
