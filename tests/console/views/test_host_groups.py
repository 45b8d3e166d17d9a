"""The pages of host groups: who sees and changes them, and how a filter becomes one."""

import pytest

from asset.models import HostGroup

from ..markup import markup

pytestmark = pytest.mark.django_db


def test_groups_are_made_changed_and_deleted(admin, labelled):
    assert "2 hosts" in markup(admin.get("/hosts/groups/"))
    assert 'value="zone=us"' in markup(admin.get("/hosts/groups/new/?labels=zone%3Dus"))
    form = {"name": "america", "labels": "zone=us", "description": "over there"}
    assert admin.post("/hosts/groups/new/", form)["Location"] == "/hosts/groups/"
    group = HostGroup.objects.get(name="america")
    assert (group.labels, group.created_by) == ({"zone": "us"}, "ada")
    page = markup(admin.get("/hosts/groups/"))
    assert ">1 host<" in page and "over there" in page and "group=america" in page
    address = f"/hosts/groups/{group.pk}/"
    assert 'value="zone=us"' in markup(admin.get(address))
    assert admin.post(address, form | {"labels": "zone=us canary"}).status_code == 302
    group.refresh_from_db()
    assert group.labels == {"zone": "us", "canary": None}
    assert admin.post(f"{address}delete/").status_code == 302 and not HostGroup.objects.filter(name="america").exists()
    assert admin.post(f"{address}delete/").status_code == admin.get(address).status_code == 404


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "europe & co"}, "name"),
        ({"name": "a\0"}, "name"),
        ({"labels": ""}, "labels"),
        ({"labels": "zone='"}, "labels"),
        ({"labels": "zone=eu zone=us"}, "labels"),
        ({"description": "x" * 257}, "description"),
    ],
)
def test_refusals_of_a_group_stand_at_their_field(admin, labelled, wrong, field):
    answer = admin.post("/hosts/groups/new/", {"name": "new", "labels": "zone=eu", "description": "d"} | wrong)
    page = markup(answer)
    assert answer.status_code in (409, 422) and f'id="id_{field}-wrong"' in page and HostGroup.objects.count() == 1
    assert 'value="d"' in page or field == "description"


def test_host_names_its_groups(admin, labelled):
    HostGroup.objects.create(name="canaries", labels={"canary": None})
    shown = [markup(admin.get(f"/hosts/{host.pk}/")) for host in labelled]
    assert [page.count('href="/hosts/?group=') for page in shown] == [1, 2, 0, 0]
    assert 'href="/hosts/?group=europe%20%26%20co"' in shown[0]


def test_filter_becomes_a_group(admin, operator, labelled):
    made = 'href="/hosts/groups/new/?labels=zone%3Deu%20canary"'
    assert made in markup(admin.get("/hosts/?label=zone%3Deu+canary"))
    assert made not in markup(operator.get("/hosts/?label=zone%3Deu+canary"))
    for nothing in ("", "label=zone%3D%27", "group=europe+%26+co&label=zone"):
        assert "Make a group" not in markup(admin.get(f"/hosts/?{nothing}"))


def test_groups_are_for_everyone_to_see_and_for_administrators_to_change(operator, labelled):
    group = HostGroup.objects.get()
    page = markup(operator.get("/hosts/groups/"))
    assert "europe &amp; co" in page and "Add a group" not in page
    for address in ("/hosts/groups/new/", f"/hosts/groups/{group.pk}/"):
        assert operator.get(address).status_code == operator.post(address).status_code == 403
    assert operator.post(f"/hosts/groups/{group.pk}/delete/").status_code == 403
