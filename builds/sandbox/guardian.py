"""End the processes of a build without a sandbox when its worker is killed (elsewhere a namespace does it).

A process of its own waits for the worker's end of a pipe. When that closes without a word, the worker is gone, and
whatever carries the build's mark is killed, before another worker may take the build over: a lease is longer.
"""

import contextlib
import subprocess

# Reads the environments of processes, as processes.end_marked does, without starting Python for each command.
_SCRIPT = """
read -r word && [ "$word" = done ] && exit 0
for _ in 1 2 3 4 5 6 7 8 9 10; do
    found=$(grep -lszx "DEPLOYER_BUILD=$1" /proc/[0-9]*/environ | cut -d / -f 3)
    [ -n "$found" ] || exit 0
    kill -KILL $found 2>/dev/null
    sleep 0.1
done
"""


class Guardian:
    """Context around a command whose processes have DEPLOYER_BUILD=mark in their environment."""

    def __init__(self, mark: str):
        self._process = subprocess.Popen(
            ["sh", "-c", _SCRIPT, "sh", mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
            start_new_session=True,
        )

    def __enter__(self) -> "Guardian":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._process.communicate(b"done\n", timeout=5)
        self._process.kill()
        self._process.wait()
