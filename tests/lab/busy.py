"""How long something may take on a machine that does other work too."""

import os
from pathlib import Path


def share() -> float:
    """How many processes want each core: 1.0 on a quiet machine. The larger of now and the last minute's mean."""
    mean, _, _, counts, _ = Path("/proc/loadavg").read_text().split()
    return max(1.0, max(float(mean), float(counts.partition("/")[0])) / (os.cpu_count() or 1))


def within(seconds: float) -> float:
    """Return the limit for what takes at most `seconds` on a quiet machine: what has to share its core takes as many
    times longer, and is put aside for a while each time it wants one."""
    busy = share()
    return seconds * busy + (0.5 if busy > 1 else 0.0)
