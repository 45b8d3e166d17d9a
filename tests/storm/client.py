"""A client of the product's API that repeats what was not answered."""

import http.client
import json
import time
import uuid


class Client:
    def __init__(self, port: int, token: str):
        self.port, self.token = port, token

    def send(self, method: str, path: str, body: object = None, patience: float = 60.0) -> tuple[int, dict]:
        """Send a request as a pipeline does: with the same key again, until it is answered with other than an error."""
        key, deadline = uuid.uuid4().hex, time.monotonic() + patience
        while True:
            try:
                status, answer = self._once(method, path, body, key)
                if status < 500 and answer.get("code") != "idempotency_in_progress":
                    return status, answer
                if status < 500 and time.monotonic() > deadline - patience + 3:
                    key = uuid.uuid4().hex  # a process died with the key, which would be free again after its lease
                words = f"{status} {answer}"
            except (OSError, http.client.HTTPException, ValueError) as error:
                words = repr(error)
            if time.monotonic() > deadline:
                raise TimeoutError(f"{method} {path} was not answered within {patience} s: {words}")
            time.sleep(0.2)

    def _once(self, method: str, path: str, body: object, key: str) -> tuple[int, dict]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", "Idempotency-Key": key}
        try:
            connection.request(method, "/api/v1" + path, json.dumps(body or {}) if method == "POST" else None, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        finally:
            connection.close()
