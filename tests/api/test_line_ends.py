"""Commands with the line ends of Windows are stored with those of Unix."""

import pytest

pytestmark = [pytest.mark.django_db, pytest.mark.found("forms")]
CRLF = "set -e\r\n\techo one\r\n"
LF = "set -e\n\techo one\n"
STEPS = [{"name": "warm", "before": "post", "run": CRLF, "undo": CRLF, "check": "true"}]


def test_saves_commands_and_steps_with_lf(api):
    ann = api()
    made = ann.post("/services/", {"name": "shop", "start_command": CRLF, "steps": STEPS}).json()
    assert made["start_command"] == LF
    assert made["steps"] == [{"name": "warm", "before": "post", "run": LF, "undo": LF, "check": "true"}]
    changed = ann.patch("/services/shop", {"stop_command": CRLF, "steps": [{**STEPS[0], "check": CRLF}]}).json()
    assert changed["stop_command"] == LF and changed["steps"][0]["check"] == LF


def test_rejects_a_lone_cr_in_commands(api):
    ann = api()
    answer = ann.post("/services/", {"name": "shop", "start_command": "printf 'a\rb'"})
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/start_command"
    made = ann.post("/services/", {"name": "shop", "environment": {"A": "b\r\nc\rd"}}).json()
    assert made["environment"] == {"A": "b\r\nc\rd"}


def test_keeps_saved_line_ends(api):
    """A step saved with old line ends: a request that changes another field sends it unchanged."""
    from microservice.models import MicroService

    ann = api()
    ann.post("/services/", {"name": "shop"})
    MicroService.objects.update(steps=STEPS)
    assert ann.patch("/services/shop", {"steps": STEPS, "description": "x"}).json()["steps"] == STEPS
