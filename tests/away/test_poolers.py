"""The product behind PgBouncer with its defaults, pooling sessions or transactions: tables, pages, API, live events,
and deployments on hosts.
"""

import json

import pytest

from .scene import Scene
from .watchers import get

pytestmark = [pytest.mark.slow, pytest.mark.found("settings")]


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_works_through_pgbouncer(short_tmp, mode):
    # A session of the server each, where sessions are pooled: the fewest that a process may have are enough.
    with Scene(short_tmp, workers=1, hosts=2, lines=5, pooling=mode, DATABASE_POOL_SIZE="2") as scene:

        def ended(number: int) -> str:
            status, text = get(f"{scene.web.url}/api/v1/deployments/{number}?wait=20", scene.token)
            assert status == 200, text
            return json.loads(text)["status"] if json.loads(text)["status"] not in ("queued", "running") else ""

        scene.until(lambda: ended(1) == "succeeded", 90, "the install")
        made = scene.post(
            f"versions/{scene.made['versions'][0]}/upgrade", {"host": "all", "dest_version": scene.made["versions"][1]}
        )
        scene.until(lambda: ended(made["id"]) == "succeeded", 90, "the upgrade")
        assert scene.manage("verify_history").returncode == 0
        scene.until(lambda: scene.stream.count > 10 and len(scene.pages.seen) > 10, 30, "who looks on")
        assert scene.pages.statuses() == {200}
        names = {
            name
            for (name,) in scene.ask(
                "SELECT application_name FROM pg_stat_activity WHERE backend_type = 'client backend'"
            )
        }
        assert "deployer" in names
