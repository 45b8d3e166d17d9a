"""The worker's side of the protocol with the server on a jump host (server.py describes it)."""

import re
import secrets
import time
from collections.abc import Callable
from functools import cache
from importlib import resources

from .. import deadlines
from ..endpoint import Endpoint
from ..journal import OutputReader
from ..limits import seconds_to_send
from ..package import PIECE, Package
from ..ssh import Channel

ANSWER = 20.0  # seconds for an answer, and for any progress while a package is on its way
HASHED = 20 << 20  # bytes a second that a slow jump host hashes, where a copy is there already
MAX_WAITING = 4096  # bytes of answers that were not requested yet
MAX_NOISE = 1 << 20  # bytes on its standard error, in all
MISSING = 127  # a shell's exit status for a program that is not there
NONSENSE = "its answer makes no sense"


class Refusal(Exception):
    """Why a jump host cannot give a package, in words for people."""


class Broken(Refusal):
    """Why a jump host gives no package at all: its server is gone."""


@cache
def server() -> bytes:
    return (resources.files(__package__) / "server.py").read_bytes()


class CacheSession:
    """One server on a jump host, from its start until its input is closed. One thread uses it. Methods raise Broken."""

    def __init__(self, channel: Channel, jump: Endpoint, patience: float | None = None):
        self._channel, self._heard, self._noise = channel, b"", 0
        nonce = secrets.token_hex(8)
        self._shown = OutputReader(nonce)
        # What another worker has sent of a package, since when, and since when it is waited for at all.
        self._others: dict[str, tuple[str, float, float]] = {}
        self._give(server() + f"{nonce}\n{jump.package_port}\n{jump.fetch_from}\n".encode())
        word, rest = self._word(deadlines.patience(jump.where) if patience is None else patience)
        if word != "ready":
            raise Broken(rest if word == "no" else NONSENSE)
        if not re.fullmatch(r"[0-9a-f]{64}", rest):  # hosts are told it as a word of a line
            raise Broken(NONSENSE)
        self.token = rest

    @staticmethod
    def command() -> str:
        """Return the jump host's command line: no newline, no `!`, no inner quote, so that any login shell takes it."""
        return f"exec python3 -I -c 'import sys; exec(sys.stdin.buffer.read({len(server())}))'"

    def bring(self, package: Package, goes_on: Callable[[], bool]) -> bool:
        """Bring the copy there. False: another worker is bringing it, or `goes_on` returned False. Raise Refusal where
        this package cannot be kept there."""
        self._give(f"have {package.sha256} {package.size}\n".encode())
        word, rest = self._word(ANSWER + package.size / HASHED)
        if word == "busy":
            self._notice(package, rest)
            return False
        if word == "send":
            problem = self._send(package, goes_on)
            word, rest = self._word(ANSWER + package.size / HASHED)
            if problem:
                raise Refusal(problem)
            if not goes_on():
                return False
        if word == "no":
            raise Refusal(rest)
        if word != "there":
            raise Broken(NONSENSE)
        return True

    def rest(self, seconds: float) -> None:
        """Wait until the channel is woken; notice when the server is gone."""
        self._read(seconds)
        if self._channel.ended:
            raise self._ended()

    def _notice(self, package: Package, count: str) -> None:
        """Note another worker's sending. It counts as long as it makes progress, and no longer than it may take."""
        now = time.monotonic()
        seen, since, first = self._others.get(package.sha256, ("", now, now))
        self._others[package.sha256] = (count, now if count != seen else since, first)
        if (count == seen and now - since > ANSWER) or now - first > seconds_to_send(package.size):
            raise Refusal("another worker sends it there, and does not get on")

    def _send(self, package: Package, goes_on: Callable[[], bool]) -> str:
        """Send until it is there, or the server takes no more. Return what is wrong with the store."""
        until = time.monotonic() + seconds_to_send(package.size)
        try:
            with package.open() as file:
                while goes_on() and (data := file.read(PIECE)) and not self._has_spoken():
                    self._give(b"part %d\n" % len(data) + data)
                    if time.monotonic() > until:
                        raise Broken("it takes the package too slowly")
        except OSError:
            return "the package in the store cannot be read"
        finally:
            self._give(b"part 0\n")
        return ""

    def _has_spoken(self) -> bool:
        self._read(0)
        return b"\n" in self._heard

    def _give(self, data: bytes) -> None:
        rest, moved = memoryview(data), time.monotonic()
        while rest:
            taken = self._channel.send(rest)
            rest = rest[taken:]
            if taken:
                moved = time.monotonic()
                continue
            self._read(0.2)
            if self._channel.ended:
                raise self._ended()
            if time.monotonic() - moved > ANSWER:
                raise Broken("it takes nothing")

    def _word(self, seconds: float) -> tuple[str, str]:
        end = time.monotonic() + seconds
        while b"\n" not in self._heard:
            if self._channel.ended:
                raise self._ended()
            if time.monotonic() > end:
                raise Broken("it does not answer")
            self._read(0.2)
        line, _, self._heard = self._heard.partition(b"\n")
        word, _, rest = line.decode("ascii", "replace").partition(" ")
        return word, plain(rest)

    def _read(self, seconds: float) -> None:
        answers, noise = self._channel.read(seconds)
        self._heard, self._noise = self._heard + self._shown.feed(answers), self._noise + len(noise)
        if len(self._heard) > MAX_WAITING or self._noise + self._shown.noise_size > MAX_NOISE:
            raise Broken(NONSENSE)

    def _ended(self) -> Broken:
        if self._channel.exit_status == MISSING:
            return Broken("it has no python3")
        return Broken(f"its server ended with exit status {self._channel.exit_status}")


def plain(text: str) -> str:
    """Make a reason that a host or a server gave fit for a line of a journal."""
    return "".join(char if char.isprintable() and char.isascii() else " " for char in text)[:200].strip()
