"""Every address answers with a page of ours, whatever stands in it and whoever asks: never Django's, never an error."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import get_resolver

from tests import factories

from ..markup import markup

pytestmark = pytest.mark.django_db

ROUTES = sorted({str(one.pattern) for one in get_resolver("console.urls").url_patterns})
LISTS = (
    "/",
    "/services/shop/",
    "/services/shop/versions/",
    "/services/shop/instances/",
    "/deployments/",
    "/deployments/1/",
    "/builds/",
    "/hosts/",
    "/history/",
    "/history/moves/",
    "/people/",
    "/settings/history/",
    "/callbacks/",
    "/workers/",
    "/operations/1/log/",
)
HOSTILE = ("\0", "'", "-1", "9" * 30, "%", "\ud800", "😀", "<b>", "a" * 3000, "２")
PARAMS = (
    "after",
    "rows",
    "q",
    "state",
    "status",
    "version",
    "service",
    "since",
    "until",
    "line",
    "at",
    "from",
    "group",
)


def lenient(client: Client) -> Client:
    """Return the client as a browser sees the server: an exception is a page with status 500."""
    client.raise_request_exception = False
    return client


def addresses(number: str, text: str) -> list[str]:
    """Return each address of the console with these in the place of its numbers and names."""
    return ["/" + re.sub(r"<(\w+):\w+>", lambda part: number if part[1] == "int" else text, one) for one in ROUTES]


def is_ours(answer) -> bool:
    page = markup(answer)
    return 'class="brand"' in page and '<main id="main"' in page and "<h1" in page


@pytest.mark.parametrize(("number", "text"), [("999999", "nothing"), ("9" * 30, "%00"), ("0", "a%2F%F0%9F%98%80")])
def test_unknown_ids_have_a_page(admin, number, text):
    lenient(admin)
    wrong = {}
    for address in addresses(number, text):
        answer = admin.get(address)
        if answer.status_code >= 400 and not (answer.status_code in (404, 405, 422) and is_ours(answer)):
            wrong[address] = answer.status_code
    assert wrong == {}


def test_posts_to_unknown_ids_have_a_page(admin):
    lenient(admin)
    wrong = {}
    for address in addresses("999999", "nothing"):
        answer = admin.post(address, {"key": "x"})
        if answer.status_code >= 400 and not (answer.status_code in (403, 404, 405, 422) and is_ours(answer)):
            wrong[address] = answer.status_code
        if address in ("/logout/",):
            admin.force_login(get_user_model().objects.get(username="ada"))
    assert wrong == {}


def test_addresses_lead_strangers_to_sign_in():
    stranger = lenient(Client())
    for address in addresses("999999", "nothing"):
        answer = stranger.get(address)
        is_redirect = answer.status_code == 302 and re.match(r"/login/\?next=%2F|/\Z", answer["Location"])
        assert is_redirect or answer.status_code == 200 or is_ours(answer), (address, answer.status_code)
    for address in ("/nothing/", "/hosts/1/nothing/", "/static/nothing.css", "/%00/", "/" + "a" * 3000, "/..%2f/"):
        answer = stranger.get(address)
        assert answer.status_code == 404 and is_ours(answer), (address, answer.status_code)


@pytest.mark.parametrize("address", LISTS)
def test_hostile_filters_have_a_page(admin, address):
    """All parameters at once, each with another value; so that each gets each value."""
    factories.running(2, "shop")
    lenient(admin)
    wrong = {}
    for turn in range(len(HOSTILE)):
        values = {name: HOSTILE[(turn + place) % len(HOSTILE)] for place, name in enumerate(PARAMS)}
        sent = {name: value.encode("utf-8", "surrogatepass") for name, value in values.items()}
        answer = admin.get(address, sent, headers={"HX-Request": "true"} if turn % 2 else {})
        if answer.status_code not in (200, 404, 422):
            wrong[turn] = answer.status_code
    assert wrong == {}


def test_missing_slash_leads_to_the_page(admin):
    answer = admin.get("/hosts?q=a%26b")
    assert answer.status_code == 301 and answer["Location"] == "/hosts/?q=a%26b"
    assert admin.post("/hosts/import").status_code == 404, "a form is never sent on"
    assert admin.get("/nothing").status_code == 404
    assert admin.get("/healthz/x").status_code == 404


def test_unknown_address_offers_search(admin):
    page = markup(admin.get("/service/shop"))
    assert '<form class="filters" method="get" action="/"' in page and 'name="q"' in page
    assert 'name="q"' not in markup(Client().get("/service/shop"))


def test_form_of_another_session_has_a_page(admin):
    guarded = Client(enforce_csrf_checks=True)
    guarded.force_login(get_user_model().objects.get(username="ada"))
    answer = guarded.post("/new-service/", {"name": "x"})
    assert answer.status_code == 403 and is_ours(answer) and "reload the page" in markup(answer)
    answer = guarded.post("/api/v1/services/", {"name": "x"}, content_type="application/json")
    assert answer.status_code in (401, 403) and answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("address", ["/theme/", "/logout/", "/hosts/"])
def test_wrong_method_has_a_page(admin, address):
    answer = admin.put(address)
    assert answer.status_code == 405 and is_ours(answer) and {"GET", "POST"} & set(re.findall(r"\w+", answer["Allow"]))


def test_large_form_has_a_page(admin):
    answer = admin.post("/new-service/", {"name": "x" * 1_100_000})
    assert answer.status_code == 413 and is_ours(answer)
    many = admin.post("/new-service/", "a=&" * 5000, content_type="application/x-www-form-urlencoded")
    assert many.status_code == 400 and is_ours(many)


def test_wrong_host_has_a_page(settings):
    settings.ALLOWED_HOSTS = ["console.example"]
    answer = lenient(Client()).get("/", headers={"Host": "evil.example"})
    assert answer.status_code == 400 and is_ours(answer)
    assert Client().get("/healthz", headers={"Host": "evil.example"}).status_code in (200, 400)


def test_error_inside_has_a_page(admin, monkeypatch):
    from console.queries import fleet

    def broken(*args, **more):
        raise RuntimeError("told to")

    monkeypatch.setattr(fleet, "services", broken)
    answer = lenient(admin).get("/")
    assert answer.status_code == 500 and is_ours(answer) and "request ID" in markup(answer)
