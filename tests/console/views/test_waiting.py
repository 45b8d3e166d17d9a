"""What waits, in the console: its list and its number, its own page, and the page where people answer it."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from access.models import Membership, Team
from asset.models import Asset
from microservice.models import Approval, Deployment, DeploymentRequest, Freeze, MicroServiceInstance
from tests import factories
from tests.microservice.deployments.test_waiting import Site, plan

from ..markup import markup
from .dialogs import hidden


@pytest.fixture
def site(db, store) -> Site:
    return Site()


def of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_every_list_names_what_waits(site):
    waits = site.ask(note="weekly")
    ann = of(site.people[0])
    for address in (f"/deployments/{waits.pk}/", "/deployments/", "/deployments/?status=waiting", "/services/shop/"):
        page = markup(ann.get(address))
        assert "tone-warn" in page and "waiting" in page, address
    assert "host1" in markup(ann.get("/services/shop/instances/")) and "locked by" not in markup(
        ann.get("/services/shop/instances/")
    )


def waits_at_all(client: Client) -> tuple[bool, str]:
    """Return whether the head offers something to approve, and the number beside the navigation's entry."""
    page = markup(client.get("/"))
    number = re.search(r'id="waits"[^>]*>(?:<span class="chip">(\d+))?', page)
    return "to approve" in page, (number and number[1]) or ""


def posted(page: str, **more) -> dict[str, str]:
    token = re.search(r'name="plan_token" value="([^"]*)"', page)
    return {"plan_token": unescape(token[1]) if token else "", **more}


def test_empty_page_says_what_would_appear(admin):
    page = markup(admin.get("/waiting/"))
    assert "Nothing waits" in page and "asks for approval or is frozen" in page and "to approve" not in page


def test_what_waits_for_me_comes_first(site):
    waits = site.ask(note="weekly")
    ann, ben = of(site.people[0]), of(site.people[1])
    mine, other = markup(ben.get("/waiting/")), markup(ann.get("/waiting/"))
    assert "For you to approve" in mine and f"/deployments/{waits.pk}/approve/" in mine and "weekly" in mine
    assert "For you to approve" not in other and "0 of 1" in other and "production" in other
    assert (waits_at_all(ann), waits_at_all(ben)) == ((False, "1"), (True, "1"))
    assert f'href="/deployments/{waits.pk}/approve/"' in markup(ben.get("/")), "the only one is one tap away"
    stranger = of(User.objects.create_user("eve"))
    Membership.objects.create(
        team=Team.objects.create(name="others"), user=User.objects.get(username="eve"), role="owner"
    )
    assert waits_at_all(stranger) == (False, "") and "Nothing waits" in markup(stranger.get("/waiting/"))


def test_fragment_of_what_waits_is_of_its_reader(site):
    site.ask()
    ann, ben = of(site.people[0]), of(site.people[1])
    script = {"HX-Request": "true"}
    assert "For you to approve" in markup(ben.get("/waiting/?personal=1", headers=script))
    assert "For you to approve" not in markup(ann.get("/waiting/?personal=1", headers=script))
    assert "For you to approve" not in markup(ben.get("/waiting/", headers=script)), "what is shared names nobody"
    assert "1 to approve" in markup(ben.get("/waiting/count/")) and "to approve" not in markup(
        ann.get("/waiting/count/")
    )


def test_filters_and_pages_cost_the_same_however_much_waits(site, cost):
    site.ask()
    ben = of(site.people[1])
    few = cost(ben, "/waiting/")
    row = DeploymentRequest.objects.get()
    for _ in range(120):
        deployment = Deployment.objects.get(pk=row.deployment_id)
        deployment.pk = None
        deployment.save()
        DeploymentRequest.objects.create(
            deployment=deployment, request=row.request, user=row.user, shown=row.shown, expires=row.expires
        )
    assert cost(ben, "/waiting/") == few
    ann = of(site.people[0])
    assert "after=" in markup(ann.get("/waiting/")) and "121 entries" in markup(ann.get("/waiting/"))
    assert "No matching deployments" in markup(ann.get("/waiting/?environment=staging"))
    assert "No matching deployments" not in markup(ann.get("/waiting/?environment=production&service=shop"))


