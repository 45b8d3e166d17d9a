"""Every TLS client verifies: unknown servers get no data, and a company's own CA can be added for all."""

import ssl

import pytest

from access.secrets import Secret
from builds import servers as build_servers
from builds.credentials import Credential
from builds.providers import ProviderUnreachable
from builds.server_session import DIRECT
from callbacks import http_client
from integrations import http_client as fetch
from integrations import registry, storage
from integrations.http_client import Unreachable
from tests.builds.githttp import GitHttp
from tests.builds.repository import Repository
from tests.builds.test_checkout import job
from tests.integrations import servers
from tests.integrations.servers import Server
from tests.lab.authority import Authority

pytestmark = [pytest.mark.django_db, pytest.mark.found("settings")]


@pytest.fixture
def company(settings, tmp_path):
    """`company(True)`: TLS_CA_FILE names the authority that signed the servers of this test."""
    authority = Authority()
    (tmp_path / "company.pem").write_text(authority.pem)

    def known(yes: bool) -> None:
        settings.TLS_CA_FILE = str(tmp_path / "company.pem") if yes else ""

    known(False)
    return authority, known


def context_of(certificate: tuple[str, str], folder) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (folder / "own.pem").write_text("".join(certificate))
    context.load_cert_chain(folder / "own.pem")
    return context


def test_build_servers_and_registries(company, tmp_path):
    authority, known = company
    with servers.gitlab(tls=authority.issue("gitlab"), folder=tmp_path) as server:
        part = registry.wrapped("gitlab", {"url": server.url})
        for ask in (
            lambda: fetch.fetch(part, "/api/v4/user", headers={"PRIVATE-TOKEN": "glpat-1234"}),
            lambda: DIRECT.exchange(server.url + "/api/v4/user", None, {"PRIVATE-TOKEN": "glpat-1234"}),
        ):
            known(False)
            server.seen.clear()
            with pytest.raises(Unreachable, match="certificate is not trusted"):
                ask()
            assert server.seen == []
            known(True)
            assert ask().status == 200
        other = registry.wrapped("gitlab", {"url": server.url, "ca": Authority().pem})
        with pytest.raises(Unreachable, match="certificate is not trusted"):
            fetch.fetch(other, "/api/v4/user")  # a CA of its own is believed alone


def test_callbacks(company, settings, tmp_path):
    authority, known = company
    settings.CALLBACK_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    got = []

    with Server({}, tls=authority.issue("hook"), folder=tmp_path) as server:
        server.http.RequestHandlerClass.do_POST = lambda self: (
            got.append(self.path),
            self.send_response(204),
            self.end_headers(),
        )
        url = server.url + "/hook"
        seen = http_client.post(url, {}, b"{}")
        assert (seen.status, seen.error and seen.error.code, got) == (None, "unreachable.certificate", [])
        known(True)
        assert http_client.post(url, {}, b"{}").status == 204 and got == ["/hook"]


def test_a_package_store(company, tmp_path):
    from botocore.exceptions import SSLError

    authority, known = company
    with servers.S3(tmp_path, tls=authority.issue("s3")) as server:
        part = registry.wrapped(
            "package_store",
            {
                "kind": "s3",
                "endpoint": server.url,
                "bucket": "b",
                "region": "eu-west-1",
                "access_key": "AKIA1",
                "secret_key": "s3cr3t-key",
            },
        )
        with pytest.raises(SSLError):
            storage.build(part).connection.meta.client.list_buckets()
        known(True)
        assert "Buckets" in storage.build(part).connection.meta.client.list_buckets()  # moto's are the whole process's


def test_git_over_https(company, settings, tmp_path):
    authority, known = company
    settings.BUILD_SANDBOX = "off"
    repository = Repository(tmp_path / "repository")
    with GitHttp(tmp_path, "ci", "word") as server:
        server._server.socket = context_of(authority.issue("git"), tmp_path).wrap_socket(
            server._server.socket, server_side=True, do_handshake_on_connect=False
        )
        server._server.handle_error = lambda *_: None
        url = server.url.replace("http://", "https://") + "/repository/.git"
        one = job(repository, url=url, credential=Credential("ci", Secret("word")))
        with pytest.raises(ProviderUnreachable, match="certificate"):
            build_servers.git().commit(one)
        assert server.requests == [], "no password was sent"
        known(True)
        assert build_servers.git().commit(one) == repository.git("rev-parse", "HEAD").strip()
