"""Secrets are planted in every place that takes one, and must not come out anywhere."""

import base64
import urllib.error
import urllib.parse
import urllib.request

import pytest
from django.contrib.auth import get_user_model

from access.tokens import make_token
from demo.client import Client, Refused
from tests.builds.githttp import GitHttp
from tests.builds.repository import Repository
from tests.callbacks.receiver import Receiver
from tests.lab.fleet import START, STOP, Fleet
from tests.lab.network import wait_until
from tests.lab.web import Web

from .canaries import LISTS, PAGES, Processes, browser, built, client_events, download, rows, surroundings

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def plant(client: Client, fleet: Fleet, receiver: Receiver, url: str, planted) -> bytes:
    """Put a secret into every place that takes one; return the API's answers, but for what is shown once."""
    answers = []
    answers += [client.post("credentials/", {"name": "word", "kind": "password", "secret": planted("a password")})]
    client.patch(f"hosts/{fleet.assets[1].pk}", {"credential_id": answers[0]["id"]})  # it will be refused there
    answers += [client.post(f"hosts/{fleet.assets[1].pk}/check", {})]
    for part in (
        {
            "gitlab": {
                "url": "http://127.0.0.1:1",
                "token": planted("a build server's token"),
                "webhook_secret": planted("a webhook's secret"),
            }
        },
        {"registry": {"url": "http://127.0.0.1:1", "user": "ci", "password": planted("a registry's word")}},
        {
            "package_store": {
                "kind": "s3",
                "endpoint": "http://127.0.0.1:1",
                "bucket": "b",
                "region": "r",
                "access_key": "a",
                "secret_key": planted("a store's key"),
            }
        },
    ):
        answers += [client.post("settings/check", part)]
        with pytest.raises(Refused) as refused:
            client.send("PUT", "settings/", part)
        answers += [refused.value.problem]
    shared = "whsec_" + base64.b64encode(planted("a callback's secret").encode()).decode()
    headers = {"Authorization": f"Bearer {planted('a header of a callback')}"}
    made = client.post("callbacks/", {"url": url, "headers": headers, "secret": shared})
    answers += [client.post(f"callbacks/{made['id']}/test", {}), client.get(f"callbacks/{made['id']}/deliveries")]
    person = {"username": "petra", "password": planted("a person's password"), "roles": []}
    try:
        answers += [client.post("users/", person)]
    except Refused as answer:
        answers += [answer.problem]
    return repr(answers).encode()


def test_leaks_no_secret(sshds, worker, environment, tmp_path, broker, settings, planted):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]  # as the web process has it
    fleet = Fleet(sshds(2))
    boss = get_user_model().objects.create_superuser("boss", password=planted("the boss's password"))
    token = make_token(boss, "test", ["read", "publish", "deploy", "admin"])[1]
    planted["a token"] = token
    planted["a private key"] = fleet.hosts[0].client_key.splitlines()[2]
    watch = Processes()
    environment = {**environment, "CALLBACK_ALLOWED_NETWORKS": "127.0.0.0/8"}
    one = worker(CALLBACK_ALLOWED_NETWORKS="127.0.0.0/8")
    with Receiver() as receiver, Web(environment, tmp_path / "web.log") as web:
        client = Client(web.url, token)
        shown = [plant(client, fleet, receiver, receiver.url, planted)]
        deployment = fleet.install(wait=False)
        fleet.ended(deployment, 90)
        wait_until(lambda: receiver.got, 30, "a callback")
        queued = b"".join(broker.ask(f"LRANGE {name} 0 -1") for name in ("deployer", "unacked"))
        ids = {"deployment": deployment.pk, "host": fleet.assets[0].pk, "operation": deployment.operations.first().pk}
        shown += [repr(client.get(path.format(**ids))).encode() for path in LISTS]
        opener = browser(web, "boss", planted["the boss's password"])
        shown += [opener.open(web.url + page.format(**ids)).read() for page in PAGES]
        shown += [client_events(web, token, deployment.pk)]
        for wrong in (planted("a wrong password"), token[:-4] + "zzzz"):
            with pytest.raises((Refused, AssertionError, urllib.error.HTTPError)):
                browser(web, "boss", wrong)
        logs = one.log().encode() + web.log().encode()
    watch.over.set()
    places = {
        "an answer or a page": b"\n".join(shown),
        "a log": logs,
        "the rows": rows(),
        "the broker": queued,
        "a process list": b"\n".join(watch.seen),
    }
    assert all(len(text) > 200 for name, text in places.items() if name != "the broker")
    found = {(what, where) for what, form in planted.forms().items() for where, text in places.items() if form in text}
    assert found == set()
    # The same search finds one where there is one: what the callback's receiver got is for it to read.
    assert planted["a header of a callback"].encode() in repr(receiver.got).encode()


SAY = (
    'echo "db: $DB_PASSWORD"; printf %s "$DB_PASSWORD" | base64; set -x; : "$DB_PASSWORD"; set +x; '
    'echo "again $DB_PASSWORD" >&2; '
)