def test_approve_what_is_shown(site):
    waits = site.ask(note="weekly")
    ben, address = of(site.people[1]), f"/deployments/{waits.pk}/approve/"
    page = markup(ben.get(address))
    assert all(text in page for text in ("weekly", "Upgrade 3 hosts", "host1", "1 version ahead")) or "host1" in page
    answer = ben.post(address, posted(page, do="approve", comment="fine"), follow=True)
    waits.refresh_from_db()
    assert waits.status == "queued" and "It begins now." in markup(answer)
    after = markup(ben.get(f"/deployments/{waits.pk}/"))
    assert "Approved by ben" in after and "fine" in after
    again = ben.post(address, posted(page, do="approve"), follow=True)
    assert "it does not wait" in markup(again)
    assert ben.get(address)["Location"] == f"/deployments/{waits.pk}/"


def test_plan_that_moved_is_shown_before_it_is_approved(site):
    waits = site.ask()
    ben, address = of(site.people[1]), f"/deployments/{waits.pk}/approve/"
    page = markup(ben.get(address))
    MicroServiceInstance.objects.filter(host=site.hosts[0]).update(version=site.versions[2])
    answer = ben.post(address, posted(page, do="approve", comment="typed"))
    again = markup(answer)
    assert answer.status_code == 409 and "The plan has changed" in again and "typed" in again
    assert posted(again) != posted(page) and not waits.operations.exists()
    ben.post(address, posted(again, do="approve"))
    waits.refresh_from_db()
    assert waits.status == "queued"


def test_reject_says_why(site):
    waits = site.ask()
    ben, address = of(site.people[1]), f"/deployments/{waits.pk}/approve/"
    answer = ben.post(address, posted(markup(ben.get(address)), do="reject", comment=" "))
    assert answer.status_code == 422 and 'id="answer-comment-wrong"' in markup(answer)
    answer = ben.post(address, posted(markup(answer), do="reject", comment="not on a Friday"), follow=True)
    waits.refresh_from_db()
    assert waits.status == "cancelled" and "not on a Friday" in markup(answer) and "Rejected by ben" in markup(answer)


def test_who_may_not_answer_has_no_button_and_is_refused(site):
    waits = site.ask()
    ann, address = of(site.people[0]), f"/deployments/{waits.pk}/approve/"
    page = markup(ann.get(address))
    assert 'value="approve"' not in page and "cannot approve it" in page and "Begin all the same" not in page
    token = plan(waits).token
    assert ann.post(address, {"do": "approve", "plan_token": token}).status_code == 403
    assert of(site.people[1]).post(address, {"do": "override", "plan_token": token, "reason": "x"}).status_code == 403
    viewer = site.people[3]
    Membership.objects.filter(user=viewer).update(role="viewer")
    assert of(viewer).post(address, {"do": "reschedule", "start_at": ""}).status_code == 403
    waits.refresh_from_db()
    assert waits.status == "waiting" and not Approval.objects.exists()


def test_administrator_begins_it_all_the_same(site):
    waits = site.ask()
    root, address = of(site.admin), f"/deployments/{waits.pk}/approve/"
    page = markup(root.get(address))
    answer = root.post(address, posted(page, do="override", reason=""))
    assert answer.status_code == 422 and 'id="override-reason-wrong"' in markup(answer)
    root.post(address, posted(page, do="override", reason="it burns"))
    waits.refresh_from_db()
    assert waits.status == "queued"
    assert "Begun without waiting by root" in markup(root.get(f"/deployments/{waits.pk}/"))


def test_another_time(site):
    waits = site.ask()
    cat, address = of(site.people[2]), f"/deployments/{waits.pk}/approve/"
    for wrong, said in (("soon", "start_at-wrong"), ("2020-01-01T10:00", "must be in the future")):
        answer = cat.post(address, {"do": "reschedule", "start_at": wrong})
        assert answer.status_code == 422 and said in markup(answer) and wrong in markup(answer), wrong
    later = timezone.now() + timedelta(days=2)
    cat.post(address, {"do": "reschedule", "start_at": later.strftime("%Y-%m-%dT%H:%M")})
    row = DeploymentRequest.objects.get()
    assert row.start_at and abs(row.start_at - later) < timedelta(minutes=1)
    assert later.strftime("%Y-%m-%d %H:%M") in markup(cat.get(f"/deployments/{waits.pk}/"))


def test_page_of_a_deployment_that_waits(site):
    site.asks(approvals=2)
    waits = site.ask()
    site.approve(waits, 1)
    MicroServiceInstance.objects.filter(host=site.hosts[0]).update(version=site.versions[2])
    cat = of(site.people[2])
    address = f"/deployments/{waits.pk}/"
    page = markup(cat.get(address))
    assert "1 of 2" in page and "Approved by ben" in page and 'data-personal="1"' in page and "host1" in page
    assert "Approve or reject…" in page and "This deployment has no hosts" not in page
    assert "Approve or reject…" not in markup(of(site.people[1]).get(address)), "who said yes is not asked again"
    site.approve(waits, 2)
    page = markup(cat.get(address))
    assert "no longer the one that was asked for" in page and "it no longer counts" in page
    fragment = markup(cat.get(f"{address}?personal=1", headers={"HX-Request": "true"}))
    assert "no longer the one that was asked for" in fragment


