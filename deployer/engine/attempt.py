"""One program on a host: its input goes out while events and output come in, until there is nothing more to hear."""

import time
from collections.abc import Callable
from typing import Protocol

from . import deadlines
from .atom import Atom
from .errors import DoesNotFit, Overdue, SlowShell, WireError
from .failpoints import Failpoint, failpoint
from .journal import JournalEvent, JournalReader, Kind, OutputReader
from .limits import MAX_NOISE, Expected, max_output
from .program_input import ProgramInput
from .run_state import AttemptResult, Mode
from .ssh import Channel
from .text import decode

POLL_INTERVAL = 0.25  # seconds between two checks whether the operation is lost or cancelled
DRAIN_FOR = 2.0  # seconds to wait for more after the exit status, where something holds the stream open
# Seconds: a host reports its steps in many small packets, and handling each alone costs more than the steps. Nothing
# is gathered after the end.
GATHER_FOR = 0.004
MAX_BURST = 1 << 20  # bytes sent before the streams are looked at again


class RunObserver(Protocol):
    """Gets what happens, and says whether to go on. The thread that carries the operation out calls it."""

    def events(self, seen: list[JournalEvent]) -> None: ...

    def output(self, start: int, data: bytes) -> None: ...

    def sent(self, count: int) -> None: ...

    def cancelled(self) -> bool: ...

    def lost(self) -> bool: ...


class Delivered:
    """What the observer got, over all attempts: each event and each byte of output once, in order, and nothing that the
    plan does not allow. `seconds`: how long all attempts together may take."""

    def __init__(self, watch: RunObserver, atom: Atom, seen: int, position: int, seconds: float):
        self.watch = watch
        self.seconds = seconds
        self._until = time.monotonic() + seconds
        self._expected, self._max_output = Expected(atom), max_output(atom)
        self.seen = seen  # the highest number of an event
        self.position = position  # bytes of output
        self.failed: JournalEvent | None = None  # the step that failed first

    def events(self, events: list[JournalEvent]) -> None:
        """Take these events. Raise DoesNotFit before any of them reaches the watch."""
        fresh = []
        for event in events:
            self._expected.check(event, event.seq <= self.seen)
            if event.seq > self.seen:
                fresh.append(event)
                self.seen = event.seq
                if event.kind is Kind.FAILED and self.failed is None:
                    self.failed = event
        if fresh:
            self.watch.events(fresh)

    def output(self, start: int, data: bytes) -> None:
        """Take output from the byte `start` on, which is not beyond what is known."""
        fresh = data[self.position - start :]
        if self.position + len(fresh) > self._max_output:
            raise DoesNotFit("too_much_output")
        if fresh:
            self.watch.output(self.position, fresh)
            self.position += len(fresh)

    def check_time(self) -> None:
        if time.monotonic() > self._until:
            raise Overdue(seconds=round(self.seconds))


