"""paramiko's transport as we use it: our algorithms, the pinned key, a peer that must show life, and no log lines."""

import hmac
import logging
import signal
import threading
import weakref
from collections.abc import Callable
from typing import Any

import paramiko
from paramiko.common import (
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EXTENDED_DATA,
    MSG_CHANNEL_REQUEST,
    MSG_CHANNEL_WINDOW_ADJUST,
    cMSG_GLOBAL_REQUEST,
)

from ..endpoint import Limits, host_key_text
from ..transport_socket import TimedSocket
from . import algorithms
from .packets import BoundedDecompressor, BoundedPacketizer

WINDOW = 1 << 21  # bytes a host may send that are not read yet; both streams share it, so it bounds our memory
PACKET = 1 << 15

# Errors are raised, in our words; paramiko's log lines would repeat them, with text that the peer chose. A logger
# without a parent: however logging is configured elsewhere, it stays silent.
_SILENT = logging.Logger("ssh", logging.CRITICAL + 1)


class ReadEvent(threading.Event):
    """Set when anything arrives on either stream. paramiko clears the event of a pipe that was emptied, although the
    other pipe may be full; so only the reader itself silences it."""

    def clear(self) -> None:
        pass

    def silence(self) -> None:
        super().clear()


def _window_opened(channel: paramiko.Channel, message: paramiko.Message) -> None:
    channel._window_adjust(message)
    bell = getattr(channel, "bell", None)
    if bell is not None:
        bell.set()


def _data(channel: paramiko.Channel, message: paramiko.Message) -> None:
    _feed(channel, message, paramiko.Channel._feed)


def _extended_data(channel: paramiko.Channel, message: paramiko.Message) -> None:
    _feed(channel, message, paramiko.Channel._feed_extended)


def _feed(
    channel: paramiko.Channel, message: paramiko.Message, feed: Callable[[paramiko.Channel, paramiko.Message], None]
) -> None:
    """Refuse what a peer sends beyond the window: paramiko would keep all of it, in memory and without an end."""
    before = _unread(channel)
    feed(channel, message)
    after = _unread(channel)
    if after > WINDOW:
        raise paramiko.SSHException("it sends more than there is room for")
    channel.transport.packetizer.accepted += max(0, after - before)


def _unread(channel: paramiko.Channel) -> int:
    return len(channel.in_buffer) + len(channel.in_stderr_buffer)


def _request(channel: paramiko.Channel, message: paramiko.Message) -> None:
    """Give a command that a signal ended a status too, 128 and more as in the shell; paramiko drops it."""
    start = message.packet.tell()
    if message.get_text() != "exit-signal":
        message.packet.seek(start)
        channel._handle_request(message)
        return
    message.get_boolean()
    channel.exit_status = 128 + signal.Signals.__members__.get(f"SIG{message.get_text()}", 0)


class GuardedChannel(paramiko.Channel):
    """A channel of which nothing is sent after its close. paramiko makes a message and sends it a moment later, on a
    slow line a long one; another thread's close, or the answer to the peer's, may come between. OpenSSH then ends the
    whole connection, with whatever else goes through it."""

    close_sent = False  # guarded by the transport's lock for sending

    def close(self) -> None:
        try:
            super().close()
        except (EOFError, OSError, paramiko.SSHException):
            pass  # the connection is gone, and with it the channel

    def _send(self, s: bytes, m: paramiko.Message) -> int:
        m.channel = self
        return super()._send(s, m)

    def _send_eof(self) -> paramiko.Message | None:
        if (m := super()._send_eof()) is not None:
            m.channel = self
        return m

    def _close_internal(self) -> tuple[paramiko.Message | None, paramiko.Message | None]:
        eof, close = super()._close_internal()
        if close is not None:
            close.channel, close.closes = self, True
        return eof, close


class Transport(paramiko.Transport):
    """One transport. algorithms.py says what is offered, and what of it was agreed on."""

    _active_check_timeout = 0.5
    _kex_info = algorithms.KEX
    _key_info = algorithms.KEYS
    _compression_info = {
        name: (pack, unpack and BoundedDecompressor)
        for name, (pack, unpack) in paramiko.Transport._compression_info.items()
    }
    _channel_handler_table = paramiko.Transport._channel_handler_table | {
        MSG_CHANNEL_WINDOW_ADJUST: _window_opened,
        MSG_CHANNEL_REQUEST: _request,
        MSG_CHANNEL_DATA: _data,
        MSG_CHANNEL_EXTENDED_DATA: _extended_data,
    }

    def __init__(self, line: TimedSocket, pinned: bytes | None, limits: Limits, legacy: bool = False):
        super().__init__(
            line, default_window_size=WINDOW, default_max_packet_size=PACKET, packetizer_class=BoundedPacketizer
        )
        self.pinned = pinned
        self.ours = algorithms.ours(legacy)
        self.theirs: algorithms.Offer | None = None  # once the server has said so
        self._preferred_kex, self._preferred_keys = self.ours.kex, self.ours.keys
        self._preferred_ciphers, self._preferred_macs = self.ours.ciphers, self.ours.macs
        self._preferred_compression = self.ours.compression
        self._preferred_pubkeys = self.ours.keys
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
        return algorithms.of_type(host_key_text(self.pinned).split()[0], self.ours)

    @property
    def agreed(self) -> list[str]:
        """The algorithms in use."""
        kex = next((name for name in self.ours.kex if self.theirs and name in self.theirs.kex), "")
        ciphers = (self.local_cipher, self.remote_cipher)
        macs = () if all("gcm" in cipher for cipher in ciphers) else (self.local_mac, self.remote_mac)
        return [kex, self.host_key_type, *ciphers, *macs, self.local_compression, self.remote_compression]

    def _really_parse_kex_init(self, m: paramiko.Message, ignore_first_byte: bool = False) -> dict[str, Any]:
        parsed = super()._really_parse_kex_init(m, ignore_first_byte)
        if not ignore_first_byte:  # a server's, not our own
            self.theirs = algorithms.theirs(parsed)
            for side in ("client", "server"):
                # paramiko wants a MAC in common also where the cipher is its own: RFC 5647 and OpenSSH do not.
                if algorithms.has_own_mac(parsed[f"{side}_encrypt_algo_list"], self.ours.ciphers):
                    parsed[f"{side}_mac_algo_list"].append(self.ours.macs[0])
        return parsed

    def _verify_key(self, host_key: bytes, sig: bytes) -> None:
        """End the connection inside the key exchange where the key is not the pinned one: no byte follows it."""
        super()._verify_key(host_key, sig)
        self.offered = host_key
        if self.pinned is None or not hmac.compare_digest(self.pinned, host_key):
            raise paramiko.SSHException("not the pinned host key")

    def _send_message(self, data: paramiko.Message) -> None:
        """Send one message at a time, except in a key exchange, which is about no channel."""
        channel = getattr(data, "channel", None)
        if channel is not None:
            if channel.close_sent:
                return
            channel.close_sent = getattr(data, "closes", False)
        super()._send_message(data)

    def _ask_for_life(self) -> None:
        """Ask a question that the peer must answer. The reading thread calls it, and must not wait for new keys."""
        if self.in_kex or not self.clear_to_send.is_set():
            return
        question = paramiko.Message()
        question.add_byte(cMSG_GLOBAL_REQUEST)
        question.add_string("keepalive@openssh.com")
        question.add_boolean(True)
        self._send_user_message(question)