def test_a_plan_that_could_not_begin_says_why(site):
    waits = site.ask()
    MicroServiceInstance.objects.all().delete()
    page = markup(of(site.people[1]).get(f"/deployments/{waits.pk}/approve/"))
    assert "nothing to do" in page.lower() and 'value="approve"' not in page


def test_long_plan_by_pages(site):
    hosts = factories.hosts(80, prefix="more")
    factories.instances(site.versions[1], hosts)
    Asset.objects.update(environment=site.production)
    waits = site.ask()
    ben, address = of(site.people[1]), f"/deployments/{waits.pk}/"
    page = markup(ben.get(address))
    next_rows = unescape(re.search(r'hx-get="([^"]*part=plan[^"]*)"', page)[1])
    assert next_rows.startswith(f"{address}approve/?")
    assert markup(ben.get(next_rows)).count("<li>") == 33


@pytest.mark.parametrize("dialog", ["deploy", "upgrade", "revert", "install", "of_deployment"])
def test_dialogs_say_what_it_will_wait_for(site, dialog):
    site.asks(approvals=1, approve_reverts=True)
    ann, versions = of(site.people[0]), "/services/shop/versions"
    extra = factories.hosts(1, "new")[0]
    Asset.objects.update(environment=site.production)
    done = factories.deployment(site.instances, site.versions[1], "succeeded", "succeeded")
    done.operations.update(from_version=site.versions[0])
    address = {
        "deploy": f"{versions}/{site.versions[3].pk}/deploy/",
        "upgrade": f"{versions}/{site.versions[1].pk}/upgrade/",
        "revert": f"{versions}/{site.versions[1].pk}/revert/",
        "install": f"{versions}/{site.versions[3].pk}/install/?host={extra.pk}&where=some",
        "of_deployment": f"/deployments/{done.pk}/revert/",
    }[dialog]
    page = markup(ann.get(address))
    assert "approval by others who may deploy it: 0 of 1" in page and "waits before it begins" in page
    assert "<details><summary>Begin later…</summary>" in page and 'name="on_freeze"' in page
    answer = ann.post(address.partition("?")[0], hidden(page))
    waits = Deployment.objects.order_by("-pk").first()
    assert waits.status == "waiting" and answer["Location"] == f"/deployments/{waits.pk}/"


def test_dialog_begins_at_a_time(site):
    site.asks(approvals=0)
    ann, address = of(site.people[0]), f"/services/shop/versions/{site.versions[3].pk}/deploy/"
    later = timezone.now() + timedelta(days=1)
    page = markup(ann.get(f"{address}?start_at={later:%Y-%m-%dT%H:%M}"))
    assert "its time, <time" in page and f"{later:%Y-%m-%d %H:%M}" in page and "<details open>" in page
    ann.post(address, hidden(page))
    row = DeploymentRequest.objects.get()
    assert row.start_at and row.start_at.strftime("%H:%M") == later.strftime("%H:%M")
    for wrong, said in (("soon", "start_at-wrong"), ("2020-01-01T10:00", "must be in the future")):
        assert said in markup(ann.get(f"{address}?start_at={wrong}")), wrong
    assert "on_freeze-wrong" in markup(ann.get(f"{address}?on_freeze=never"))


def test_dialog_in_a_freeze_waits_or_is_refused(site):
    site.asks(approvals=0)
    now = timezone.now()
    Freeze.objects.create(
        name="new year",
        reason="holidays",
        everywhere=True,
        start=now - timedelta(hours=1),
        end=now + timedelta(hours=1),
    )
    ann, address = of(site.people[0]), f"/services/shop/versions/{site.versions[3].pk}/deploy/"
    assert "the end of a freeze" in markup(ann.get(address)) and "new year" in markup(ann.get(address))
    page = markup(ann.get(f"{address}?on_freeze=refuse"))
    assert "No new deployments until" in page and "No plan to confirm" in page and "<details open>" in page


def test_without_environments_nothing_is_said(site):
    Asset.objects.update(environment=None)
    site.production.delete()
    page = markup(of(site.people[0]).get(f"/services/shop/versions/{site.versions[3].pk}/deploy/"))
    assert (
        "Begin later…" in page
        and '<select name="on_freeze"' not in page
        and "waits" not in page.partition('id="plan"')[2]
    )
