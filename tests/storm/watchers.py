"""Observers of a storm: a reader of `current`, which must never see half a version, and one of live events."""

import http.client
import json
import threading
import time

from .installation import VERSIONS
from .places import Place
from .scene import Scene


class Reader:
    """Reads `current/VERSION` on one host, again and again, while its versions change."""

    def __init__(self, place: Place):
        self.place, self.reads, self.bad = place, 0, []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        path = self.place.folder / "current" / "VERSION"
        while not self._over.wait(0.004):
            try:
                seen = path.read_text()
            except OSError as error:
                seen = repr(error)
            self.reads += 1
            if seen not in VERSIONS:
                self.bad.append(seen)

    def end(self, scene: Scene) -> None:
        self._over.set()
        self._thread.join(10)
        tally = scene.tally
        tally.checked[19] += self.reads - len(self.bad)
        for seen in self.bad[:20]:
            tally.check(19, False, f"a reader of {self.place.name} saw {seen}")


class Follower:
    """One browser that follows all live events through every restart; each event must come once, in order."""

    def __init__(self, scene: Scene):
        self.scene, self.ids, self.last = scene, [], 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._follow()
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.3)

    def _follow(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.scene.port, timeout=25)
        headers = {"Authorization": f"Bearer {self.scene.client.token}", "Last-Event-ID": str(self.last)}
        try:
            connection.request("GET", "/api/v1/events", headers=headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise ValueError(answer.status)
            number = 0
            while not self._over.is_set():
                line = answer.readline()
                if not line:
                    return
                if line.startswith(b"id:"):
                    number = int(line[3:])
                elif line == b"\n" and number:
                    self.ids.append(number)
                    self.last, number = number, 0
        finally:
            connection.close()

    def end(self) -> None:
        """Wait until every event was delivered, and compare with the rows."""
        from audit.models import Event

        there = self.scene.rows(lambda: list(Event.objects.order_by("pk").values_list("pk", flat=True)))
        deadline = time.monotonic() + 15
        while there and self.last < there[-1] and time.monotonic() < deadline:
            time.sleep(0.2)
        self._over.set()
        received = [number for number in self.ids if not there or number <= there[-1]]
        self.scene.tally.events_seen = len(received)
        if received != there:
            lost, more = sorted(set(there) - set(received)), len(received) - len(set(received))
            self.scene.tally.context = f"events on {self.scene.tally.database}"
            self.scene.tally.wrong(
                json.dumps({"lost": lost[:20], "doubled": more, "in_order": received == sorted(received)})
            )
