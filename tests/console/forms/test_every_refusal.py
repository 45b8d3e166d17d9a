"""Every address of the console that takes something is sent something wrong or stale, as from an open page: what was
refused is said on the page where the person was, at the form or button that was used."""

import html
import re
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.urls import URLPattern
from django.utils import timezone

from access import service_accounts
from access.callers import SYSTEM
from access.models import Membership, Team
from asset.models import Asset, Credential, Environment, HostGroup
from builds.models import Build
from callbacks.models import Callback
from console.urls import urlpatterns
from microservice.deployments import actions
from microservice.deployments.timing import Timing
from microservice.deployments.version_change import VersionChange
from microservice.models import Deployment, Freeze, MicroServiceInstance, MicroServiceVersion, Train
from microservice.status import Action, TrainStatus
from tests import factories
from tests.console.markup import markup

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store")]


@dataclass(frozen=True)
class Case:
    """`route`: the name of the address. `page`: where the person is. `sent`: what is wrong. `at`: the field that the
    refusal stands at; "" for the button. `gone`: that row is no longer on the page."""

    route: str
    page: str
    address: str
    sent: dict = field(default_factory=dict)
    at: str = ""
    gone: bool = False


KEY = {"key": "0" * 8 + "-0000-4000-8000-" + "0" * 12}
LONG = "x" * 5000
HOST = {"hostname": "web1", "ip": "192.0.2.1", "port": "22", "username": "deploy", "base_path": "/srv/services"}
FTP = {"url": "ftp://example.org/", "events": "deployment.ended"}
CASES = [
    Case("sign_in", "/login/", "/login/", {"username": "", "password": ""}, "username"),
    Case("service_new", "/new-service/", "/new-service/", {"name": "a b", "language": "go"}, "name"),
    Case(
        "change_instances",
        "SHOP/instances/",
        "SHOP/instances/change/",
        {**KEY, "what": "retry", "instance": "INSTANCE"},
    ),
    Case("change_instances", "SHOP/instances/", "SHOP/instances/change/", {"what": "maintain"}),
    Case(
        "change_instances",
        "SHOP/instances/",
        "SHOP/instances/change/",
        {**KEY, "what": "delete", "instance": "INSTANCE"},
    ),
    Case(
        "change_instances",
        "SHOP/instances/",
        "SHOP/instances/change/",
        {"what": "forget", "instance": "INSTANCE"},
        "reason",
    ),
    Case("instance_edit", "SHOP/instances/INSTANCE/edit/", "SHOP/instances/INSTANCE/edit/", {"port": "-1"}, "port"),
    Case("unlock", "SHOP/instances/", "SHOP/instances/INSTANCE/unlock/", {"reason": " "}, "reason"),
    Case("service_settings", "SHOP/settings/", "SHOP/settings/", {"check_timeout": "soon"}, "check_timeout"),
    Case("service_delete", "/services/bare/settings/", "/services/bare/delete/", {"name": "bar"}, "name"),
    Case("recipe", "SHOP/recipe/", "SHOP/recipe/", {"do": "save", "base": "not an image"}, "base"),
    Case(
        "service_secret",
        "SHOP/settings/",
        "SHOP/secrets/",
        {"what": "set", "of": "secrets", "name": "A", "value": "x"},
        "value",
    ),
    Case("new_version", "SHOP/versions/new/", "SHOP/versions/new/", {"version": "a/b", "ref": "main"}, "version"),
    Case("version_delete", "SHOP/versions/VERSION/", "SHOP/versions/VERSION/delete/"),
    Case("build", "SHOP/versions/VERSION/", "SHOP/versions/VERSION/build/"),
    Case("build", "SHOP/versions/?q=", "SHOP/versions/UNBUILT/build/"),
    Case("build", "/builds/?q=1", "SHOP/versions/VERSION/build/", {"again": "on"}),
    Case("build_cancel", "/builds/", "SHOP/versions/VERSION/build/cancel/"),
    Case("mark", "SHOP/versions/VERSION/", "SHOP/versions/VERSION/mark/bad/", {"reason": ""}, "reason"),
    Case("install", "SHOP/versions/VERSION/install/", "SHOP/versions/VERSION/install/", {"where": "some"}, "host"),
    Case("deploy", "SHOP/versions/VERSION/deploy/", "SHOP/versions/VERSION/deploy/", {"where": "some"}, "host"),
    Case("change", "SHOP/versions/VERSION/upgrade/", "SHOP/versions/VERSION/upgrade/", {"where": "labels"}, "labels"),
    Case("revert", "/deployments/DEPLOYMENT/revert/", "/deployments/DEPLOYMENT/revert/", {"where": "group"}, "group"),
    Case("note", "/deployments/DEPLOYMENT/", "/deployments/DEPLOYMENT/note/", {"note": LONG}, "note"),
    Case("answer", "WAITS/approve/", "WAITS/approve/", {"do": "reject", "comment": " "}, "comment"),
    Case("answer", "WAITS/approve/", "WAITS/approve/", {"do": "override", "reason": LONG}, "reason"),
    Case("answer", "WAITS/approve/", "WAITS/approve/", {"do": "reschedule", "start_at": "soon"}, "start_at"),
    Case("answer", "/deployments/DEPLOYMENT/", "/deployments/DEPLOYMENT/approve/", {"do": "approve"}, gone=True),
    Case("act", "/deployments/DEPLOYMENT/", "/deployments/DEPLOYMENT/retry/", KEY),
    Case("act", "/deployments/DEPLOYMENT/", "/deployments/DEPLOYMENT/pause/", {"key": "of no form"}),
    Case("act", "/deployments/DEPLOYMENT/", "/deployments/DEPLOYMENT/retry/", {**KEY, "cause": "gone"}, gone=True),
    Case("act", "/operations/OPERATION/", "/deployments/DEPLOYMENT/retry/", KEY),
    Case(
        "saved_filter",
        "/hosts/?q=web",
        "/filters/",
        {"page": "hosts", "query": "q=web", "name": " ", "next": "/hosts/?q=web"},
        "name",
    ),
    Case("host_group_new", "/hosts/groups/new/", "/hosts/groups/new/", {"name": "", "labels": "a=b"}, "name"),
    Case("host_group", "/hosts/groups/GROUP/", "/hosts/groups/GROUP/", {"name": "x", "labels": "="}, "labels"),
    Case("host_group_delete", "/hosts/groups/", "/hosts/groups/999/delete/"),
    Case("change_labels", "/hosts/", "/hosts/labels/change/", {"host": "HOST", "add_labels": "="}, "add_labels"),
    Case("change_environment", "/hosts/", "/hosts/environment/change/", {"host": "HOST", "into": "x"}, "into"),
    Case("environment_new", "/environments/new/", "/environments/new/", {"name": "", "colour": "red"}, "name"),
    Case("environment", "/environments/PLACE/", "/environments/PLACE/", {"name": "eu", "position": "-1"}, "position"),
    Case("environment_hosts", "/environments/PLACE/", "/environments/PLACE/hosts/", {"labels": "="}, "labels"),
    Case("environment_delete", "/environments/PLACE/", "/environments/PLACE/delete/"),
    Case("freeze_new", "/freezes/new/", "/freezes/new/", {"name": ""}, "name"),
    Case("freeze", "/freezes/FREEZE/", "/freezes/FREEZE/", {"name": ""}, "name"),
    Case("freeze_delete", "/freezes/", "/freezes/999/delete/"),
    Case("train_new", "/trains/new/", "/trains/new/", {"name": "", "on_failure": "hold"}, "name"),
    Case("train_act", "/trains/TRAIN/", "/trains/TRAIN/resume/"),
    Case("host_new", "/hosts/new/", "/hosts/new/", {**HOST, "hostname": "no good;"}, "hostname"),
    Case("host_import", "/hosts/import/", "/hosts/import/", {"text": "{"}, "text"),
    Case("host_edit", "/hosts/HOST/edit/", "/hosts/HOST/edit/", {**HOST, "ip": "300.1.1.1"}, "ip"),
    Case("host_check", "/hosts/", "/hosts/999/check/"),
    Case("host_trust", "/hosts/HOST/", "/hosts/HOST/trust/", {"fingerprint": " "}, "fingerprint"),
    Case("host_delete", "/hosts/HOST/", "/hosts/HOST/delete/"),
    Case("host_archive", "/hosts/HOST/", "/hosts/HOST/archive/", {"reason": ""}, "reason"),
    Case("host_archive", "/hosts/HOST/", "/hosts/HOST/archive/", {"reason": "it is gone"}),
    Case("host_unarchive", "/hosts/", "/hosts/999/unarchive/"),
    Case("credentials", "/credentials/", "/credentials/", {"name": "", "kind": "password", "secret": "s"}, "name"),
    Case(
        "credential", "/credentials/CREDENTIAL/", "/credentials/CREDENTIAL/", {"name": "", "kind": "password"}, "name"
    ),
    Case("credential_delete", "/credentials/", "/credentials/CREDENTIAL/delete/"),
    Case("tokens", "/tokens/", "/tokens/", {"name": "", "scopes": "read"}, "name"),
    Case("token_revoke", "/tokens/", "/tokens/999/revoke/"),
    Case("account", "/account/", "/account/", {"old": "x", "password": "1", "again": "2"}, "again"),
    Case("session_end", "/people/PERSON/", "/people/PERSON/sessions/999/end/"),
    Case("person_token", "/people/MACHINE/", "/people/MACHINE/token/", {"token-name": ""}, "token-name"),
    Case(
        "settings",
        "/settings/",
        "/settings/",
        {"do": "save", "package_store-kind": "local", "gitlab-on": "on", "gitlab-url": "x"},
        "gitlab-url",
    ),
    Case("settings_restore", "/settings/history/", "/settings/history/999/restore/"),
    Case("callback_new", "/callbacks/new/", "/callbacks/new/", FTP, "url"),
    Case("callback_edit", "/callbacks/CALLBACK/edit/", "/callbacks/CALLBACK/edit/", FTP, "url"),
    Case("callback_test", "/callbacks/", "/callbacks/999/test/"),
    Case("callback_delete", "/callbacks/", "/callbacks/999/delete/"),
    Case("redeliver", "/callbacks/CALLBACK/", "/callbacks/CALLBACK/deliveries/999/"),
    Case("people", "/people/", "/people/", {"username": "bad name!"}, "username"),
    Case("person", "/people/PERSON/", "/people/PERSON/", {"username": "bad name!"}, "username"),
    Case("person_delete", "/people/ADMIN/", "/people/ADMIN/delete/"),
    Case("teams", "/teams/", "/teams/", {"name": "123"}, "name"),
    Case("team_change", "/teams/TEAM/", "/teams/TEAM/name/", {"name": ""}, "name"),
    Case("team_change", "/teams/TEAM/", "/teams/TEAM/member/", {"user": "nosuch", "role": "viewer"}, "user"),
    Case("team_change", "/teams/TEAM/", "/teams/TEAM/give/", {"service": "nosuch"}, "service"),
    Case("team_change", "/teams/TEAM/", "/teams/TEAM/remove/", {"user": "999"}, gone=True),
    Case("team_change", "/teams/OWNING/", "/teams/OWNING/take/", {"service": "bare"}, gone=True),
    Case("team_change", "/teams/OWNING/", "/teams/OWNING/delete/"),
    Case("favourite", "/", "/services/nosuch/favourite/"),
]
NOTHING_IS_REFUSED = {
    "sign_out": "ends the session",
    "language": "an unknown language is ignored",
    "theme": "an unknown theme is ignored",
    "access_end": "ends whatever there is",
}


