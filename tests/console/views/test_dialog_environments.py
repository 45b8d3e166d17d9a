"""The dialogs are open for one environment; lists and pages of deployments say which."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.utils import timezone

from asset.models import Asset, Environment
from asset.strategy import Strategy
from microservice.models import Deployment, MicroService, MicroServiceInstance
from microservice.status import DeploymentStatus, InstanceStatus, OperationStatus
from tests import factories

from ..markup import markup
from .dialogs import hidden

pytestmark = pytest.mark.django_db


@pytest.fixture
def placed(versions):
    """Put two of the four hosts into staging and one into production."""
    staging, production = (
        Environment.objects.create(name=name, position=at) for at, name in enumerate(("staging", "production"))
    )
    for host, environment in zip(Asset.objects.order_by("pk"), (staging, staging, production, None), strict=True):
        Asset.objects.filter(pk=host.pk).update(environment=environment)
    return staging, production


@pytest.fixture
def origin(versions, placed):
    """Return a deployment of all four hosts, which has ended."""
    made = factories.deployment(
        list(MicroServiceInstance.objects.order_by("pk")),
        versions.newer,
        DeploymentStatus.SUCCEEDED,
        OperationStatus.SUCCEEDED,
    )
    MicroServiceInstance.objects.update(version=versions.newer, status=InstanceStatus.RUNNING)
    return made


def dialogs(versions, origin=None) -> dict[str, str]:
    of = f"/services/shop/versions/{versions.running.pk}"
    found = {
        "upgrade": f"{of}/upgrade/",
        "revert": f"{of}/revert/",
        "deploy": f"/services/shop/versions/{versions.newer.pk}/deploy/",
    }
    return found | ({"back": f"/deployments/{origin.pk}/revert/"} if origin else {})


def tabs(page: str) -> dict[str, str]:
    """Return the environments that the dialog can be opened for, each with its address; the current one first."""
    nav = re.search(r'<nav class="tabs" aria-label="Environment">(.*?)</nav>', page, re.DOTALL)
    if nav is None:
        return {}
    links = re.findall(r'<a href="([^"]*)"( aria-current="page")?>\s*(.*?)\s*</a>', nav[1], re.DOTALL)
    return {name: unescape(address) for address, _, name in sorted(links, key=lambda one: not one[1])}


def listed(page: str) -> list[str]:
    hosts = page[page.index('id="hosts"') : page.index('id="plan"')]
    return sorted(set(re.findall(r"host\d+(?=</span>)", hosts)))


@pytest.mark.parametrize("kind", ["upgrade", "revert", "deploy", "back"])
def test_a_dialog_is_open_for_one_and_the_others_are_a_click_away(admin, versions, placed, request, kind):
    where = dialogs(versions, request.getfixturevalue("origin") if kind == "back" else None)[kind]
    page = markup(admin.get(where))
    assert list(tabs(page)) == ["staging", "production", "no environment"]
    assert listed(page) == ["host1", "host2"] and "2 hosts" in page[page.index('id="plan"') :]
    for name, hosts in (("production", ["host3"]), ("no environment", ["host4"]), ("staging", ["host1", "host2"])):
        page = markup(admin.get(where + tabs(page)[name]))
        assert (next(iter(tabs(page))), listed(page)) == (name, hosts)
        before = Deployment.objects.count()
        if name == "staging":
            continue
        sent = hidden(page)
        assert admin.post(where, sent).status_code == 302
        made = Deployment.objects.latest("pk")
        assert (Deployment.objects.count(), made.operations.count()) == (before + 1, 1)
        assert str(made.environment or "no environment") == name


def test_what_was_chosen_stays_when_another_is_opened(admin, versions, placed):
    where = dialogs(versions)["upgrade"]
    first = Asset.objects.order_by("pk").first()
    page = markup(admin.get(where, {"where": "some", "host": first.pk, "note": "why not", "canary": "1", "shown": "1"}))
    address = tabs(page)["production"]
    assert "note=why+not" in address and "canary=1" in address and "host=" not in address
    assert 'value="why not"' in markup(admin.get(where + address))


def strategy_of(page: str) -> dict[str, str]:
    """Return the strategy in the dialog's fields."""
    found = dict(re.findall(r'<input type="text" name="(canary|batch_size)"(?: value="([^"]*)")?', page))
    return {name: value for name, value in found.items() if value}


