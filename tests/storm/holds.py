"""What the requests of a round wait for, and how that ends: two people say yes at once, a freeze ends, a time comes."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from django.utils import timezone

from .installation import PEOPLE
from .plan import Turn
from .scene import Scene

APPROVAL, FREEZE, SCHEDULE = "waited for approval", "waited in a freeze", "waited for its time"
KINDS = (APPROVAL, FREEZE, SCHEDULE)
HELD_FOR = timedelta(seconds=2)  # by a freeze, or until its time
PATIENCE = 40.0  # seconds in which a yes must be heard
# What a person is told who comes too late, or while a host is locked by something else.
GONE = "wrong_target"  # a delete that was asked for twice, because the first answer was lost
TOO_LATE, NOT_NOW = "deployment_state", ("plan_changed", "instance_locked", "nothing_to_do", "concurrent_update")


class Hold:
    """One round's. `kind`: "" where nothing holds its requests up."""

    def __init__(self, scene: Scene, kind: str):
        self.scene, self.kind = scene, kind
        self.waited: set[int] = set()  # deployments that waited
        self.shown: dict[int, set[int]] = {}  # of these, the hosts of each plan that was approved
        self._lock = threading.Lock()

    def begin(self) -> None:
        from asset.models import Environment
        from microservice.models import Freeze

        now = timezone.now()
        need = PEOPLE if self.kind == APPROVAL else 0
        self.scene.rows(lambda: Environment.objects.update(approvals=need, updated=now))
        if self.kind == FREEZE:
            times = {"start": now, "end": now + HELD_FOR}
            name = f"round {self.scene.tally.rounds}"
            self.scene.rows(
                lambda: Freeze.objects.get_or_create(
                    name=name, defaults={"everywhere": True, "allow_reverts": False, **times}
                )
            )

    def more(self) -> dict[str, str]:
        """Return what a request says besides."""
        return {"start_at": (timezone.now() + HELD_FOR).isoformat()} if self.kind == SCHEDULE else {}

    def answer(self, deployment: dict, cancelled: bool) -> None:
        """Take note of a deployment that waits, and say yes to it, unless it will be cancelled."""
        if deployment["status"] != "waiting":
            return
        number = deployment["id"]
        self.waited.add(number)
        self.scene.tally.faults[self.kind] += 1
        if self.kind == APPROVAL and not cancelled:
            with ThreadPoolExecutor(2 * PEOPLE) as hands:  # each of them clicks twice
                clicks = itertools.chain(range(PEOPLE), range(PEOPLE))
                list(hands.map(lambda who: self._say_yes(who, number), clicks))

    def _say_yes(self, who: int, number: int) -> None:
        person, deadline = self.scene.approvers[who], time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            status, answer = person.send("GET", f"/deployments/{number}/plan")
            if status == 200:
                hosts = {target["host_id"] for target in answer["targets"]}
                with self._lock:
                    self.shown.setdefault(number, set()).update(hosts)
                yes = {"plan_token": answer["plan_token"], "comment": "storm"}
                status, answer = person.send("POST", f"/deployments/{number}/approve", yes)
            if status == 200 or answer.get("code") == TOO_LATE:
                return
            if answer.get("code") == GONE:
                person.send("POST", f"/deployments/{number}/reject", {"comment": "its instances are gone"})
                return
            if answer.get("code") not in NOT_NOW:
                self.scene.tally.wrong(f"a yes to deployment {number} was answered with {status} {answer}")
                return
            time.sleep(0.3)
        self.scene.tally.wrong(f"a yes to deployment {number} was not heard in {PATIENCE} s: {status} {answer}")

    def end(self, turns: list[Turn]) -> None:
        """Check what waited. A turn whose deployment never began has none."""
        self.scene.rows(lambda: self._check(turns))

    def _check(self, turns: list[Turn]) -> None:
        from audit.models import History
        from microservice.models import Approval, Deployment, DeploymentRequest
        from microservice.status import DeploymentStatus

        for row in DeploymentRequest.objects.filter(deployment__in=self.waited).select_related("deployment"):
            made: Deployment = row.deployment
            who = f"deployment {made.pk} ({made.action}, {self.kind})"
            begun = History.objects.filter(subject="deployment", subject_id=made.pk, action=made.action).count()
            hosts = list(made.operations.values_list("host", flat=True))
            self._holds(row.look_at is None and made.status != DeploymentStatus.WAITING, f"{who} waits still")
            self._holds(begun == bool(hosts), f"{who} began {begun} times, with {len(hosts)} operations")
            self._holds(len(set(hosts)) == len(hosts), f"{who} has two operations on one host")
            if self.kind == APPROVAL and hosts:
                yes = Approval.objects.filter(request=row, round=row.round).values_list("user", flat=True)
                self._holds(len(set(yes)) == len(yes) == PEOPLE, f"{who} began with {list(yes)}")
                self._holds(set(hosts) <= self.shown.get(made.pk, set()), f"{who} runs on what was not shown")
            for turn in turns:
                if turn.deployment == made.pk and not hosts:
                    reason = made.reason.code if made.reason else ""
                    self._holds(reason not in ("", "waited_too_long"), f"{who} never began: {reason}")
                    turn.deployment = 0
                    turn.notes.append(f"never began: {reason}")

    def _holds(self, holds: object, words: str) -> None:
        self.scene.tally.check(27, holds, words)
