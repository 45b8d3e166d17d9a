"""What a run on a host says about itself.

A line of the journal file, fields of the head parted by one space, then three texts, each after a tab:

    SEQ TIME KIND POSITION STEP STATUS<tab>OLD<tab>NEW<tab>DETAIL

- SEQ counts from 1 and never goes back, also over a second start or a recovery of the same run.
- TIME is hundredths of a second since 1970: the time the program was given, plus what /proc/uptime grew by since.
- POSITION counts the atom's steps from 0; it is `-` where the event is about the run, and so is STEP.
- STATUS is a command's exit status, or `-`.
- OLD and NEW are the step's states; for `end` they are the result and the size of the whole output in bytes.
- DETAIL is a reason, a name and its values with 0x1E before each (step_reasons.py); of several, with 0x1F between. For
  `started` and `undoing` it is how many bytes had been printed by then. For `failed` and `undo_failed` it is CODE, a
  reason, and the lines that the step printed last, with 0x1F between: the reader takes the line that names the cause
  (error_lines.py). Programs of older versions sent sentences in the place of reasons.

On standard error the same line follows `@NONCE `, so that nothing a login shell prints can be taken for it; on standard
output the line `@NONCE output` stands before the run's output, for the same reason.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from messages import Message

from . import step_reasons
from .error_lines import cause
from .text import decode

MAX_LINE = 8192
MAX_TEXT = 500  # characters: as the program on the host cuts them (runner/events.sh)
_HEAD = re.compile(rb"(\d{1,12}) (\d{1,18}) ([a-z_]{1,16}) (-|\d{1,4}) (-|[A-Za-z0-9._-]{1,64}) (-|\d{1,3})\Z")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class Kind(StrEnum):
    """What happened."""

    BEGUN = "begun"  # a process on the host took the run up: at its start, and again when it is recovered
    NEED = "need"  # the package is awaited on standard input
    HAVE = "have"  # the release is on the host already: no byte will be read
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    UNDOING = "undoing"
    UNDONE = "undone"
    UNDO_FAILED = "undo_failed"
    END = "end"  # nothing of the run lives any more


class Result(StrEnum):
    """How a run ended."""

    DONE = "done"  # every step was done
    UNDONE = "undone"  # a step failed, or the run died; what had been done was undone
    CANCELLED = "cancelled"  # the same, on request
    FAILED = "failed"  # something is left that could not be undone: `detail` names it
    CUT = "cut"  # the package did not come whole, and nothing was touched: start the same operation again


@dataclass(frozen=True)
class JournalEvent:
    """One line. `at`: seconds since 1970; `position` and `step`: None and "" where it is about the whole run.

    `reason`: why, or a remark; `detail` is the sentence of a program of an older version in its place.
    """

    seq: int
    at: float
    kind: Kind
    position: int | None = None
    step: str = ""
    old_state: str = ""
    new_state: str = ""
    exit_status: int | None = None
    detail: str = ""
    reason: Message | None = None
    code: str = ""  # FAILED and UNDO_FAILED only: what went wrong, where the host's program knows it (codes.py)
    printed: int | None = None  # STARTED and UNDOING only: bytes of output before it
    result: Result | None = None  # END only
    output_size: int | None = None  # END only: bytes of output there are in all

    @property
    def why(self) -> Message | str:
        return self.reason or self.detail


def parse(line: bytes, encoding: str = "") -> JournalEvent | None:
    """Parse one journal line (without nonce and newline); None if it is not an event. `encoding`: of what commands
    print, see text.py."""
    head, *texts = line[:MAX_LINE].split(b"\t", 3)
    match = _HEAD.match(head)
    if match is None or len(texts) != 3:
        return None
    seq, at, kind, position, step, status = (part.decode("ascii") for part in match.groups())
    if kind not in Kind.__members__.values():
        return None
    code, printed, why = "", None, None
    if kind in (Kind.FAILED, Kind.UNDO_FAILED):
        code, why, texts[2] = _failure(texts[2], encoding)
    elif kind not in (Kind.STARTED, Kind.UNDOING):
        why = _reasons(texts[2], encoding)
    old, new, detail = (_clean(text, encoding) for text in texts)
    if kind in (Kind.STARTED, Kind.UNDOING):
        printed, detail = int(detail) if re.fullmatch(r"\d{1,15}", detail, re.ASCII) else None, ""
    event = JournalEvent(
        seq=int(seq),
        at=int(at) / 100,
        kind=Kind(kind),
        position=None if position == "-" else int(position),
        step="" if step == "-" else step,
        old_state=old,
        new_state=new,
        exit_status=None if status == "-" else int(status),
        detail="" if why else detail,
        reason=why,
        code=code,
        printed=printed,
    )
    return _end(event) if event.kind is Kind.END else event


class JournalReader:
    """Takes a channel's standard error as it comes, and gives back the events in it.

    What is no event of this nonce is `noise`: its last 2,000 bytes are kept, for the words of an error.
    """

    def __init__(self, nonce: str, encoding: str = ""):
        self._encoding = encoding
        self._mark = b"@" + nonce.encode("ascii") + b" "
        self._rest = b""
        self._skipping = False
        self.noise = b""
        self.noise_size = 0  # all of it
        self.about = ""  # what the program names with its answer (program.Answer)
        self.signed = False  # a line of our program came, an event or an answer (runner/variables.sh)

    def feed(self, data: bytes) -> list[JournalEvent]:
        """Return the events whose lines were completed by `data`."""
        *lines, rest = (self._rest + data).split(b"\n")
        events, noise = [], []
        if self._skipping and lines:
            noise.append(lines.pop(0))
            self._skipping = False
        for line in lines:
            if line.startswith(self._mark + b"answer"):
                self.signed = True
                self.about = decode(line[len(self._mark) + len(b"answer ") :])[:MAX_TEXT]
                continue
            event = parse(line[len(self._mark) :], self._encoding) if line.startswith(self._mark) else None
            if event is None:
                noise += [line, b"\n"]
            else:
                events.append(event)
                self.signed = True
        if self._skipping or len(rest) > MAX_LINE:
            # A line without an end must not fill the memory.
            noise.append(rest)
            rest, self._skipping = b"", True
        self._rest = rest
        self._keep_noise(b"".join(noise))
        return events

    def _keep_noise(self, noise: bytes) -> None:
        self.noise_size += len(noise)
        self.noise = (self.noise + noise[-2000:])[-2000:]


class OutputReader:
    """Takes a channel's standard output as it comes, and gives back the run's: all that follows the mark.

    What comes before it is `noise`, as in `JournalReader`: the greeting of a login shell, or what a host printed
    that did not run the program.
    """

    def __init__(self, nonce: str):
        self._mark = b"@" + nonce.encode("ascii") + b" output\n"
        self.begun = False
        self.noise = b""
        self.noise_size = 0

    def feed(self, data: bytes) -> bytes:
        """Return the run's output in `data`."""
        if self.begun:
            return data
        # The mark may be cut in two; a greeting may end without a line's end, so it is looked for anywhere.
        unread = self.noise + data
        at = unread.find(self._mark)
        self.begun = at >= 0
        before, rest = (unread[:at], unread[at + len(self._mark) :]) if self.begun else (unread, b"")
        self.noise_size += len(before) - len(self.noise)
        self.noise = before[-2000:]
        return rest