@pytest.mark.parametrize("kind", ["upgrade", "revert", "deploy"])
def test_the_strategy_is_that_of_the_environment_or_else_of_the_service(admin, versions, placed, kind):
    """When another one is opened, what is preset changes with it; what was chosen stays."""
    MicroService.objects.update(default_strategy=Strategy(batch_size=7).to_json())
    Environment.objects.filter(name="production").update(default_strategy=Strategy(canary=2).to_json())
    where = dialogs(versions)[kind]
    page = markup(admin.get(where))
    assert strategy_of(page) == {"batch_size": "7"}
    page = markup(admin.get(where + tabs(page)["production"]))
    assert strategy_of(page) == {"canary": "2"}
    page = markup(admin.get(where + tabs(page)["staging"]))
    assert strategy_of(page) == {"batch_size": "7"}
    page = markup(admin.get(where, {"batch_size": "3", "shown": "1"}))
    page = markup(admin.get(where + tabs(page)["production"]))
    assert strategy_of(page) == {"batch_size": "3"}
    page = markup(admin.get(where, {"environment": "production"}))
    assert admin.post(where, hidden(page)).status_code == 302
    assert Strategy.from_row(Deployment.objects.get().strategy) == Strategy(canary=2)


def test_an_address_names_it_as_lists_do(admin, versions, placed):
    where = dialogs(versions)["deploy"]
    addresses = tabs(markup(admin.get(where)))
    assert "environment=production" in addresses["production"] and "environment=0" in addresses["no environment"]
    for named in ("production", placed[1].pk):
        assert listed(markup(admin.get(where, {"environment": named}))) == ["host3"]
    assert "no such" in (page := markup(admin.get(where, {"environment": "elsewhere"}))).lower() or "not found" in page


def test_parts_of_the_list_are_of_the_same_one(admin, versions, placed):
    where = dialogs(versions)["upgrade"]
    part = {"part": "hosts", "environment": placed[1].pk}
    assert "host3" in markup(admin.get(where, part)) and "host1" not in markup(admin.get(where, part))


def test_an_install_is_of_one(admin, versions, placed):
    new = factories.hosts(2, prefix="new")
    Asset.objects.filter(pk=new[0].pk).update(environment=placed[0])
    Asset.objects.filter(pk=new[1].pk).update(environment=placed[1])
    where = f"/services/shop/versions/{versions.newer.pk}/install/"
    page = markup(admin.get(where))
    assert list(tabs(page)) == ["staging", "production", "no environment"]
    assert "new5" in page and "new6" not in page
    page = markup(admin.get(where + tabs(page)["production"] + f"&where=some&host={new[1].pk}"))
    assert "Install 3.0 on 1 host" in page and "new5" not in page
    assert admin.post(where, hidden(page)).status_code == 302
    assert Deployment.objects.get().environment == placed[1]


@pytest.mark.parametrize("number", ["9999", "x", "-1", "9" * 30])
def test_an_unknown_one_is_refused_and_nothing_started(admin, versions, placed, number):
    for where in dialogs(versions).values():
        sent = hidden(markup(admin.get(where)))
        answer = admin.post(where, {**sent, "environment": number})
        assert answer.status_code in (409, 422), (where, number)
        assert 'class="wrong"' in markup(answer) or "tone-bad" in markup(answer)
    assert not Deployment.objects.exists()


def test_all_in_one_has_nothing_to_choose_and_says_which(admin, versions, placed):
    Asset.objects.update(environment=placed[1])
    page = markup(admin.get(dialogs(versions)["upgrade"]))
    assert tabs(page) == {} and "production" in page and "Upgrade 4 hosts" in page
    assert admin.post(dialogs(versions)["upgrade"], hidden(page)).status_code == 302
    assert Deployment.objects.get().environment == placed[1]


def test_a_plan_made_before_hosts_were_parted_is_not_carried_out(admin, versions):
    where = dialogs(versions)["upgrade"]
    sent = hidden(markup(admin.get(where)))
    Asset.objects.filter(pk=Asset.objects.order_by("pk").first().pk).update(
        environment=Environment.objects.create(name="staging")
    )
    answer = admin.post(where, sent)
    assert answer.status_code in (409, 422) and not Deployment.objects.exists()
    assert list(tabs(markup(answer))) == ["staging", "no environment"]


