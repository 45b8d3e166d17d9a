"""paramiko's transport as we use it: our algorithms, the pinned key, a peer that must show life, and no log lines."""

import hmac
import logging
import signal
import threading
import weakref

import paramiko
from paramiko.common import (
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EXTENDED_DATA,
    MSG_CHANNEL_REQUEST,
    MSG_CHANNEL_WINDOW_ADJUST,
    cMSG_GLOBAL_REQUEST,
)

from ..endpoint import Limits, host_key_text
from ..line import Line
from .packets import Packets

WINDOW = 1 << 21  # bytes a host may send that nobody has read yet; both streams share it, so it bounds our memory
PACKET = 1 << 15

# What goes wrong is raised, in our words; paramiko's log lines would repeat it, with text that the peer chose. A logger
# of no family: whatever logging is set to elsewhere, it stays silent.
_SILENT = logging.Logger("ssh", logging.CRITICAL + 1)


class Bell(threading.Event):
    """Rung when anything arrives on either stream. paramiko clears the event of a pipe that was emptied, although the
    other pipe may be full; so only the reader itself silences it."""

    def clear(self) -> None:
        pass

    def silence(self) -> None:
        super().clear()


def _window_opened(channel, message) -> None:
    channel._window_adjust(message)
    bell = getattr(channel, "bell", None)
    if bell is not None:
        bell.set()


def _fed(channel, message) -> None:
    _feed(channel, message, paramiko.Channel._feed)


def _fed_extended(channel, message) -> None:
    _feed(channel, message, paramiko.Channel._feed_extended)


def _feed(channel, message, feed) -> None:
    """What a peer sends beyond the window, paramiko would keep all the same, in memory and without an end."""
    before = _unread(channel)
    feed(channel, message)
    after = _unread(channel)
    if after > WINDOW:
        raise paramiko.SSHException("it sends more than there is room for")
    channel.transport.packetizer.accepted += max(0, after - before)


def _unread(channel) -> int:
    return len(channel.in_buffer) + len(channel.in_stderr_buffer)


def _told(channel, message) -> None:
    """A command that a signal ended has a status too, 128 and more as in the shell; paramiko drops it."""
    start = message.packet.tell()
    if message.get_text() != "exit-signal":
        message.packet.seek(start)
        channel._handle_request(message)
        return
    message.get_boolean()
    channel.exit_status = 128 + signal.Signals.__members__.get(f"SIG{message.get_text()}", 0)


class Closing(paramiko.Channel):
    """A channel of which nothing is sent after its close. paramiko makes a message and sends it a moment later, on a
    slow line a long one; another thread's close, or the answer to the peer's, may come between. OpenSSH then ends the
    whole connection, with whatever else goes through it."""

    close_sent = False  # known to whoever holds the transport's lock for sending

    def close(self) -> None:
        try:
            super().close()
        except (EOFError, OSError, paramiko.SSHException):
            pass  # the connection is gone, and with it the channel

    def _send(self, s, m):
        m.channel = self
        return super()._send(s, m)

    def _send_eof(self):
        if (m := super()._send_eof()) is not None:
            m.channel = self
        return m

    def _close_internal(self):
        eof, close = super()._close_internal()
        if close is not None:
            close.channel, close.closes = self, True
        return eof, close


class Transport(paramiko.Transport):
    """Fast and sound algorithms first, then what sane older servers have; nothing with SHA-1, CBC or 3DES."""

    _active_check_timeout = 0.5
    # OpenSSH's server has fast code for P-256, and only a plain one for curve25519: 2 ms of a host's CPU a connection.
    _preferred_kex = ("ecdh-sha2-nistp256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp384", "ecdh-sha2-nistp521",
                      "diffie-hellman-group16-sha512", "diffie-hellman-group-exchange-sha256",
                      "diffie-hellman-group14-sha256")
    _preferred_ciphers = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr", "aes192-ctr", "aes256-ctr")
    _preferred_macs = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256",
                       "hmac-sha2-512")
    _channel_handler_table = paramiko.Transport._channel_handler_table | {
        MSG_CHANNEL_WINDOW_ADJUST: _window_opened, MSG_CHANNEL_REQUEST: _told,
        MSG_CHANNEL_DATA: _fed, MSG_CHANNEL_EXTENDED_DATA: _fed_extended}

    def __init__(self, line: Line, pinned: bytes | None, limits: Limits):
        super().__init__(line, default_window_size=WINDOW, default_max_packet_size=PACKET, packetizer_class=Packets)
        self.pinned = pinned
        self.offered: bytes | None = None
        self.logger = _SILENT
        self.packetizer.set_log(_SILENT)
        self.banner_timeout = limits.handshake
        self.auth_timeout = limits.auth
        me = weakref.ref(self)

        def ask() -> None:
            if (one := me()) is not None:
                one._ask_for_life()

        self.packetizer.set_keepalive(limits.keepalive, ask)

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """Only the pinned key's type: a host with several keys then shows the right one."""
        if self.pinned is None:
            return self._preferred_keys
        name = host_key_text(self.pinned).split()[0]
        return ("rsa-sha2-512", "rsa-sha2-256") if name == "ssh-rsa" else (name,)

    def _verify_key(self, host_key: bytes, sig: bytes) -> None:
        """Ends the connection inside the key exchange where the key is not the pinned one: no byte follows it."""
        super()._verify_key(host_key, sig)
        self.offered = host_key
        if self.pinned is None or not hmac.compare_digest(self.pinned, host_key):
            raise paramiko.SSHException("not the pinned host key")

    def _send_message(self, data) -> None:
        """Called one by one, except in a key exchange, which is about no channel."""
        channel = getattr(data, "channel", None)
        if channel is not None:
            if channel.close_sent:
                return
            channel.close_sent = getattr(data, "closes", False)
        super()._send_message(data)

    def _ask_for_life(self) -> None:
        """A question that the peer must answer. Called by the thread that reads, which must not wait for new keys."""
        if self.in_kex or not self.clear_to_send.is_set():
            return
        question = paramiko.Message()
        question.add_byte(cMSG_GLOBAL_REQUEST)
        question.add_string("keepalive@openssh.com")
        question.add_boolean(True)
        self._send_user_message(question)
