"""Build servers that answer endlessly, slowly or with nonsense: bounded, and never an internal error."""

import http.server
import json
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builds import gitlab, jenkins, server_session
from builds.providers import BuildRefused, BuildState, Job, ProviderUnreachable
from integrations import http_client
from tests.lab.busy import within

JOB = Job(1, 1, "shop", 1, "1.0", "main", "http://127.0.0.1/job/shop", "", "ann")
ORIGINS = {"gitlab": lambda url: gitlab.GitLab(url, "t"), "jenkins": lambda url: jenkins.Jenkins(url, "ci", "t")}


class Hostile:
    """Answers whatever it is asked with `answer(request)`; `elsewhere` counts what came with a token to /elsewhere."""

    def __init__(self, answer):
        self.answer, self.requests = answer, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append((self.path, dict(self.headers)))
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    outer.answer(self)
                except OSError:
                    pass

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def endless(request) -> None:
    request.send_response(200)
    request.end_headers()
    for _ in range(500):
        request.wfile.write(b"[" * 1024 * 1024)


def dripping(request) -> None:
    request.send_response(200)
    request.end_headers()
    for _ in range(100):
        request.wfile.write(b" ")
        request.wfile.flush()
        time.sleep(0.2)


def dripping_headers(request) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(100):
        request.wfile.write(b"X")
        request.wfile.flush()
        time.sleep(0.2)


def memory() -> int:
    rows = Path("/proc/self/status").read_text().splitlines()
    return int(next(row for row in rows if row.startswith("VmHWM")).split()[1])


def ask_all(origin) -> None:
    for call in (
        lambda: origin.commit(JOB),
        lambda: origin.start(JOB),
        lambda: origin.find(JOB),
        lambda: origin.look("build:/job/shop/3" if isinstance(origin, jenkins.Jenkins) else "job/shop#3"),
    ):
        try:
            answer = call()
        except (BuildRefused, ProviderUnreachable) as error:
            assert len(str(error)) < 400
            continue
        texts = [answer] if isinstance(answer, str) else [answer.reference, answer.commit, answer.url, answer.detail]
        assert isinstance(answer, str | BuildState) and all(len(text) <= 500 and text.isprintable() for text in texts)


@pytest.mark.parametrize("name", ORIGINS)
def test_huge_answers_cost_no_memory(name):
    with Hostile(endless) as server:
        before = memory()
        ask_all(ORIGINS[name](server.url))
        assert memory() - before < 80 * 1024  # KiB; an answer of 8 MiB is read, and joined once


@pytest.mark.parametrize("name", ORIGINS)
@pytest.mark.parametrize("answer", [dripping, dripping_headers])
def test_dripping_answers_end_in_time(name, answer, monkeypatch):
    monkeypatch.setattr(server_session, "TIMEOUT", 1)
    with Hostile(answer) as server:
        began = time.monotonic()
        with pytest.raises(ProviderUnreachable):
            ORIGINS[name](server.url).look("build:/job/shop/3" if name == "jenkins" else "job/shop#3")
        assert time.monotonic() - began < within(3)


@pytest.mark.parametrize("answer", [dripping, dripping_headers])
def test_probes_end_in_time(answer):
    with Hostile(answer) as server:
        began = time.monotonic()
        with pytest.raises(http_client.Unreachable, match="in time"):
            http_client.exchange(server.url, timeout=1)
        assert time.monotonic() - began < within(3)


def test_sends_tokens_to_no_other_address():
    with Hostile(lambda request: None) as other:

        def answer(request):
            request.send_response(302)
            request.send_header("Location", f"{other.url}/x")
            request.send_header("Link", f'<{other.url}/next>; rel="next"')
            request.end_headers()

        with Hostile(answer) as server:
            for make in ORIGINS.values():
                ask_all(make(server.url))
        assert server.requests and not other.requests


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "status",
                    "sha",
                    "web_url",
                    "variables",
                    "key",
                    "value",
                    "builds",
                    "number",
                    "actions",
                    "parameters",
                    "name",
                    "executable",
                    "url",
                    "lastBuiltRevision",
                    "SHA1",
                    "result",
                    "why",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ORIGINS)
def test_accepts_json_of_any_shape(name):
    body = {"raw": b""}

    def answer(request):
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body["raw"])))
        request.end_headers()
        request.wfile.write(body["raw"])

    with Hostile(answer) as server:
        origin = ORIGINS[name](server.url)
        for raw in (b"[" * 100_000, b'{"id":' * 50_000, b"\xff\xfe", b'{"id": ' + b"9" * 5000 + b"}", b"null", b"5"):
            body["raw"] = raw
            ask_all(origin)

        @settings(max_examples=60)
        @given(anything)
        def shapes(value):
            body["raw"] = json.dumps(value).encode("utf-8", "surrogatepass")
            ask_all(origin)

        shapes()