def _waits(person: User) -> Deployment:
    """Return a deployment that waits for its time."""
    old, new = factories.versions(factories.service("later"), 2)
    factories.instances(old, factories.hosts(1, "later"))
    later = Timing(timezone.now() + timedelta(days=1))
    change = VersionChange(service=new.microservice, action=Action.DEPLOY, dest_version=new.pk, host="all", when=later)
    return actions.deploy(replace(SYSTEM, user_id=person.pk), change)


@pytest.fixture
def places(admin):
    """Return the ids by the words of CASES."""
    factories.service("bare")
    deployment = factories.running(1, "shop")
    service = deployment.microservice
    service.team = Team.objects.create(name="owning")
    service.save()
    operation = deployment.operations.get()
    MicroServiceInstance.objects.update(locked=True, lock_deployment=deployment)
    version = operation.dest_version
    Build.objects.create(version=version, origin="git", status=2)
    users = get_user_model().objects
    person, machine = users.create_user("eve"), users.create_user("ci-bot")
    service_accounts.mark(machine, "ada")
    credential = Credential.objects.create(name="key", kind="password")
    place = Environment.objects.create(name="production")
    Asset.objects.filter(pk=operation.host_id).update(credential=credential, environment=place)
    tomorrow = timezone.now() + timedelta(days=1)
    team = Team.objects.create(name="red")
    Membership.objects.create(team=team, user=person, role="viewer")
    return {
        "SHOP": f"/services/{service.name}",
        "INSTANCE": operation.instance_id,
        "UNBUILT": MicroServiceVersion.objects.create(microservice=service, version="9.9").pk,
        "VERSION": version.pk,
        "DEPLOYMENT": deployment.pk,
        "WAITS": f"/deployments/{_waits(users.get(username='ada')).pk}",
        "OPERATION": operation.pk,
        "HOST": operation.host_id,
        "GROUP": HostGroup.objects.create(name="eu", labels={"zone": "eu"}).pk,
        "PLACE": place.pk,
        "FREEZE": Freeze.objects.create(
            name="night", everywhere=True, start=tomorrow, end=tomorrow + timedelta(hours=1)
        ).pk,
        "TRAIN": Train.objects.create(name="autumn", status=TrainStatus.CANCELLED).pk,
        "CREDENTIAL": credential.pk,
        "PERSON": person.pk,
        "MACHINE": machine.pk,
        "ADMIN": users.get(username="ada").pk,
        "CALLBACK": Callback.objects.create(url="https://example.org/", events=["deployment.ended"]).pk,
        "TEAM": team.pk,
        "OWNING": service.team_id,
    }


