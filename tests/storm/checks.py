"""After a round, when everything is quiet: do rows, hosts and processes say the same, and is it what was promised?"""
import re
from typing import TYPE_CHECKING

from .places import LINES, contents
from .plan import Turn, forward, in_reverse, split, undo_of
from .tally import Tally

if TYPE_CHECKING:
    from .scene import Scene


def check_round(scene: "Scene", turns: list[Turn], kinds: set[str]) -> None:
    """Promises 2 to 9, 13, 17 and 18 for every host that had something to do; 4 and 13 for all."""
    from microservice.models import MicroServiceInstance, Operation

    living = scene.services()
    rows = scene.rows(lambda: {
        row.host_id: row for row in MicroServiceInstance.objects.select_related("version", "host")
    })  # fmt: skip
    for turn in turns:
        if not turn.deployment:
            continue
        operation = scene.rows(
            lambda turn=turn: Operation.objects.filter(
                deployment_id=turn.deployment, host_id=turn.place.asset_id
            ).first()
        )
        if scene.tally.check(2, operation is not None, f"{turn.place.name}: an accepted request left no operation"):
            check_operation(scene, turn, operation, kinds)
    for place in scene.places:
        agree(scene.tally, place, rows.get(place.asset_id), living)


def check_operation(scene: "Scene", turn: Turn, operation, kinds: set[str]) -> None:
    from microservice.models import Output, Step

    tally, place = scene.tally, turn.place
    who = f"operation {operation.pk} ({turn.action} {turn.doing} {turn.old}→{turn.new} on {place.name}, {turn.item and turn.item.name}, {turn.notes})"
    steps = scene.rows(lambda: list(Step.objects.filter(operation=operation).order_by("position")))
    output = scene.rows(lambda: list(Output.objects.filter(operation=operation).order_by("start")))
    trace = place.trace(turn.mark)
    tally.context = f"round {tally.rounds} on {tally.database}"
    story = f"{operation.status}, error {operation.error!r}, trace {trace}, steps {[(s.name, s.status) for s in steps]}"
    good = ended(tally, operation, who, story)
    expected = forward(turn.doing, turn.old, turn.new)
    done, undone = split(trace, expected)
    if operation.status == "succeeded":
        tally.check(3, trace == expected, f"{who} ran {trace}, not {expected}")
        check = next((step for step in steps if step.name == "check"), None)
        if turn.doing != "delete":
            tally.check(17, check is not None and check.status == "done", f"{who} succeeded, and its check is {check and check.status}")
        tally.check(4, {step.status for step in steps} <= {"done"}, f"{who} succeeded with steps {story}")
    elif operation.status in ("undone", "cancelled"):
        # What died in a step may have had its effect, so it is undone as well.
        begun = expected[: len(done) + 1] if turn.died else done
        whole = in_reverse(begun, undone, turn.old, turn.new, repeated=turn.died)
        needed = [undo_of(line, turn.old, turn.new) for line in done[:-1]]
        if not turn.died:
            whole = whole and all(line in undone for line in needed)
        tally.check(5, whole, f"{who}: forward {done}, then {undone}")
        tally.check(3, whole, f"{who}: forward {done}, then {undone}")
        tally.check(5, place.damage(packages()) == "", f"{who}: {place.damage(packages())}")
        if operation.status == "undone":
            tally.check(18 if turn.full or turn.rebooted else 5, operation.error, f"{who} is undone and does not say why")
    else:
        tally.check(5, False, f"{who}: {story}")
    whole = complete(output, operation, trace, turn)
    tally.check(6, whole == "", f"{who}: {whole}")
    if "broker" in kinds:
        tally.check(8, good, f"{who}: {story}")
    if turn.cancel:
        left = place.runs_alive()
        tally.check(9, not left and good and operation.status != "failed", f"{who}: {left} live on; {story}")


def ended(tally: Tally, operation, who: str, story: str) -> bool:
    from microservice.status import OPERATION_ENDED

    return tally.check(2, operation.status in OPERATION_ENDED and not operation.owner, f"{who} has no end: {story}")


def complete(output: list, operation, trace: list[str], turn: Turn) -> str:
    """What is wrong with an operation's output: a gap, a double, or other lines than its commands wrote."""
    at = 0
    for piece in output:
        if piece.start != at:
            return f"output has a piece at {piece.start}, where {at} follows"
        at += len(piece.data)
    if at != operation.output_size:
        return f"output has {at} bytes, and its row says {operation.output_size}"
    text = b"".join(bytes(piece.data) for piece in output).decode(errors="replace")
    said = re.findall(r"^said (.*)$", text, re.MULTILINE)
    if said != trace and not (turn.died and is_almost(said, trace)):
        return f"commands wrote {trace} and the output says {said}"
    lines = re.findall(r"^line (\d+) of", text, re.MULTILINE)
    if lines not in ([], [str(number) for number in range(LINES)]) and not turn.died:
        return f"the hook's lines arrived as {lines}"
    return ""


def is_almost(said: list[str], trace: list[str]) -> bool:
    """A command that was killed between its line in the trace and the same line in its output left one line out."""
    rest = iter(trace)
    return all(line in rest for line in said) and len(trace) - len(said) <= 3


def agree(tally: Tally, place, row, living: dict[str, list[int]]) -> None:
    """The row, `current` and the process name one version; and every release is exactly its package."""
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
    from .scene import VERSIONS

    return {version: contents(version) for version in VERSIONS}


def check_overlaps(scene: "Scene") -> None:
    """No instance was ever in two operations at the same time, by the rows' own times."""
    from microservice.models import Operation

    seen: dict[int, list] = {}
    columns = ("instance_number", "started", "finished", "pk")
    for number, started, finished, pk in Operation.objects.filter(started__isnull=False).order_by("pk").values_list(*columns):
        seen.setdefault(number, []).append((started, finished, pk))
    for number, spans in seen.items():
        for (_, finished, one), (started, _, other) in zip(spans, spans[1:], strict=False):
            overlapped = number and (finished is None or started < finished)
            if overlapped:
                scene.tally.check(1, False, f"operations {one} and {other} held instance {number} together")
        scene.tally.check(1, True, "")
