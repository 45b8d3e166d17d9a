"""Runs that stop at a step until a gate is opened."""

import time

from tests.lab.busy import within

from .host import Host

WAIT = "touch $GATE.at; while [ ! -e $GATE ]; do sleep 0.05; done"


def gated(host: Host, **changes) -> dict:
    """Return the fields of a service whose steps can be held up: a command that waits for the file $GATE."""
    return {"environment": {"GATE": str(host.root / "gate")}, **changes}


def wait_at(host: Host, seconds: float = 10) -> None:
    deadline = time.monotonic() + within(seconds)
    while not (host.root / "gate.at").exists():
        assert time.monotonic() < deadline, "never came to the gate"
        time.sleep(0.005)


def open_gate(host: Host) -> None:
    (host.root / "gate").touch()
