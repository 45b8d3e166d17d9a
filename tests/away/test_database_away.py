"""A database outage of some seconds, of each kind: everything works again soon after its return.

`python -m tests.away` measures longer outages and prints the figures.
"""

import time

import pytest

from tests.lab import cable
from tests.lab.busy import within

from .scene import KINDS, Scene
from .watchers import get

pytestmark = [pytest.mark.slow, pytest.mark.found("away")]
PROMISED = 10.0  # seconds after its return
UNAVAILABLE = ("The database is not responding.", "The database does not answer")  # of a page, of the API
WHY_NOT = cable.why_not()


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("away")
    with Scene(folder, cable=not WHY_NOT) as one:
        began = time.monotonic()
        assert one.manage("verify_history").returncode == 0
        one.command_takes = time.monotonic() - began  # type: ignore[attr-defined]
        yield one


@pytest.mark.parametrize("kind", KINDS)
def test_recovers_from_database_outage(scene, kind):
    if kind == "cut" and WHY_NOT:
        pytest.skip(WHY_NOT)
    scene.pages.seen.clear()
    scene.away(kind, 5)
    found = scene.back(90)
    # A command is mostly the start of Python, which takes its time on a busy machine.
    found["command"] = max(0.0, found["command"] - 3 * scene.command_takes)
    assert max(found.values()) <= within(PROMISED), found
    assert scene.pages.statuses() <= {200, 503}
    for _, status, text in scene.pages.seen:
        if status == 503:
            assert any(words in text for words in UNAVAILABLE)


def test_pages_reload_during_database_outage(scene):
    """No bare 500, for people and pipelines alike; and what was posted is not sent again by itself."""

    def refused() -> tuple[list[str], list[str]]:
        texts = [text for _, status, text in list(scene.pages.seen) if status == 503]
        pages = [text for text in texts if text.startswith("<!DOCTYPE html>")]
        return pages, [text for text in texts if text not in pages]

    scene.pages.seen.clear()
    scene.postgres.kill()
    try:  # it stays away until both were answered: on a busy machine that may take many seconds
        scene.until(lambda: all(refused()), within(30), "a page and an answer of the API")
    finally:
        scene.postgres.run()
    pages, problems = refused()
    assert all('<meta http-equiv="refresh" content="3">' in text for text in pages)
    assert all('"code": "unavailable"' in text for text in problems)
    scene.until(lambda: get(f"{scene.web.url}/api/v1/hosts/", scene.token)[0] == 200, 20, "its return")
