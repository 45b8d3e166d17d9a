"""A service's first page."""

import re

import pytest

from access.models import Team
from asset.models import Asset
from console.queries import overview_groups
from microservice.models import Deployment, MicroServiceInstance, MicroServiceVersion
from microservice.status import BuildStatus, InstanceStatus
from tests import factories

from ..markup import markup

pytestmark = pytest.mark.django_db


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def card(page: str, title: str) -> str:
    """Return the text of the section with this heading."""
    (section,) = (one for one in page.split("<section")[1:] if f'aria-labelledby="{title}"' in one)
    return text_of(section.partition("</section>")[0].partition(">")[2])


def test_names_lead_to_the_overview(admin):
    factories.running(1, "shop")
    for address in ("/", "/deployments/"):
        assert 'href="/services/shop/"' in markup(admin.get(address))
    page = markup(admin.get("/services/shop/"))
    tabs = re.search(r'<nav class="tabs".*?</nav>', page, re.DOTALL).group()
    assert re.search(r'<a href="/services/shop/"\s+aria-current="page">\s*Overview', tabs)
    assert tabs.index("Overview") < tabs.index("Versions") < tabs.index("Instances")
    assert admin.get("/services/nothing/").status_code == 404


def test_says_what_runs_where(admin):
    old, new = factories.versions(factories.service("shop"), 2)
    factories.instances(old, factories.hosts(10, "old"))
    (bad, *_) = factories.instances(new, factories.hosts(3, "new"))
    MicroServiceInstance.objects.filter(pk=bad.pk).update(status=InstanceStatus.UPGRADE_FAILED, is_maintain=True)
    Asset.objects.filter(hostname="old1").update(reachable=False)
    page = markup(admin.get("/services/shop/"))
    running = card(page, "runs-where")
    assert re.search(r"2\.0 newest 3 hosts new11 new12 new13 failed 1 in maintenance 1", running)
    assert re.search(r"1\.0 10 hosts old1 old10 .* and 2 more host unreachable 1 Upgrade… from 1\.0", running)
    assert re.match(r" What runs where failed 1 host unreachable 1 in maintenance 1", running), "the sum comes first"
    assert f"?state=failed&amp;version={new.pk}" in page and f"?version={old.pk}" in page
    assert f"/services/shop/versions/{old.pk}/upgrade/" in page and f"versions/{new.pk}/upgrade/" not in page
    assert f'/hosts/{bad.host_id}/"' in page
    newest = card(page, "newest-version")
    assert "2.0" in newest and "Runs on 3 of 13 hosts" in newest and "Deploy…" in newest


def test_says_what_runs_by_the_label_that_tells_most(admin, viewer):
    old, new = factories.versions(factories.service("shop"), 2)
    hosts = factories.hosts(6)
    for host, stage in zip(hosts, ("production", "production", "production", "staging", "test", None), strict=True):
        has = {"rack": str(host.pk), "cloud": "a", **({"stage": stage} if stage else {})}
        Asset.objects.filter(pk=host.pk).update(labels=has)
    factories.instances(old, hosts[:2])
    factories.instances(new, hosts[2:])
    page = markup(admin.get("/services/shop/"))
    by_label = card(page, "by-label").replace(" Copy 1.0", "").replace(" Copy 2.0", "")
    assert "By the label stage" in by_label
    assert re.search(r"production Copy production 3 2\.0 on 1 host 1\.0 on 2 hosts ", by_label)
    assert re.search(r"staging Copy staging 1 2\.0 test Copy test 1 2\.0 none 1 2\.0", by_label)
    assert "/services/shop/instances/?label=stage%3Dproduction" in page
    team = Team.objects.create(name="others")
    hosts[3].teams.add(team)
    assert "staging" not in markup(viewer.get("/services/shop/")), "nor by hosts that may not be seen"
    Asset.objects.update(labels={"stage": "production"})
    assert "by-label" not in markup(admin.get("/services/shop/")), "one value tells nothing"


