"""What a peer may send, at most: paramiko believes the lengths and counts that a peer names, and keeps what it sends.

A peer that breaks these limits has lost its connection. Nothing that OpenSSH, dropbear or another sound server sends
comes near them.
"""

import time
import zlib

import paramiko
from paramiko.common import MSG_EXT_INFO, MSG_USERAUTH_INFO_REQUEST

from ..transport_socket import TimedSocket

MAX_PACKET = 1 << 18  # bytes: as in OpenSSH
MAX_GREETING = 1 << 15  # bytes before and with the version line; RFC 4253 allows lines before it, without a limit
MAX_COUNTED = 32  # extensions, or prompts, in one message
# What brings no data is paid for: bytes at first, bytes a second, and bytes that each packet counts besides its own.
FREE, RATE, EACH = 1 << 20, 1 << 13, 64


class BoundedPacketizer(paramiko.Packetizer):
    def __init__(self, socket: TimedSocket) -> None:
        super().__init__(socket)
        self._greeting = 0
        self._weighed = self._sent = self.accepted = 0
        self._since = time.monotonic()

    def start_handshake(self, timeout: float) -> None:
        """Start no timer thread for each connection: start_client has a limit of its own."""

    def _read_timeout(self, timeout: float) -> bytes:
        data = super()._read_timeout(timeout)
        self._greeting += len(data)
        if self._greeting > MAX_GREETING:
            raise paramiko.SSHException("the greeting has no end")
        return data

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        if n > MAX_PACKET:
            raise paramiko.SSHException("the packet is too large")
        return super().read_all(n, check_rekey)

    def write_all(self, out: bytes) -> None:
        self._sent += len(out)
        super().write_all(out)

    def read_message(self) -> tuple[int, paramiko.Message]:
        kind, message = super().read_message()
        self._weigh(message.packet.getbuffer().nbytes)
        if kind in (MSG_EXT_INFO, MSG_USERAUTH_INFO_REQUEST):
            _check_count(kind, message)
        return kind, message

    def _weigh(self, size: int) -> None:
        """Weigh a packet. Requested data is free (`accepted`); so are answers to what we sent, such as more room."""
        self._weighed += size + EACH
        if self._weighed > FREE + 2 * self.accepted + self._sent // 4 + RATE * (time.monotonic() - self._since):
            raise paramiko.SSHException("it sends too much that was not requested")


def _check_count(kind: int, message: paramiko.Message) -> None:
    """Limit a count that paramiko loops over; a client refuses the other messages that have one."""
    if kind == MSG_USERAUTH_INFO_REQUEST:
        for _ in range(3):  # title, instructions, language
            message.get_binary()
    if message.get_int() > MAX_COUNTED:
        raise paramiko.SSHException("the message counts too much")
    message.rewind()


class BoundedDecompressor:
    """What unpacks compressed packets: a few bytes can stand for any number."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj()

    def __call__(self, data: bytes) -> bytes:
        try:
            whole = self._zlib.decompress(data, MAX_PACKET)
        except zlib.error as error:
            raise paramiko.SSHException("the compressed data is damaged") from error
        if self._zlib.unconsumed_tail:
            raise paramiko.SSHException("the packet is too large")
        return whole
