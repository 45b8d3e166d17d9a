"""Uploads through the real web server: in chunks, aborted, and larger than the memory that they may use."""

import http.client
import json
import os
import socket
import zlib
from pathlib import Path
from urllib.request import urlopen

import pytest
from django.utils import timezone

from access.models import Token
from microservice.models import MicroService, MicroServiceVersion
from microservice.status import BuildStatus
from tests.api.archives import GOOD, entry, packed, rewritten
from tests.lab.network import wait_until
from tests.lab.web import Web

pytestmark = pytest.mark.django_db(transaction=True)

MEGABYTE = 1 << 20


@pytest.fixture
def web(environment, store, tmp_path):
    with Web({**environment, "PACKAGE_ROOT": str(store)}, tmp_path / "web.log") as server:
        urlopen(f"{server.url}/api/v1/openapi.json", timeout=100).close()  # loaded by its first request
        yield server


@pytest.fixture
def version(transactional_db):
    service = MicroService.objects.create(name="shop")
    return MicroServiceVersion.objects.create(microservice=service, version="1.0")


@pytest.fixture
def headers(api):
    return dict(api().headers)


def path_of(version) -> str:
    return f"/api/v1/services/shop/versions/{version.pk}/package"


def put(web, version, headers, body, *, chunked=False):
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
    connection.request("PUT", path_of(version), body, headers, encode_chunked=chunked)
    answer = connection.getresponse()
    body = json.loads(answer.read())
    connection.close()
    return answer.status, body


def files(store: Path) -> list[str]:
    return sorted(str(path.relative_to(store)) for path in store.rglob("*") if path.is_file())