@pytest.mark.parametrize(
    ("hosts", "name"),
    [
        ([], ""),
        ([{}, {}], ""),
        ([{"a": "1"}, {"a": "1"}], ""),
        ([{"a": "1"}, {"a": "2"}], "a"),
        ([{"a": "1", "site": "x"}, {"a": "2", "site": "y"}], "site"),
        ([{"env": "1", "zone": "x"}, {"env": "2", "zone": "y"}], "env"),
        ([{"b": "1", "a": "1"}, {"b": "2", "a": "2"}, {"b": "1", "a": "3"}], "b"),
        ([{"rack": str(number)} for number in range(9)], ""),
        ([{"canary": ""}, {}], ""),
    ],
)
def test_telling_label(hosts, name):
    assert overview_groups.telling(hosts) == name


def test_newest_is_a_version_to_deploy(admin, viewer):
    shop = factories.service("shop")
    good, worse = factories.versions(shop, 2)
    worse.bad = True
    worse.save()
    factories.instances(good, factories.hosts(1))
    newest = card(markup(admin.get("/services/shop/")), "newest-version")
    assert "1.0" in newest and "Created last: 2.0 marked bad" in newest and "Deploy…" not in newest
    factories.versions(shop, 1, BuildStatus.FAILED)
    assert "Created last: 3.0 failed" in card(markup(admin.get("/services/shop/")), "newest-version")
    (new,) = factories.versions(shop, 1)
    assert "Deploy…" in card(markup(admin.get("/services/shop/")), "newest-version")
    seen = markup(viewer.get("/services/shop/"))
    assert "4.0" in card(seen, "newest-version") and f"versions/{new.pk}/deploy/" not in seen


def test_shows_last_deployments_with_notes(admin):
    started = factories.running(2, "shop")
    Deployment.objects.filter(pk=started.pk).update(note="the fix for <tills>")
    last = card(markup(admin.get("/services/shop/")), "last-deployments")
    assert f"{started.pk} · upgrade" in last and "1.0 to 2.0 the fix for &lt;tills&gt;" in last
    assert "0 of 2" in last and "by ann" in last


def test_empty_service(admin):
    factories.service("shop")
    page = text_of(markup(admin.get("/services/shop/")))
    assert "Not installed anywhere" in page and "No version has been built yet." in page
    assert "No deployments yet" in page


def test_overview_query_count(admin, cost):
    versions = factories.versions(factories.service("shop"), 3)
    factories.instances(versions[0], factories.hosts(2))
    factories.deployment(list(versions[0].instances.all()), versions[1])
    small = cost(admin, "/services/shop/")
    for version in versions:
        factories.instances(version, factories.hosts(20))
    factories.deployment(list(versions[1].instances.all()), versions[2])
    assert cost(admin, "/services/shop/") == small


def test_next_answer_is_a_fragment(admin):
    factories.running(1, "shop")
    part = markup(admin.get("/services/shop/", headers={"HX-Request": "true"}))
    assert "What runs where" in part and "<html" not in part


def test_links_lead_out(admin):
    shop = factories.service("shop")
    posted = settings_of(admin) | {
        "repository_url": "https://github.com/acme/shop",
        "ci_url": "https://ci.example/shop",
        "commit_url": "",
    }
    assert admin.post("/services/shop/settings/", posted).status_code == 302
    version = MicroServiceVersion.objects.create(
        microservice=shop, version="20260131120000-main-1a2b3c4d", ref="main", status=BuildStatus.SUCCESS
    )
    for page in (markup(admin.get(f"/services/shop/{end}")) for end in ("", f"versions/{version.pk}/")):
        assert 'href="https://github.com/acme/shop/commit/1a2b3c4d" rel="noreferrer"' in page
        assert 'href="https://github.com/acme/shop/tree/main"' in page
    page = markup(admin.get("/services/shop/"))
    assert 'href="https://github.com/acme/shop"' in page and 'href="https://ci.example/shop"' in page
    assert "Address of the pipelines set to “https://ci.example/shop”" in markup(admin.get("/history/"))
    refused = admin.post("/services/shop/settings/", posted | {"ci_url": "javascript:alert(1)"})
    page = markup(refused)
    assert refused.status_code == 422 and "must be an http:// or https:// address" in page
    assert 'value="javascript:alert(1)"' in page, "what was typed stays"
    shop.refresh_from_db()
    assert shop.ci_url == "https://ci.example/shop"


def settings_of(client) -> dict[str, str]:
    form = client.get("/services/shop/settings/").context["form"]
    shown = {field.html_name: field.value() for field in form}
    return {name: "" if value is None else value for name, value in shown.items() if value is not False}
