"""Idempotency-Key through the real web server: fifty at once, and a process that is killed before it has answered."""

import http.client
import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from audit.models import History
from microservice.models import Deployment, MicroService
from tests import factories
from tests.lab.web import Web

pytestmark = pytest.mark.django_db(transaction=True)


def post(web, headers, path, body, key):
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=90)
    try:
        connection.request(
            "POST",
            f"/api/v1{path}",
            json.dumps(body),
            {**headers, "Content-Type": "application/json", "Idempotency-Key": key},
        )
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        connection.close()


def test_fifty_equal_requests_create_one_service(environment, tmp_path, api):
    headers = dict(api().headers)
    with Web(environment, tmp_path / "web.log") as web:
        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(lambda _: post(web, headers, "/services/", {"name": "shop"}, "a"), range(50)))
        again = post(web, headers, "/services/", {"name": "shop"}, "a")
    statuses = Counter(status for status, _, _ in answers)
    assert set(statuses) <= {201, 409}, statuses
    bodies = {body for status, body, _ in answers if status == 201}
    assert bodies == {again[1]}
    assert again[2]["Idempotency-Replayed"] == "true"
    assert MicroService.objects.count() == History.objects.filter(subject="service").count() == 1


def test_retry_after_a_killed_process(environment, tmp_path, api):
    """Killed after the commit and before the answer: the same key names the deployment that was started."""
    headers, orders = dict(api().headers), tmp_path / "orders"
    orders.mkdir()
    old, new = factories.versions(factories.service("shop"), 2)
    factories.instances(old, factories.hosts(2))
    path, body = f"/services/shop/versions/{old.pk}/upgrade", {"dest_version": new.pk, "host": "all"}
    with Web({**environment, "CRASH_POINTS": str(orders)}, tmp_path / "web.log") as web:
        (orders / "accepted").write_text("")
        with pytest.raises((http.client.HTTPException, OSError)):
            post(web, headers, path, body, "a")
        deadline = time.monotonic() + 60
        while True:  # gunicorn starts another process
            try:
                status, answer, headers_sent = post(web, headers, path, body, "a")
                break
            except (http.client.HTTPException, OSError):
                assert time.monotonic() < deadline
                time.sleep(0.2)
    assert (status, headers_sent["Idempotency-Replayed"]) == (202, "true")
    assert json.loads(answer)["id"] == Deployment.objects.get().pk