def filled(places: dict, text: str) -> str:
    return re.sub("|".join(sorted(places, key=len, reverse=True)), lambda match: str(places[match[0]]), text)


@pytest.mark.parametrize("case", CASES, ids=[f"{case.route} {case.address} {case.at}" for case in CASES])
def test_refusal_is_said_where_the_person_is(admin, client, places, case):
    who = client if case.route == "sign_in" else admin
    page, address = filled(places, case.page), filled(places, case.address)
    sent = {name: filled(places, value) for name, value in case.sent.items()}
    answer = who.post(address, sent, headers={"Referer": f"http://testserver{page}"})
    if answer.status_code == 302:
        assert answer["Location"] == page.removesuffix("?q=") or answer["Location"] == page
        answer = who.get(answer["Location"])
    else:
        assert answer.status_code in (200, 404, 409, 422), answer.status_code
    shown = markup(answer)
    if case.at:
        assert case.at in said_at(shown) or re.search(r'<p class="pick wrong">[^<]+</p>', shown), (
            f"nothing at {case.at}"
        )
        for name, value in sent.items():
            typed = name in (case.at, "reason", "note") and value.strip() and name not in ("value", "old")
            assert not typed or html.escape(value) in shown, f"{value} is lost"
    elif not re.search(r'<div class="wrong refused"[^>]*>[^<]+', shown):
        assert case.gone or not re.search(rf'action="{re.escape(address)}"', shown), "nothing is said at the button"
        assert re.search(r'<div class="note tone-bad"', shown), "nothing is said at all"
    assert 'class="wrong refused"' not in who.get(page).content.decode(), "it is said once"


