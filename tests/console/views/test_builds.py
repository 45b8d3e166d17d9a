"""Builds on pages: start, progress, duplicates, failures with reasons; versions marked good or bad."""

import re

import pytest

from access.callers import SYSTEM
from builds import build_requests
from builds.models import Build
from integrations import registry
from messages.rendering import literal
from microservice.models import Deployment, MicroServiceVersion
from microservice.status import BuildStatus
from tests import factories

pytestmark = pytest.mark.django_db


def shop(**more):
    return factories.service("shop", **{"build_url": "https://git.example/shop.git", "build_command": "make", **more})


def version(service, name="1.0", **more) -> MicroServiceVersion:
    return MicroServiceVersion.objects.create(microservice=service, version=name, ref="main", **more)


def test_builds_version(admin):
    one = version(shop())
    page, fragment = f"/services/shop/versions/{one.pk}/", f"/services/shop/versions/{one.pk}/build/"
    assert "never built" in admin.get(page).content.decode()
    assert f'formaction="{fragment}"' in admin.get("/services/shop/versions/").content.decode()
    admin.post(fragment)
    shown = admin.get(page).content.decode()
    assert 'hx-trigger="every 1s"' in shown and "by ada" in shown
    watched = admin.get(fragment, headers={"HX-Request": "true"})
    assert "HX-Refresh" not in watched and 'id="build"' in watched.content.decode()
    Build.objects.update(log="compiling\x1b]8;;javascript:x\x07<b>")
    assert "compiling" in admin.get(fragment).content.decode() and "<b>" not in admin.get(fragment).content.decode()
    build_requests.end(
        Build.objects.get(), BuildStatus.FAILED, literal("make: *** [all] Error 2"), url="javascript:alert(1)"
    )
    assert admin.get(fragment)["HX-Refresh"] == "true"
    shown = admin.get(page).content.decode()
    assert "Error 2" in shown and "hx-trigger" not in shown and 'href="javascript:' not in shown
    assert "/services/shop/versions/new/?ref=main" in shown


def test_follows_build_until_it_ends(admin):
    """The version is built, with its package, before the row of its build ends."""
    one = version(shop())
    page, fragment = f"/services/shop/versions/{one.pk}/", f"/services/shop/versions/{one.pk}/build/"
    admin.post(fragment)
    MicroServiceVersion.objects.update(status=BuildStatus.SUCCESS)
    assert "hx-trigger" in admin.get(page).content.decode() and "HX-Refresh" not in admin.get(fragment)
    build_requests.end(Build.objects.get(), BuildStatus.SUCCESS)
    assert "hx-trigger" not in admin.get(page).content.decode() and admin.get(fragment)["HX-Refresh"] == "true"


def test_links_duplicate_to_original(admin):
    service = shop()
    one, two = version(service), version(service, "1.1")
    first, second = build_requests.start(SYSTEM, one), build_requests.start(SYSTEM, two)
    build_requests.record_commit(first, "a" * 40)
    build_requests.end(second, BuildStatus.DUPLICATE, literal("The commit is built already"), duplicate_of=first)
    page = admin.get(f"/services/shop/versions/{two.pk}/").content.decode()
    assert f'href="/services/shop/versions/{one.pk}/"' in page and "duplicate" in page


@pytest.mark.parametrize(
    ("fields", "page"),
    [
        ({"build_url": ""}, "/services/shop/settings/#id_build_url"),
        ({"build_command": ""}, "/services/shop/settings/#id_build_command"),
        ({"build_orig": "gitlab"}, registry.page_of("gitlab")),
        ({"build_orig": "jenkins"}, registry.page_of("jenkins")),
    ],
)
def test_links_to_missing_settings(admin, fields, page):
    one = version(shop(**fields))
    shown = admin.get(f"/services/shop/versions/{one.pk}/").content.decode()
    assert f'href="{page}"' in shown and 'disabled aria-describedby="why-no-build"' in shown
    refused = admin.post(f"/services/shop/versions/{one.pk}/build/", follow=True).content.decode()
    assert f'<a href="{page}">Configure</a>' in refused.partition('role="alert"')[2]
    assert f'href="{page}"' in admin.get("/services/shop/versions/new/").content.decode()
    assert not Build.objects.exists()


