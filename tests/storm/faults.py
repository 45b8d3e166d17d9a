"""What can go wrong, as one function each. It answers with the kind that was injected, "" where it was not possible.

Each heals by itself: what is frozen is thawed after some seconds, what is dead is started again by scene.residents.
"""

import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Callable

from demo.supervise import below
from tests.lab import processes

from .plan import Turn
from .residents import Resident
from .scene import Scene

Fault = Callable[[Scene, random.Random, list[Turn]], str]


def later(seconds: float, action: Callable[[], object]) -> None:
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()


def web_killed(scene: Scene, chance: random.Random, turns: list[Turn]) -> str:
    return "web killed" if scene.web.kill_all() else ""


def web_child_killed(scene: Scene, chance: random.Random, turns: list[Turn]) -> str:
    children = processes.children(scene.web.pid) if scene.web.pid else []
    for pid in children:
        processes.kill(pid)
    return "web child killed" if children else ""


def worker_killed(scene: Scene, chance: random.Random, turns: list[Turn]) -> str:
    return "worker killed" if _some_worker(scene, chance).kill_all() else ""


def worker_told_to_stop(scene: Scene, chance: random.Random, turns: list[Turn]) -> str:
    return "worker told to stop" if _some_worker(scene, chance).signal(signal.SIGTERM) else ""


def worker_frozen(scene: Scene, chance: random.Random, turns: list[Turn]) -> str:
    """Past its lease, and then it goes on: it must find out that it is late."""
    one = _some_worker(scene, chance)
    if not one.signal(signal.SIGSTOP):
        return ""
    scene.takeovers.lost_by(one.pid, time.monotonic())
    later(scene.size.lease + chance.uniform(2.0, 5.0), lambda: one.signal(signal.SIGCONT))
    return "worker frozen"


def broker_killed(scene: Scene, chance: random.Random, turns: list[Turn]) -> str:
    return "broker killed" if scene.broker_process.kill_all() else ""


def broker_emptied(scene: Scene, chance: random.Random, turns: list[Turn]) -> str:
    try:
        scene.broker.empty()
    except OSError:
        return ""
    return "broker emptied"


def message_sent_ten_times(scene: Scene, chance: random.Random, turns: list[Turn]) -> str:
    from microservice import wake

    wake.send(10)
    return "message sent ten times"


def database_killed(scene: Scene, chance: random.Random, turns: list[Turn]) -> str:
    return "database killed" if scene.postgres is not None and scene.database.kill_all() else ""


def database_silent(scene: Scene, chance: random.Random, turns: list[Turn]) -> str:
    return no_answers(scene, chance.uniform(1.0, scene.size.lease + 2.0))


def no_answers(scene: Scene, seconds: float) -> str:
    """PostgreSQL is frozen; SQLite has one writer, and another process is it."""
    if scene.postgres is not None:
        pids = [scene.database.pid, *below(scene.database.pid)] if scene.database.pid else []
        _signal(pids, signal.SIGSTOP)
        later(seconds, lambda: _signal(pids, signal.SIGCONT))
        return "database frozen"
    held = threading.Event()

    def hold() -> None:
        connection = sqlite3.connect(scene.folder / "db.sqlite3", timeout=15, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        held.set()
        time.sleep(seconds)
        connection.execute("ROLLBACK")
        connection.close()

    threading.Thread(target=hold, daemon=True).start()
    held.wait(15)
    return "database held"


def sshd_sessions_killed(scene: Scene, chance: random.Random, turns: list[Turn]) -> str:
    used = [server for server in scene.sshds if server.connections()]
    if not used:
        return ""
    server = chance.choice(used)
    _note(turns, "cut", lambda turn: turn.place.sshd is server)
    server.drop_connections()
    return "sshd sessions killed"


def sshd_frozen(scene: Scene, chance: random.Random, turns: list[Turn]) -> str:
    server = chance.choice(scene.sshds)
    pids = [server.pid, *server.connections()]
    _note(turns, "cut", lambda turn: turn.place.sshd is server)
    _signal(pids, signal.SIGSTOP)
    later(chance.uniform(2.0, 6.0), lambda: _signal(pids, signal.SIGCONT))
    return "sshd frozen"


def run_killed(scene: Scene, chance: random.Random, turns: list[Turn]) -> str:
    alive = [turn for turn in turns if turn.place.runs_alive()]
    if not alive:
        return ""
    turn = chance.choice(alive)
    turn.died = turn.torn = True
    turn.place.kill_runs()
    turn.notes.append("run killed")
    return "run killed on host"


def line_cut(scene: Scene, chance: random.Random, turns: list[Turn]) -> str:
    turn = chance.choice(turns)
    turn.cut = True
    turn.place.relay.cut()
    turn.notes.append("line cut")
    return "line cut"


def line_frozen(scene: Scene, chance: random.Random, turns: list[Turn]) -> str:
    turn = chance.choice(turns)
    turn.cut = True
    relay = turn.place.relay
    relay.frozen.set()
    later(chance.uniform(1.0, 8.0), relay.frozen.clear)
    turn.notes.append("line frozen")
    return "line frozen"


def host_rebooted(scene: Scene, chance: random.Random, turns: list[Turn]) -> str:
    others = [turn for turn in turns if turn.place.number]  # the first one is watched by a reader
    if not others:
        return ""
    turn = chance.choice(others)
    turn.died = turn.torn = turn.cut = turn.rebooted = True
    turn.place.reboot()
    turn.notes.append("rebooted")
    return "host rebooted"


def _some_worker(scene: Scene, chance: random.Random) -> Resident:
    """One that has something to lose, where there is one."""
    from microservice.models import Operation
    from microservice.status import OperationStatus

    running = Operation.objects.filter(status=OperationStatus.RUNNING)
    try:
        owners = list(running.values_list("owner", flat=True))
    except Exception:  # noqa: BLE001 - the storm may have the database down: then any worker will do
        owners = []
    busy = [one for one in scene.workers if any(f":{one.pid}:" in owner for owner in owners)]
    return chance.choice(busy or scene.workers)


def _note(turns: list[Turn], what: str, which: Callable[[Turn], bool]) -> None:
    for turn in turns:
        if which(turn):
            setattr(turn, what, True)
            turn.notes.append(what)


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


OF_PROCESSES: list[Fault] = [
    worker_killed,
    worker_killed,
    worker_frozen,
    web_killed,
    web_child_killed,
    worker_told_to_stop,
]
OF_BROKER: list[Fault] = [broker_killed, broker_emptied, message_sent_ten_times]
OF_HOSTS: list[Fault] = [
    sshd_sessions_killed,
    sshd_frozen,
    run_killed,
    line_cut,
    line_frozen,
    host_rebooted,
]
EVERY = OF_PROCESSES + OF_BROKER + OF_HOSTS


def possible(database: str, share: str) -> list[Fault]:
    """Return the faults for a storm over this database; `share` 1/2 and 2/2 have half of the common ones each."""
    which, of = map(int, share.split("/"))
    own = [database_silent] if database == "sqlite" else [database_killed, database_silent]
    return own + EVERY[which - 1 :: of]
