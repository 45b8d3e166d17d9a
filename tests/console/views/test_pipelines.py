"""The page with the job of a pipeline to copy."""

import html
import re

import pytest
import yaml

from access.models import Team
from console.queries.pipelines import FILES, pipeline
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


def test_reference_of_the_api_is_linked_from_every_page(admin):
    for page in ("/", "/pipelines/", "/tokens/"):
        assert 'href="/api/v1/docs"' in admin.get(page).content.decode()
    assert admin.get("/api/v1/docs").status_code == 200


def test_cost_does_not_grow_with_services(admin, django_assert_max_num_queries):
    for number in range(30):
        factories.service(f"service-{number}")
    with django_assert_max_num_queries(8):
        assert admin.get("/pipelines/", {"service": "service-7"}).status_code == 200
