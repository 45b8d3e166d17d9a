"""Forms that another address takes: a refusal stands at its field on the form's page, with what was typed."""

import re
import time

import pytest

from console import refused_forms
from microservice.models import MicroServiceInstance
from tests import factories
from tests.console import as_a_browser

pytestmark = pytest.mark.django_db

# The page, the address that takes the form, the field, what is refused in it, and what else is sent.
FORMS = {
    "unlock": ("/services/shop/instances/", "/services/shop/instances/INSTANCE/unlock/", "reason", "x" * 501, {}),
    "unlock without": ("/services/shop/instances/", "/services/shop/instances/INSTANCE/unlock/", "reason", "", {}),
    "forget": (
        "/services/shop/instances/",
        "/services/shop/instances/change/",
        "reason",
        "",
        {"what": "forget", "instance": "INSTANCE"},
    ),
    "delete a service": ("/services/bare/settings/", "/services/bare/delete/", "name", "bar", {}),
    "mark bad": (
        "/services/shop/versions/VERSION/",
        "/services/shop/versions/VERSION/mark/bad/",
        "reason",
        "x" * 257,
        {},
    ),
    "archive": ("/hosts/HOST/", "/hosts/HOST/archive/", "reason", "", {"forget": "on"}),
    "note": ("/deployments/DEPLOYMENT/", "/deployments/DEPLOYMENT/note/", "note", "x" * 5000, {}),
    "secret": (
        "/services/shop/settings/",
        "/services/shop/secrets/",
        "name",
        "not a name",
        {"of": "secrets", "value": "open sesame"},
    ),
}


@pytest.fixture
def places(db):
    deployment = factories.running(1, "shop")
    operation = deployment.operations.get()
    MicroServiceInstance.objects.update(locked=True, lock_deployment=deployment)
    factories.service("bare")
    return {
        "INSTANCE": operation.instance_id,
        "VERSION": operation.dest_version_id,
        "HOST": operation.host_id,
        "DEPLOYMENT": deployment.pk,
    }


def filled(places: dict, text: str) -> str:
    return re.sub("|".join(places), lambda match: str(places[match[0]]), text)


@pytest.mark.parametrize("case", FORMS)
def test_refusal_stands_at_its_field(admin, places, case):
    page, address, field, text, more = FORMS[case]
    page, address = filled(places, page), filled(places, address)
    more = {name: filled(places, value) for name, value in more.items()}
    answer = admin.post(address, {field: text, **more})
    assert answer.status_code == 302 and answer["Location"] == page
    shown = admin.get(page).content.decode()
    wrong = re.findall(r'<span class="wrong" id="([\w-]+)-wrong">(.*?)</span>', shown)
    assert len(wrong) == 1 and wrong[0][1], shown
    control = re.search(rf'<(?:input|textarea)[^>]*id="{wrong[0][0]}"[^>]*>', shown)[0]
    assert f'name="{field}"' in control and 'aria-invalid="true"' in control
    assert f"{wrong[0][0]}-wrong" in re.search(r'aria-describedby="([^"]*)"', control)[1]
    sent = [one.data() for one in as_a_browser.forms(shown) if one.method == "post" and one.has(field)]
    assert any(form[field] == [text] for form in sent), "what was typed stays"
    assert "open sesame" not in shown
    assert 'class="wrong"' not in admin.get(page).content.decode(), "it is said once"


def test_selection_stays(admin, places):
    other = factories.instances(MicroServiceInstance.objects.get().version, factories.hosts(1))[0]
    admin.post("/services/shop/instances/change/", {"what": "forget", "instance": other.pk, "reason": ""})
    page = admin.get("/services/shop/instances/").content.decode()
    boxes = re.findall(r'<input type="checkbox"\s+name="instance"\s+value="(\d+)"\s+form="chosen"\s+(checked)?', page)
    assert dict(boxes) == {str(places["INSTANCE"]): "", str(other.pk): "checked"}


def test_refusal_is_shown_to_its_person_only(admin, operator, places):
    admin.post(f"/services/shop/instances/{places['INSTANCE']}/unlock/", {"reason": ""})
    assert 'class="wrong"' not in operator.get("/services/shop/instances/").content.decode()
    live = admin.get("/services/shop/instances/", headers={"HX-Request": "true"}).content.decode()
    assert 'class="wrong"' not in live, "others share this fragment"
    assert 'class="wrong"' not in admin.get("/services/bare/settings/").content.decode(), "another form's"
    assert 'class="wrong"' in admin.get("/services/shop/instances/").content.decode()


def test_refusal_is_forgotten(admin, places, monkeypatch):
    admin.post(f"/services/shop/instances/{places['INSTANCE']}/unlock/", {"reason": ""})
    now = time.time()
    monkeypatch.setattr(refused_forms.time, "time", lambda: now + refused_forms.KEPT_FOR + 1)
    assert 'class="wrong"' not in admin.get("/services/shop/instances/").content.decode()


def test_reason_about_the_value_stands_at_the_value(admin, places):
    admin.post("/services/shop/secrets/", {"of": "secrets", "name": "TOKEN", "value": "short"})
    page = admin.get("/services/shop/settings/").content.decode()
    assert 'id="secret_value-wrong"' in page and 'value="TOKEN"' in page and "short</textarea>" not in page


def test_secret_is_not_kept(admin, places):
    admin.post("/services/shop/secrets/", {"of": "secrets", "name": "not a name", "value": "open sesame"})
    assert "open sesame" not in str(dict(admin.session.items()))


def test_what_no_field_is_about_stands_above_the_page(admin, places):
    admin.post("/services/shop/delete/", {"name": "shop"})
    page = admin.get("/services/shop/settings/").content.decode()
    assert 'role="alert"' in page and 'class="wrong"' not in page
