"""The page with the job of a pipeline to copy."""

import html
import json
import re

import pytest
import yaml

from access.models import Team
from access.secrets import Secret
from asset.models import HostGroup
from console.queries.pipelines import FILES, pipeline
from integrations.models import Setting
from tests import factories

pytestmark = pytest.mark.django_db


def shown(answer) -> str:
    return html.unescape(re.search(r"<pre[^>]*>(.*?)</pre>", answer.content.decode(), re.DOTALL)[1])


@pytest.mark.parametrize("system", FILES)
def test_job_has_the_address_and_the_service(admin, settings, system):
    """As the browser sees the installation, if nobody has said how others do."""
    factories.service("cart")
    for public, url in (("", "http://testserver"), ("https://deploy.acme.test/", "https://deploy.acme.test")):
        settings.PUBLIC_URL = public
        job = shown(admin.get("/pipelines/", {"service": "cart", "system": system}))
        assert url in job and "versions publish cart " in job and "deploy cart " in job
        assert "example.com" not in job and "my-service" not in job


@pytest.mark.parametrize("system", ["gitlab", "github"])
def test_what_limits_a_job_to_a_branch_is_read_as_it_is_meant(system):
    limit = yaml.safe_load(pipeline(system, "https://x.test", "cart").limit)
    if system == "gitlab":
        assert limit == {"rules": [{"if": '$CI_COMMIT_BRANCH == "main"'}]}
    else:  # YAML 1.1 reads the key as a truth, as it does in every workflow
        assert limit == {True: {"push": {"branches": ["main"]}}}


def test_job_copies_what_is_shown(admin):
    page = admin.get("/pipelines/")
    copied = html.unescape(re.search(r'data-copies="([^"]*)"', page.content.decode())[1])
    assert copied == shown(page) and "deploy my-service " in copied


@pytest.mark.parametrize("service", ["none", "<b>x</b>", "$(id)", "a' b", "x" * 200])
def test_unknown_service_is_named_and_not_filled_in(admin, service):
    page = admin.get("/pipelines/", {"service": service, "system": "basic"})
    assert page.status_code == 200 and html.escape(service) in page.content.decode()
    assert service not in shown(page) and "my-service" in shown(page) and "gitlab" in page.content.decode()


def test_service_of_another_team_is_unknown(viewer):
    factories.service("shop", team=Team.objects.create(name="others"))
    page = viewer.get("/pipelines/", {"service": "shop"})
    assert page.status_code == 200 and "versions publish shop" not in shown(page)


def test_says_that_a_service_runs_nowhere(admin, versions):
    factories.service("cart")
    said = "is not installed on any host yet"
    assert said in admin.get("/pipelines/", {"service": "cart"}).content.decode()
    for service in ("shop", "none", ""):
        assert said not in admin.get("/pipelines/", {"service": service}).content.decode()


def test_first_job_installs_where_the_page_says(admin):
    factories.service("cart")
    HostGroup.objects.create(name="Europe", labels={"zone": "eu"})
    HostGroup.objects.create(name="a: b", labels={"zone": "us"})
    for chosen, options in (
        ({"label": "zone=eu canary"}, "--install --label=zone=eu --label=canary"),
        ({"group": "Europe"}, "--install --group=Europe"),
    ):
        page = admin.get("/pipelines/", {"service": "cart", **chosen})
        assert f'deploy cart "$version" {options} --lock-timeout=1800' in shown(page)
        assert "is not installed on any host yet" not in page.content.decode()
    for wrong in ({"label": "zone='"}, {"label": "zone=a:b"}, {"group": "a: b"}, {"group": "gone"}):
        page = admin.get("/pipelines/", {"service": "cart", **wrong})
        assert "--install" not in shown(page) and 'class="wrong"' in page.content.decode()


def test_job_of_an_image_names_it_at_the_registry_of_the_settings(admin):
    factories.service("Cart")
    image = shown(admin.get("/pipelines/", {"service": "Cart", "kind": "image"}))
    assert "registry.example.com/cart-" in image
    fields = {"url": "https://images.acme.test", "project": "teams/web"}
    Setting.objects.create(document=Secret(json.dumps({"registry": fields})))
    page = admin.get("/pipelines/", {"service": "Cart", "kind": "image"})
    assert "images.acme.test/teams/web/cart-" in shown(page) and "--image=" in shown(page)
    assert "REGISTRY_PASSWORD" in page.content.decode()


def test_reference_of_the_api_is_linked_from_every_page(admin):
    for page in ("/", "/pipelines/", "/tokens/"):
        assert 'href="/api/v1/docs"' in admin.get(page).content.decode()
    assert admin.get("/api/v1/docs").status_code == 200


def test_cost_does_not_grow_with_services(admin, django_assert_max_num_queries):
    for number in range(30):
        factories.service(f"service-{number}")
    with django_assert_max_num_queries(8):
        assert admin.get("/pipelines/", {"service": "service-7"}).status_code == 200
