"""Rules of every list and every creation, over all endpoints."""

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.models import Membership, Team, Token
from api.v1 import api as the_api
from asset.models import Credential
from audit.models import History
from callbacks.models import Callback, Delivery
from microservice.models import Deployment, MicroService, Step, Train, TrainPart, TrainStart
from tests import factories

pytestmark = pytest.mark.django_db


def test_location_leads_to_what_was_created(api):
    some = api()
    factories.instances(factories.versions(factories.service("train"), 1)[0], factories.hosts())
    user = some.post("/users/", {"username": "eve", "password": "a long way to Tipperary"})
    operations = {
        "/services/": {"name": "shop"},
        "/services/shop/versions/": {"version": "1.0"},
        "/hosts/": {"hostname": "web1", "ip": "10.0.0.1"},
        "/hosts/import": [{"hostname": "web2", "ip": "10.0.0.2"}],
        "/credentials/": {"name": "pw", "kind": "password", "secret": "open sesame"},
        "/tokens/": {"name": "ci", "scopes": ["read"]},
        "/teams/": {"name": "red", "members": [{"user": "ann", "role": "owner"}]},
        "/teams/1/members/": {"user": "eve", "role": "viewer"},
        "/callbacks/": {"url": "https://example.com/"},
        "/environments/": {"name": "staging"},
        "/trains/": {"name": "autumn", "stages": [[{"service": "train", "version": "1.0"}]]},
        "/freezes/": {
            "name": "holidays",
            "reason": "No one is here.",
            "everywhere": True,
            "start": "2190-12-24T12:00",
            "end": "2190-12-27T08:00",
        },
        "/host-groups/": {"name": "Frankfurt", "labels": {"site": "fra"}},
    }
    made = {
        path: some.post(path.replace("/1/", f"/{getattr(Team.objects.first(), 'pk', 0)}/"), body)
        for path, body in operations.items()
    } | {"/users/": user}
    answers_201 = {
        path
        for path, methods in the_api.get_openapi_schema(path_prefix="/api/v1/")["paths"].items()
        if "201" in methods.get("post", {}).get("responses", {})
    }
    assert len(made) == len(answers_201), answers_201
    for path, answer in made.items():
        assert answer.status_code == 201, (path, answer.content)
        there = some.get(answer["Location"].removeprefix("/api/v1"))
        assert there.status_code == 200, path
        if "id" in answer.json():
            assert there.json()["id"] == answer.json()["id"]


def grow(number: int) -> None:
    """Another row of everything that there is a list of."""
    team = Team.objects.create(name=f"team{number}")
    user = get_user_model().objects.create_user(f"user{number}")
    for one in Team.objects.all():
        Membership.objects.create(team=one, user=user, role="viewer")
    Token.objects.create(user=user, name="t", digest=f"{number}", scopes=["read"])
    Credential.objects.create(name=f"c{number}", kind="password")
    shop = MicroService.objects.filter(name="shop").first() or factories.service("shop", team=team)
    factories.service(f"other{number}", team=team)
    old, new = factories.versions(shop, 2)
    deployment = factories.deployment(factories.instances(old, factories.hosts(2)), new)
    first = Deployment.objects.order_by("pk").first()
    deployment.operations.update(deployment=first)
    for operation in first.operations.all():
        Step.objects.get_or_create(operation=operation, position=1, name="stop")
    callback = Callback.objects.first() or Callback.objects.create(url="https://example.com/", events=[])
    Callback.objects.create(url=f"https://example.com/{number}", events=[])
    Delivery.objects.create(callback=callback, event="test", name=f"{number}", until=deployment.created, body="")
    part = {"service": shop, "version": new}
    for train in [Train.objects.create(name=f"train{number}"), *Train.objects.all()]:
        last = train.parts.count()
        own = TrainPart.objects.create(train=train, stage=last, position=0, **part)
        TrainStart.objects.create(part=own, attempt=1)
    History.objects.create(actor="x", action="change", subject="service", microservice=shop, subject_name="shop")


def lists() -> list[str]:
    """Return the addresses whose answer has rows, a count and the next page's cursor."""
    described = the_api.get_openapi_schema(path_prefix="/api/v1/")
    shapes = described["components"]["schemas"]
    found = []
    for path, methods in described["paths"].items():
        content = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        name = content.get("application/json", {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
        if {"data", "count", "next"} <= set(shapes.get(name, {}).get("properties", {})):
            found.append(path.removeprefix("/api/v1"))
    return found


def test_lists_have_constant_queries(api):
    some = api()
    grow(1)
    ids = {"service": MicroService.objects.get(name="shop").pk, "id": Deployment.objects.first().pk}
    cost: dict[str, list[int]] = {}
    assert len(lists()) >= 13, lists()
    for number in range(2, 5):
        for route in lists():
            place = ids | ({"id": Team.objects.first().pk} if route.startswith("/teams") else {})
            place |= {"id": Callback.objects.order_by("pk").first().pk} if route.startswith("/callbacks") else {}
            with CaptureQueriesContext(connection) as queries:
                answer = some.get(route.format(**place))
            assert answer.status_code == 200, (route, answer.content)
            cost.setdefault(route, []).append(len(queries))
        grow(number)
    assert {route: found for route, found in cost.items() if found[1] != found[2]} == {}