def said_at(page: str) -> set[str]:
    """Return the names of the fields at which something is said to be wrong."""
    found = set()
    for wrong in re.findall(r'<span class="wrong" id="([\w-]+)-wrong">[^<]+</span>', page):
        for control in re.findall(rf'<(?:input|textarea|select)[^>]*id="{wrong}"[^>]*>', page):
            found |= set(re.findall(r' name="([^"]+)"', control))
    return found


def test_every_address_is_tried():
    takes = {pattern.name for pattern in urlpatterns if isinstance(pattern, URLPattern) and _takes_posts(pattern)}
    assert takes == {case.route for case in CASES} | set(NOTHING_IS_REFUSED)


def _takes_posts(pattern: URLPattern) -> bool:
    needs = getattr(pattern.callback, "needs", None)
    return "POST" in needs.methods if needs else pattern.name not in ("script_words",)


def test_refusal_without_the_page_before_leads_to_the_page_of_the_button(admin, places):
    answer = admin.post(filled(places, "/hosts/HOST/delete/"))
    assert answer["Location"] == filled(places, "/hosts/HOST/")
    assert admin.post("/hosts/999/delete/").status_code == 404, "what does not exist has no page"


@pytest.mark.parametrize(
    "before", ["https://evil.example/hosts/", "/hosts/HOST/delete/", "/nowhere/", "/api/v1/hosts/"]
)
def test_no_other_page_is_gone_back_to(admin, places, before):
    headers = {"Referer": filled(places, before if "://" in before else f"http://testserver{before}")}
    answer = admin.post(filled(places, "/hosts/HOST/delete/"), headers=headers)
    assert answer["Location"] == filled(places, "/hosts/HOST/")


def test_refusal_is_in_no_live_fragment(admin, places):
    page = filled(places, "SHOP/versions/")
    admin.post(filled(places, "SHOP/versions/UNBUILT/build/"), headers={"Referer": f"http://testserver{page}"})
    assert b"refused" not in admin.get(page, headers={"HX-Request": "true"}).content, "it is everyone's"
    assert b"wrong refused" in admin.get(page).content


def test_refusal_says_each_reason(admin, places):
    others = factories.instances(MicroServiceVersion.objects.get(version="9.9"), factories.hosts(2, prefix="n"))
    numbers = [str(one.pk) for one in others]
    admin.post("/services/shop/instances/change/", {**KEY, "what": "retry", "instance": numbers})
    shown = markup(admin.get("/services/shop/instances/"))
    assert len(re.findall(r"<li>", re.search(r'<div class="wrong refused".*?</ul>', shown)[0])) == 2
