"""Detect the sandbox of this machine by trying it. The result is cached for a while."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from messages import Message

from ..providers import BuildRefused
from . import cgroups
from .commands import BUBBLEWRAP, NAMESPACES, NONE, OFF, Isolation
from .holding import Unheld
from .running import BuildTimedOut, Command, Run
from .watching import Limits

# The strongest first.
_ORDER = (BUBBLEWRAP, NAMESPACES)
SETTINGS = ("auto", *_ORDER, OFF)
NETWORKS = ("auto", "none")
WATCHED = "watched"
_CACHE_SECONDS, _RETRY_SECONDS = 600, 30  # a complete result is cached, an incomplete one retried
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
class SandboxSupport:
    """`means`: none if git builds are refused. `network`: pasta, none, or host (without a sandbox). `memory`: what
    limits it: cgroup2, cgroup1 or watched. `missing`: messages, each with what to install or to set."""

    way: Isolation
    base: cgroups.Base | None = None
    missing: tuple[Message, ...] = ()

    @property
    def means(self) -> str:
        return self.way.means

    @property
    def network(self) -> str:
        return "host" if self.way.means == OFF else "pasta" if self.way.network else "none"

    @property
    def memory(self) -> str:
        return f"cgroup{self.base.version}" if self.base else WATCHED

    def refusal(self) -> Message | None:
        """Return why git builds are refused here, or None."""
        return Message("no_sandbox.worker", {"missing": self.missing}) if self.means == NONE else None


class Finder:
    """Detect once, and again after a while: what an administrator installs is used without a restart."""

    def __init__(self, look: Callable[[str, str], SandboxSupport]):
        self._look, self._lock = look, threading.Lock()
        self._known: dict[tuple[str, str], tuple[float, SandboxSupport]] = {}

    def __call__(self, wanted: str, network: str) -> SandboxSupport:
        with self._lock:
            until, support = self._known.get((wanted, network), (0.0, None))
            if support is None or time.monotonic() > until:
                support = self._look(wanted, network)
                good = support.means != NONE and not support.missing
                self._known[wanted, network] = (
                    time.monotonic() + (_CACHE_SECONDS if good else _RETRY_SECONDS),
                    support,
                )
            return support

    def forget(self) -> None:
        self._known.clear()


def look(wanted: str, network: str) -> SandboxSupport:
    """Look for what isolates builds here. `wanted` is one of SETTINGS, `network` one of NETWORKS."""
    root = os.geteuid() == 0
    base = _base()
    if wanted == OFF:
        return SandboxSupport(Isolation(OFF, root=root), base)
    missing: list[Message] = []
    for means in _ORDER if wanted == "auto" else (wanted,):
        for way in _ways(means, root):
            reason = try_out(way)
            if not reason:
                way, without = _with_network(way, network)
                return SandboxSupport(way, base, (*missing, *without))
        missing.append(_advice(means, reason))
    return SandboxSupport(Isolation(NONE, root=root), base, tuple(missing))


find = Finder(look)


def try_out(way: Isolation) -> str:
    """Run a command inside that checks the sandbox. Return why it is not reliable, or ""."""
    printed: list[str] = []
    script = _HOLDS + (_NETWORK_HOLDS if way.network else "")
    try:
        with Run(way, (), Limits(seconds=20), Unheld(printed.append), None) as run:
            run.execute(
                Command(Message("build_step.probe"), ["sh", "-c", script], {}, run.inside("work"), network=way.network)
            )
            return "" if (run.folder / "work" / "written").exists() else "the sandbox test wrote nothing"
    except (BuildRefused, BuildTimedOut, OSError) as error:
        return str(error)


@lru_cache(maxsize=1)
def _base() -> cgroups.Base | None:
    """Detect once: this process may move into a group of its own for it, and stays there."""
    return cgroups.find()


def _ways(means: str, root: bool) -> list[Isolation]:
    ways = [Isolation(means, root=root)]
    if root and means == NAMESPACES:
        ways.append(Isolation(means, root=True, user_namespace=False))
    return ways


def _with_network(way: Isolation, network: str) -> tuple[Isolation, tuple[Message, ...]]:
    if network != "auto":
        return way, ()
    if not way.user_namespace:
        return way, (Message("sandbox_missing.network_namespaces"),)
    open_ = Isolation(way.means, True, way.root, way.user_namespace)
    reason = try_out(open_)
    if not reason:
        return open_, ()
    return way, (Message("sandbox_missing.network", {"words": reason}),)


def _advice(means: str, reason: str) -> Message:
    code = "sandbox_missing.bubblewrap" if means == BUBBLEWRAP else "sandbox_missing.namespaces"
    return Message(code, {"words": reason})
