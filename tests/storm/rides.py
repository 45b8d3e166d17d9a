"""A release train of two stages while processes die: its stages begin in order, each once (promise 28)."""

import time
from collections import Counter

from . import faults
from .checks import Look
from .installation import VERSIONS
from .places import SERVICE
from .plan import Turn
from .quiet import LONGEST, Remainders, wait_for_ends
from .rounds import ends
from .scene import Scene

FAULTS = (faults.worker_killed, faults.web_killed, faults.broker_emptied, faults.worker_told_to_stop)


def ride(scene: Scene) -> None:
    """Take every instance to one version and back, and check each operation as in a round."""
    tally = scene.tally
    tally.context = f"train on {tally.database}"
    before, remainders = frozenset(scene.ended), Remainders(scene)
    remainders.hold()
    old, new = VERSIONS
    stages = [[{"service": SERVICE, "version": version}] for version in (new, old)]
    body = {"name": "storm", "environment": "production", "stages": stages}
    status, answer = scene.client.send("POST", "/trains/", body)
    if status == 409 and answer["code"] == "nothing_to_do":
        return  # an install that the storm made fail is in the way: it can only be retried or deleted
    if not tally.check(28, status == 201, f"a train was answered with {status} {answer}"):
        return
    for fault in FAULTS:
        if kind := fault(scene, scene.chance, []):
            tally.faults[kind] += 1
        time.sleep(scene.chance.uniform(0.2, 1.5))
    ended = _until_ended(scene, answer["id"])
    tally.check(28, ended != "", f"train {answer['id']} does not end")
    wait_for_ends(scene, remainders)
    scene.rows(lambda: _check(scene, answer["id"]))
    for look in scene.rows(lambda: _looks(scene, before)):
        look.all(broker=True)
    scene.ended.update(scene.rows(ends))
    remainders.let_go()
    scene.say(f"{tally.context}: {ended}")


def _until_ended(scene: Scene, number: int) -> str:
    """Return how it ended; resume what is held, and cancel it at last. "" where it does not end."""
    deadline, resumed = time.monotonic() + 2 * LONGEST, 0
    while time.monotonic() < deadline:
        status, train = scene.client.send("GET", f"/trains/{number}")
        if status == 200 and train["finished"]:
            return str(train["status"])
        if status == 200 and train["status"] == "held":
            resumed += 1
            scene.client.send("POST", f"/trains/{number}/{'resume' if resumed < 3 else 'cancel'}")
        time.sleep(0.3)
    return ""


def _check(scene: Scene, number: int) -> None:
    from microservice.models import TrainStart
    from microservice.status import DEPLOYMENT_ENDED

    rows = list(TrainStart.objects.filter(part__train=number).select_related("part", "deployment").order_by("pk"))
    counts = Counter((row.part_id, row.attempt, row.origin_id) for row in rows)
    scene.tally.check(28, not counts or max(counts.values()) == 1, f"train {number} began something twice: {counts}")
    made = [(row.part.stage, row.deployment) for row in rows if row.deployment is not None]
    for stage, one in made:
        scene.tally.check(28, one.status in DEPLOYMENT_ENDED, f"deployment {one.pk} of train {number} has no end")
        early = [other.pk for at, other in made if at < stage and (not other.finished or other.finished > one.created)]
        scene.tally.check(28, not early, f"stage {stage + 1} of train {number} began while {early} were under way")


def _looks(scene: Scene, before: frozenset[int]) -> list[Look]:
    """Return all operations since then, each as one whose run may have died anywhere."""
    from microservice.models import Operation

    places = {place.asset_id: place for place in scene.places}
    rows = Operation.objects.exclude(pk__in=before).filter(deployment__microservice=scene.service)
    found = []
    for row in rows.select_related("from_version", "dest_version").order_by("pk"):
        old, new = (one.version if one else "" for one in (row.from_version, row.dest_version))
        turn = Turn(places[row.host_id], row.action, row.action, old, new, died=True, torn=True)
        found.append(Look(scene, turn, row))
    return found
