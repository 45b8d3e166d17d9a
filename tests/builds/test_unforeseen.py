"""An unforeseen error is that build's failure, with its text and at once: broken servers, strange names, a
full disk."""

import contextlib
import os
import socket
import subprocess
import tempfile
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from builds import build_requests, checkout, execution, gitlab, jenkins, server_session
from builds.models import Build
from builds.providers import BuildRefused, Job, ProviderUnreachable
from integrations import http_client
from microservice.publishing import upload
from microservice.status import BuildStatus
from tests import factories

from .buildservers import Server
from .steps import pending, state

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quick"), pytest.mark.found("builds")]


class Odd(Exception):
    """An exception that the product does not expect."""


def test_unexpected_errors_fail_the_build(service, monkeypatch):
    from access.callers import SYSTEM

    version = pending(service)
    build_requests.start(SYSTEM, version)

    def broken(*_args, **_more):
        raise Odd("at https://ann:canary@git.example/x: \0 \ud800 odd")

    monkeypatch.setattr(checkout.Git, "commit", broken)
    assert execution.work() == 1
    build = Build.objects.get()
    assert (state(version), build.takeovers, build.owner) == (BuildStatus.FAILED, 0, "")
    assert "(Odd): at https://•••@git.example/x" in build.detail and "canary" not in build.detail


def test_next_build_continues(service, monkeypatch):
    from access.callers import SYSTEM

    first, second = pending(service), pending(service, "2.0")
    build_requests.start(SYSTEM, first)
    build_requests.start(SYSTEM, second)
    real = upload.store
    monkeypatch.setattr(upload, "store", lambda *args, **more: (_ for _ in ()).throw(Odd("once")))
    execution.advance(execution.claim())
    monkeypatch.setattr(upload, "store", real)
    execution.work()
    assert (state(first), state(second)) == (BuildStatus.FAILED, BuildStatus.SUCCESS)


@contextlib.contextmanager
def small_disk(folder: Path, size: str = "1m"):
    """Yield a small file system of its own, mounted at `folder`."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is mounted, which needs root")
def test_full_package_store_fails_the_build(service, settings, tmp_path):
    from access.callers import SYSTEM

    service.build_command = "dd if=/dev/urandom of=big bs=1M count=8 2>/dev/null"
    service.save()
    version = pending(service)
    with small_disk(tmp_path / "store") as store:
        settings.STORAGES = {
            **settings.STORAGES,
            "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(store)}},
        }
        build_requests.start(SYSTEM, version)
        execution.work()
        assert state(version) == BuildStatus.FAILED
        assert "No space left on the disk" in version.build_detail
        assert not [path for path in store.rglob("*") if path.is_file()]


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk is mounted, which needs root")
def test_full_disk_fails_the_build(service, tmp_path, monkeypatch):
    from access.callers import SYSTEM

    version = pending(service)
    with small_disk(tmp_path / "disk", "64k") as disk:
        (disk / "full").write_bytes(bytes(40_000))
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        with contextlib.suppress(OSError):
            (disk / "more").write_bytes(bytes(80_000))
        build_requests.start(SYSTEM, version)
        execution.work()
    monkeypatch.undo()
    assert state(version) == BuildStatus.FAILED and Build.objects.get().takeovers == 0
    assert any(words in version.build_detail for words in ("No space left", "almost full"))


# --- build servers ----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def answering(raw: bytes):
    """Run a server that answers every connection with these bytes, and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    one, _ = server.accept()
                    with one, contextlib.suppress(OSError):
                        one.settimeout(5)
                        one.recv(65536)
                        one.sendall(raw)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


BROKEN = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "nothing": b"",
    "cut short": b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"id": 1',
    "cut in a chunk": b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"id"',
    "a chunk of no size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n<html>",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n<html>",
    "a status that is none": b"HTTP/1.1 abc OK\r\n\r\n",
    "bytes in headers": b"HTTP/1.1 201 OK\r\nLocation: http://[\xff\xfe/queue/item/\xe8\x00/\r\n"
    b"Content-Length: 0\r\n\r\n",
    "a thousand headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
}


