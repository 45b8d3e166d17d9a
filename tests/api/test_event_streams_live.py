"""Live events as they reach a browser: through gunicorn, its threads and every middleware."""

import http.client
import json
import socket

import pytest
from django.contrib.auth import get_user_model

from access.tokens import make_token
from microservice.models import Deployment
from microservice.status import DeploymentStatus
from tests import factories
from tests.lab.network import wait_until
from tests.lab.web import Web

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def web(environment, tmp_path):
    with Web({**environment, "WEB_THREADS": "12", "MAX_EVENT_STREAMS": "4"}, tmp_path / "web.log") as running:
        yield running


@pytest.fixture
def token():
    user = get_user_model().objects.create(username="ann", is_superuser=True)
    return make_token(user, "test", ["read"])[1]


class Browser:
    def __init__(self, web, token, path, **headers):
        self.connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip, br", **headers}
        self.connection.request("GET", f"/api/v1{path}", headers=headers)
        self.answer = self.connection.getresponse()

    def next_id(self):
        """Return the next event's id; None at the end of the stream."""
        while line := self.answer.readline():
            if line.startswith(b"id: "):
                return int(line[4:])
        return None

    def close(self):
        self.connection.close()


def test_streams_reach_every_browser_and_end(web, token):
    deployment = factories.running()
    first = factories.event(deployment)
    browsers = [Browser(web, token, f"/deployments/{deployment.pk}/events") for _ in range(4)]
    assert [browser.answer.status for browser in browsers] == [200] * 4
    assert all(browser.answer.getheader("Content-Encoding") is None for browser in browsers)
    assert [browser.next_id() for browser in browsers] == [first.pk] * 4
    live = factories.event(deployment)
    assert [browser.next_id() for browser in browsers] == [live.pk] * 4
    refused = Browser(web, token, "/events")
    assert (refused.answer.status, refused.answer.getheader("Retry-After")) == (503, "5")
    Deployment.objects.filter(pk=deployment.pk).update(status=DeploymentStatus.SUCCEEDED)
    last = factories.event(deployment, "deployment", status="succeeded")
    assert [(browser.next_id(), browser.next_id()) for browser in browsers] == [(last.pk, None)] * 4
    for browser in browsers:
        browser.close()


def test_closed_browsers_free_their_slot(web, token):
    deployment = factories.running()
    for _ in range(4):
        Browser(web, token, f"/deployments/{deployment.pk}/events").close()

    def room():
        factories.event(deployment)  # what is written to a closed connection tells the server so
        browser = Browser(web, token, "/events")
        browser.close()
        return browser.answer.status == 200

    wait_until(room, seconds=60, what="a free slot")


NO_REQUESTS = [
    (b"GET /api/v1/services/?cursor=" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414, "uri_too_long"),
    (b"GET /api/v1/ HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431, "headers_too_large"),
    (b"GET /api/v1/ HTTP/1.1\r\nno colon\r\n\r\n", 400, "bad_request"),
    (b"nonsense\r\n\r\n", 400, "bad_request"),
    (b"POST /api/v1/ HTTP/1.1\r\nTransfer-Encoding: nonsense\r\n\r\n", 400, "bad_request"),
]


def test_malformed_requests_get_a_problem(web):
    for sent, status, code in NO_REQUESTS:
        _is_refused(web, sent, status, code)


def _is_refused(web, sent: bytes, status: int, code: str) -> None:
    with socket.create_connection(("127.0.0.1", web.port), 30) as connection:
        connection.sendall(sent)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        body = json.loads(answer.read())
    assert (answer.status, answer.getheader("Content-Type")) == (status, "application/problem+json")
    assert (body["status"], body["code"], body["type"]) == (status, code, f"/api/v1/docs/errors#{code}")
