"""A connection that answers like a host on which every step succeeds, after HOST_TAKES seconds."""

import re
import shlex
import time

HOST_TAKES = 0.05  # seconds: what a real one takes for eight small steps


class Connection:
    alive = True

    def __init__(self, *_: object) -> None:
        pass

    def run(self, command: str) -> "Channel":
        return Channel(int(re.search(r"bs=(\d+)", command).group(1)))  # type: ignore[union-attr]

    def close(self) -> None:
        pass


class Channel:
    """Takes the program and the package, then gives the journal of a successful run, and ends."""

    def __init__(self, size: int):
        self._size, self._program, self._answered = size, b"", False
        self._finished = False
        self.exit_status: int | None = None

    @property
    def ended(self) -> bool:
        return self.exit_status is not None

    def send(self, data: bytes | memoryview) -> int:
        if len(self._program) < self._size:
            self._program += bytes(data)
        return len(data)

    def finish_input(self) -> None:
        self._finished = True

    def read(self, timeout: float) -> tuple[bytes, bytes]:
        if not self._finished and not self._answered and len(self._program) >= self._size:
            self._answered = True
            return b"", b""  # the package, if any, follows in the same flight
        time.sleep(HOST_TAKES)
        self.exit_status = 0
        return b"", journal(self._program.decode())

    def close(self) -> None:
        pass


def journal(program: str) -> bytes:
    """Return a host's journal for this program: every step started and done, then the end."""
    nonce = re.search(r"_NONCE=(\w+)", program).group(1)  # type: ignore[union-attr]
    count = int(shlex.split(re.search(r"^_STEPS=(.*)$", program, re.M).group(1))[0])  # type: ignore[union-attr]
    names = re.findall(r"^_name\d+='([^']*)'$", program, re.M)[:count]
    at, lines = int(time.time() * 100), ["begun - - -\t\t\t"]
    for position, name in enumerate(names):
        lines.append(f"started {position} {name} -\tbefore\t\t")
        lines.append(f"done {position} {name} 0\tbefore\tafter\t")
    lines.append("end - - -\tdone\t0\t")
    return "".join(f"@{nonce} {number} {at} {line}\n" for number, line in enumerate(lines, 1)).encode()