def _end(event: JournalEvent) -> JournalEvent | None:
    if event.old_state not in Result.__members__.values() or not re.fullmatch(r"\d{1,15}", event.new_state, re.ASCII):
        return None
    return JournalEvent(
        seq=event.seq,
        at=event.at,
        kind=event.kind,
        detail=event.detail,
        reason=event.reason,
        result=Result(event.old_state),
        output_size=int(event.new_state),
    )


def _failure(detail: bytes, encoding: str) -> tuple[str, Message | None, bytes]:
    """Return the code, the reason with the line of output that names the cause, and a sentence where it is one."""
    code, *rest = detail.split(b"\x1f")
    if not rest:
        return "", None, detail
    known = decode(code)
    printed = _CONTROL.sub(" ", cause(decode(b"\n".join(rest[1:]), encoding).split("\n")))[:MAX_TEXT].strip()
    why = step_reasons.with_output(_reason(rest[0]) or decode(rest[0]), printed)
    code_ = known if re.fullmatch(r"[a-z_]{1,32}", known) else ""
    return (code_, why, b"") if isinstance(why, Message) else (code_, None, why.encode())


def _reasons(detail: bytes, encoding: str) -> Message | None:
    """Return the reasons of a step that did not fail: one, or all of them."""
    reasons = [part for part in map(_reason, detail.split(b"\x1f")) if part]
    return Message("reason.several", {"reasons": reasons}) if len(reasons) > 1 else next(iter(reasons), None)


def _reason(text: bytes) -> Message | None:
    values = [_CONTROL.sub(" ", value)[:MAX_TEXT].strip() for value in decode(text).split(step_reasons.VALUE)]
    return step_reasons.parse(step_reasons.VALUE.join(values))


def _clean(text: bytes, encoding: str = "") -> str:
    return _CONTROL.sub(" ", decode(text, encoding))[:MAX_TEXT].strip()
