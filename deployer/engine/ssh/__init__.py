"""SSH as the engine needs it: a pinned host key, one connection, channels with both streams drained at once.

The only folder that imports paramiko. Every wait in here ends: connecting, key exchange and log-in by their own limits,
and afterwards by `silence`: the peer is asked whether it lives, and a peer that says nothing is given up, also where
TCP alone would notice nothing for hours. What fails is told in the words of errors.py.
"""

from ..endpoint import Endpoint, Limits, fingerprint
from .connection import USUAL, Channel, Connection, borrow, connect, fetch_host_key
from .keys import check_key

__all__ = [
    "USUAL",
    "Channel",
    "Connection",
    "Endpoint",
    "Limits",
    "borrow",
    "check_key",
    "connect",
    "fetch_host_key",
    "fingerprint",
]
