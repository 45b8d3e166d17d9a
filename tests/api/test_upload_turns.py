"""Slow uploads: they may use a share of the threads, and each caller a share of that."""

import select

import pytest

from microservice.models import MicroService, MicroServiceVersion
from tests.deployer.web_process.test_gunicorn_worker import SOON, head, serving
from tests.lab.attack import Slow, seconds
from tests.lab.busy import within
from tests.lab.network import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_large_bodies_leave_free_threads(environment, tmp_path, api, store):
    """More uploads than threads, by a caller with the right, as slow as the pace allows."""
    service = MicroService.objects.create(name="shop")
    version = MicroServiceVersion.objects.create(microservice=service, version="1.0")
    settings = {
        "WEB_THREADS": "8",
        "MAX_UPLOADS_PER_USER": "100",
        "UPLOAD_IDLE_TIMEOUT": "3",
        "PACKAGE_ROOT": str(store),
    }
    token = "".join(f"{name}: {value}\r\n" for name, value in api().headers.items())
    with serving(environment, tmp_path / "web.log", **settings) as web:
        path = f"/api/v1/services/shop/versions/{version.pk}/package"
        first = head(web.url, path, 1 << 30, "PUT", "application/gzip", token) + b"\x1f\x8b\x08"
        with Slow(web.url, 40, first) as attack:
            for _ in range(3):
                attack.drip(b"\0")
                assert seconds(f"{web.url}/login/") < within(SOON)
            wait_until(lambda: attack.ended() == 40, 60, "all of them answered")


def test_limits_uploads_of_a_caller(environment, tmp_path, api, store):
    service = MicroService.objects.create(name="shop")
    version = MicroServiceVersion.objects.create(microservice=service, version="1.0")
    token = "".join(f"{name}: {value}\r\n" for name, value in api().headers.items())
    with serving(environment, tmp_path / "web.log", MAX_UPLOADS_PER_USER="2", PACKAGE_ROOT=str(store)) as web:
        path = f"/api/v1/services/shop/versions/{version.pk}/package"
        first = head(web.url, path, 1 << 30, "PUT", "application/gzip", token) + b"\x1f\x8b\x08"
        with Slow(web.url, 3, first) as attack:
            wait_until(lambda: attack.ended() == 1, 20, "the third refused")
            refused = next(one for one in attack.connections if select.select([one], [], [], 0)[0])
            answer = refused.recv(4000)
            assert b" 429 " in answer and b"too_many_uploads" in answer and b"Retry-After" in answer
