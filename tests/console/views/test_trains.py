"""Release trains in the console: the form with its plan, the page with all stages, and its buttons."""

import re

import pytest

from asset.models import Asset, Environment
from microservice.models import Deployment, MicroService, MicroServiceInstance, Train
from microservice.status import OperationStatus, TrainStatus
from microservice.trains import advance
from tests import factories
from tests.microservice.deployments.requests import end_all

from ..markup import markup

pytestmark = pytest.mark.django_db
NEW = "/trains/new/"


@pytest.fixture
def staging(db, store):
    hosts = factories.hosts(2)
    environment = Environment.objects.create(name="staging")
    Asset.objects.update(environment=environment)
    for name in ("api", "shop"):
        factories.instances(factories.versions(factories.service(name), 2)[0], hosts)
    return environment


def sent(*rows, **more):
    """Return what the form sends: the name, and of each row the stage, the service and the version."""
    names = ("stage", "service", "version")
    parts = {f"part{at}-{name}": value for at, row in enumerate(rows) for name, value in zip(names, row, strict=False)}
    empty = {f"part{at}-stage": at + 1 for at in range(len(rows), 4)}
    environment = Environment.objects.first()
    first = {"name": "autumn", "on_failure": "hold", "rows": 4, "environment": environment.pk if environment else ""}
    return {**first, **empty, **parts, **more}


def hidden(page: str, name: str) -> str:
    return re.search(f'name="{name}" value="([^"]*)"', page)[1]


def started(client, *rows, **more) -> Train:
    """Fill in the form, look at the plan, and start what it shows."""
    values = sent(*rows, **more)
    page = markup(client.post(NEW, {**values, "show": "1"}))
    both = {name: hidden(page, name) for name in ("plan_token", "key")}
    for _ in range(2):  # a double click
        answer = client.post(NEW, {**values, **both, "start": "1"})
    train = Train.objects.get()
    assert answer["Location"] == f"/trains/{train.pk}/"
    return train


def test_planned_started_and_shown_with_all_stages(admin, staging):
    assert "No release trains yet" in markup(admin.get("/trains/"))
    rows = (1, "api", "2.0"), (7, "shop", "")
    page = markup(admin.post(NEW, {**sent(*rows), "show": "1"}))
    assert "upgrade from 1.0 on 2 hosts" in page and not Train.objects.exists()
    train = started(admin, *rows, note="the autumn release")
    page = markup(admin.get(f"/trains/{train.pk}/"))
    places = [page.index(one) for one in ("Stage 1", "/services/api/", "Stage 2", "/services/shop/")]
    assert places == sorted(places)
    assert "2.0" in page and "the autumn release" in page and "none yet" in page
    deployment = Deployment.objects.get()
    assert f'href="/deployments/{deployment.pk}/"' in page
    of_deployment = markup(admin.get(f"/deployments/{deployment.pk}/"))
    assert f'Stage 1 of the train <a href="/trains/{train.pk}/">autumn</a>' in of_deployment
    assert "autumn" in markup(admin.get("/trains/")) and "2 stages" in markup(admin.get("/trains/"))
    fragment = admin.get(f"/trains/{train.pk}/", headers={"HX-Request": "true"})
    assert "<html" not in markup(fragment) and "Stage 2" in markup(fragment)


def test_buttons_follow_the_status(admin, staging):
    train = started(admin, (1, "api", "2.0"), (2, "shop", "2.0"))
    page = markup(admin.get(f"/trains/{train.pk}/"))
    assert "/cancel/" in page and "/revert/" in page and "/resume/" not in page
    end_all(Deployment.objects.get(), OperationStatus.UNDONE)
    advance.sweep()
    page = markup(admin.get(f"/trains/{train.pk}/"))
    assert "Stage 1 did not succeed: api." in page and "/resume/" in page
    admin.post(f"/trains/{train.pk}/resume/")
    assert Deployment.objects.count() == 2
    admin.post(f"/trains/{train.pk}/cancel/")
    train.refresh_from_db()
    assert train.status == TrainStatus.CANCELLED
    page = markup(admin.post(f"/trains/{train.pk}/resume/", follow=True))
    assert "cannot be resumed" in page
    assert admin.post(f"/trains/{train.pk}/other/", follow=True).status_code == 404


