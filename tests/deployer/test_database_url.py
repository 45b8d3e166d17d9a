"""DATABASE_URL: read at the start in every shape, right or wrong, and no error quotes any of it."""

import ssl

import pytest

from deployer import database_url
from deployer import environment as env
from deployer.postgresql import limits

pytestmark = pytest.mark.found("settings")
PASSWORD = "canary-of-the-database"


def read(monkeypatch, url: str) -> dict:
    monkeypatch.setenv("DATABASE_URL", url)
    return database_url.database("DATABASE_URL", "", 16)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"mysql://u:{PASSWORD}@h/db", "must start with sqlite:// or postgresql://"),
        (f"u:{PASSWORD}@h/db", "must start with sqlite:// or postgresql://"),
        (f"postgresql+psycopg://u:{PASSWORD}@h/db", "must start with sqlite:// or postgresql://"),
        (f"postgresql://u:{PASSWORD}@h", "names no database"),
        (f"postgresql://u:{PASSWORD}@h/", "names no database"),
        (f"postgresql://u:{PASSWORD}@h:abc/db", "has a port that is not a number from 1 to 65535"),
        (f"postgresql://u:{PASSWORD}@h:99999/db", "has a port that is not a number from 1 to 65535"),
        (f"postgresql://u:{PASSWORD}@h:0/db", "has a port that is not a number from 1 to 65535"),
        (f"postgresql://u:{PASSWORD}@h1:5432,h2:no/db", "has a port that is not a number from 1 to 65535"),
        (f"postgresql://u:{PASSWORD}@h1,h2/db?port=1,2,3", "has 3 ports for 2 hosts"),
        (f"postgresql://u:@{PASSWORD}@h/db", "percent-encode"),
        (f"postgresql://u:a@{PASSWORD}@h/db", "percent-encode"),
        (f"postgresql://u:/{PASSWORD}@h/db", "percent-encode"),
        (f"postgresql://u:{PASSWORD}/x@h/db", "percent-encode"),
        (f"postgresql://u:%{PASSWORD}@h/db", "percent-encode"),
        (f"postgresql://u:{PASSWORD}%@h/db", "percent-encode"),
        (f"postgresql://u:{PASSWORD} x@h/db", "percent-encode"),
        (f"postgresql://u:/?{PASSWORD}=x@h/db", "percent-encode"),
        (f"postgresql://u:{PASSWORD}@[::1/db", "percent-encode"),
        (f"postgresql://u:{PASSWORD}@h/db?sslmod=require", "an option that PostgreSQL does not know: sslmod"),
        (f"postgresql://u:{PASSWORD}@h/db?sslmode=maybe", "an sslmode that is not one of disable, allow"),
        (f"postgresql://u:{PASSWORD}@h/db?ssl_cert_reqs=maybe", "ssl_cert_reqs that is neither required nor none"),
        (f"postgresql://u:{PASSWORD}@h/db?sslmode=verify-full&ssl_cert_reqs=none", "exclude each other"),
        (f"postgresql://u:{PASSWORD}@h/db?sslmode=verify-ca", "needs sslrootcert"),
        (f"postgresql://u:{PASSWORD}@h/db?sslrootcert=/nowhere/ca", "sslrootcert that cannot be read: '/nowhere/ca'"),
        (f"postgresql://u:{PASSWORD}@h/db?sslmode=require&sslkey=/nowhere/key", "sslkey that cannot be read"),
        (f"postgresql://u:{PASSWORD}@h1,h2/db?target_session_attrs=writable", "target_session_attrs that is not"),
        (f"postgresql://u:{PASSWORD}@h/db?pooler=perhaps", "a pooler that is not one of auto, none"),
        (f"postgresql://u:{PASSWORD}@h/db?options=-c%20lock_timeout%3Dsoon", "lock_timeout that is not a number"),
        (f"postgresql://u:{PASSWORD}@h/db?options=-f%20x", "has options that are not -c name=value"),
        (f"sqlite://[{PASSWORD}/db", "must be sqlite:// and a path"),
    ],
)
def test_a_wrong_url_is_named_in_one_line_without_its_password(monkeypatch, url, said):
    with pytest.raises(env.BadSetting) as caught:
        read(monkeypatch, url)
    told = str(caught.value)
    assert told.startswith("deployer cannot start: DATABASE_URL ") and said in told
    assert "canary" not in told and "\n" not in told