def test_deactivated_uploaders_publish_nothing(web, version, headers, store):
    large = packed(entry("large", os.urandom(2 * MEGABYTE)))  # larger than what the web process collects

    def pieces():
        yield large[: MEGABYTE + MEGABYTE // 2]
        wait_until(lambda: files(store))  # it was recognised, and is being written down
        Token.objects.update(revoked=timezone.now())
        yield large[MEGABYTE + MEGABYTE // 2 :]

    status, _ = put(web, version, {**headers, "Content-Length": str(len(large))}, pieces())
    version.refresh_from_db()
    assert (status, version.status, files(store)) == (401, BuildStatus.PENDING, [])


def test_accepts_chunked_packages(web, version, headers, store):
    pieces = (GOOD[start : start + 100] for start in range(0, len(GOOD), 100))
    status, body = put(web, version, {**headers, "Transfer-Encoding": "chunked"}, pieces, chunked=True)
    assert (status, body.get("size")) == (200, len(rewritten(GOOD))), body
    assert (store / body["file_path"]).read_bytes() == rewritten(GOOD)


def test_aborted_uploads_leave_nothing(web, version, headers, store):
    package = GOOD + b"\0" * (2 * MEGABYTE)  # larger than what is collected before a thread gets it
    part = package[:-100]
    for length, sent in (
        (f"Content-Length: {len(package)}", part),
        ("Transfer-Encoding: chunked", b"%x\r\n%s\r\n" % (len(part), part)),
    ):
        lines = [f"PUT {path_of(version)} HTTP/1.1", "Host: 127.0.0.1", length]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        with socket.create_connection(("127.0.0.1", web.port)) as line:
            line.sendall("\r\n".join([*lines, "", ""]).encode() + sent)
            wait_until(lambda: [name for name in files(store) if name.startswith(".incoming/")], 60)
        wait_until(lambda: not files(store), 60)
        version.refresh_from_db()
        assert (version.status, version.sha256) == (BuildStatus.PENDING, "")
    status, _ = put(web, version, headers, GOOD)
    assert status == 200


def test_large_packages_stay_out_of_memory(web, version, headers):
    info, _ = entry("big")
    info.size = 200 * MEGABYTE
    noise = os.urandom(MEGABYTE)

    def pieces():
        zipper = zlib.compressobj(0, zlib.DEFLATED, 31)
        yield zipper.compress(info.tobuf())
        for _ in range(200):
            yield zipper.compress(noise)
        yield zipper.compress(bytes(1024)) + zipper.flush()

    put(web, version, headers, b"no archive")
    before = peak_memory(web.process.pid)
    status, body = put(web, version, {**headers, "Transfer-Encoding": "chunked"}, filter(None, pieces()), chunked=True)
    assert (status, body.get("unpacked_size")) == (200, info.size), body
    assert peak_memory(web.process.pid) - before < 40 * MEGABYTE


def test_large_forms_stay_out_of_memory(web, version, headers, tmp_path):
    info, _ = entry("big")
    info.size = 120 * MEGABYTE
    noise = os.urandom(MEGABYTE)
    path = tmp_path / "form"
    edge = b"--edge\r\nContent-Disposition: form-data; name="
    with path.open("wb") as form:
        form.write(edge + b'"version"\r\n\r\n2.0\r\n' + edge + b'"package"; filename="p.tar.gz"\r\n\r\n')
        zipper = zlib.compressobj(0, zlib.DEFLATED, 31)
        form.write(zipper.compress(info.tobuf()))
        for _ in range(120):
            form.write(zipper.compress(noise))
        form.write(zipper.compress(bytes(1024)) + zipper.flush() + b"\r\n--edge--\r\n")
    put(web, version, headers, b"no archive")
    before = peak_memory(web.process.pid)
    more = {
        "Content-Type": "multipart/form-data; boundary=edge",
        "Content-Length": str(path.stat().st_size),
        "Idempotency-Key": "a",
    }
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=100)
    with path.open("rb") as form:
        connection.request("POST", "/api/v1/services/shop/versions/", form, {**headers, **more})
        answer = connection.getresponse()
        body = json.loads(answer.read())
    connection.close()
    assert (answer.status, body.get("unpacked_size")) == (201, info.size), body
    assert peak_memory(web.process.pid) - before < 40 * MEGABYTE


def peak_memory(pid: int) -> int:
    """Bytes: the most that the process and its children ever held."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    peaks = [
        int(line.split()[1]) * 1024
        for one in (pid, *children)
        for line in Path(f"/proc/{one}/status").read_text().splitlines()
        if line.startswith("VmHWM:")
    ]
    return max(peaks)


def test_refused_uploads_learn_the_reason(web, version, headers, store):
    """Also where the answer is there long before the body has ended."""
    long = b"x" * (20 * MEGABYTE)
    status, body = put(web, version, headers, long)
    assert (status, body["code"]) == (422, "bad_package")
    status, body = put(web, version, {"Authorization": "Bearer wrong"}, long)
    assert (status, body["code"]) == (401, "unauthorized")
    MicroServiceVersion.objects.update(status=BuildStatus.FAILED)
    status, body = put(web, version, headers, long)
    assert (status, body["code"]) == (409, "build_ended")
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
    connection.request(
        "POST", "/api/v1/services/", b'{"name": "' + long + b'"}', {**headers, "Content-Type": "application/json"}
    )
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["code"]) == (413, "too_large")
    connection.close()
    assert files(store) == []


def test_accepts_chunked_json(web, headers):
    def post(pieces):
        connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
        connection.request(
            "POST",
            "/api/v1/services/",
            pieces,
            {**headers, "Content-Type": "application/json", "Transfer-Encoding": "chunked", "Idempotency-Key": "c"},
            encode_chunked=True,
        )
        answer = connection.getresponse()
        connection.close()
        return answer.status

    assert [post(iter([b'{"name":', b' "in-chunks"}'])) for _ in range(2)] == [201, 201]
    assert post(iter([b'{"name":', b' "another"}'])) == 422
    assert post(b"x" * MEGABYTE for _ in range(9)) == 413
