"""A service's pages: versions, instances, settings."""

import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access.models import IdempotencyKey
from asset.models import Environment
from audit.models import History
from builds.models import Build
from microservice.models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion
from microservice.status import BuildStatus, InstanceStatus
from tests import factories

pytestmark = pytest.mark.django_db


def test_unknown_service(admin):
    answer = admin.get("/services/nothing/")
    assert answer.status_code == 404
    assert "There is no such service" in answer.content.decode()


def test_adds_service(admin):
    answer = admin.post("/new-service/", {"name": "shop", "language": "go", "description": "Sells"})
    assert answer.status_code == 302 and answer["Location"] == "/services/shop/settings/"
    assert MicroService.objects.get().created_by == "ada"


@pytest.mark.parametrize("name", ["", "-x", "123", "a b", "a/b", "x" * 65])
def test_rejects_invalid_name(admin, name):
    answer = admin.post("/new-service/", {"name": name, "language": "go", "description": "Sells <things>"})
    assert answer.status_code == 422
    page = answer.content.decode()
    assert 'aria-invalid="true"' in page and "Sells &lt;things&gt;" in page
    assert not MicroService.objects.exists()


def test_rejects_taken_name(admin):
    factories.service("shop")
    answer = admin.post("/new-service/", {"name": "shop", "language": "go"})
    assert answer.status_code == 422 and "already" in answer.content.decode()


def test_services_need_admin(operator):
    shop = factories.service("shop")
    assert operator.post("/new-service/", {"name": "other", "language": "go"}).status_code == 403
    assert operator.post("/services/shop/settings/", {"start_command": "x"}).status_code == 403
    shop.refresh_from_db()
    assert MicroService.objects.count() == 1 and not shop.start_command


def test_versions_need_publish(viewer):
    factories.service("shop")
    before = MicroService.objects.count()
    assert viewer.post("/new-service/", {"name": "other", "language": "go"}).status_code == 403
    assert viewer.post("/services/shop/settings/", {"description": "x"}).status_code == 403
    assert viewer.post("/services/shop/versions/new/", {"version": "1.0", "ref": "master"}).status_code == 403
    assert MicroService.objects.count() == before and not MicroServiceVersion.objects.exists()


def test_requires_csrf_token(admin):
    from django.test import Client

    strict = Client(enforce_csrf_checks=True)
    strict.cookies = admin.cookies
    assert strict.post("/new-service/", {"name": "shop", "language": "go"}).status_code == 403
    assert not MicroService.objects.exists()


def test_lists_versions(admin):
    shop = factories.service("shop")
    old, new = factories.versions(shop, 2)
    (failed,) = factories.versions(shop, 1, BuildStatus.FAILED)
    MicroServiceVersion.objects.filter(pk=failed.pk).update(build_detail="3 tests failed")
    factories.instances(old, factories.hosts(2))
    page = admin.get("/services/shop/versions/").content.decode()
    assert "3 tests failed" in page and "2 hosts" in page and "success" in page
    assert f"/versions/{old.pk}/upgrade/" in page and "No older version is built" in page
    assert f"/versions/{new.pk}/install/" in page and f"/versions/{failed.pk}/install/" not in page


def test_starts_one_build(admin, operator, viewer):
    shop = factories.service("shop", build_url="https://git.example/shop.git", build_command="make")
    version = MicroServiceVersion.objects.create(microservice=shop, version="1.0")
    page, address = f"/services/shop/versions/{version.pk}/", f"/services/shop/versions/{version.pk}/build/"
    assert address in admin.get(page).content.decode()
    assert viewer.post(address).status_code == 403
    assert [admin.post(address)["Location"] for _ in range(2)] == [page, page]
    Build.objects.update(log="cc \x1b[31mmain.c\x1b[0m <b>")
    shown = admin.get(page).content.decode()
    assert "cc main.c &lt;b&gt;" in shown and f'action="{address}"' not in shown
    shop.build_command = ""
    shop.save()
    (other,) = factories.versions(shop, 1, BuildStatus.PENDING)
    refused = admin.post(f"/services/shop/versions/{other.pk}/build/", follow=True).content.decode()
    assert "has no build_command" in refused and Build.objects.count() == 1


def test_service_without_versions(admin):
    factories.service("shop")
    assert "No versions yet" in admin.get("/services/shop/versions/").content.decode()


def test_service_pages_query_count(admin, cost):
    shop = factories.service("shop")
    first = factories.versions(shop, 60)  # more than a page, so they are counted
    factories.instances(first[0], factories.hosts(60))
    small = cost(admin, "/services/shop/versions/"), cost(admin, "/services/shop/instances/")
    factories.versions(shop, 120)
    factories.instances(first[1], factories.hosts(120))
    assert (cost(admin, "/services/shop/versions/"), cost(admin, "/services/shop/instances/")) == small


