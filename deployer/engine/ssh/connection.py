"""A connection to a host and the commands that run on it, through jump hosts where it has one."""

from collections.abc import Callable

import paramiko
from paramiko.common import cMSG_CHANNEL_REQUEST

from messages import Message

from .. import host_refusals
from ..codes import Code, reason
from ..endpoint import Endpoint, Limits, fingerprint, host_key_blob, host_key_text, reveal
from ..errors import (
    AuthRefused,
    ConnectionLost,
    KeyChanged,
    NotTrusted,
    SessionRefused,
    Unreachable,
)
from ..jumps import SharedConnections
from ..text import decode
from ..transport_socket import TimedSocket, dial, why
from . import algorithms, disagreements
from .keys import key_of
from .transport import GuardedChannel, ReadEvent, Transport

READ = 1 << 18
USUAL = Limits()


class Channel:
    """One command on the host, from `Connection.run`. One thread uses it; nothing waits longer than its timeout."""

    def __init__(self, connection: "Connection", raw: paramiko.Channel):
        self._connection = connection
        self._raw = raw
        self._bell = raw.bell = ReadEvent()
        raw.in_buffer.set_event(self._bell)
        raw.in_stderr_buffer.set_event(self._bell)
        raw.settimeout(0.0)

    def send(self, data: bytes | memoryview) -> int:
        """Send input to the command; return how many bytes were taken, 0 when the host has no room for more at the
        moment or the command reads no more. `read` wakes up when there is room again."""
        try:
            taken = self._raw.send(data)
        except TimeoutError:
            return 0
        except OSError:  # "Socket is closed": the command has ended, or the connection has; `read` tells which
            return 0
        except (EOFError, paramiko.SSHException) as error:
            raise self._connection.lost(error) from None
        if not self._connection.alive:
            raise self._connection.lost()
        return taken

    def finish_input(self) -> None:
        try:
            self._raw.shutdown_write()
        except (EOFError, OSError, paramiko.SSHException) as error:
            raise self._connection.lost(error) from None

    def read(self, timeout: float) -> tuple[bytes, bytes]:
        """Return what has arrived on standard output and standard error, at most 256 KB of each; wait up to `timeout`
        seconds for something to happen, which may also be room for input or the end. Both empty does not mean the end:
        see `ended`."""
        self._bell.silence()
        taken = self._take()
        if any(taken) or self.ended:
            return taken
        if self._raw.closed:
            raise self._connection.lost()
        self._bell.wait(timeout)
        return self._take()

    def _take(self) -> tuple[bytes, bytes]:
        raw = self._raw
        try:
            return (
                raw.recv(READ) if raw.recv_ready() else b"",
                raw.recv_stderr(READ) if raw.recv_stderr_ready() else b"",
            )
        except (EOFError, OSError, paramiko.SSHException) as error:
            raise self._connection.lost(error) from None

    @property
    def exit_status(self) -> int | None:
        """None until the host has reported it. Output may still follow; see `ended`."""
        return self._raw.exit_status if self._raw.exit_status >= 0 else None

    @property
    def ended(self) -> bool:
        """The command has ended, its exit status is known, and all of its output was read."""
        raw = self._raw
        return bool(raw.exit_status >= 0 and raw.eof_received and not raw.recv_ready() and not raw.recv_stderr_ready())

    def wake(self) -> None:
        """End a wait in `read`; the only method that another thread may call."""
        self._bell.set()

    def close(self) -> None:
        self._raw.close()