def test_lists_are_filtered_by_none_too(admin, versions, placed, origin):
    for where in ("/hosts/", "/services/shop/instances/"):
        for named, there in (("0", "host4"), ("production", "host3"), (placed[1].pk, "host3")):
            page = markup(admin.get(where, {"environment": named}))
            assert there in page and "host1" not in page, (where, named)
    Deployment.objects.filter(pk=origin.pk).update(environment=placed[0])
    assert f"/deployments/{origin.pk}/" not in markup(admin.get("/deployments/?environment=0"))


def test_lists_and_pages_say_where(admin, versions, placed, origin):
    Deployment.objects.filter(pk=origin.pk).update(environment=placed[0])
    for address in ("/deployments/", f"/deployments/{origin.pk}/", "/deployments/?environment=staging"):
        assert "staging" in markup(admin.get(address)), address
    assert f"/deployments/{origin.pk}/" not in markup(admin.get("/deployments/?environment=production"))


def test_without_environments_no_dialog_has_one_field_more(admin, versions):
    for where in dialogs(versions).values():
        page = re.sub(r'<input type="hidden"[^>]*>|#choose \[name=environment\]', "", markup(admin.get(where)))
        assert "environment" not in page.lower(), where


@pytest.fixture
def asking(placed):
    """Let production require that a version ran half an hour in staging."""
    staging, production = placed
    Environment.objects.filter(pk=production.pk).update(requires=staging, soak_minutes=30)
    return production


def ran(instance: MicroServiceInstance, version, ago: int) -> None:
    """Record that a version came to an instance so many minutes ago."""
    made = factories.deployment([instance], version, DeploymentStatus.SUCCEEDED, OperationStatus.SUCCEEDED)
    made.operations.update(finished=timezone.now() - timedelta(minutes=ago))
    MicroServiceInstance.objects.filter(pk=instance.pk).update(version=version)


def test_a_version_that_may_not_go_there_is_greyed_with_the_reason(admin, versions, placed, asking):
    """In the dialog of the environment that requires another one; in the other one it is not."""
    where = dialogs(versions)["upgrade"]
    in_staging = markup(admin.get(where))
    assert "it has not run in staging" not in in_staging and "Upgrade 2 hosts" in in_staging
    page = markup(admin.get(where, {"environment": asking.pk}))
    radio = re.search(rf'<input type="radio"[^>]*value="{versions.newer.pk}"[^>]*>', page)[0]
    assert "disabled" in radio and "3.0 cannot go to production yet: it has not run in staging" in page
    assert "No plan to confirm." in page
    answer = admin.post(where, {**hidden(in_staging), "environment": asking.pk})
    assert answer.status_code == 409 and "it has not run in staging" in markup(answer)
    ran(MicroServiceInstance.objects.order_by("pk").first(), versions.newer, ago=31)
    page = markup(admin.get(where, {"environment": asking.pk}))
    assert (
        "Upgrade 1 host from 2.0 to 3.0" in page
        and "disabled" not in re.search(rf'<input type="radio"[^>]*value="{versions.newer.pk}"[^>]*>', page)[0]
    )


def test_the_version_that_is_chosen_at_first_is_one_that_may_go_there(admin, versions, placed, asking):
    newest = factories.versions(versions.running.microservice, 1)[0]
    ran(MicroServiceInstance.objects.order_by("pk").first(), versions.newer, ago=31)
    where = dialogs(versions)["upgrade"]
    assert f"to {newest.version}</button>" in markup(admin.get(where)).replace("\n", "").replace("  ", "")
    page = markup(admin.get(where, {"environment": asking.pk}))
    assert "Upgrade 1 host from 2.0 to 3.0" in page


@pytest.mark.parametrize("kind", ["deploy", "install"])
def test_the_other_dialogs_say_it_in_place_of_the_plan(admin, versions, placed, asking, kind):
    host = factories.hosts(1, prefix="new")[0]
    Asset.objects.filter(pk=host.pk).update(environment=asking)
    where = f"/services/shop/versions/{versions.newer.pk}/{kind}/"
    query = {"environment": asking.pk, **({"where": "some", "host": host.pk} if kind == "install" else {})}
    page = markup(admin.get(where, query))
    assert "it has not run in staging" in page and "No plan to confirm." in page


def test_how_much_is_asked_does_not_grow_with_the_versions(admin, versions, placed, asking, cost):
    address = f"{dialogs(versions)['upgrade']}?environment={asking.pk}"
    few = cost(admin, address)
    factories.versions(versions.running.microservice, 20)
    assert cost(admin, address) <= few
