"""The checks after a round: rows, hosts and processes agree, and every promise was kept."""

import re
import time
from collections.abc import Collection
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from .places import LINES, contents
from .plan import Turn, forward, in_reverse, split, undo_of
from .tally import Tally

if TYPE_CHECKING:
    from .scene import Scene

CANCEL_TAKES = 10  # seconds, at most, until nothing of a cancelled operation lives


def check_round(scene: "Scene", turns: list[Turn], broker: bool, before: Collection[int] = ()) -> None:
    """Promises 2 to 9, 17 and 18 for every host that had something to do; 4 and 13 for all. `broker`: it was hit.
    `before`: the operations that had ended before the round."""
    from microservice.models import MicroServiceInstance

    living, tally = scene.services(), scene.tally
    tally.context = f"round {tally.rounds} on {tally.database}"
    instances = scene.rows(lambda: list(MicroServiceInstance.objects.select_related("version", "host")))
    rows = {row.host_id: row for row in instances}
    for turn in turns:
        found = operations_of(scene, turn, before)
        if turn.deployment:
            left = any(operation.deployment_id == turn.deployment for operation in found)
            tally.check(2, left, f"{turn.place.name}: an accepted request left no operation")
        for operation in found:
            requested = operation.deployment_id == turn.deployment
            Look(scene, turn if requested else replace(turn, cancel=False), operation).all(broker)
        late = {number for number, _ in turn.place.trace(turn.mark)}.intersection(before)
        tally.check(7, not late, f"{turn.place.name}: commands of {late} ran, which had ended before")
    for place in scene.places:
        agree(tally, place, rows.get(place.asset_id), living)


def operations_of(scene: "Scene", turn: Turn, before: Collection[int]) -> list:
    """Return the operations of a turn's host in this round: the requested one, and others. The sweep retries a failed
    delete after half a minute, which a round on a busy machine lasts; and a client without an answer repeats its
    request."""
    from microservice.models import Operation

    mine = Operation.objects.filter(host_id=turn.place.asset_id, deployment__microservice=scene.service)
    return scene.rows(lambda: list(mine.exclude(pk__in=before).order_by("pk")))


