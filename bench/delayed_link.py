"""A TCP relay to all hosts that adds a round-trip time of some milliseconds (delayed_link.c)."""

import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("delayed_link.c")


class DelayedLink:
    """A relay from each host's address at `port` to the same address at `to_port`. `stop()` ends it."""

    def __init__(self, folder: Path, port: int, to_port: int, round_trip_ms: float):
        self.port = port
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise RuntimeError("no C compiler is there, which a line with a delay needs")
        program = folder / "line"
        if not program.exists():
            subprocess.run([compiler, "-O2", "-o", str(program), str(SOURCE)], check=True, capture_output=True)
        command = [str(program), str(port), str(to_port), f"{round_trip_ms:g}"]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if self._process.stdout.readline() != b"listening\n":  # type: ignore[union-attr]
            raise RuntimeError(f"port {port} could not be listened on")

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate()
