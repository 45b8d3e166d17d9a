"""The dialog that takes every instance to one version: its plan, its confirmation, the service's strategy."""

import pytest

from microservice.models import Deployment, MicroServiceInstance
from tests import factories

from .. import as_a_browser
from ..markup import markup
from .dialogs import hidden


@pytest.fixture
def where(versions) -> str:
    """To the newest version; of four instances two run the one between, one the oldest, one is there."""
    rows = MicroServiceInstance.objects.order_by("pk")
    MicroServiceInstance.objects.filter(pk=rows[0].pk).update(version=versions.older)
    MicroServiceInstance.objects.filter(pk=rows[1].pk).update(version=versions.newer)
    return f"/services/shop/versions/{versions.running.pk}/deploy/"


def test_plan_names_what_happens_to_each(admin, where):
    page = markup(admin.get(where))
    assert "Deploy 2.0 to 2 hosts" in page
    assert "Upgrade 1 host" in page and "Revert 1 host" in page
    assert "host1" in page and "host2" in page
    assert page.count('type="checkbox" name="host"') == 2, "those that are there are no choice"


def test_confirmation_starts_one_deployment(admin, where, versions):
    form = hidden(markup(admin.get(where)))
    first, second = admin.post(where, form), admin.post(where, form)
    deployment = Deployment.objects.get()
    assert first["Location"] == second["Location"] == f"/deployments/{deployment.pk}/"
    assert (deployment.action, deployment.dest_version) == ("deploy", versions.running)
    assert sorted(deployment.operations.values_list("action", flat=True)) == ["revert", "upgrade"]
    page = markup(admin.get(f"/deployments/{deployment.pk}/"))
    assert "Deploy" in page and "2.0" in page


def test_changed_plan_is_shown_again(admin, where, versions):
    form = hidden(markup(admin.get(where)))
    MicroServiceInstance.objects.filter(host__hostname="host3").update(version=versions.older)
    answer = admin.post(where, form)
    assert answer.status_code == 409 and not Deployment.objects.exists()
    assert "Deploy 2.0 to 3 hosts" in markup(answer)


def test_all_there(admin, where, versions):
    MicroServiceInstance.objects.update(version=versions.running)
    page = markup(admin.get(where))
    assert "Every host runs this version already" in page and 'aria-disabled="true"' in page
    answer = admin.post(where, hidden(page), follow=True)
    assert "runs on all of these hosts already" in markup(answer) and not Deployment.objects.exists()


def test_only_ticked_hosts(admin, where):
    one = MicroServiceInstance.objects.get(host__hostname="host1")
    page = markup(admin.get(f"{where}?where=some&host={one.host_id}"))
    assert "Deploy 2.0 to 1 host" in page
    admin.post(where, hidden(page))
    assert Deployment.objects.get().operations.get().instance == one
    assert "Select at least one host" in markup(admin.get(f"{where}?where=some"))


@pytest.mark.parametrize(
    "query", ["where=x", "host=x&where=some", "canary=-1", "batch_size=0", "on_failure=x", "canary=x"]
)
def test_wrong_values_stand_at_their_fields(admin, where, query):
    page = markup(admin.get(f"{where}?{query}"))
    assert "correct the marked fields" in page or "Select a valid choice" in page or 'aria-invalid="true"' in page


def test_service_strategy_is_chosen_until_something_else_is(admin, where, versions):
    service = versions.running.microservice
    service.default_strategy = {"canary": 1, "pause_between": True}
    service.save()
    page = markup(admin.get(where))
    assert "2 hosts in 2 batches (1, 1)" in page and "checked" in page
    again = markup(admin.get(f"{where}?shown=1&where=all&canary="))
    assert "2 hosts, all at once" in again, "an empty field says that it is empty"
    upgrade = markup(admin.get(f"/services/shop/versions/{versions.older.pk}/upgrade/"))
    assert 'name="canary" value="1"' in upgrade


def test_settings_keep_the_default_strategy(admin, versions):
    service = versions.running.microservice
    where = "/services/shop/settings/"
    page = admin.get(where).content.decode()
    form = next(one for one in as_a_browser.forms(page) if one.has("strategy-canary")).data()
    form |= {"strategy-canary": "1", "strategy-batch_size": "20%", "strategy-on_failure": "revert_all"}
    assert admin.post(where, form).status_code == 302
    service.refresh_from_db()
    assert (service.default_strategy["canary"], service.default_strategy["batch_size"]) == (1, "20%")
    answer = admin.post(where, form | {"strategy-batch_size": "0"})
    assert answer.status_code == 422 and 'aria-invalid="true"' in markup(answer)


def test_another_service_s_version_is_not_found(admin, versions):
    other = factories.versions(factories.service("other"), 1)[0]
    assert admin.get(f"/services/shop/versions/{other.pk}/deploy/").status_code == 404
