"""Every field of every form is sent values that no one should send: nothing fails inside, and what is refused is said
at a field or above the form, in the language of the page."""

import re

import pytest
from django.contrib.auth import get_user_model

from access.models import Team
from asset.models import Asset, Credential, HostGroup
from callbacks.models import Callback
from tests import factories
from tests.console import as_a_browser

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store")]

PAGES = (
    "/new-service/", "/services/shop/settings/", "/services/shop/recipe/", "/services/shop/versions/new/",
    "/services/shop/versions/VERSION/", "/services/shop/versions/VERSION/install/",
    "/services/shop/versions/VERSION/deploy/", "/services/shop/versions/VERSION/upgrade/",
    "/services/shop/instances/", "/services/shop/instances/INSTANCE/edit/", "/deployments/DEPLOYMENT/",
    "/hosts/?q=host", "/hosts/new/", "/hosts/import/", "/hosts/HOST/", "/hosts/HOST/edit/", "/hosts/groups/new/",
    "/hosts/groups/GROUP/", "/credentials/", "/credentials/CREDENTIAL/", "/tokens/", "/account/", "/settings/",
    "/callbacks/new/", "/callbacks/CALLBACK/edit/", "/people/", "/people/PERSON/", "/teams/", "/teams/TEAM/",
    "/pipelines/", "/history/", "/deployments/", "/builds/",
)  # fmt: skip
VALUES = {
    "too long": "x" * 70_000,
    "NUL": "a\0b",
    "control": "a\x07\x1bb",
    "emoji": "🙂\u200d🙂",
    "right to left": "\u202eevil\u2066",
    "markup": "<script>alert(1)</script>",
    "negative": "-1",
    "large": "1" + "0" * 30,
    "blank": " \t ",
    "line break": "a\nb",
    "surrogate": "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
    "quotes": "'\";--",
}
LEFT_OUT = {"csrfmiddlewaretoken", "key", "next", "what"}
SAYS = re.compile(r'class="[^"]*\bwrong\b[^"]*"[^>]*>\s*[^<\s]|class="note tone-bad"')


@pytest.fixture
def places(admin):
    deployment = factories.running(1, "shop")
    operation = deployment.operations.get()
    user = get_user_model().objects.create_user("eve")
    host = Asset.objects.get(pk=operation.host_id)
    Asset.objects.update(ip="127.0.0.1", port=1)  # nothing listens there: a check is refused at once
    return {
        "VERSION": operation.dest_version_id,
        "INSTANCE": operation.instance_id,
        "DEPLOYMENT": deployment.pk,
        "HOST": host.pk,
        "GROUP": HostGroup.objects.create(name="eu", labels={"zone": "eu"}).pk,
        "CREDENTIAL": Credential.objects.create(name="key", kind="password").pk,
        "CALLBACK": Callback.objects.create(url="https://example.org/", events=["deployment.ended"]).pk,
        "PERSON": user.pk,
        "TEAM": Team.objects.create(name="red").pk,
    }


@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("page", PAGES)
def test_no_value_fails_inside(admin, places, page, language):
    admin.cookies["django_language"] = language
    admin.raise_request_exception = False
    where = re.sub("|".join(places), lambda match: str(places[match[0]]), page)
    shown = admin.get(where)
    assert shown.status_code == 200, where
    wrong, tried = [], 0
    for form in as_a_browser.forms(shown.content.decode()):
        names = [name for name in dict.fromkeys(one.name for one in form.controls) if name and name not in LEFT_OUT]
        if form.action in ("/logout/", "/language/", "/theme/") or form.id == "stars" or not names:
            continue
        for kinds, fields in each_field(names) if language == "en" else all_fields(names):
            tried += 1
            wrong += [f"{form.action or where} {kinds}: {what}" for what in sent(admin, form, where, fields)]
    assert tried and not wrong, "\n".join(wrong)


def each_field(names: list[str]):
    """Yield each field with two of the values, others for each."""
    kinds = list(VALUES)
    for at, name in enumerate(names):
        for kind in (kinds[2 * at % len(kinds)], kinds[(2 * at + 1) % len(kinds)]):
            yield f"{name} {kind}", {name: [VALUES[kind]]}


def all_fields(names: list[str]):
    """Yield each value in all fields at once."""
    for kind, value in VALUES.items():
        yield kind, {name: [value] for name in names}


def sent(client, form: as_a_browser.Form, where: str, fields: dict[str, list[str]]) -> list[str]:
    """Send the form with these values, as it was shown otherwise. Return what is wrong with the answer."""
    ask = client.get if form.method == "get" else client.post
    address = form.action or where.partition("?")[0]
    answer = ask(address, form.data() | fields, headers={"Referer": f"http://testserver{where}"})
    page = answer.content.decode()
    if answer.status_code >= 500 and answer.status_code != 503:
        return [f"{answer.status_code}"]
    if answer.status_code == 302:
        page = client.get(answer["Location"]).content.decode()
        answer = None
    found = ["is markup"] if "<script>alert" in page else []
    if answer is not None and answer.status_code in (409, 422) and not SAYS.search(page):
        found.append("nothing is said")
    return found
