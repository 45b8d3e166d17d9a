"""The first page where hosts are in environments: what runs in each, what is on its way, and what may go there next."""

import csv
import io
import re
from datetime import timedelta
from html import unescape

import pytest
from django.utils import timezone

from asset.models import Asset, Environment
from audit import chain
from audit.models import Event
from microservice.models import Deployment, MicroServiceInstance, MicroServiceVersion, Operation
from microservice.status import Action, DeploymentStatus, InstanceStatus, OperationStatus
from tests import factories

from ..markup import markup
from .test_first_page_size import MAX_SIZE, first_view

pytestmark = pytest.mark.django_db
SOAK = 30


@pytest.fixture
def shop(db):
    """Return a service whose first version runs on two hosts of staging and on two of production, which requires that a
    version ran half an hour in staging."""
    service = factories.service()
    versions = factories.versions(service, 3)
    hosts = factories.hosts(4)
    staging = Environment.objects.create(name="staging", position=1, colour="blue")
    production = Environment.objects.create(name="live & well", position=2, requires=staging, soak_minutes=SOAK)
    for environment, some in ((staging, hosts[:2]), (production, hosts[2:])):
        Asset.objects.filter(pk__in=[host.pk for host in some]).update(environment=environment)
    return factories.Shop(service, versions, factories.instances(versions[0], hosts))


def staging() -> Environment:
    return Environment.objects.get(name="staging")


def production() -> Environment:
    return Environment.objects.get(requires__isnull=False)


def brought(instance: MicroServiceInstance, version: MicroServiceVersion, ago: float) -> None:
    """Let an instance run a version since so many minutes."""
    made = factories.deployment([instance], version, DeploymentStatus.SUCCEEDED, OperationStatus.SUCCEEDED)
    Operation.objects.filter(deployment=made).update(finished=timezone.now() - timedelta(minutes=ago))
    MicroServiceInstance.objects.filter(pk=instance.pk).update(version=version)


def cells(page: str, service: str = "shop") -> dict[str, str]:
    """Return the cells of a service by the name of their environment; "" for one without anything."""
    number = MicroServiceVersion.objects.filter(microservice__name=service).first().microservice_id
    row = re.search(rf'<tr id="service-{number}">(.*?)</tr>', page, re.DOTALL)[1]
    heads = re.findall(r'<th scope="col">(.*?)</th>', page, re.DOTALL)[1:]
    inside = re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
    return dict(zip([words(head) for head in heads], inside, strict=True))


def words(text: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())


def test_without_hosts_in_an_environment_it_is_as_before(admin):
    Environment.objects.create(name="staging")
    (version,) = factories.versions(factories.service(), 1)
    factories.instances(version, factories.hosts(1))
    page = markup(admin.get("/"))
    assert "Running versions" in page and "staging" not in page and "environment" not in page


def test_each_environment_has_a_column(admin, shop):
    MicroServiceInstance.objects.filter(pk=shop.instances[2].pk).update(
        version=shop.versions[1], status=InstanceStatus.UPGRADE_FAILED
    )
    MicroServiceInstance.objects.filter(pk=shop.instances[3].pk).update(is_maintain=True)
    found = cells(markup(admin.get("/")))
    assert list(found) == ["staging", "live & well"]
    assert words(found["staging"]).startswith("1.0 running 2 hosts Upgrade… shop from 1.0")
    there = words(found["live & well"])
    assert there.index("2.0 1 host") < there.index("1.0 1 host") < there.index("failed 1") < there.index("in maint")
    assert "running" not in there
    of = f"/services/shop/instances/?version={shop.versions[1].pk}&amp;environment=live+%26+well"
    assert f'href="{of}"' in found["live & well"]
    assert 'href="/services/shop/instances/?state=failed&amp;environment=live+%26+well"' in found["live & well"]


def test_dialogs_open_for_the_environment(admin, shop):
    found = cells(markup(admin.get("/")))
    address = f"/services/shop/versions/{shop.versions[0].pk}/upgrade/?environment={staging().pk}"
    assert f'href="{address}"' in found["staging"] and "upgrade" not in found["live & well"]
    assert 'aria-current="page">staging<' in re.sub(r">\s+", ">", markup(admin.get(address)))