HALF = (
    'printf %s "${DB_PASSWORD%????????????}"; touch "$SHARED/half"; sleep 4; echo "${DB_PASSWORD#??????????????????}"; '
)


BAD = '[ "$VERSION" = 1.0 ] || { echo "no $DB_PASSWORD" >&2; exit 5; }; '


BUILD = 'echo "token: $NPM_TOKEN"; printf %s "$NPM_TOKEN" | base64; cp app app2; '


def test_leaks_no_secret_of_a_service(sshds, worker, environment, tmp_path, broker, settings, planted):
    """Planted in a service, printed in every way by its commands and its build; after a success, a failure and a
    worker that was killed half way through a value."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]  # as the web process has it
    fleet = Fleet(sshds(1), start_command=SAY + START)
    boss = get_user_model().objects.create_superuser("boss", password="a password of the boss")
    token = make_token(boss, "test", ["read", "publish", "deploy", "admin"])[1]
    repository = Repository(tmp_path / "git" / "repository")
    watch = Processes()
    # Without a sandbox: its repository is on this machine's loopback, which no sandbox leads to.
    more = {"CALLBACK_ALLOWED_NETWORKS": "127.0.0.0/8", "GIT_ALLOWED_PROTOCOLS": "http", "BUILD_SANDBOX": "off"}
    environment = {**environment, **more}
    first = worker(**more)
    password = planted("the password of a repository")
    with (
        Receiver() as receiver,
        GitHttp(tmp_path / "git", "ci", password) as git,
        Web(environment, tmp_path / "web.log") as web,
    ):
        client = Client(web.url, token)
        client.post("callbacks/", {"url": receiver.url})
        secrets_of = {
            "secrets": {"DB_PASSWORD": planted("a service's secret")},
            "build_secrets": {"NPM_TOKEN": planted("a build's secret")},
            "build_username": "ci",
            "build_password": password,
        }
        shown = [
            client.patch(
                "services/shop", {**secrets_of, "build_command": BUILD, "build_url": f"{git.url}/repository/.git"}
            )
        ]
        shown += [built(client, "10.0")]
        repository.commit({"app": "2"})
        client.patch("services/shop", {"build_command": BUILD + 'echo "bad $NPM_TOKEN" >&2; exit 3'})
        shown += [built(client, "12.0")]
        assert shown[-2]["log"].count("*" * 30) >= 2 and "exit status 3: bad ****" in shown[-1]["detail"], shown
        fleet.service.refresh_from_db()
        done = fleet.install()
        client.patch(
            "services/shop",
            {"stop_command": f'echo "stop $DB_PASSWORD" >&2; {STOP}', "start_command": SAY + BAD + START},
        )
        fleet.service.refresh_from_db()
        failed = fleet.go("upgrade", 0, 1)
        client.patch("services/shop", {"start_command": HALF + START})
        fleet.service.refresh_from_db()
        taken = fleet.go("upgrade", 0, 1, wait=False)
        wait_until((fleet.folder() / "shared" / "half").exists, 40, "half a value")
        environments = surroundings(first.pid, web.pid)
        first.kill()
        second = worker(**more)
        fleet.ended(taken, 90)
        ends = [made.operations.get().status for made in (done, failed, taken)]
        assert ends == ["succeeded", "undone", "succeeded"] and taken.operations.get().takeovers
        wait_until(lambda: receiver.got, 30, "a callback")
        client.patch("services/shop", {"secrets": {"DB_PASSWORD": planted("another secret of it")}})
        queued = b"".join(broker.ask(f"LRANGE {name} 0 -1") for name in ("deployer", "unacked"))
        opener = browser(web, "boss", "a password of the boss")
        for made in (done, failed, taken):
            ids = {"deployment": made.pk, "host": fleet.assets[0].pk, "operation": made.operations.get().pk}
            shown += [client.get(path.format(**ids)) for path in LISTS]
            pages = (*PAGES, "/operations/{operation}/log/")
            shown += [opener.open(web.url + page.format(**ids)).read() for page in pages]
            shown += [download(web, token, ids["operation"]), client_events(web, token, made.pk)]
            assert b"db: ****" in shown[-2] or made == taken
        versions = fleet.service.versions.values_list("pk", flat=True)
        shown += [opener.open(f"{web.url}/services/shop/versions/{number}/").read() for number in versions]
        logs = first.log().encode() + second.log().encode() + web.log().encode()
    watch.over.set()
    texts = [one if isinstance(one, bytes) else repr(one).encode() for one in shown]
    places = {
        "an answer or a page": b"\n".join(texts),
        "a log": logs,
        "the rows": rows(),
        "the broker": queued,
        "a process list": b"\n".join(watch.seen),
        "an environment": environments,
        "a callback": repr(receiver.got).encode(),
    }
    assert all(len(text) > 200 for name, text in places.items() if name != "the broker")
    found = {(what, where) for what, form in planted.forms().items() for where, text in places.items() if form in text}
    assert found == set()
    # The same search finds one where there is one: it was sent to the repository's server.
    assert base64.b64encode(f"ci:{password}".encode()).decode() in "".join(git.requests)
