"""Lists inside the page of something else: they continue, and cost the same however long they are."""

import re

import pytest
from django.contrib.auth import get_user_model

from access.models import Membership, Team
from access.secrets import Secret
from asset.models import Asset, Credential
from console.models import SavedFilter
from microservice.models import Deployment, MicroService
from tests import factories

from ..markup import markup

pytestmark = pytest.mark.django_db
ASKS = {"HX-Request": "true"}


def names(page: str) -> list[str]:
    return re.findall(r'<th scope="row"[^>]*><span class="name"><a href="[^"]*" title="([^"]*)"', page)


def whole(client, address: str) -> list[str]:
    """Return the names of a list's rows, from all of its pages."""
    page = markup(client.get(address))
    found = names(page)
    while more := re.search(r'hx-get="(\?after=[^"]+)"', page):
        page = markup(client.get(f"{address}{more[1]}", headers=ASKS))
        assert "<table" not in page and "<h1" not in page
        found += names(page)
    return found


def test_lists_continue(admin):
    (version,) = factories.versions(factories.service("shop"), 1)
    hosts = factories.hosts(60)
    factories.instances(version, hosts)
    credential = Credential.objects.create(name="key", secret=Secret("x"))
    Asset.objects.update(credential=credential)
    every = sorted(host.hostname for host in hosts)
    for address in (f"/services/shop/versions/{version.pk}/", f"/credentials/{credential.pk}/"):
        assert "60 entries" in markup(admin.get(address)) and whole(admin, address) == every, address
    for number in range(60):
        (other,) = factories.versions(factories.service(f"service-{number:02}"), 1)
        factories.instances(other, hosts[:1])
    assert len(whole(admin, f"/hosts/{hosts[0].pk}/")) == 61


def test_live_page_of_a_host_keeps_its_rows(admin):
    (host,) = factories.hosts(1)
    for number in range(60):
        (version,) = factories.versions(factories.service(f"service-{number:02}"), 1)
        factories.instances(version, [host])
    part = markup(admin.get(f"/hosts/{host.pk}/?rows=60", headers=ASKS))
    assert len(names(part)) == 60 and "hx-get" not in part


def test_page_of_a_version_shows_its_deployments(admin, viewer):
    old, middle, new = factories.versions(factories.service("shop"), 3)
    numbers = [
        factories.deployment(factories.instances(start, factories.hosts(1)), end).pk
        for start, end in ((old, middle), (middle, new), (old, new))
    ]
    Deployment.objects.filter(pk=numbers[0]).update(note="the first one")
    page = markup(admin.get(f"/services/shop/versions/{middle.pk}/"))
    assert f"{numbers[0]} · upgrade" in page and f"{numbers[1]} · upgrade" in page and "the first one" in page
    assert f"{numbers[2]} · upgrade" not in page
    address = f"/deployments/?service=shop&version={middle.pk}"
    assert address.replace("&", "&amp;") in page
    listed = markup(admin.get(address))
    assert "2 entries" in listed and "All deployments to or from 2.0, newest first" in listed
    MicroService.objects.update(team=Team.objects.create(name="others"))
    assert "2.0" not in markup(viewer.get(address)), "nor the name of what may not be seen"
    assert "3 entries" in markup(admin.get("/deployments/?version=x"))


def test_account_lists_saved_filters(admin, operator):
    person = get_user_model().objects.get(username="olga")
    kept = SavedFilter.objects.create(user=person, page="hosts", name="in Europe", query="label=zone%3Deu&state=failed")
    SavedFilter.objects.create(user=person, page="versions", name="broken", query="status=failed")
    page = markup(operator.get("/account/"))
    assert 'href="/hosts/?label=zone%3Deu&amp;state=failed"' in page and "label=zone=eu, state=failed" in page
    assert "broken" in page and "?status=failed" not in page, "of which service is not known"
    assert "in Europe" not in markup(admin.get("/account/"))
    assert operator.post("/filters/", {"remove": kept.pk, "next": "/account/"})["Location"] == "/account/"
    assert "in Europe" not in markup(operator.get("/account/"))


def test_page_of_a_team_costs_the_same(admin, cost):
    team = Team.objects.create(name="store")

    def grow(count: int) -> int:
        for _ in range(count):
            number = MicroService.objects.count()
            factories.service(f"service-{number}", team=team)
            user = get_user_model().objects.create_user(f"person-{number}")
            Membership.objects.create(team=team, user=user, role="viewer")
        return cost(admin, f"/teams/{team.pk}/")

    assert grow(2) == grow(10)
