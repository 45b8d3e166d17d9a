"""Every line of docs/rights.md is tried: each endpoint and each page, for every kind of caller, on objects of the own
team, of another one and of none. What must come of it is computed from the document (permission_model.py), and compared
with what does. An endpoint, a page or a line that is new is tried without a word here, where no body is needed.

To add something that belongs to teams (hosts, say): its line in `ids`, by what its addresses begin with.
"""

import json
import re
import uuid

import pytest
from django.contrib.messages import get_messages
from django.db import transaction
from django.test import Client

from audit.models import History
from deployer.management.commands.rights_table import table
from microservice import event_stream
from tests.access.permission_model import DOCUMENT, Line, Who, ceiling, lines, may, unseen
from tests.access.permission_objects import THINGS, Callers, Things

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store")]  # some hundred requests each

REFUSED = {401, 403, 404}
LACKING = re.compile("You need the right|may not deploy")  # said in a page, beside its form
API, CONSOLE = lines("The API"), lines("The console")


@pytest.fixture
def things():
    return Things()


@pytest.fixture(autouse=True)
def no_streams(monkeypatch):
    """Leave no slot for streams, which have no end: a caller who passes the check gets "no free slot"."""

    def full(*args, **more):
        raise event_stream.TooManyStreams

    monkeypatch.setattr(event_stream.broadcaster, "join", full)


def test_document_is_up_to_date():
    assert DOCUMENT.read_text() == table(), "the rights have changed: run `make rights`, and look at the difference"


def test_document_is_complete():
    assert len(API) > 75 and len(CONSOLE) > 60


# --- requests of each kind --------------------------------------------------------------------------------------------


def ids(address: str, things: Things, thing: str) -> dict:
    """Return the values for the parts of an address, by how it begins."""
    of, shared = things.of[thing], things.shared
    first = address.strip("/").partition("/")[0]
    number = {
        "services": of["instance"] if "/instances/" in address else of["version"],
        "deployments": of["deployment"],
        "operations": of["operation"],
        "trains": of["train"],
        "teams": of.get("team"),
        "hosts": shared["host"],
        "host-groups": shared["host_group"],
        "environments": shared["environment"],
        "freezes": shared["freeze"],
        "credentials": shared["credential"],
        "tokens": shared["token"],
        "users": shared["user"],
        "people": shared["user"],
        "callbacks": shared["callback"],
        "settings": shared["setting"],
    }.get(first)
    for part, named in (("deliveries/<number>", "delivery"), ("sessions/<int:number>", "session")):
        number = shared[named] if part in address else number
    if "groups/" in address:
        number = shared["host_group"]
    return {
        "id": number,
        "number": number,
        "person": shared["user"],
        "service": of["service"],
        "name": of["name"],
        "user": of.get("member"),
        "delivery": shared["delivery"],
        "action": "upgrade",
        "kind": "service",
        "word": "good",
        "what": {"deployments": "pause", "trains": "cancel"}.get(first, "remove"),
    }


def fill(line: Line, things: Things, thing: str) -> str:
    found = ids(line.address, things, thing)
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda match: str(found[match[1]]), line.address)


def body(line: Line, things: Things, thing: str) -> object:
    """Return a well-formed body for the API, so that nothing but the right decides."""
    of, shared = things.of[thing], things.shared
    team = {"team": of["team"]} if "team" in of else {}
    bodies = {
        "POST /services": {"name": "new", **team},
        "PATCH /services/<service>": {"description": "other"},
        "POST /services/<service>/versions": {"version": "9.9"},
        "PATCH /services/<service>/versions/<id>": {"description": "other"},
        "PATCH /services/<service>/instances/<id>": {"description": "other"},
        "POST /services/<service>/instances/<id>/unlock": {"reason": "it is time"},
        "POST /services/<service>/instances/forget": {"instances": [of["instance"]], "reason": "its host is gone"},
        "POST /services/<service>/instances/delete": {"instances": [of["instance"]]},
        "POST /services/<service>/instances/retry": {"instances": [of["instance"]]},
        "POST /services/<service>/versions/<id>/<action>": {"dest_version": of["newer"], "host": "all"},
        "POST /deployments/<id>/approve": {"plan_token": "x"},
        "POST /deployments/<id>/reject": {"comment": "no"},
        "POST /deployments/<id>/override": {"plan_token": "x", "reason": "it burns"},
        "POST /deployments/<id>/reschedule": {"start_at": None},
        "POST /services/<service>/deploy": {"version": of["newer"], "host": "all"},
        "POST /services/<service>/versions/<id>/install": {"host": [shared["host"]]},
        "POST /teams": {"name": "green"},
        "PATCH /teams/<id>": {},
        "POST /teams/<id>/members": {"user": "bystander", "role": "viewer"},
        "PATCH /teams/<id>/members/<user>": {"role": "publisher"},
        "POST /tokens": {"name": "new", "scopes": ["tokens"]},
        "POST /hosts": {"hostname": "new", "ip": "127.0.0.2"},
        "PATCH /hosts": {"host": "all", "add_labels": {"zone": "eu"}},
        "POST /hosts/import": [{"hostname": "new", "ip": "127.0.0.2"}],
        "POST /host-groups": {"name": "new", "labels": {"zone": "eu"}},
        "POST /environments": {"name": "new"},
        "POST /freezes": FREEZE,
        "POST /environments/<id>/hosts": {"host": [shared["host"]]},
        "POST /hosts/<id>/trust": {"fingerprint": "SHA256:x"},
        "POST /hosts/<id>/archive": {"reason": "it is gone"},
        "POST /credentials": {"name": "new", "kind": "password", "secret": "open sesame"},
        "POST /callbacks": {"url": "https://example.com/new"},
        "POST /users": {"username": "new"},
    }
    sent = bodies.get(f"{line.method} {line.address}", {})
    if line.fields.startswith("build_"):
        return {**sent, "build_command": "make"}
    return {**sent, "name": "other"} if line.fields else sent


