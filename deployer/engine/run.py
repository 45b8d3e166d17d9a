"""Carry one operation out: speak to the host until it is known how the run on it ended.

One connection, one channel at a time: program and package go out in one flight while both streams are read. This module
gets the answers; decisions.py decides what they mean. A broken connection is made again, and the run attached to.
"""

import secrets
import time
from dataclasses import replace

from . import program
from .attempt import POLL_INTERVAL, Attempt, Delivered, RunObserver
from .codes import Code, error, reason
from .decisions import NOTHING_CHANGED, Outcome, OutcomeKind, decide
from .errors import ConnectionLost, SessionRefused, WireError
from .failpoints import Failpoint, failpoint
from .journal import Result
from .jump_cache import client
from .limits import max_seconds
from .package import Package, damage
from .program import Run
from .program_input import ProgramInput
from .run_state import AttemptResult, Mode, RunState
from .ssh import USUAL, Connection, Endpoint, Limits, connect

__all__ = ["Outcome", "OutcomeKind", "Package", "RunObserver", "carry_out"]


def carry_out(
    run: Run,
    endpoint: Endpoint,
    sudo: bool,
    package: Package | None,
    watch: RunObserver,
    *,
    fresh: bool,
    journal_from: int = 0,
    output_from: int = 0,
    patience: float = 60.0,
    limits: Limits = USUAL,
) -> Outcome:
    """Block until the end is known, the observer says `lost`, or the host cannot be asked for `patience` seconds.

    `fresh`: no worker ever tried to start this run, so it is started first; otherwise it is attached to first, and
    started only where the host says that there is no such run. Events above `journal_from` and output from the byte
    `output_from` on are handed to the observer once each, in order.
    """
    state = RunState(safe=fresh, begun=bool(journal_from or output_from), sudo=sudo, patience=patience)
    delivered = Delivered(watch, run.atom, journal_from, output_from, max_seconds(run.atom, package))
    supervisor = RunSupervisor(run, endpoint, package, delivered, state, limits)
    try:
        return supervisor.until_known()
    except _LeaseLost:
        return Outcome(OutcomeKind.LOST)
    finally:
        supervisor.drop()


class _LeaseLost(Exception):
    """Another worker owns the operation; the host continues by itself."""


class RunSupervisor:
    def __init__(
        self,
        run: Run,
        endpoint: Endpoint,
        package: Package | None,
        delivered: Delivered,
        state: RunState,
        limits: Limits,
    ):
        self._run, self._endpoint, self._package, self._limits = run, endpoint, package, limits
        self._delivered, self._state = delivered, state
        self._connection: Connection | None = None
        self._attempts = 0  # on this connection
        self._touched = time.monotonic()

    def until_known(self) -> Outcome:
        mode = self._state.next_mode
        while True:
            if self._is_cancelled() and self._state.safe and not self._state.attempts:
                return Outcome(OutcomeKind.CANCELLED, message=error(Code.CANCELLED, state=NOTHING_CHANGED))
            result = self._attempt(mode)
            if result.is_about_run:
                self._touched = time.monotonic()
            self._state = self._state.after(result, time.monotonic() - self._touched)
            decision = decide(self._state, result)
            if decision.outcome is not None:
                return decision.outcome.with_contact(result)
            assert decision.mode is not None, "a decision is an outcome or another attempt"
            mode = decision.mode
            self._pause(decision.pause)

    def _attempt(self, mode: Mode) -> AttemptResult:
        """Run one program on the host, from its start until there is nothing more to hear."""
        connection = lost = None
        try:
            connection = self._connected()
            self._is_cancelled()
        except WireError as trouble:
            lost = self._dropped(trouble)
        # Built now: it tells the host what time it is, and connecting may have taken long.
        text, feed, nonce = self._program(mode)
        attempt = Attempt(
            mode,
            feed,
            self._delivered,
            nonce,
            self._endpoint.where,
            cancelling=self._state.cancelled,
            encoding=self._run.encoding,
        )
        try:
            if connection is not None:
                self._attempts += 1
                failpoint(Failpoint.SENDING)
                attempt.follow(connection.run(program.command(len(text), self._state.sudo)), self._is_cancelled)
        except WireError as trouble:
            lost = self._dropped(trouble)
        finally:
            feed.close()
        result = attempt.result(lost)
        cut = result.end is not None and result.end.result is Result.CUT
        if cut and not result.problem and self._package and not self._state.cancelled:
            return replace(result, problem=damage(self._package))
        return result

    def _dropped(self, trouble: WireError) -> WireError:
        self.drop()
        if isinstance(trouble, SessionRefused) and self._attempts > 1:  # MaxSessions 1: a fresh connection may have one
            return ConnectionLost(where=self._endpoint.where, reason=reason("one_session"))
        return trouble

    def _program(self, mode: Mode) -> tuple[bytes, ProgramInput, str]:
        # A nonce of its own for each attempt: no line of an earlier one can be taken for an event of this one.
        run = replace(self._run, nonce=secrets.token_hex(8))
        if mode is Mode.ATTACH:
            # One known event is asked for again: a sign that the program runs, however quiet the run is.
            text = program.attach(
                run, max(0, self._delivered.seen - 1), self._delivered.position, cancel=self._state.cancelled
            )
            return text, ProgramInput(text, None, at_once=False, waits=False), run.nonce
        atom, package = run.atom, self._package
        fetching = client.STALLED if package and atom.needs_package and client.has_jump_cache(self._endpoint) else 0
        text = program.start(run, output_from=self._delivered.position, fetching=fetching)
        copy = client.cache_request(self._endpoint, package, self._limits) if package and fetching else None
        at_once = atom.likely_needs_package and package is not None and not package.likely_there and copy is None
        given = text + program.sign_in(run)
        return text, ProgramInput(given, package, at_once=at_once, waits=atom.needs_package, copy=copy), run.nonce

    def _connected(self) -> Connection:
        if self._connection is None or not self._connection.alive:
            self.drop()
            failpoint(Failpoint.CONNECTING)
            self._connection = connect(self._endpoint, self._limits)
            self._attempts = 0
        return self._connection

    def _is_cancelled(self) -> bool:
        if self._delivered.watch.lost():
            raise _LeaseLost
        if not self._state.cancelled and self._delivered.watch.cancelled():
            self._state = replace(self._state, cancelled=True)
        return self._state.cancelled

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, POLL_INTERVAL))
            self._is_cancelled()

    def drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