class Look:
    """One operation of a round, with what it left in rows and on its host."""

    def __init__(self, scene: "Scene", turn: Turn, operation):
        from microservice.models import Output, Step

        self.tally, self.turn, self.operation, self.place = scene.tally, turn, operation, turn.place
        steps, output = Step.objects.filter(operation=operation), Output.objects.filter(operation=operation)
        self.steps = scene.rows(lambda: list(steps.order_by("position")))
        self.output = scene.rows(lambda: list(output.order_by("start")))
        self.trace = [line for number, line in turn.place.trace() if number == operation.pk]
        self.expected = forward(turn.doing, turn.old, turn.new)
        self.done, self.undone = split(self.trace, self.expected)
        self.who = (
            f"operation {operation.pk} ({turn.action} {turn.doing} {turn.old}→{turn.new} on {turn.place.name}, "
            f"{turn.item and turn.item.name}, {turn.notes})"
        )
        steps_in_short = [(step.name, step.status) for step in self.steps]
        self.story = f"{operation.status}, error {operation.error!r}, trace {self.trace}, steps {steps_in_short}"

    def still_alive(self) -> list[int]:
        """Return what still runs after the time that a cancel may take. An ended run tidies up for a moment."""
        deadline = time.monotonic() + CANCEL_TAKES
        while (left := self.place.runs_alive()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    def check(self, promise: int, holds: object, words: str) -> bool:
        return self.tally.check(promise, holds, f"{self.who}: {words}")

    def all(self, broker: bool) -> None:
        from microservice.status import OPERATION_ENDED

        status = self.operation.status
        ended = self.check(2, status in OPERATION_ENDED and not self.operation.owner, f"it has no end: {self.story}")
        if status == "succeeded":
            self.succeeded()
        elif status in ("undone", "cancelled"):
            self.went_back()
        else:
            self.check(5, False, self.story)
        wrong = complete(self.output, self.operation, self.trace, self.turn)
        self.check(6, wrong == "", wrong)
        if broker:
            self.check(8, ended, self.story)
        if self.turn.cancel:
            left = self.still_alive()
            self.check(9, not left and ended and status != "failed", f"{left} live on; {self.story}")

    def succeeded(self) -> None:
        self.check(3, self.trace == self.expected, f"it ran {self.trace}, not {self.expected}")
        self.check(4, {step.status for step in self.steps} <= {"done"}, f"it succeeded with {self.story}")
        seen = next((step.status for step in self.steps if step.name == "check"), None)
        if self.turn.doing != "delete":
            self.check(17, seen == "done", f"it succeeded, and its check is {seen}")

    def went_back(self) -> None:
        turn = self.turn
        # What died in a step may have had its effect, so it is undone as well.
        begun = self.expected[: len(self.done) + 1] if turn.died else self.done
        right = in_reverse(begun, self.undone, turn.old, turn.new, repeated=turn.died)
        if not turn.died:  # the last one is what failed
            right = right and all(undo_of(line, turn.old, turn.new) in self.undone for line in self.done[:-1])
        for promise in (3, 5):
            self.check(promise, right, f"forward {self.done}, then {self.undone}")
        damage = self.place.damage(packages())
        self.check(5, damage == "", damage)
        if self.operation.status == "undone":
            promise = 18 if turn.full or turn.rebooted else 5
            self.check(promise, self.operation.error, "it is undone and does not say why")


def complete(output: list, operation, trace: list[str], turn: Turn) -> str:
    """Return what is wrong with an operation's output: a gap, a repetition, or lines that no command wrote."""
    at = 0
    for piece in output:
        if piece.start != at:
            return f"output has a piece at {piece.start}, where {at} follows"
        at += len(piece.data)
    if at != operation.output_size:
        return f"output has {at} bytes, and its row says {operation.output_size}"
    text = b"".join(bytes(piece.data) for piece in output).decode(errors="replace")
    said = re.findall(r"^said (.*)$", text, re.MULTILINE)
    if said != trace and not (turn.torn and is_almost(said, trace)):
        return f"commands wrote {trace} and the output says {said}"
    lines = re.findall(r"^line (\d+) of", text, re.MULTILINE)
    if lines not in ([], [str(number) for number in range(LINES)]) and not turn.torn:
        return f"the hook's lines arrived as {lines}"
    return ""


def is_almost(lines: list[str], trace: list[str]) -> bool:
    """Return whether lines are only missing: a killed command may have written to the trace, not to its output."""
    rest = iter(trace)
    return all(line in rest for line in lines) and len(trace) - len(lines) <= 3


def agree(tally: Tally, place, row, living: dict[str, list[int]]) -> None:
    """Check that row, `current` and process have the same version; and that every release is exactly its package."""
    version = row.version.version if row is not None and row.version else ""
    processes = living.get(str(place.shared), [])
    running = ""
    if processes:
        path = place.shared / "running"
        running = path.read_text().strip() if path.exists() else "a process without a name"
    words = f"{place.name}: row {version!r}, current {place.current!r}, running {running!r}, processes {processes}"
    quiet = row is None or not row.locked
    tally.check(2, quiet, f"{place.name} is still locked by deployment {row and row.lock_deployment_id}")
    if not quiet:
        return
    right = place.current == version and len(processes) <= 1
    right = right and (running == version or (place.silent_service and not running))
    tally.check(4, right, words)
    if row is not None and row.status == 0 and not place.silent_service:
        tally.check(17, running == version, words)
    damage = place.damage(packages())
    tally.check(13, damage == "", damage)


def packages() -> dict[str, dict[str, str]]:
    from .installation import VERSIONS

    return {version: contents(version) for version in VERSIONS}


def check_overlaps(scene: "Scene") -> None:
    """No instance was ever in two operations at the same time, by the rows' own times."""
    from microservice.models import Operation

    seen: dict[int, list] = {}
    rows = Operation.objects.filter(started__isnull=False).order_by("pk")
    for number, started, finished, pk in rows.values_list("instance_id_snapshot", "started", "finished", "pk"):
        seen.setdefault(number, []).append((started, finished, pk))
    for number, spans in seen.items():
        for (_, finished, one), (started, _, other) in pairwise(spans):
            overlapped = number and (finished is None or started < finished)
            if overlapped:
                scene.tally.check(1, False, f"operations {one} and {other} held instance {number} together")
        scene.tally.check(1, True, "")