FREEZE = {"name": "new", "reason": "none", "everywhere": True, "start": "2190-01-01T00:00", "end": "2190-01-02T00:00"}
FORMS = {
    "services/<str:name>/settings/": {"language": "go", "check_timeout": 60, "keep_releases": 3, "build_orig": "git"},
    "services/<str:name>/versions/new/": {"version": "9.9", "ref": "main"},
    "services/<str:name>/versions/<int:number>/install/": {"where": "some"},
    "hosts/groups/new/": {"name": "new", "labels": "zone=eu"},
    "hosts/groups/<int:number>/": {"name": "new", "labels": "zone=eu"},
    "environments/new/": {"name": "new", "colour": "grey"},
    "environments/<int:number>/": {"name": "new", "colour": "grey"},
    "environments/<int:number>/hosts/": {"labels": "zone=eu"},
    "trains/new/": {"name": "new", "on_failure": "hold"},
    "freezes/new/": {**FREEZE, "everywhere": "on", "repeats": "once", "time_zone": "UTC"},
    "freezes/<int:number>/": {**FREEZE, "everywhere": "on", "repeats": "once", "time_zone": "UTC"},
    "deployments/<int:number>/approve/": {"do": "approve", "plan_token": "x"},
    "hosts/new/": {"hostname": "new", "ip": "127.0.0.2"},
    "tokens/": {"name": "new", "scopes": ["tokens"]},
    "people/": {"username": "new", "active": "on"},
    "callbacks/new/": {"url": "https://example.com/new"},
    "teams/": {"name": "green"},
    "new-service/": {"name": "new", "language": "go"},
}


def form(line: Line, things: Things, thing: str) -> dict:
    """Return what a page of the console sends."""
    of = things.of[thing]
    more = {
        "key": str(uuid.uuid4()),
        "dest_version": of["newer"],
        "where": "all",
        "user": of.get("member", ""),
        "instance": of["instance"],
        "what": "maintain",
        "reason": "it is time",
        "service": of["name"],
        "host": things.shared["host"],
    }
    return {**more, **FORMS.get(line.address.lstrip("/"), {})}


# --- requests ---------------------------------------------------------------------------------------------------------


class Asked:
    """One client, which asks and takes everything back again."""

    def __init__(self, token: str = "", user=None, csrf: bool = False):
        self.client = Client(enforce_csrf_checks=csrf, raise_request_exception=False)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.before = History.objects.count()  # and ever after: all is taken back
        if user is not None:
            self.client.force_login(user)

    def ask(self, method: str, path: str, **more) -> tuple[bool, str]:
        """(whether it was refused for want of a right, what came of it: the status first)."""
        self.client.cookies.pop("messages", None)  # what an earlier request was told
        with transaction.atomic():
            answer = self.client.generic(method, path, headers=self.headers, **more)
            if hasattr(answer, "streaming_content"):
                b"".join(answer.streaming_content)  # to its end: only then the client lets the connection be
            after = History.objects.count()
            messages = (
                [str(one) for one in get_messages(answer.wsgi_request)] if hasattr(answer, "wsgi_request") else []
            )
            transaction.set_rollback(True)
        assert answer.status_code < 500 or answer.status_code == 503, (method, path, answer.content[:500])
        to_sign_in = answer.status_code == 302 and answer["Location"].startswith("/login/")
        if method != "GET":  # a page may say beforehand what would be refused
            messages.append(getattr(answer, "content", b"").decode(errors="replace"))
        lacking = any(LACKING.search(one) for one in messages)
        refused = answer.status_code in REFUSED or to_sign_in or lacking
        assert not (refused and after != self.before), f"{method} {path} was refused and left a row"
        return refused, f"{answer.status_code} {getattr(answer, 'content', b'')[:200]!r} {messages}"