def test_hosts_in_none_have_a_column_where_there_are_some(admin, shop):
    factories.hosts(1, "spare")
    assert "No environment" not in markup(admin.get("/"))
    other = factories.service("other")
    factories.instances(factories.versions(other, 1)[0], factories.hosts(1))
    page = markup(admin.get("/"))
    assert cells(page)["No environment"] == "" and words(cells(page, "other")["No environment"]).startswith("1.0 run")
    assert "other" not in markup(admin.get("/?environment=staging"))


def test_a_version_that_ran_well_is_ready_one_click_from_its_dialog(admin, shop):
    for ago in (SOAK - 1, SOAK + 1):
        brought(shop.instances[0], shop.versions[1], ago)
        page = markup(admin.get("/"))
        link = f"/services/shop/versions/{shop.versions[1].pk}/deploy/?environment={production().pk}"
        there = cells(page)["live & well"]
        assert (f'href="{link}"' in there) == ("ready Deploy… shop 2.0" in words(there)) == (ago > SOAK), ago
        assert ("2.0 ready from" in words(there)) == (ago < SOAK)
        assert "ready" not in cells(page)["staging"]
    dialog = markup(admin.get(link))
    assert "Deploy 2.0 to 2 hosts" in words(dialog)


def test_who_may_not_deploy_has_no_buttons(viewer, shop):
    brought(shop.instances[0], shop.versions[1], 100)
    there = words(cells(markup(viewer.get("/")))["live & well"])
    assert "2.0 ready" in there and "…" not in there


def test_the_newest_one_that_may_is_ready_and_a_newer_one_soaks(admin, shop):
    brought(shop.instances[0], shop.versions[1], 100)
    brought(shop.instances[1], shop.versions[2], 10)
    there = words(cells(markup(admin.get("/")))["live & well"])
    assert "2.0 ready Deploy…" in there and "3.0 ready from" in there
    MicroServiceVersion.objects.filter(pk=shop.versions[1].pk).update(bad=True)
    assert "2.0 ready" not in words(cells(markup(admin.get("/")))["live & well"])


@pytest.mark.parametrize("status", [DeploymentStatus.RUNNING, DeploymentStatus.WAITING])
def test_what_is_on_its_way_is_shown_and_not_ready_again(admin, shop, status):
    brought(shop.instances[0], shop.versions[1], 100)
    going = factories.deployment(shop.instances[2:], shop.versions[1], status, action=Action.DEPLOY)
    Deployment.objects.filter(pk=going.pk).update(environment=production())
    there = cells(markup(admin.get("/")))
    assert f'href="/deployments/{going.pk}/"' in there["live & well"] and "/deployments/" not in there["staging"]
    assert f"deploy to 2.0 {status}" in words(there["live & well"])
    assert "ready" not in words(there["live & well"])
    state = "waiting" if status == DeploymentStatus.WAITING else "deploying"
    assert "/services/shop/" in markup(admin.get(f"/?state={state}"))
    assert "No matching services" in markup(admin.get(f"/?state={state}&environment=staging"))


def test_a_failure_is_shown_until_something_newer_came_there(admin, shop):
    failed = factories.deployment(shop.instances[:2], shop.versions[1], DeploymentStatus.FAILED)
    other = factories.deployment(shop.instances[2:], shop.versions[1], DeploymentStatus.SUCCEEDED)
    Deployment.objects.filter(pk=failed.pk).update(environment=staging())
    Deployment.objects.filter(pk=other.pk).update(environment=production())
    there = cells(markup(admin.get("/")))
    assert f'href="/deployments/{failed.pk}/"' in there["staging"] and "/deployments/" not in there["live & well"]
    Deployment.objects.filter(pk=other.pk).update(environment=staging())
    assert "/deployments/" not in cells(markup(admin.get("/")))["staging"]


def test_filters_are_of_one_environment(admin, shop):
    web = factories.service("web")
    factories.instances(factories.versions(web, 1)[0], [shop.instances[0].host], status=InstanceStatus.UPGRADE_FAILED)
    page = markup(admin.get("/?environment=live+%26+well"))
    assert "/services/shop/" in page and "/services/web/" not in page and "2 instances on your hosts" in page
    assert list(cells(page)) == ["live & well"]
    assert "/services/web/" in markup(admin.get("/?environment=staging&state=failed"))
    assert "No matching services" in markup(admin.get("/?environment=live+%26+well&state=failed"))
    assert "/services/web/" in markup(admin.get("/?environment=live+%26+well&state=empty"))
    unknown = markup(admin.get("/?environment=nowhere"))
    assert "nowhere is not one of the available choices" in unknown and "/services/web/" in unknown


