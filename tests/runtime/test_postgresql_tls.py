"""Connections to PostgreSQL over TLS: certificates are verified, passwords stay out of errors."""

import contextlib
import os

import psycopg
import pytest

from runtime.postgresql.connection import Connection
from tests.lab.authority import Authority
from tests.lab.postgres import Postgres, _server_user

from .connections import options

PASSWORD = "canary-of-the-database"


@pytest.fixture
def authority() -> Authority:
    return Authority()


@contextlib.contextmanager
def over_tls(authority: Authority, asks: bool = False):
    """Yield a server that speaks TLS with a certificate of this authority. `asks`: it requires a client's, too."""
    with Postgres() as server:
        assert server.folder is not None and server.process is not None
        certificate, key = authority.issue("database")
        user = _server_user()
        for file, text in (("server.crt", certificate), ("server.key", key), ("root.crt", authority.pem)):
            path = server.folder / "data" / file
            path.write_text(text)
            path.chmod(0o600)
            if os.geteuid() == 0:
                os.chown(path, user.pw_uid, user.pw_gid)
        with (server.folder / "data" / "postgresql.auto.conf").open("a") as more:
            more.write("ssl = on\n" + ("ssl_ca_file = 'root.crt'\n" if asks else ""))
        if asks:
            rules = server.folder / "data" / "pg_hba.conf"
            rules.write_text("hostssl all all 127.0.0.1/32 trust clientcert=verify-ca\n" + rules.read_text())
        server.kill()
        server.run()
        yield server


def url_of(server: Postgres, query: str, host: str = "127.0.0.1") -> str:
    return f"postgresql://postgres:{PASSWORD}@{host}:{server.port}/postgres?{query}"


@pytest.mark.found("settings")
def test_refuses_untrusted_certificates(monkeypatch, authority, tmp_path):
    with over_tls(authority) as server:
        with pytest.raises(psycopg.OperationalError, match="certificate verify failed") as caught:
            Connection.connect(**options(monkeypatch, url_of(server, "sslmode=require")))
        assert PASSWORD not in str(caught.value)
        unverified = options(monkeypatch, url_of(server, "sslmode=require&ssl_cert_reqs=none"))
        with Connection.connect(**unverified) as one:
            assert one.pgconn.ssl_in_use


@pytest.mark.found("settings")
def test_accepts_certificates_of_the_configured_ca(monkeypatch, authority, tmp_path):
    ca = tmp_path / "ca.pem"
    ca.write_text(authority.pem)
    with over_tls(authority) as server:
        with Connection.connect(**options(monkeypatch, url_of(server, f"sslmode=require&sslrootcert={ca}"))) as one:
            assert one.pgconn.ssl_in_use
        with pytest.raises(psycopg.OperationalError, match="does not match host name"):
            Connection.connect(**options(monkeypatch, url_of(server, f"sslrootcert={ca}", "localhost")))


@pytest.mark.found("settings")
def test_presents_the_client_certificate(monkeypatch, authority, tmp_path):
    certificate, key = authority.issue("deployer")
    for name, text in (("ca", authority.pem), ("crt", certificate), ("key", key)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    trusts = f"sslmode=require&sslrootcert={tmp_path}/ca"
    with over_tls(authority, asks=True) as server:
        with pytest.raises(psycopg.OperationalError, match="client certificate"):
            Connection.connect(**options(monkeypatch, url_of(server, trusts)))
        shown = f"{trusts}&sslcert={tmp_path}/crt&sslkey={tmp_path}/key"
        with Connection.connect(**options(monkeypatch, url_of(server, shown))) as one:
            assert one.pgconn.ssl_in_use