def test_builds_new_version(admin, viewer):
    shop()
    form = {"version": "2.0", "ref": "bold", "then": "build"}
    assert viewer.post("/services/shop/versions/new/", form).status_code == 403
    assert 'value="bold"' in admin.get("/services/shop/versions/new/?ref=bold").content.decode()
    answer = admin.post("/services/shop/versions/new/", form)
    build = Build.objects.get()
    assert answer["Location"] == f"/services/shop/versions/{build.version_id}/" and build.version.ref == "bold"


def test_marks_version_bad_and_good(admin, viewer):
    (one,) = factories.versions(shop(), 1)
    mark = f"/services/shop/versions/{one.pk}/mark/"
    assert viewer.post(f"{mark}bad/", {"reason": "x"}).status_code == 403
    assert "must give the reason" in admin.post(f"{mark}bad/", {"reason": " "}, follow=True).content.decode()
    admin.post(f"{mark}bad/", {"reason": "loses orders"})
    one.refresh_from_db()
    assert one.bad and "loses orders" in admin.get(f"/services/shop/versions/{one.pk}/").content.decode()
    admin.post(f"{mark}good/")
    one.refresh_from_db()
    assert not one.bad and not one.bad_reason


def test_revert_marks_version_bad(admin):
    service = shop(start_command="true", stop_command="true", check_command="true")
    old, new = factories.versions(service, 2)
    factories.instances(new, factories.hosts(1))
    address = f"/services/shop/versions/{new.pk}/revert/"
    shown = admin.get(f"{address}?mark_bad=on&reason=loses+orders").content.decode()
    assert 'type="hidden" name="mark_bad" value="True"' in shown and 'name="reason" value="loses orders"' in shown
    form = {name: re.search(f'name="{name}" value="([^"]*)"', shown)[1] for name in ("key", "plan_token", "where")}
    form |= {"dest_version": old.pk, "mark_bad": "on"}
    refused = admin.post(address, form)
    assert "must give the reason" in refused.content.decode() and not Deployment.objects.exists(), "both or neither"
    answer = admin.post(address, {**form, "reason": "loses orders"})
    assert answer.status_code == 302
    new.refresh_from_db()
    assert new.bad and new.bad_reason == "loses orders" and Deployment.objects.get().action == "revert"


def test_compares_hash_of_browser(admin):
    (one,) = factories.versions(shop(), 1)
    MicroServiceVersion.objects.filter(pk=one.pk).update(
        sha256="c" * 64, source_sha256="a" * 64, file_path="shop/x.tar.gz"
    )
    page = f"/services/shop/versions/{one.pk}/"
    shown = lambda sent: admin.get(f"{page}?sent={sent * 64}").content.decode()
    same, other = "matches the hash that your browser computed", "differs from the hash that your browser computed"
    assert same in shown("a") and other not in shown("a")
    # Made again of the same content, it is the same version with another hash; what arrived broken was marked bad.
    assert same not in shown("b") and other not in shown("b")
    MicroServiceVersion.objects.update(bad=True)
    assert other in shown("b")


def test_version_page_query_count(admin, cost):
    service = shop()
    one = version(service)
    build_requests.start(SYSTEM, one)
    versions = "/services/shop/versions/"
    pages = (f"{versions}{one.pk}/", f"{versions}{one.pk}/build/", versions)
    small = [cost(admin, page) for page in pages]
    for number in range(20):
        build_requests.start(SYSTEM, version(service, f"2.{number}"))
    assert [cost(admin, page) for page in pages] == small


def test_shows_build_isolation(client, admin_user):
    from builds import builders
    from builds.sandbox.commands import Isolation
    from builds.sandbox.means import SandboxSupport
    from messages import Message

    service = factories.service("boxed", build_url="https://git.example/x", build_command="make")
    version = MicroServiceVersion.objects.create(microservice=service, version="1.0")
    builders.report("worker-1", SandboxSupport(Isolation("bubblewrap", True)))
    builders.report(
        "worker-2",
        SandboxSupport(
            Isolation("none"), missing=(Message("sandbox_missing.bubblewrap", {"words": "bwrap: not found"}),)
        ),
    )
    client.force_login(admin_user)
    page = client.get(f"/services/boxed/versions/{version.pk}/").content.decode()
    assert "bubblewrap, network: pasta, memory: watched" in page and "MiB of memory" in page
    assert "builds from git are refused" in page and "Install the package bubblewrap (bwrap: not found)" in page