def things_of(line: Line) -> tuple[str, ...]:
    if line.of == "the team":
        return ("red", "blue")
    if line.address == "/new-service/":  # the page takes the team that the caller owns
        return ("red",)
    return THINGS if line.of in ("the service", "the team it is for") else ("red",)


def expected(who: Who, line: Line, thing: str, default_role: str) -> bool:
    if line.of == "own" and ("<id>" in line.address or "<int:" in line.address):  # the object belongs to another user
        needed = {"admin", *line.rights} | ({"tokens"} if line.method == "DELETE" else set())
        return bool(
            who.known
            and (who.csrf or line.method == "GET")
            and who.admin
            and not who.service
            and needed <= ceiling(who)
        )
    return may(who, line, thing, default_role)


def differing(who: Who, asked: Asked, found: list[Line], things: Things, default_role: str = "", api: bool = True):
    """Return the lines that do not hold for this caller."""
    for line in found:
        for thing in things_of(line):
            path = fill(line, things, thing)
            if api:
                more = {"data": json.dumps(body(line, things, thing)), "content_type": "application/json"}
                refused, what = asked.ask(line.method, f"/api/v1{path}", **({} if line.method == "GET" else more))
            else:
                refused, what = page(asked, line, path, things, thing)
            told_of = refused and not what.startswith("404") and unseen(who, line, thing, default_role)
            if refused == expected(who, line, thing, default_role) or told_of:
                yield f"{who.name}: {line.method} {path} {line.fields} ({thing}'s): {what}"


def page(asked: Asked, line: Line, path: str, things: Things, thing: str) -> tuple[bool, str]:
    if line.method == "GET":
        return asked.ask("GET", path)
    if line.fields:
        path = path.replace("/remove/", "/take/")
    from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

    data = encode_multipart(BOUNDARY, form(line, things, thing))
    return asked.ask("POST", path, data=data, content_type=MULTIPART_CONTENT)


# --- the rights -------------------------------------------------------------------------------------------------------


def test_api_for_each_role(things):
    people = Callers(things).people()
    wrong = [one for who, user in people for one in differing(who, Asked(user=user), API, things)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("role", ["owner", "admin"])
def test_api_for_each_scope(things, role):
    tokens = Callers(things).tokens(role)
    wrong = [one for who, token in tokens for one in differing(who, Asked(token), API, things)]
    assert not wrong, "\n".join(wrong)


def test_api_for_token_of_other_service(things):
    tokens = Callers(things).tokens_for_another_service()
    wrong = [one for who, token in tokens for one in differing(who, Asked(token), API, things)]
    assert not wrong, "\n".join(wrong)


def test_api_for_unauthenticated(things):
    callers = Callers(things)
    unknown = [(who, Asked(token)) for who, token in callers.unrecognised()]
    unknown.append((Who("nobody", known=False), Asked()))
    unknown.append(
        (Who("a session without CSRF token", admin=True, csrf=False), Asked(user=callers.users["admin"], csrf=True))
    )
    wrong = [one for who, asked in unknown for one in differing(who, asked, API, things)]
    assert not wrong, "\n".join(wrong)


def test_console_for_each_role(things):
    people = Callers(things).people()
    wrong = [one for who, user in people for one in differing(who, Asked(user=user), CONSOLE, things, api=False)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("api", [True, False], ids=["api", "console"])
def test_default_role_on_unowned_services(things, settings, api):
    settings.DEFAULT_ROLE = "publisher"
    about = [line for line in (API if api else CONSOLE) if line.of in ("the service", "anything")]
    people = [(who, user) for who, user in Callers(things).people() if who.name in ("no role", "viewer", "owner")]
    wrong = [one for who, user in people for one in differing(who, Asked(user=user), about, things, "publisher", api)]
    assert not wrong, "\n".join(wrong)


def test_console_for_unauthenticated_and_tokens(things):
    callers = Callers(things)
    root = callers.users["admin"]
    unknown = [
        (Who("nobody", known=False), Asked()),
        (Who("a session without CSRF token", admin=True, csrf=False), Asked(user=root, csrf=True)),
    ]
    unknown += [(Who("a token", known=False), Asked(token)) for who, token in callers.tokens_for_another_service()[:1]]
    wrong = [one for who, asked in unknown for one in differing(who, asked, CONSOLE, things, api=False)]
    assert not wrong, "\n".join(wrong)
