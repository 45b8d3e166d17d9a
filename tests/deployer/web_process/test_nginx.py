"""The shipped nginx.conf in front of a real web process: the same attacks, and what it closes."""

import http.client

import pytest

from tests.deployer.web_process.test_gunicorn_worker import MANY, SOON, ann, head, lying_in, pour, signed_in
from tests.lab.attack import Slow, connection_to, seconds, unverified
from tests.lab.busy import within
from tests.lab.network import wait_until
from tests.lab.nginx import Nginx
from tests.lab.web import Web

pytestmark = pytest.mark.django_db(transaction=True)
FORMER = {  # the lines of the file as it was: the control
    "client_body_timeout   10s;": "client_body_timeout 60s;",
    "client_max_body_size     1m;": "client_max_body_size 2g;",
    "proxy_request_buffering  on;": "proxy_request_buffering off;",
    "limit_conn        deployer_connections 100;": "",
    "limit_req zone=deployer_sign_in burst=20 nodelay;": "",
}


@pytest.fixture
def place(environment, tmp_path, short_tmp):
    def start(replace=None, **settings):
        web = Web(
            {**environment, "TRUSTED_PROXIES": "127.0.0.1", "TMPDIR": str(short_tmp), **settings}, tmp_path / "web.log"
        )
        nginx = Nginx(tmp_path / "nginx", web.port, replace)
        web.environment["PUBLIC_URL"] = nginx.url
        web.start()
        started.append(web)
        nginx.start()
        started.append(nginx)
        seconds(f"{nginx.url}/login/", 60)
        return nginx

    started: list = []
    yield start
    for one in reversed(started):
        one.stop()


def test_nginx_accepts_the_shipped_file(tmp_path):
    tested = Nginx(tmp_path / "nginx", 8000).tested()
    assert tested.returncode == 0, tested.stderr
    assert "warn" not in tested.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/login/", "application/x-www-form-urlencoded"),
        ("/api/v1/builds/git/webhook", "application/json"),
        ("/api/v1/services/shop/versions/", "application/json"),
        ("/api/v1/hosts/import", "application/json"),
    ],
)
def test_slow_bodies_block_no_other_client(place, path, kind):
    nginx = place()
    ann()
    with Slow(nginx.url, MANY, head(nginx.url, path, 1000, kind=kind) + b"{") as attack:
        for _ in range(3):
            attack.drip()
            assert seconds(f"{nginx.url}/healthz", source="127.0.0.2") < within(SOON)
        assert signed_in(nginx.url, source="127.0.0.2") < within(2 * SOON)
        wait_until(lambda: attack.ended() == MANY, 60, "all of them refused or let go")


@pytest.mark.slow
def test_slow_bodies_block_the_former_file(place):
    nginx = place(FORMER, GUNICORN_CMD_ARGS="--worker-class=gthread")
    with Slow(nginx.url, MANY, head(nginx.url, "/login/", 1000) + b"u"):
        assert seconds(f"{nginx.url}/healthz", 2 * SOON, source="127.0.0.2") >= 2 * SOON


@pytest.mark.parametrize("path", ["/login/", "/api/v1/services/", "/api/v1/services/shop/versions/"])
def test_cuts_off_large_forms_of_strangers(place, short_tmp, path):
    nginx = place()
    sent, _answer = pour(nginx.url, path, 300 << 20, short_tmp, unverified())
    assert sent < 300 << 20
    assert lying_in(nginx.folder) < 1 << 20


def status(url: str, source: str = "127.0.0.1") -> tuple[int, http.client.HTTPMessage]:
    connection = connection_to(url, 30, source)
    connection.request("GET", "/" + url.partition("//")[2].partition("/")[2])
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, answer.headers


def test_transport_and_closed_paths(place):
    nginx = place()
    moved, headers = status(f"{nginx.plain}/fleet?x=1")
    assert moved == 301 and headers["Location"].startswith("https://") and headers["Location"].endswith("/fleet?x=1")
    found, headers = status(f"{nginx.url}/login/")
    assert found == 200 and headers.get_all("Strict-Transport-Security") == ["max-age=31536000"]
    for path in ("/metrics", "/readyz", "/metrics/", "/readyz/"):
        assert status(f"{nginx.url}{path}", source="127.0.0.2")[0] == 403
    assert status(f"{nginx.url}/metrics")[0] == 200


def test_limits_sign_ins_of_an_address(place):
    nginx = place()
    statuses = [status(f"{nginx.url}/login/")[0] for _ in range(40)]
    assert statuses[:15] == [200] * 15 and 429 in statuses
    assert status(f"{nginx.url}/login/", source="127.0.0.2")[0] == 200
