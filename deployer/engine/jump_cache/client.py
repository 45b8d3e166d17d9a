"""Copies of packages on jump hosts: each goes there once, and the hosts behind it fetch it from there.

A jump host that may do so has a `package_port`. While operations behind it ask for packages, one thread of this process
speaks with one server there (protocol.py), over the connection that they share. What it cannot give is sent over
each host's own connection, as everywhere else; the host is told why, and says so in its journal.
"""

import threading
import time

from .. import ssh
from ..endpoint import Endpoint, Limits
from ..errors import WireError
from ..package import Package
from .protocol import Broken, CacheSession, Refusal, plain

AGAIN = 60.0  # seconds that a refusal counts; then it is tried again
STALLED = 15  # seconds without a byte, after which a host no longer fetches
ALIVE = 10.0  # seconds between two `wait` lines to a host that waits: it gives up after 60
BUSY = 0.5  # seconds between two checks of what another worker sends
BYTES, WAIT = b"bytes", b"wait\n"  # to a host
IDLE = 5.0  # seconds between two checks of an idle server


class CacheRequest:
    """One operation's request for the copy of its package on its host's jump host. Used by one thread, closed once."""

    def __init__(self, cache: "JumpCache", package: Package):
        self._cache, self._package = cache, package
        self._open, self._answered_at = True, 0.0
        cache.users += 1

    def want(self) -> None:
        self._answered_at = time.monotonic()
        self._cache.want(self._package)

    def line(self) -> bytes:
        """Return the next line for the host: `fetch ADDRESS PORT TOKEN`; `bytes REASON`, and they follow; `wait`, now
        and then, while neither is known; empty for nothing."""
        if answer := self._cache.answer(self._package.sha256):
            return answer
        if time.monotonic() - self._answered_at < ALIVE:
            return b""
        self._answered_at = time.monotonic()
        return WAIT

    def close(self) -> None:
        if self._open:
            self._open = False
            _give_back(self._cache)


class JumpCache:
    """What a jump host keeps. Its thread lives as long as it has users; everything else only looks at answers."""

    def __init__(self, jump: Endpoint, limits: Limits):
        self.jump, self._limits = jump, limits
        self.users = 0
        self._lock = threading.Lock()
        self._wanted: dict[str, Package] = {}
        self._answers: dict[str, tuple[bytes, float]] = {}  # and until when each counts
        self._refused: tuple[bytes, float] = (b"", 0.0)  # whatever is asked for
        self._channel: ssh.Channel | None = None
        self._runs = False

    def want(self, package: Package) -> None:
        with self._lock:
            if self._known(package.sha256) or package.sha256 in self._wanted:
                return
            self._wanted[package.sha256] = package
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name="copies", daemon=True).start()
            elif self._channel is not None:
                self._channel.wake()

    def wake(self) -> None:
        with self._lock:
            if self._channel is not None:
                self._channel.wake()

    def answer(self, sha256: str) -> bytes:
        with self._lock:
            return self._known(sha256)

    @property
    def refuses(self) -> bool:
        return time.monotonic() < self._refused[1]

    def _known(self, sha256: str) -> bytes:
        line, until = self._refused if self.refuses else self._answers.get(sha256, (b"", 0.0))
        return line if time.monotonic() < until else b""

    def _run(self) -> None:
        while True:
            reason = ""
            try:
                self._converse()
            except (WireError, Refusal) as error:
                reason = str(error)
            except Exception as error:  # noqa: BLE001 - whatever it was, hosts wait for an answer
                reason = f"internal error of the worker ({type(error).__name__})"
            with self._lock:
                self._channel = None
                self._answers.clear()
                if reason:
                    self._refused = _refusal(reason)
                if reason or not self.users:
                    self._wanted.clear()
                if not self._wanted:
                    self._runs = False
                    return

    def _converse(self) -> None:
        """Talk to one server until it has no users. Raise what is wrong with it."""
        connection, give_back = ssh.borrow(self.jump, self._limits)
        try:
            channel = connection.run(CacheSession.command())
            try:
                talk = CacheSession(channel, self.jump)
                with self._lock:
                    self._channel = channel
                while self._next(talk):
                    pass
                channel.finish_input()
            finally:
                channel.close()
        finally:
            give_back()

    def _next(self, talk: CacheSession) -> bool:
        """Bring what was requested first, or wait. False when the server has no users."""
        with self._lock:
            if not self.users:
                self._answers.clear()  # the next user needs a new server
                return False
            package = next(iter(self._wanted.values()), None)
        if package is None:
            talk.rest(IDLE)
            return True
        answer = None
        try:
            if talk.bring(package, lambda: self.users > 0):
                line = f"fetch {self.jump.fetch_from} {self.jump.package_port} {talk.token}\n"
                answer = line.encode(), float("inf")
        except Broken:
            raise
        except Refusal as error:
            answer = _refusal(str(error))
        with self._lock:
            self._wanted.pop(package.sha256, None)
            if answer is not None:
                self._answers[package.sha256] = answer
            else:  # another worker brings it: others first
                self._wanted[package.sha256] = package
        if answer is None:
            talk.rest(BUSY)
        return True


def _refusal(reason: str) -> tuple[bytes, float]:
    words = plain(reason)
    return b"%s %s\n" % (BYTES, words.encode()), time.monotonic() + AGAIN


_lock = threading.Lock()
_caches: dict[Endpoint, JumpCache] = {}


def has_jump_cache(endpoint: Endpoint) -> bool:
    """Return whether this host's own jump host may keep copies for it. One farther away it may not reach at all."""
    return endpoint.jump is not None and endpoint.jump.package_port > 0


def cache_request(endpoint: Endpoint, package: Package, limits: Limits) -> CacheRequest:
    """Return the package's copy where this host may fetch it. Costs nothing until it is wanted; close it afterwards."""
    jump = endpoint.jump
    assert jump is not None, "see `has_jump_cache`"
    with _lock:
        for unused in [cache for cache in _caches.values() if not cache.users and not cache.refuses]:
            del _caches[unused.jump]
        return CacheRequest(_caches.setdefault(jump, JumpCache(jump, limits)), package)


def _give_back(cache: JumpCache) -> None:
    with _lock:
        cache.users -= 1
        if not cache.users:
            cache.wake()