class Attempt:
    def __init__(
        self,
        mode: Mode,
        feed: ProgramInput,
        delivered: Delivered,
        nonce: str,
        where: str,
        *,
        cancelling: bool,
        encoding: str = "",
    ):
        self._where = where
        self._mode, self._feed, self._delivered, self._cancelling = mode, feed, delivered, cancelling
        self._reader, self._shown = JournalReader(nonce, encoding), OutputReader(nonce)
        self._channel: Channel | None = None
        self._begun = self._events = self._output = self._left = self._finished = False
        self._closing = 0.0  # since when its input is closed, because it says nothing of ours
        self._end: JournalEvent | None = None
        self._offset = delivered.position
        self._started = self._last_at = time.monotonic()

    def follow(self, channel: Channel, is_cancelled: Callable[[], bool]) -> None:
        """Return when the program has ended, its end was read, or it was left in order to cancel.
        Raise WireError, and whatever `is_cancelled` raises."""
        self._channel = channel
        while not self._over():
            more = self._push(channel)
            if not more and self._events and self._end is None:
                time.sleep(GATHER_FOR)
            out, err = channel.read(0 if more else POLL_INTERVAL)
            if out:
                self._show(self._shown.feed(out))
            if err:
                self._take(self._reader.feed(err))
            if is_cancelled() and not self._cancelling and self._may_leave():
                self._left = True
                channel.close()
                return

    def result(self, error: WireError | None) -> AttemptResult:
        """Return the attempt's result. Pure, once `follow` is over."""
        status = self._channel.exit_status if self._channel is not None and not self._left else None
        # What our own program answers comes after whatever a login shell has printed.
        noise = self._reader.noise if self._reader.signed else self._shown.noise + b"\n" + self._reader.noise
        end = self._end
        return AttemptResult(
            mode=self._mode,
            answer=None if error else status,
            end=end,
            error=error,
            sent=self._feed.touched,
            left=self._left and error is None,
            signed=self._signed,
            events=self._events,
            output=self._output,
            output_missing=end is not None and self._delivered.position < (end.output_size or 0),
            failed=self._delivered.failed,
            problem=self._feed.problem,
            noise=clean(decode(noise)),
            about=clean(self._reader.about),
        )

    @property
    def _signed(self) -> bool:
        """The program that runs there is ours."""
        return self._events or self._shown.begun or self._reader.signed

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            deadlines.took(self._where, time.monotonic() - self._started)

    def _show(self, data: bytes) -> None:
        if self._shown.noise_size > MAX_NOISE:
            raise DoesNotFit("foreign_output")
        if self._shown.begun:
            self._begin()
        if data:
            self._last_at = time.monotonic()
            self._output = True
            self._delivered.output(self._offset, data)
            self._offset += len(data)

    def _take(self, events: list[JournalEvent]) -> None:
        if self._reader.noise_size > MAX_NOISE:
            raise DoesNotFit("foreign_output")
        self._delivered.events(events)
        for event in events:
            self._begin()
            self._events = True
            self._last_at = time.monotonic()
            self._end = event if event.kind is Kind.END else None
            if self._end is not None:
                failpoint(Failpoint.END_READ)
            if event.kind is Kind.NEED:
                self._feed.want()
            elif event.kind is Kind.HAVE:
                self._feed.stop()

    def _push(self, channel: Channel) -> bool:
        """Send what the host takes at the moment. True: there is more to send at once."""
        room = MAX_BURST
        while room > 0:
            piece = self._feed.piece()
            if not piece:
                if self._feed.over and not self._finished:
                    self._finished = True
                    channel.finish_input()
                    failpoint(Failpoint.PACKAGE_SENT)
                return False
            taken = channel.send(piece)
            if not taken:
                return False
            room -= taken
            failpoint(Failpoint.SENT)
            if of_package := self._feed.advance(taken):
                self._delivered.watch.sent(of_package)
        return True

    def _over(self) -> bool:
        channel, now = self._channel, time.monotonic()
        assert channel is not None
        if channel.ended:
            return True
        self._delivered.check_time()
        quiet = now - self._last_at
        if self._end is not None:
            return self._delivered.position >= (self._end.output_size or 0) or quiet > 5 * DRAIN_FOR
        if channel.exit_status is not None:
            return quiet > DRAIN_FOR
        if not self._begun and (self._closing or now - self._started > deadlines.patience(self._where)):
            self._give_up(channel, now)
        return False

    def _give_up(self, channel: Channel, now: float) -> None:
        """Close the input: a menu, or whatever else reads in the place of our program, ends, and is known as that."""
        if not self._closing:
            self._closing, self._finished = now, True
            deadlines.gave_up(self._where, now - self._started)
            self._feed.stop()
            channel.finish_input()
        elif now - self._closing > DRAIN_FOR:
            raise SlowShell(where=self._where, seconds=round(self._closing - self._started))

    def _may_leave(self) -> bool:
        """Return whether the program has spoken: one that begins only after we have left would not be cancelled."""
        return self._events or time.monotonic() - self._started > deadlines.before_cancel(self._where)


def clean(text: str) -> str:
    """Return on one line the last words of a host that answered with something other than events."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[-300:]
