"""End the processes of a build whose worker was killed, or is frozen: it cannot do it itself.

A process of its own waits for the worker's end of a pipe. When that closes without a word, the worker is gone, and what
carries the build's mark is killed. The same happens when the moment has come by which the worker wanted to have renewed
its lease: another one, perhaps on another machine, may begin the build soon after. A build at an engine has no
processes here: its connection is the build, and only the end of a frozen worker closes it.
"""

import contextlib
import os
import subprocess
import threading

from .holding import Hold, now

GRACE = 1.5  # seconds for a worker to end what runs by itself
RENEWAL = 0.5  # seconds between two looks at the lease
_WIDTH = 20

# Looks for marks as processes.end_marked does, without starting Python for each command. Its own words have the mark
# alone, and the pattern of grep is not what it finds. $2: the file with the moment, in seconds since boot.
_SCRIPT = """
found() {
    { grep -lszx "DEPLOYER_BUILD=$1" /proc/[0-9]*/environ
      grep -lszx "deployer-build[:]$1" /proc/[0-9]*/cmdline; } | cut -d / -f 3
}
end() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        pids=$(found "$1")
        [ -n "$pids" ] || exit 0
        kill -KILL $pids 2>/dev/null
        sleep 0.1
    done
}
late() {
    read -r at _ < /proc/uptime && read -r limit < "$1" && [ "${at%%.*}" -ge "$limit" ]
}
( while sleep 0.5; do
    late "$2" || continue
    # A worker that lives has cut its connection, and disarmed this, before the grace is over.
    if [ -n "$3" ]; then sleep "$4"; late "$2" && kill -KILL "$3"; fi
    end "$1"
done ) &
read -r word
kill $!
[ "$word" = done ] || end "$1"
"""


class Guardian:
    """Context around what runs for a build: a command whose processes carry the mark of `hold`.

    `worker`: the process to end if it lets the moment pass without `disarm`, since what runs is a connection of its.
    """

    def __init__(self, hold: Hold, worker: int | None = None):
        self._hold, self._done = hold, threading.Event()
        self._moment = os.memfd_create("build-lease")  # no file: a full disk must not keep a build from being ended
        self._write()
        self._process = subprocess.Popen(
            [
                *("sh", "-c", _SCRIPT, "sh", hold.mark, f"/proc/self/fd/{self._moment}"),
                *(str(worker or ""), str(GRACE)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
            start_new_session=True,
            pass_fds=[self._moment],
        )
        self._thread = threading.Thread(target=self._follow, name="build-guardian", daemon=True)
        self._thread.start()

    def __enter__(self) -> "Guardian":
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            self._process.communicate(b"done\n", timeout=5)
        self._process.kill()
        self._process.wait()
        self._thread.join()
        os.close(self._moment)

    def disarm(self) -> None:
        """End nothing any more: this process is alive, and ends what runs."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(b"done\n")
            self._process.stdin.flush()

    def _follow(self) -> None:
        while not self._done.wait(RENEWAL):
            self._write()

    def _write(self) -> None:
        """Write the moment in one write, always as long as before: a reader never sees a part of it."""
        until = min(self._hold.until(), now() + 10**9)
        os.pwrite(self._moment, f"{int(until) + 1:0{_WIDTH}d}\n".encode(), 0)