def test_says_why_no_upgrade_or_revert(admin):
    old, new = factories.versions(factories.service("shop"), 2)
    hosts = factories.hosts(2)
    factories.instances(old, hosts[:1])
    factories.instances(new, hosts[1:])
    page = admin.get("/services/shop/versions/").content.decode()
    first, second = page.index(f'id="version-{new.pk}"'), page.index(f'id="version-{old.pk}"')
    assert first < page.index(">No newer version is built<") < second < page.index(">No older version is built<")


def test_filters_versions(admin):
    shop = factories.service("shop")
    factories.versions(shop, 3)
    factories.versions(shop, 1, BuildStatus.FAILED)
    page = admin.get("/services/shop/versions/?status=failed").content.decode()
    assert "4.0" in page and "1.0" not in page
    assert "No matching versions" in admin.get("/services/shop/versions/?q=zzz").content.decode()
    assert admin.get("/services/shop/versions/?status=nonsense&after=x%00").status_code == 200


def test_adds_version(admin):
    factories.service("shop")
    answer = admin.post("/services/shop/versions/new/", {"version": "20261121-master-abc", "ref": "master"})
    assert answer.status_code == 302
    page = admin.get(answer["Location"]).content.decode()
    assert "data-upload=" in page and "pending" in page


def test_saves_settings(admin):
    factories.service("shop")
    form = {
        "description": "Sells",
        "language": "go",
        "start_command": "./run &",
        "check_timeout": "30",
        "keep_releases": "4",
        "environment": "A=1\nB=two = 2\n",
        "steps": '[{"name": "migrate", "before": "link", "run": "./migrate"}]',
        "limits": "",
        "build_orig": "git",
    }
    answer = admin.post("/services/shop/settings/", form)
    assert answer.status_code == 302, answer.content.decode()
    shop = MicroService.objects.get()
    assert shop.environment == {"A": "1", "B": "two = 2"}
    assert shop.steps[0]["name"] == "migrate" and shop.check_timeout == 30
    assert "A=1" in admin.get("/services/shop/settings/").content.decode()


def test_builds_are_deployed_to_an_environment(admin):
    """A field of the settings where there are environments; the overview says which."""
    shop = factories.service("shop")
    settings = "/services/shop/settings/"
    assert "auto_deploy_environment" not in admin.get(settings).content.decode()
    staging = Environment.objects.create(name="staging")
    form = {"language": "go", "check_timeout": "30", "keep_releases": "3", "build_orig": "git"}
    form |= {"auto_deploy_environment": staging.pk, "auto_deploy_refs": "main  release/*", "auto-strategy-canary": "1"}
    assert admin.post(settings, form).status_code == 302
    shop.refresh_from_db()
    assert (shop.auto_deploy_environment, shop.auto_deploy_refs) == (staging, ["main", "release/*"])
    assert (shop.auto_deploy_strategy["canary"], shop.default_strategy) == (1, {})
    page = admin.get("/services/shop/").content.decode()
    assert "Auto-deploy environment" in page and "staging" in page
    for wrong in ({"auto_deploy_environment": "9999"}, {"auto_deploy_refs": "~"}, {"auto-strategy-batch_size": "x"}):
        answer = admin.post(settings, form | wrong)
        assert answer.status_code == 422 and 'class="wrong"' in answer.content.decode(), wrong


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("steps", "{not json"),
        ("steps", '[{"nom": 1}]'),
        ("environment", "no sign"),
        ("check_timeout", "0"),
        ("limits", "7"),
    ],
)
def test_invalid_settings_keep_input(admin, field, text):
    factories.service("shop")
    form = {
        "language": "go",
        "check_timeout": "30",
        "keep_releases": "3",
        "build_orig": "git",
        "start_command": "typed here",
    }
    answer = admin.post("/services/shop/settings/", form | {field: text})
    assert answer.status_code == 422
    assert "typed here" in answer.content.decode()
    assert MicroService.objects.get().start_command == ""


def test_lists_instances(admin):
    deployment = factories.running(2, "shop")
    MicroServiceInstance.objects.filter(pk=deployment.operations.first().instance_id).update(
        locked=True, lock_deployment=deployment, last_operation=deployment.operations.first()
    )
    page = admin.get("/services/shop/instances/").content.decode()
    assert "by ann" in page and "locked" in page and f"/operations/{deployment.operations.first().pk}/" in page


