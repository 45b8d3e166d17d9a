"""Whether a jump host can give packages to the hosts behind it, and whether such a host can fetch: for the host check.

Both are tried as in an operation, with the same server and the same tools. Nothing is sent there but the question.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from messages import Message

from .. import deadlines, program, ssh
from ..endpoint import Endpoint, Limits
from ..errors import ConnectionLost, WireError
from ..journal import OutputReader
from ..program import quote
from ..text import decode
from .protocol import CacheSession, Refusal

STALLED = 3  # seconds that a host waits for an answer
_ENDED = {143: "nothing came from it", 127: "nothing to fetch with: install curl, or GNU wget, or nc"}


def why_not_given(connection: ssh.Connection, jump: Endpoint, end: float) -> Message | str:
    """Return what keeps this jump host from serving packages; "" where nothing does. `end`: by time.monotonic()."""
    return _with_server(connection, jump, end, lambda token: "")


def why_not_fetched(connection: ssh.Connection, endpoint: Endpoint, limits: Limits, end: float) -> Message | str:
    """Return what keeps the host from fetching packages from its jump host."""
    jump = endpoint.jump
    assert jump is not None, "it is answered of hosts behind one"
    try:
        above, give_back = ssh.borrow(jump, limits)
    except WireError as error:
        return error.message
    try:
        return _with_server(above, jump, end, lambda token: _try(connection, jump, token, end))
    finally:
        give_back()


def _with_server(connection: ssh.Connection, jump: Endpoint, end: float, then: Callable[[str], str]) -> Message | str:
    try:
        channel = connection.run(CacheSession.command())
        try:
            return then(CacheSession(channel, jump, end - time.monotonic()).token)
        finally:
            channel.close()
    except WireError as error:
        return error.message
    except Refusal as error:
        return str(error)


def script(jump: Endpoint, token: str, nonce: str) -> bytes:
    """Return a script that asks the server for nothing, with an operation's own tool; it prints `NONCE TOOL STATUS`."""
    return f"""_SIZE=0 _SHA=check _file=/dev/null _tool=''
_uptime() {{ :; }}
{program.part("fetch")}
_status={127}
if _begin_fetch {quote(jump.fetch_from)} {jump.package_port} {quote(token)}; then
{{ sleep {STALLED} && kill "$_fetcher"; }} >/dev/null 2>&1 &
wait "$_fetcher"
_status=$?
fi
echo {nonce} "$_tool" "$_status"
exit 0
""".encode()


def _try(connection: ssh.Connection, jump: Endpoint, token: str, end: float) -> str:
    nonce = secrets.token_hex(8)
    text = script(jump, token, nonce)
    printed = ask(connection, text, end).text
    words = next((line.split() for line in printed.splitlines() if line.startswith(nonce)), [])
    if len(words) < 2 or not words[-1].isdigit():
        return "the host did not answer in time"
    status = int(words[-1])
    return "" if status == 0 else _ENDED.get(status, f"{words[1][:8]} ended with exit status {status}")


@dataclass
class Answered:
    """What a program printed, as far as it was heard. `greeting`: what stood before it on standard output, and `noise`
    on standard error: the login shell's, or of whatever ran in the program's place. `began`: seconds until it began;
    None: it did not. `exit_status` is None where its end was not heard."""

    text: str = ""
    greeting: str = ""
    greeting_size: int = 0
    noise: str = ""
    began: float | None = None
    exit_status: int | None = None


def ask(connection: ssh.Connection, text: bytes, end: float, most: int = 65536) -> Answered:
    """Run a program, at most until `end`."""
    nonce = secrets.token_hex(8)
    text = f"printf '@%s output\\n' {nonce}\n".encode() + text
    channel = connection.run(program.command(len(text), False))
    out, err, shown, answered = b"", b"", OutputReader(nonce), Answered()
    rest, finished, started = memoryview(text), False, time.monotonic()
    try:
        while not channel.ended and time.monotonic() < end - 0.2:
            rest = rest[channel.send(rest) :] if rest else rest
            if not rest and not finished:
                finished = True
                channel.finish_input()
            more, noise = channel.read(0.2)
            out, err = (out + shown.feed(more))[:most], (err + noise)[-2000:]
            if shown.begun and answered.began is None:
                answered.began = time.monotonic() - started
    except ConnectionLost:
        pass  # what was heard so far is judged
    where = connection.endpoint.where
    if answered.began is not None:
        deadlines.took(where, answered.began)
    elif not channel.ended:
        deadlines.gave_up(where, time.monotonic() - started)
    answered.text, answered.noise = out.decode("utf-8", "replace"), decode(err)
    answered.greeting, answered.greeting_size, answered.exit_status = (
        decode(shown.noise),
        shown.noise_size,
        channel.exit_status,
    )
    return answered