def test_it_is_fetched_again_when_a_soak_time_is_over(admin, shop):
    brought(shop.instances[0], shop.versions[1], SOAK - 20)
    found = re.findall(r'data-due="(\d+)"', cells(markup(admin.get("/")))["live & well"])
    assert len(found) == 1 and 600 < int(found[0]) <= 1200


def test_it_is_fetched_again_when_hosts_or_environments_change(admin, shop):
    kinds = re.search(r'data-kinds="([^"]*)"', markup(admin.get("/")))[1].split()
    assert {"host", "environment"} <= set(kinds)
    admin.post("/environments/new/", {"name": "later", "colour": "red"})
    chain.seal()  # as after the commit
    assert Event.objects.latest("pk").kind == "environment"


def test_favourites_and_next_rows_have_the_same_cells(admin, shop):
    for number in range(25):
        factories.service(f"later-{number:02}")
    admin.post("/services/shop/favourite/", {"on": "1"})
    page = markup(admin.get("/"))
    assert words(cells(page)["staging"]).startswith("1.0 running") and "after=later-19" in page
    more = markup(admin.get("/?after=later-19", headers={"HX-Request": "true"}))
    assert "later-20" in more and more.count("<td></td>") == 2 * 5


def test_the_file_has_what_runs_and_what_is_ready(admin, shop):
    brought(shop.instances[0], shop.versions[1], 100)
    answer = admin.get("/?csv=services")
    (row,) = csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig")))
    assert (row["in staging"], row["in live & well"], row["ready for live & well"]) == (
        "2.0 (1), 1.0 (1)",
        "1.0 (2)",
        "2.0",
    )
    assert row["versions"] == "2.0 (1), 1.0 (3)" and row["instances"] == "4"


def test_hostile_names_are_escaped(admin, shop):
    Environment.objects.filter(pk=production().pk).update(name='"><script>alert(1)</script>')
    MicroServiceVersion.objects.filter(pk=shop.versions[1].pk).update(version="<i>2</i>")
    brought(shop.instances[0], shop.versions[1], 100)
    page = markup(admin.get("/"))
    assert "<i>" not in page and "<script>" not in page and "&lt;i&gt;2&lt;/i&gt;" in page


def fill(services: range, environments: list[Environment]) -> None:
    """Run each service in each environment, with a version that is ready for the next one."""
    for number in services:
        versions = factories.versions(factories.service(f"service-{number:03}"), 3)
        for place, version in enumerate(versions):
            version.version = f"20261127{number:06}-master-{(number * 31 + place) * 104729 % 268435399:07x}"
            version.save()
        for place, environment in enumerate(environments):
            (host,) = factories.hosts(1)
            Asset.objects.filter(pk=host.pk).update(environment=environment)
            (instance,) = factories.instances(versions[0], [host])
            brought(instance, versions[2 if place == 0 else 1], 100)


@pytest.fixture
def five(db) -> list[Environment]:
    made = [Environment.objects.create(name="development", position=0)]
    for place, name in enumerate(("test", "acceptance", "staging", "production"), 1):
        made.append(Environment.objects.create(name=name, position=place, requires=made[-1], soak_minutes=SOAK))
    return made


def test_costs_the_same_however_many_services_and_environments(admin, five, cost):
    fill(range(3), five)
    small = cost(admin, "/")
    fill(range(3, 25), five)
    last = five[-1]
    for number in range(2):
        last = Environment.objects.create(name=f"more {number}", position=9, requires=last)
        fill(range(30 + number, 31 + number), [last])
    assert cost(admin, "/") == small + 1  # more than a page, so they are counted


def test_the_first_page_is_small_with_environments_too(admin, five):
    fill(range(25), five)
    sizes = first_view(admin)
    assert len(sizes) > 8 and sum(sizes.values()) <= MAX_SIZE, sizes
