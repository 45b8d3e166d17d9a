"""Promise 1: many clients request the same instances at the same moment, and every instance gets one owner."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from .scene import Scene

CLIENTS, INSTANCES = 50, 20


class Contest:
    """Instances of a service that no worker ever reaches: the rounds are over before the workers start."""

    def __init__(self, scene: Scene):
        from asset.models import Asset
        from microservice.models import MicroService, MicroServiceInstance, MicroServiceVersion
        from microservice.status import BuildStatus, InstanceStatus

        self.scene, self.chance = scene, random.Random(scene.seed)
        service = MicroService.objects.create(name="contested")
        built = {"status": BuildStatus.SUCCESS, "file_path": "none", "sha256": "0" * 64, "size": 1}
        self.old = MicroServiceVersion.objects.create(microservice=service, version="1", **built)
        self.new = MicroServiceVersion.objects.create(microservice=service, version="2", **built)
        hosts = [
            Asset.objects.create(hostname=f"contested{number}", ip="127.0.0.1", port=1, base_path="/nowhere")
            for number in range(INSTANCES)
        ]
        self.ids = [
            MicroServiceInstance.objects.create(
                microservice=service, host=host, version=self.old, status=InstanceStatus.RUNNING
            ).pk
            for host in hosts
        ]
        self.path = f"/services/contested/versions/{self.old.pk}/upgrade"

    def play(self, rounds: int, until: float) -> None:
        with ThreadPoolExecutor(CLIENTS) as hands:
            for number in range(rounds):
                if time.monotonic() > until:
                    return
                self.scene.tally.context = f"contest {number} on {self.scene.tally.database}"
                self._round(hands)

    def _round(self, hands: ThreadPoolExecutor) -> None:
        gate = threading.Barrier(CLIENTS)
        wishes = [self._wish() for _ in range(CLIENTS)]
        # So that nothing is left without an owner.
        wishes[0] = {"host": "all", "dest_version": self.new.pk, "on_locked": "skip"}
        answers = list(hands.map(lambda wish: self._ask(gate, wish), wishes))
        accepted = [answer["id"] for status, answer in answers if status == 202]
        self._look(accepted, answers)
        for status, answer in hands.map(self._cancel, accepted):
            self.scene.tally.check(2, status == 200 and answer["status"] == "cancelled", f"cancel: {status} {answer}")

    def _wish(self) -> dict:
        some = self.chance.sample(self.ids, self.chance.randint(1, 6))
        return {"instances": some, "dest_version": self.new.pk, "on_locked": self.chance.choice(["refuse", "skip"])}

    def _ask(self, gate: threading.Barrier, wish: dict) -> tuple[int, dict]:
        gate.wait(60)
        return self.scene.client.send("POST", self.path, wish)

    def _cancel(self, number: int) -> tuple[int, dict]:
        return self.scene.client.send("POST", f"/deployments/{number}/cancel")

    def _look(self, accepted: list[int], answers: list[tuple[int, dict]]) -> None:
        from microservice.models import MicroServiceInstance, Operation

        tally = self.scene.tally
        locked = MicroServiceInstance.objects.filter(pk__in=self.ids, locked=True)
        held = dict(locked.values_list("pk", "lock_deployment_id"))
        owners: dict[int, list[int]] = {}
        recorded = Operation.objects.filter(deployment__in=accepted)
        for instance, deployment in recorded.values_list("instance_id", "deployment_id"):
            owners.setdefault(instance, []).append(deployment)
        strange = {status for status, _ in answers} - {202, 409}
        if strange:
            tally.wrong(f"answers of {strange}: {[answer for status, answer in answers if status in strange][:2]}")
        for number in self.ids:
            mine = owners.get(number, [])
            one = len(mine) == 1 and held.get(number) == mine[0]
            tally.check(1, one, f"instance {number} is in {mine}, held by {held.get(number)}")
