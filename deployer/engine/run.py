"""Carries one operation out: speaks with the host until it is known how the run on it ended.

One connection, one channel at a time: program and package go out in one flight while both streams are read. What the
answers mean is decided in decisions.py; here they are got. A line that breaks is made again, and the run attached to.
"""

import secrets
import time
from dataclasses import replace

from . import failpoints, program
from .attempt import POLL, Story, Visit, Watch
from .decisions import Heard, Mode, Outcome, OutcomeKind, Tale, next_move
from .errors import ConnectionLost, Refused, WireError
from .journal import Result
from .jump_cache import client
from .limits import max_seconds
from .package import Package, damage
from .program import Run
from .program_input import Feed
from .ssh import USUAL, Connection, Endpoint, Limits, connect

__all__ = ["Outcome", "OutcomeKind", "Package", "Watch", "carry_out"]


def carry_out(
    run: Run,
    endpoint: Endpoint,
    sudo: bool,
    package: Package | None,
    watch: Watch,
    *,
    fresh: bool,
    journal_from: int = 0,
    output_from: int = 0,
    patience: float = 60.0,
    limits: Limits = USUAL,
) -> Outcome:
    """Blocks until the end is known, the watch says `lost`, or the host cannot be asked for `patience` seconds.

    `fresh`: nobody ever tried to start this run, so it is started first; otherwise it is attached to first, and started
    only where the host says that there is no such run. Events above `journal_from` and output from the byte
    `output_from` on are handed to the watch once each, in order.
    """
    tale = Tale(safe=fresh, begun=bool(journal_from or output_from), sudo=sudo, patience=patience)
    story = Story(watch, run.atom, journal_from, output_from, max_seconds(run.atom, package))
    conduct = _Conduct(run, endpoint, package, story, tale, limits)
    try:
        return conduct.to_the_end()
    except _Left:
        return Outcome(OutcomeKind.LOST)
    finally:
        conduct.drop()


class _Left(Exception):
    """The operation is no longer ours; the host goes on by itself."""


class _Conduct:
    def __init__(self, run: Run, endpoint: Endpoint, package: Package | None, story: Story, tale: Tale, limits: Limits):
        self._run, self._endpoint, self._package, self._limits = run, endpoint, package, limits
        self._story, self._tale = story, tale
        self._connection: Connection | None = None
        self._visits = 0  # on this connection
        self._touched = time.monotonic()

    def to_the_end(self) -> Outcome:
        mode = self._tale.next_mode
        while True:
            if self._is_cancelled() and self._tale.safe and not self._tale.rounds:
                return Outcome(OutcomeKind.CANCELLED, error="Nothing was changed on the host.")
            heard = self._visit(mode)
            if heard.told:
                self._touched = time.monotonic()
            self._tale = self._tale.after(heard, time.monotonic() - self._touched)
            move = next_move(self._tale, heard)
            if move.outcome is not None:
                return move.outcome.learnt(heard)
            assert move.mode is not None, "a move is an outcome or another visit"
            mode = move.mode
            self._pause(move.pause)

    def _visit(self, mode: Mode) -> Heard:
        """One program on the host, from its start until there is nothing more to hear."""
        connection = error = None
        try:
            connection = self._connected()
            self._is_cancelled()
        except WireError as trouble:
            error = self._dropped(trouble)
        # Built now: it tells the host what time it is, and connecting may have taken long.
        text, feed, nonce = self._program(mode)
        visit = Visit(
            mode,
            feed,
            self._story,
            nonce,
            self._endpoint.where,
            cancelling=self._tale.cancelled,
            encoding=self._run.encoding,
        )
        try:
            if connection is not None:
                self._visits += 1
                failpoints.here(failpoints.Point.SENDING)
                visit.follow(connection.run(program.command(len(text), self._tale.sudo)), self._is_cancelled)
        except WireError as trouble:
            error = self._dropped(trouble)
        finally:
            feed.close()
        heard = visit.heard(error)
        cut = heard.end is not None and heard.end.result is Result.CUT
        if cut and not heard.problem and self._package and not self._tale.cancelled:
            return replace(heard, problem=damage(self._package))
        return heard

    def _dropped(self, error: WireError) -> WireError:
        self.drop()
        if isinstance(error, Refused) and self._visits > 1:  # MaxSessions 1: a fresh connection may have one
            return ConnectionLost(where=self._endpoint.where, reason="it allows no second session")
        return error

    def _program(self, mode: Mode) -> tuple[bytes, Feed, str]:
        # A nonce of its own for each visit: no line of an earlier one can be taken for an event of this one.
        run = replace(self._run, nonce=secrets.token_hex(8))
        if mode is Mode.ATTACH:
            # One known event is asked for again: a sign that the program runs, however quiet the run is.
            text = program.attach(run, max(0, self._story.seen - 1), self._story.position, cancel=self._tale.cancelled)
            return text, Feed(text, None, at_once=False, waits=False), run.nonce
        atom, package = run.atom, self._package
        fetching = client.STALLED if package and atom.needs_package and client.are_kept(self._endpoint) else 0
        text = program.start(run, output_from=self._story.position, fetching=fetching)
        copy = client.copy_for(self._endpoint, package, self._limits) if package and fetching else None
        at_once = atom.likely_needs_package and package is not None and not package.likely_there and copy is None
        return text, Feed(text, package, at_once=at_once, waits=atom.needs_package, copy=copy), run.nonce

    def _connected(self) -> Connection:
        if self._connection is None or not self._connection.alive:
            self.drop()
            failpoints.here(failpoints.Point.CONNECTING)
            self._connection = connect(self._endpoint, self._limits)
            self._visits = 0
        return self._connection

    def _is_cancelled(self) -> bool:
        if self._story.watch.lost():
            raise _Left
        if not self._tale.cancelled and self._story.watch.cancelled():
            self._tale = replace(self._tale, cancelled=True)
        return self._tale.cancelled

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, POLL))
            self._is_cancelled()

    def drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