class Connection:
    """A connection that is logged in. Use it as a context manager; channels may be used by different threads."""

    def __init__(self, endpoint: Endpoint, limits: Limits, pinned: bytes | None):
        self.endpoint = endpoint
        self._limits = limits
        self._give_back = None
        if endpoint.jump is None:
            below = dial(endpoint, limits.connect)
        else:
            jump, self._give_back = _jumps.borrow(endpoint.jump, limits)
            try:
                below = jump.tunnel(endpoint.address, endpoint.port)
            except BaseException:
                self._give_back()
                raise
        self._transport = Transport(TimedSocket(below, limits.silence), pinned, limits, endpoint.legacy)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        return self._transport.is_active()

    def run(self, command: str) -> Channel:
        """Start the command and return at once: the host need not confirm it; input follows in the same flight."""
        raw = self._open("session")
        channel = Channel(self, raw)
        request = paramiko.Message()
        request.add_byte(cMSG_CHANNEL_REQUEST)
        request.add_int(raw.remote_chanid)
        request.add_string("exec")
        request.add_boolean(False)
        request.add_string(command)
        try:
            self._transport._send_user_message(request)
        except (EOFError, OSError, paramiko.SSHException) as error:
            raise self.lost(error) from None
        return channel

    def tunnel(self, address: str, port: int) -> paramiko.Channel:
        """Open a channel to another server, as seen from this one."""
        return self._open("direct-tcpip", (address, port), ("127.0.0.1", 0))

    def _open(
        self, kind: str, target: tuple[str, int] | None = None, origin: tuple[str, int] | None = None
    ) -> paramiko.Channel:
        try:
            channel = self._transport.open_channel(kind, target, origin, timeout=self._limits.connect)
            channel.__class__ = GuardedChannel
            return channel
        except paramiko.ChannelException as error:
            if target and error.code == 2:  # "connect failed"
                why_not = reason("jump_host_cannot_connect", jump=self.endpoint.where)
                raise Unreachable(where=f"{target[0]}:{target[1]}", reason=why_not) from None
            raise SessionRefused(where=self.endpoint.where, what=reason("tunnel" if target else "session")) from None
        except (EOFError, OSError, paramiko.SSHException) as error:
            raise self.lost(error) from None

    def lost(self, error: BaseException | None = None) -> ConnectionLost:
        """Return the error to raise when this connection turned out to be dead. It says why, as far as known."""
        cause = self._transport.sock.gave_up or self._transport.saved_exception or error
        self.close()
        return ConnectionLost(where=self.endpoint.where, reason=why(cause))

    def close(self) -> None:
        self._transport.close()
        self._transport.sock.close()  # also where the handshake never began, or failed
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()

    def handshake(self) -> None:
        """Exchange keys. Raise KeyChanged from inside the exchange, before a byte that means anything was sent."""
        transport, where = self._transport, self.endpoint.where
        try:
            transport.start_client(timeout=self._limits.handshake)
        except paramiko.IncompatiblePeer:
            raise disagreements.incompatible(transport, self.endpoint) from None
        except (EOFError, OSError, paramiko.SSHException) as error:
            if transport.offered is not None and transport.offered != transport.pinned:
                key = host_key_text(transport.offered)
                raise disagreements.key_changed(self.endpoint, fingerprint(key), key) from None
            raise Unreachable(where=where, reason=why(transport.sock.gave_up or error)) from None
        if not transport.initial_kex_done:
            raise Unreachable(where=where, reason=reason("timed_out"))

    @property
    def legacy_in_use(self) -> list[str]:
        """The agreed algorithms that only hosts with legacy algorithms are offered."""
        return algorithms.old_in_use(self._transport.agreed)

    def authenticate(self, key: paramiko.PKey | None) -> None:
        transport, user = self._transport, self.endpoint.username
        try:
            if key is not None:
                more = disagreements.prove(transport, user, key)
            else:
                more = transport.auth_password(user, reveal(self.endpoint.password))
        except paramiko.BadAuthenticationType as error:
            ways = [way for way in ("publickey", "password", "keyboard-interactive") if way in error.allowed_types]
            raise self._refused(reason("other_methods", methods=ways or ["?"])) from None
        except paramiko.AuthenticationException as error:
            # A lost connection is not a refusal: another try may help. Only the text of paramiko's error tells the two
            # apart. PAM's refusal ends the connection too, and says so before.
            if ("saw EOF" in str(error) or "timeout" in str(error)) and not self._banner_code():
                raise self.lost(error if "timeout" not in str(error) else TimeoutError()) from None
            refusal = self._refused(reason("login_ended")) if self._banner_code() else None
            raise refusal or disagreements.not_accepted(transport, self.endpoint, key) from None
        except (EOFError, OSError, paramiko.SSHException) as error:
            raise self._refused(reason("login_ended")) if self._banner_code() else self.lost(error) from None
        if more:
            raise self._refused(reason("second_factor"))

    def _refused(self, why: Message) -> AuthRefused:
        """Return the refusal; its code says more where the host's banner does: an account that has expired, say."""
        error = AuthRefused(where=self.endpoint.where, username=self.endpoint.username, reason=why)
        error.code = self._banner_code() or error.code
        return error

    def _banner_code(self) -> Code | None:
        """Return what PAM's own sentence means; a banner that everyone is shown holds none."""
        banner = self._transport.get_banner()
        code = host_refusals.meaning(decode(banner)) if banner else None
        return code if code in (Code.ACCOUNT_EXPIRED, Code.PASSWORD_EXPIRED, Code.LOGINS_OFF) else None


def connect(endpoint: Endpoint, limits: Limits = USUAL) -> Connection:
    """Connect, compare the host key with the pinned one, then log in. Raise what errors.py lists; the error's `passing`
    says whether to try again."""
    try:
        pinned = host_key_blob(endpoint.host_key)
    except ValueError:
        raise NotTrusted(where=endpoint.where) from None
    key = key_of(endpoint)  # before anything is sent: a bad credential disturbs no host
    connection = Connection(endpoint, limits, pinned)
    try:
        connection.handshake()
        connection.authenticate(key)
    except BaseException:
        connection.close()
        raise
    return connection


def borrow(endpoint: Endpoint, limits: Limits = USUAL) -> tuple[Connection, Callable[[], None]]:
    """Return this process's connection to a jump host, or a new one, and the function that gives it back. Raise as
    `connect` does."""
    return _jumps.borrow(endpoint, limits)


def fetch_host_key(
    address: str,
    port: int,
    timeout: float = 10.0,
    jump: Endpoint | None = None,
    legacy: bool = False,
    types: tuple[str, ...] = (),
) -> str:
    """Return the key that the host proves to have, as `ssh-ed25519 AAAA…`, for a person to compare. Send nothing after
    the key exchange, and trust nothing. `types`: of one of these, where it has one. Raise Unreachable,
    NoCommonAlgorithm, TooOld."""
    limits = Limits(connect=timeout, handshake=timeout)
    connection = Connection(Endpoint(address, port, jump=jump, legacy=legacy), limits, None)
    if types:
        connection._transport._preferred_keys = types
    try:
        connection.handshake()
    except KeyChanged as found:
        return found.offered
    finally:
        connection.close()
    raise Unreachable(where=connection.endpoint.where, reason=reason("no_host_key"))


_jumps = SharedConnections(connect)
