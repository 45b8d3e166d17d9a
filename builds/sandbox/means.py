"""What this machine can shut builds in with: found out by doing it, remembered for a while, told to people."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from ..providers import Refused
from . import cgroups
from .commands import BUBBLEWRAP, NAMESPACES, NONE, OFF, Way
from .running import Command, Run, TimedOut
from .watching import Limits

# The strongest first. A container of a configured engine will stand before these, once engines can be configured.
_ORDER = (BUBBLEWRAP, NAMESPACES)
SETTINGS = ("auto", *_ORDER, OFF)
NETWORKS = ("auto", "none")
WATCHED = "watched"
_GOOD_FOR, _BAD_FOR = 600, 30  # seconds that a finding is believed
_HOLDS = """
set -e
case "$(id -u)" in 1000|2000000000) ;; *) echo "the user is not another one"; exit 1;; esac
grep -q '^CapEff:[[:space:]]*0*$' /proc/self/status
grep -q '^NoNewPrivs:[[:space:]]*1' /proc/self/status
[ "$(ls -d /proc/[0-9]* | wc -l)" -lt 16 ]
[ ! -e /root ] && [ ! -e /var ] && [ ! -e /run ]
! touch /usr/deployer-probe 2>/dev/null
touch written
"""
_NETWORK_HOLDS = """
[ "$(ip -o route show type blackhole | wc -l)" -gt 0 ]
[ -n "$(ip -o route show default)$(ip -o -6 route show default)" ]
"""


@dataclass(frozen=True, slots=True)
class Found:
    """`means`: none where git builds are refused. `network`: pasta, none, or host (without a sandbox). `memory`: what
    limits it: cgroup2, cgroup1 or watched. `missing`: sentences, each with what to install or to set."""

    way: Way
    base: cgroups.Base | None = None
    missing: tuple[str, ...] = ()

    @property
    def means(self) -> str:
        return self.way.means

    @property
    def network(self) -> str:
        return "host" if self.way.means == OFF else "pasta" if self.way.network else "none"

    @property
    def memory(self) -> str:
        return f"cgroup{self.base.version}" if self.base else WATCHED

    def refusal(self) -> str:
        """Why git builds are refused here; empty where they are not."""
        if self.means != NONE:
            return ""
        return " ".join(("Builds from git need a sandbox, and this worker has none.", *self.missing))


class Finder:
    """Finds out once, and again after a while: what an administrator installed is used without a restart."""

    def __init__(self, look: Callable[[str, str], Found]):
        self._look, self._lock = look, threading.Lock()
        self._known: dict[tuple[str, str], tuple[float, Found]] = {}

    def __call__(self, wanted: str, network: str) -> Found:
        with self._lock:
            until, found = self._known.get((wanted, network), (0.0, None))
            if found is None or time.monotonic() > until:
                found = self._look(wanted, network)
                good = found.means != NONE and not found.missing
                self._known[wanted, network] = (time.monotonic() + (_GOOD_FOR if good else _BAD_FOR), found)
            return found

    def forget(self) -> None:
        self._known.clear()


def look(wanted: str, network: str) -> Found:
    """`wanted` is one of SETTINGS, `network` one of NETWORKS."""
    root = os.geteuid() == 0
    base = _base()
    if wanted == OFF:
        return Found(Way(OFF, root=root), base)
    missing: list[str] = []
    for means in _ORDER if wanted == "auto" else (wanted,):
        for way in _ways(means, root):
            reason = try_out(way)
            if not reason:
                way, told = _with_network(way, network)
                return Found(way, base, (*missing, *told))
        missing.append(_advice(means, reason))
    return Found(Way(NONE, root=root), base, tuple(missing))


find = Finder(look)


def try_out(way: Way) -> str:
    """Runs a command that looks around inside; why it cannot be relied on, or an empty text."""
    printed: list[str] = []
    script = _HOLDS + (_NETWORK_HOLDS if way.network else "")
    try:
        with Run(way, (), Limits(seconds=20), printed.append, None) as run:
            run.go(Command("the test", ["sh", "-c", script], {}, run.inside("work"), network=way.network))
            return "" if (run.folder / "work" / "written").exists() else "it wrote nothing"
    except (Refused, TimedOut, OSError) as error:
        return str(error)


@lru_cache(maxsize=1)
def _base() -> cgroups.Base | None:
    """Once: where this process moves into a group of its own for it, that is where it is from then on."""
    return cgroups.find()


def _ways(means: str, root: bool) -> list[Way]:
    ways = [Way(means, root=root)]
    if root and means == NAMESPACES:
        ways.append(Way(means, root=True, user_namespace=False))
    return ways


def _with_network(way: Way, network: str) -> tuple[Way, tuple[str, ...]]:
    if network != "auto":
        return way, ()
    if not way.user_namespace:
        return way, ("Builds have no network: this machine has no user namespaces (sysctl user.max_user_namespaces).",)
    open_ = Way(way.means, True, way.root, way.user_namespace)
    reason = try_out(open_)
    if not reason:
        return open_, ()
    return way, (f"Builds have no network. Install the packages passt and iproute2 to give them one ({reason}).",)


def _advice(means: str, reason: str) -> str:
    if means == BUBBLEWRAP:
        return f"Install the package bubblewrap ({reason})."
    return f"Or allow user namespaces with sysctl user.max_user_namespaces ({reason})."