@pytest.mark.parametrize(
    ("rows", "more", "field"),
    [
        ((), {}, "part0-service"),
        (((1, "none", "2.0"),), {}, "part0-service"),
        (((1, "api", "9.9"),), {}, "part0-version"),
        (((1, "api", ""), (2, "shop", "9.9")), {}, "part1-version"),
        (((1, "api", ""), (1, "api", "")), {}, "part1-service"),
        (((0, "api", ""),), {}, "part0-stage"),
        ((("x", "api", ""),), {}, "part0-stage"),
        (((1, "api", ""),), {"name": ""}, "name"),
        (((1, "api", ""),), {"environment": "999"}, "environment"),
        (((1, "api", ""),), {"on_failure": "panic"}, "on_failure"),
        (((1, "api", ""),), {"note": "x" * 501}, "note"),
        (((1, "api", "\0"),), {}, "part0-version"),
    ],
)
def test_wrong_values_are_shown_at_their_field(admin, staging, rows, more, field):
    for button in ("show", "start"):
        answer = admin.post(NEW, {**sent(*rows, **more), button: "1", "key": "0" * 36})
        page = markup(answer)
        assert answer.status_code == 422 and f'id="id_{field}-wrong"' in page, page
    assert not Train.objects.exists() and not Deployment.objects.exists()


@pytest.mark.parametrize("rows", ["", "x", "-1", "9" * 30, "1000"])
def test_number_of_rows_is_bounded(admin, staging, rows):
    answer = admin.post(NEW, {**sent((1, "api", "")), "rows": rows, "show": "1"})
    assert answer.status_code in (200, 422) and len(markup(answer)) < 600_000


def test_more_rows_keep_what_was_typed(admin, staging):
    page = markup(admin.post(NEW, {**sent((3, "api", "2.0")), "more": "1"}))
    assert 'value="autumn"' in page and 'value="api"' in page and 'name="part7-service"' in page
    assert "wrong" not in page


def test_what_changed_since_the_plan_is_not_started(admin, staging):
    values = sent((1, "api", "2.0"))
    page = markup(admin.post(NEW, {**values, "show": "1"}))
    MicroService.objects.filter(name="api").update(start_command="other")
    both = {name: hidden(page, name) for name in ("plan_token", "key")}
    answer = admin.post(NEW, {**values, **both, "start": "1"})
    assert answer.status_code == 409 and not Train.objects.exists()


def test_who_only_reads_sees_it_and_no_buttons(admin, viewer, staging):
    train = started(admin, (1, "api", ""))
    page = markup(viewer.get(f"/trains/{train.pk}/"))
    assert "/cancel/" not in page and "Start a train" not in markup(viewer.get("/trains/"))
    assert viewer.get(NEW).status_code == 403
    assert viewer.post(f"/trains/{train.pk}/cancel/").status_code == 403


def test_pages_take_a_fixed_number_of_queries(admin, staging, cost):
    hosts = list(Asset.objects.all())
    for number in range(12):
        factories.instances(factories.versions(factories.service(f"s{number}"), 2)[0], hosts)
    small = started(admin, (1, "api", ""))
    before = cost(admin, f"/trains/{small.pk}/"), cost(admin, "/trains/")
    rows = {f"part{at}-{name}": value for at in range(12) for name, value in (("stage", at), ("service", f"s{at}"))}
    rows["part0-stage"] = 12
    admin.post(NEW, {**sent(), **rows, "rows": 12, "start": "1", "key": "0" * 36})
    large = Train.objects.exclude(pk=small.pk).get()
    assert (cost(admin, f"/trains/{large.pk}/"), cost(admin, "/trains/")) == before
    assert MicroServiceInstance.objects.filter(locked=True).count() == 2 * len(hosts)