@pytest.mark.parametrize("name", ["gitlab", "jenkins"])
@pytest.mark.parametrize("what", BROKEN)
def test_broken_answers_count_as_no_answer(name, what):
    with answering(BROKEN[what]) as url:
        one = Job(1, 1, "shop", 1, "1.0", "main", f"{url}/job/shop", "", "ann")
        origin = gitlab.GitLab(url, "t") if name == "gitlab" else jenkins.Jenkins(url, "ci", "t")
        for call in (
            lambda: origin.start(one),
            lambda: origin.find(one),
            lambda: origin.look("build:/job/shop/3" if name == "jenkins" else "job/shop#3"),
        ):
            with pytest.raises((ProviderUnreachable, BuildRefused)) as raised:
                call()
            assert str(raised.value).isprintable() and len(str(raised.value)) < 400


def test_reports_truncated_answers():
    with answering(BROKEN["cut short"]) as url, pytest.raises(http_client.Unreachable, match="cut short"):
        server_session.DIRECT.exchange(url, None, {})


@pytest.mark.parametrize(
    "path", ["/job/买 菜/job/a(b)#c", "/job/%E4%B9%B0%20%E8%8F%9C", "/job/100%/job/ü", "/job/a b", "/job/" + "买" * 30]
)
def test_quotes_jenkins_job_names(path):
    from urllib.parse import unquote, urlsplit

    with Server() as server:
        origin = jenkins.Jenkins(server.url, "ci", "t")
        url = server.url + path
        asked = unquote(jenkins._quoted(urlsplit(url).path))
        with pytest.raises(BuildRefused, match="404"):
            origin.start(Job(1, 1, "shop", 1, "1.0", "功能/#42", url, "", "ann"))
        assert server.requests[0][1] == f"{asked}/buildWithParameters"


def test_quotes_gitlab_project_names():
    with Server() as server:
        for path in ("/team/买菜", "/team/%E4%B9%B0%E8%8F%9C"):
            with pytest.raises(BuildRefused, match="404"):
                gitlab.GitLab(server.url, "t").start(
                    Job(1, 1, "shop", 1, "1.0", "功能/#42", server.url + path, "", "ann")
                )
        origin = gitlab.GitLab(server.url, "t")
        reference = origin._reference(origin._project(f"{server.url}/team/买菜"), 7)
        assert reference == "team/买菜#7"
        with pytest.raises(BuildRefused, match="404"):
            origin.look(reference)
        assert {asked[1] for asked in server.requests} == {
            "/api/v4/projects/team/买菜/pipeline",
            "/api/v4/projects/team/买菜/pipelines/7",
        }


@pytest.mark.parametrize("origin", ["gitlab", "jenkins"])
def test_nonsense_answers_end_the_build(origin, settings, monkeypatch):
    from django.utils import timezone

    from access.callers import SYSTEM
    from builds import servers

    shop = factories.service("shop", build_orig=origin)
    version = pending(shop)
    with answering(BROKEN["no HTTP"]) as url:
        shop.build_url = f"{url}/job/shop"
        shop.save()
        make = (lambda: gitlab.GitLab(url, "t")) if origin == "gitlab" else (lambda: jenkins.Jenkins(url, "c", "t"))
        monkeypatch.setattr(servers, "check", lambda service: None)
        monkeypatch.setattr(servers, "provider_of", lambda name: make())
        build_requests.start(SYSTEM, version)
        execution.work()
        assert Build.objects.get().silences == 1 and state(version) == BuildStatus.BUILDING
        long_ago = timezone.now() - timedelta(seconds=settings.BUILD_TIMEOUT + 100)
        Build.objects.update(created=long_ago, started=None, due=long_ago)
        execution.work()
    assert state(version) == BuildStatus.TIMEOUT
    assert "does not answer" in version.build_detail and "had not ended" in version.build_detail
