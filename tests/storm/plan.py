"""The lines that each action's commands write, in order, and where a run can die: from the service's definition."""

from dataclasses import dataclass, field

from deployer.engine.failpoints import HostFailpoint

STEPS = {
    "install": ["prepare", "upload", "unpack", "pre", "link", "migrate", "start", "check", "post", "prune"],
    "upgrade": ["prepare", "upload", "unpack", "pre", "stop", "link", "migrate", "start", "check", "post", "prune"],
    "delete": ["prepare", "pre", "stop", "unlink", "remove", "post"],
}
STEPS["revert"] = STEPS["upgrade"]
UNDOABLE = {"pre", "stop", "link", "unlink", "migrate", "start", "remove"}
OF_A_STEP = (HostFailpoint.BEFORE, HostFailpoint.STARTED, HostFailpoint.EFFECT, HostFailpoint.DONE)
OF_AN_UNDO = (HostFailpoint.UNDO, HostFailpoint.UNDOING, HostFailpoint.UNDO_EFFECT, HostFailpoint.UNDONE)
COMMANDS = ("pre", "stop", "migrate", "start", "post")


def forward(action: str, old: str, new: str) -> list[str]:
    """Return the trace of an operation that succeeds. A delete of what was never installed stops nothing."""
    own = new if action != "delete" else old
    words = [word for word in STEPS[action] if word in COMMANDS and not (word == "stop" and not old)]
    return [f"{word} {old if word == 'stop' else own}" for word in words]


def undo_of(line: str, old: str, new: str) -> str:
    """Return the line that undoing `line` writes."""
    word, _, version = line.partition(" ")
    if word == "stop":
        return f"start {version}"
    if word == "start":
        return f"stop {version}"
    return f"undo-{word} {old or new}"


def split(trace: list[str], expected: list[str]) -> tuple[list[str], list[str]]:
    """Split a trace into what went forward, and what came after it."""
    length = 0
    while length < min(len(trace), len(expected)) and trace[length] == expected[length]:
        length += 1
    return trace[:length], trace[length:]


def in_reverse(done: list[str], undone: list[str], old: str, new: str, repeated: bool) -> bool:
    """Return whether `undone` undoes lines of `done`, last first, each once (`repeated`: an interrupted one again)."""
    wanted = [undo_of(line, old, new) for line in reversed(done)]
    at = 0
    for number, line in enumerate(undone):
        if repeated and number and line == undone[number - 1]:
            continue
        if line not in wanted[at:]:
            return False
        at = wanted.index(line, at) + 1
    return True


@dataclass(frozen=True)
class Item:
    """One thing to try: this action (or a retry of it), dying at these points, with or without a step that fails."""

    action: str
    points: tuple[str, ...]
    fail: str = ""  # the command that fails: its undo follows
    retry: bool = False

    @property
    def name(self) -> str:
        how = f"{'retry of ' if self.retry else ''}{self.action}{' undone' if self.fail else ''}"
        return f"{how}: {', '.join(self.points)}"


def items(retry: bool = True) -> list[Item]:
    """Every crash point on a host × every action, and its undo."""
    found = []
    for action, steps in STEPS.items():
        points = [HostFailpoint.BEGUN, HostFailpoint.ENDING, HostFailpoint.ENDED]
        points += [f"{point} {step}" for step in steps for point in OF_A_STEP]
        if "link" in steps:
            points.append(HostFailpoint.SWAP)
        if "remove" in steps:
            points.append(HostFailpoint.REMOVING)
        found += [Item(action, (str(point),)) for point in points]
        undos = [HostFailpoint.ENDING, HostFailpoint.ENDED]
        undos += [f"{point} {step}" for step in steps if step in UNDOABLE for point in OF_AN_UNDO]
        found += [Item(action, (str(point),), fail="post") for point in undos]
        if "stop" in steps:
            found += [
                Item(action, ("effect stop", str(HostFailpoint.RECOVERING))),
                Item(action, ("effect stop", "undoing stop")),
                Item(action, ("effect stop", "undo_effect stop", "undo_effect pre")),
            ]
    again = [Item(one.action, one.points, one.fail, retry=True) for one in found]
    return found + again if retry else found


@dataclass
class Turn:
    """What one host does in a round, and what is done to it."""

    place: object
    action: str  # what is asked for: install, upgrade, revert, delete or retry
    doing: str  # what its operation does: the same, or what is retried
    old: str
    new: str
    item: Item | None = None
    fail: str = ""
    slow: str = ""
    cancel: bool = False
    mark: int = 0  # lines of trace before it
    died: bool = False  # its run was killed, at a crash point or anywhere
    torn: bool = False  # anywhere: maybe in the middle of a command
    cut: bool = False  # its line was
    rebooted: bool = False
    full: bool = False
    deployment: int = 0
    notes: list[str] = field(default_factory=list)
