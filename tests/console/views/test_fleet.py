"""The first page and signing in."""

import pytest
from django.test import Client

from microservice.models import Deployment, MicroServiceInstance, Operation
from microservice.status import BuildStatus, InstanceStatus
from tests import factories

from ..markup import markup

pytestmark = pytest.mark.django_db


def test_redirects_to_sign_in_and_back():
    answer = Client().get("/?q=shop")
    assert answer.status_code == 302
    assert answer["Location"] == "/login/?next=%2F%3Fq%3Dshop"


def test_fragment_without_session_is_401():
    answer = Client().get("/", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer["HX-Redirect"].startswith("/login/")


def test_signs_in(admin):
    fresh = Client()
    answer = fresh.post("/login/?next=/hosts/", {"username": "ada", "password": "ada-password-1"})
    assert answer.status_code == 302 and answer["Location"] == "/hosts/"
    assert fresh.get("/hosts/").status_code == 200


def test_sign_in_redirects_within_site(admin):
    answer = Client().post("/login/?next=https://evil.example/", {"username": "ada", "password": "ada-password-1"})
    assert answer["Location"] == "/"


def test_rejects_wrong_password(admin):
    answer = Client().post("/login/", {"username": "ada", "password": "wrong"})
    assert answer.status_code == 200
    assert b'role="alert"' in answer.content and b'value="ada"' in answer.content


def test_throttles_guesses(admin):
    guesser = Client()
    for _ in range(10):
        guesser.post("/login/", {"username": "ada", "password": "wrong"})
    answer = guesser.post("/login/", {"username": "ada", "password": "ada-password-1"})
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0


def test_sign_out_requires_post(admin):
    assert admin.get("/logout/").status_code == 405
    assert admin.post("/logout/").status_code == 302
    assert admin.get("/").status_code == 302


def test_empty_fleet(admin):
    page = markup(admin.get("/"))
    assert "Add a service" in page and "<code>make demo</code>" in page


def test_viewer_sees_no_publish_buttons(operator):
    page = markup(operator.get("/"))
    assert "/new-service/" not in page and "Ask an administrator" in page


def test_shows_running_versions(admin):
    old, new = factories.versions(factories.service("shop"), 2)
    factories.instances(old, factories.hosts(3))
    factories.instances(new, factories.hosts(1), status=InstanceStatus.UPGRADE_FAILED)
    page = markup(admin.get("/"))
    assert "on 3 hosts" in page and "on 1 host<" in page
    assert f"/services/shop/versions/{old.pk}/upgrade/" in page
    assert f"/services/shop/versions/{new.pk}/upgrade/" not in page, "nothing newer is built"
    assert f"/services/shop/versions/{new.pk}/revert/" in page


def test_failed_build_is_not_offered(admin):
    shop = factories.service("shop")
    (good,) = factories.versions(shop, 1)
    factories.versions(shop, 1, BuildStatus.FAILED)
    factories.instances(good, factories.hosts(1))
    assert "Upgrade" not in markup(admin.get("/"))


@pytest.mark.parametrize("state", ["failed", "locked", "maintenance", "deploying", "empty"])
def test_filters_are_in_url(admin, state):
    (quiet,) = factories.versions(factories.service("quiet"), 1)
    factories.instances(quiet, factories.hosts(1))
    if state == "empty":
        factories.service("loud")
    else:
        deployment = factories.running(1, "loud")
        changed = {
            "failed": {"status": InstanceStatus.REVERT_FAILED},
            "locked": {"locked": True, "lock_deployment": deployment},
            "maintenance": {"is_maintain": True},
            "deploying": {},
        }[state]
        MicroServiceInstance.objects.filter(microservice__name="loud").update(**changed or {"tag": "x"})
    page = markup(admin.get(f"/?state={state}"))
    assert "/services/loud/" in page and "/services/quiet/" not in page
    assert "/services/quiet/" in markup(admin.get("/?q=qui"))
    assert "No matching services" in markup(admin.get("/?q=nothing-like-it"))


def test_fleet_query_count(admin, cost):
    def grow(start: int, end: int) -> None:
        for number in range(start, end):
            (version,) = factories.versions(factories.service(f"service-{number:03}"), 1)
            factories.instances(version, factories.hosts(1, f"s{number}-"))

    grow(0, 55)  # more than a page, so they are counted
    small = cost(admin, "/")
    grow(55, 80)
    assert cost(admin, "/") == small


@pytest.mark.parametrize("newer", ["", "succeeded", "failed"])
def test_links_the_newest_deployment_where_it_failed(admin, newer):
    """From it one click leads to every cause; what was mended since needs none."""
    failed = factories.running(2)
    Deployment.objects.update(status="failed")
    Operation.objects.filter(pk=failed.operations.first().pk).update(status="undone")
    Operation.objects.filter(pk=failed.operations.last().pk).update(status="succeeded")
    version, instance = failed.dest_version, failed.operations.first().instance
    after = factories.deployment([instance], version, newer) if newer else None
    page = markup(admin.get("/"))
    assert (f'href="/deployments/{failed.pk}/"' in page) is ("1 of 2, 1 failed" in page) is (not newer)
    if after:
        assert (f'href="/deployments/{after.pk}/"' in page) is (newer == "failed")


def test_next_rows_are_a_fragment(admin):
    for number in range(60):
        factories.service(f"service-{number:03}")
    page = markup(admin.get("/"))
    assert "service-049" in page and "service-050" not in page and "after=service-049" in page
    more = markup(admin.get("/?after=service-049", headers={"HX-Request": "true"}))
    assert more.lstrip().startswith("<tr ") and "service-050" in more and "<html" not in more


def test_escapes_hostile_text(admin):
    factories.service("shop", description="<script>alert(1)</script>")
    page = markup(admin.get("/?q=%22%3E%3Cscript%3E")) + markup(admin.get("/"))
    assert "<script>" not in page.replace("<script src=", "")
    assert admin.get("/?q=a%00b&after=%00").status_code == 200


def test_pages_have_no_inline_code(admin):
    factories.running(2, "shop")
    for address in ("/", "/services/shop/", "/services/shop/instances/", "/deployments/", "/hosts/", "/tokens/"):
        answer = admin.get(address)
        page = markup(answer)
        assert " style=" not in page and "<style" not in page and " onclick=" not in page and "<script>" not in page
        assert "script-src 'self'" in answer["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
        assert "unsafe" not in answer["Content-Security-Policy"]


@pytest.mark.parametrize("signed_in", [True, False])
def test_unknown_address_has_a_page(admin, signed_in):
    answer = (admin if signed_in else Client()).get("/nothing-here")
    page = markup(answer)
    assert answer.status_code == 404 and "There is nothing at this address." in page
    assert 'href="/">Back to the fleet<' in page and ("Sign out" in page) == signed_in
