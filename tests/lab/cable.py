"""A network of its own that can be cut: packets vanish both ways, without an error."""

import os
import random
import shutil
import subprocess
from functools import lru_cache

_random = random.SystemRandom()


@lru_cache(maxsize=1)
def why_not() -> str:
    """Why this machine has no such network; "" where it has."""
    if os.geteuid():
        return "a network of its own needs root"
    missing = [name for name in ("ip", "setpriv") if not shutil.which(name)]
    if missing:
        return f"this machine has no {missing[0]}"
    name = f"try{_random.randint(0, 1 << 24):06x}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        return f"this machine allows no network namespaces: {made.stderr.strip()}"
    add = ["ip", "netns", "exec", name, "ip", "link", "add", "br0", "type", "bridge"]
    bridge = subprocess.run(add, capture_output=True)
    subprocess.run(["ip", "netns", "del", name], check=True)
    return "this machine allows no bridges" if bridge.returncode else ""


class Network:
    """`with Network() as network:` — a program that is started with `network.inside(…)` before its command listens at
    `network.address`. Between here and there is a bridge, out of which `cut` pulls the plug."""

    def __init__(self) -> None:
        tag = f"{_random.randint(0, 1 << 24):06x}"
        self._there, self._between = f"there{tag}", f"betw{tag}"
        self._ends = [f"v{tag}{n}" for n in range(4)]
        net = f"10.{_random.randint(128, 250)}.{_random.randint(0, 255)}"
        host = 4 * _random.randint(0, 60)
        self.here, self.address = f"{net}.{host + 1}", f"{net}.{host + 2}"

    def __enter__(self) -> "Network":
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _make(self) -> None:
        a, b, c, d = self._ends
        for name in (self._there, self._between):
            _ip("netns", "add", name)
        _ip("link", "add", a, "type", "veth", "peer", "name", b)
        _ip("link", "add", c, "type", "veth", "peer", "name", d)
        for end, name in ((b, self._between), (c, self._between), (d, self._there)):
            _ip("link", "set", end, "netns", name)
        _ip("addr", "add", f"{self.here}/30", "dev", a)
        _ip("link", "set", a, "up")
        self._inside(self._between, "link", "add", "br0", "type", "bridge")
        for end in (b, c):
            self._inside(self._between, "link", "set", end, "master", "br0")
            self._inside(self._between, "link", "set", end, "up")
        self._inside(self._between, "link", "set", "br0", "up")
        self._inside(self._there, "addr", "add", f"{self.address}/30", "dev", d)
        for end in ("lo", d):
            self._inside(self._there, "link", "set", end, "up")

    def __exit__(self, *_) -> None:
        for name in (self._there, self._between):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        subprocess.run(["ip", "link", "del", self._ends[0]], capture_output=True)

    def inside(self, uid: int, gid: int) -> list[str]:
        """Return the words that run a command in this network, as that user."""
        as_user = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
        return ["ip", "netns", "exec", self._there, *as_user]

    def cut(self) -> None:
        self._inside(self._between, "link", "set", self._ends[2], "nomaster")

    def heal(self) -> None:
        self._inside(self._between, "link", "set", self._ends[2], "master", "br0")

    def _inside(self, name: str, *words: str) -> None:
        _ip("netns", "exec", name, "ip", *words)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