def test_starts_and_ends_maintenance(admin):
    (version,) = factories.versions(factories.service("shop"), 1)
    some = factories.instances(version, factories.hosts(3))
    ticked = [some[0].pk, some[2].pk]
    admin.post("/services/shop/instances/change/", {"instance": ticked, "what": "maintain"})
    assert set(MicroServiceInstance.objects.filter(is_maintain=True).values_list("pk", flat=True)) == set(ticked)
    admin.post("/services/shop/instances/change/", {"instance": ticked, "what": "end_maintenance"})
    assert not MicroServiceInstance.objects.filter(is_maintain=True).exists()


def test_maintenance_query_count(admin):
    (version,) = factories.versions(factories.service("shop"), 1)
    some = [row.pk for row in factories.instances(version, factories.hosts(20))]

    def statements(ticked):
        with CaptureQueriesContext(connection) as seen:
            admin.post("/services/shop/instances/change/", {"instance": ticked, "what": "maintain"})
        return len(seen)

    assert statements(some[:2]) == statements(some[2:])
    changes = History.objects.filter(action="change", subject="instance")
    assert set(changes.values_list("subject_id", flat=True)) == set(some)
    assert all((row.before, row.after) == ({"is_maintain": False}, {"is_maintain": True}) for row in changes)
    statements(some)  # they are already: nothing is written down twice
    assert changes.count() == 20


def test_unknown_instance_changes_none(admin):
    (version,) = factories.versions(factories.service("shop"), 1)
    (there,) = factories.instances(version, factories.hosts(1))
    admin.post("/services/shop/instances/change/", {"instance": [there.pk, there.pk + 1], "what": "maintain"})
    assert not MicroServiceInstance.objects.filter(is_maintain=True).exists() and not History.objects.exists()


def test_rejects_instance_of_other_service(admin):
    factories.versions(factories.service("shop"), 1)
    (other,) = factories.instances(factories.versions(factories.service("other"), 1)[0], factories.hosts(1))
    for what in ("maintain", "delete", "retry"):
        admin.post("/services/shop/instances/change/", {"instance": [other.pk], "what": what})
    other.refresh_from_db()
    assert not other.is_maintain and not other.locked and not Deployment.objects.exists()


@pytest.mark.parametrize(
    "form", [{}, {"what": "delete"}, {"what": "explode", "instance": ["1"]}, {"what": "delete", "instance": ["1;x"]}]
)
def test_rejects_unknown_instance_action(admin, form):
    (version,) = factories.versions(factories.service("shop"), 1)
    factories.instances(version, factories.hosts(1))
    answer = admin.post("/services/shop/instances/change/", form, follow=True)
    assert 'role="alert"' in answer.content.decode()
    assert not Deployment.objects.exists()


def test_deletes_instances(admin):
    (version,) = factories.versions(factories.service("shop"), 1)
    (one, _) = factories.instances(version, factories.hosts(2))
    form = {"instance": [one.pk], "what": "delete", "key": str(uuid.uuid4())}
    answer = admin.post("/services/shop/instances/change/", form)
    again = admin.post("/services/shop/instances/change/", form)
    deployment = Deployment.objects.get()
    assert again["Location"] == answer["Location"], "a double click is one deployment"
    assert answer["Location"] == f"/deployments/{deployment.pk}/"
    assert [operation.instance_id for operation in deployment.operations.all()] == [one.pk]


def test_unlock_requires_reason(admin):
    deployment = factories.running(1, "shop")
    instance = MicroServiceInstance.objects.get()
    MicroServiceInstance.objects.update(locked=True, lock_deployment=deployment, status=InstanceStatus.UPGRADING)
    where = f"/services/shop/instances/{instance.pk}/unlock/"
    page = admin.post(where, {"reason": " "}, follow=True).content.decode()
    assert f'<span class="wrong" id="unlock-{instance.pk}-reason-wrong">' in page
    instance.refresh_from_db()
    assert instance.locked
    admin.post(where, {"reason": "its worker is gone"})
    instance.refresh_from_db()
    assert not instance.locked
    assert "its worker is gone" in admin.get("/history/").content.decode()
    assert not IdempotencyKey.objects.exists()


def test_build_fields_need_build_scope():
    """Every session that may change a service may change these too, so far: the form checks the right nevertheless."""
    from console.forms.services import ServiceForm

    before = {
        "build_command": "sh build.sh",
        "build_orig": "git",
        "build_url": "",
        "keep_releases": 3,
        "check_timeout": 60,
        "language": "go",
    }
    sent = before | {"build_command": "evil", "build_url": "https://evil", "description": "new"}
    form = ServiceForm(sent, initial=before, may_build=False)
    assert form.is_valid(), form.errors
    assert form.cleaned_data["build_command"] == "sh build.sh" and form.cleaned_data["build_url"] == ""
    assert form.cleaned_data["description"] == "new"
    assert "“build” scope" in str(form["build_command"].help_text) and "disabled" in str(form["build_command"])
    assert ServiceForm(sent, initial=before).is_valid()