def test_characters_that_a_url_needs_encoded_may_be_in_a_password(monkeypatch):
    made = read(monkeypatch, "postgresql://u:p%40%2F%3A%25%23%20@h/db")
    assert (made["USER"], made["PASSWORD"], made["HOST"], made["NAME"]) == ("u", "p@/:%# ", "h", "db")
    assert read(monkeypatch, "postgresql://u:p?s#s:s[s@h/db")["PASSWORD"] == "p?s#s:s[s"


def test_several_hosts_are_tried_in_turn_for_the_one_that_takes_writes(monkeypatch):
    made = read(monkeypatch, "postgresql://u:p@h1,h2:5433/db")
    assert (made["HOST"], made["PORT"]) == ("h1,h2", ",5433")
    assert made["OPTIONS"]["target_session_attrs"] == "read-write"
    given = read(monkeypatch, "postgresql://u:p@h1,h2:5433/db?target_session_attrs=any")
    assert given["OPTIONS"]["target_session_attrs"] == "any"
    assert "target_session_attrs" not in read(monkeypatch, "postgresql://u:p@h1/db")["OPTIONS"]


def test_what_worked_before_works(monkeypatch):
    made = read(monkeypatch, "postgres://u@[::1]:5433/db/")
    assert (made["HOST"], made["PORT"], made["NAME"], made["PASSWORD"]) == ("::1", "5433", "db", "")
    assert read(monkeypatch, "postgresql:///db?host=/run/postgresql")["HOST"] == "/run/postgresql"
    assert read(monkeypatch, "postgresql:///db")["HOST"] == ""


def test_every_socket_has_keepalives_and_a_user_timeout_that_the_url_may_change(monkeypatch):
    usual = read(monkeypatch, "postgresql://u@h/db")["OPTIONS"]
    assert (usual["keepalives"], usual["keepalives_idle"], usual["tcp_user_timeout"]) == (1, 5, 6000)
    assert usual["connect_timeout"] == limits.CONNECT
    changed = read(monkeypatch, "postgresql://u@h/db?keepalives_idle=60&tcp_user_timeout=1000&connect_timeout=9")["OPTIONS"]
    assert (changed["keepalives_idle"], changed["tcp_user_timeout"], changed["connect_timeout"]) == ("60", "1000", "9")


def test_no_start_up_parameter_that_a_pooler_refuses_is_sent(monkeypatch):
    options = read(monkeypatch, "postgresql://u@h/db?options=-c%20lock_timeout%3D2s%20-c%20search_path%3Dours")["OPTIONS"]
    assert "options" not in options
    assert options["given"] == {"lock_timeout": "2000", "search_path": "ours"}


@pytest.fixture
def authority(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text("a certificate")
    return str(path)


@pytest.mark.parametrize(
    ("query", "mode"),
    [
        ("", None), ("sslmode=prefer", "prefer"), ("sslmode=disable", "disable"),  # these do not say TLS
        ("sslmode=require", "verify-full"), ("ssl=true", "verify-full"), ("sslmode=verify-full", "verify-full"),
        ("sslmode=require&ssl_cert_reqs=required", "verify-full"),
        ("sslmode=require&ssl_cert_reqs=none", "require"), ("ssl_cert_reqs=none", "require"),
    ],
)  # fmt: skip
def test_what_says_tls_is_verified_unless_it_says_that_it_is_not(monkeypatch, query, mode):
    options = read(monkeypatch, f"postgresql://u:p@db.example.com/db?{query}")["OPTIONS"]
    assert options.get("sslmode") == mode
    assert options.get("sslrootcert") == (ssl.get_default_verify_paths().cafile if mode == "verify-full" else None)


def test_an_authority_of_one_s_own_is_used_and_means_that_it_is_verified(monkeypatch, authority):
    options = read(monkeypatch, f"postgresql://u:p@h/db?sslrootcert={authority}")["OPTIONS"]
    assert (options["sslmode"], options["sslrootcert"]) == ("verify-full", authority)
    options = read(monkeypatch, f"postgresql://u:p@h/db?sslmode=verify-ca&sslrootcert={authority}")["OPTIONS"]
    assert (options["sslmode"], options["sslrootcert"]) == ("verify-ca", authority)
