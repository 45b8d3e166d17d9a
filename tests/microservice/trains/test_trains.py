"""A train's stages begin one after the other, each once, and go back the same way."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.utils import timezone

from access.authentication import acting_as
from access.callers import Caller
from access.models import Team
from access.problems import Problem
from audit.models import Event, History
from messages.rendering import render
from microservice.catalog import mark_bad
from microservice.deployments import actions, plan_token
from microservice.models import Deployment, MicroService, MicroServiceInstance, MicroServiceVersion, Train, TrainStart
from microservice.status import DeploymentStatus, OperationStatus, TrainPartStatus, TrainStatus
from microservice.trains import advance, control
from microservice.trains.overview import overview
from microservice.trains.requests import preview_train
from tests.microservice.deployments.requests import end_all
from tests.microservice.trains.conftest import again, end_each, names

pytestmark = pytest.mark.django_db
FAILED = OperationStatus.UNDONE


def test_stages_follow_each_other(release, end):
    train = release.start("api", "shop web")
    assert names(train) == ["deploy api"] and train.status == TrainStatus.RUNNING
    end()
    assert names(train) == ["deploy api", "deploy shop", "deploy web"], "the end of a stage begins the next"
    end(name="shop")
    assert again(train).status == TrainStatus.RUNNING, "web is still under way"
    end()
    train.refresh_from_db()
    assert (train.status, train.finished is not None) == (TrainStatus.SUCCEEDED, True)
    assert all(release.runs(name) == {"2.0"} for name in release.versions)
    deployment = Deployment.objects.order_by("pk").first()
    assert (deployment.requested_by, deployment.environment) == ("ann", release.environment)
    rows = [(row.action, row.after["stage"], row.after["version"]) for row in History.objects.filter(subject="train")]
    assert sorted(rows) == [("create", 1, "2.0"), ("create", 2, "2.0"), ("create", 2, "2.0")]
    assert Event.objects.filter(kind="train", data__id=train.pk).exists()


def test_sweep_goes_on_where_an_event_was_lost(release):
    train = release.start("api", "shop")
    end_all(Deployment.objects.get(), OperationStatus.SUCCEEDED)  # and the process died before it looked at the train
    assert names(train) == ["deploy api"]
    again(train)
    again(train)
    assert names(train) == ["deploy api", "deploy shop"]


def test_each_attempt_is_started_once_whoever_tries(release):
    train = release.start("api", "shop")
    part = train.parts.first()
    with pytest.raises(IntegrityError), transaction.atomic():
        TrainStart.objects.create(part=part, attempt=1)
    for _ in range(3):
        advance.look_again(train.pk)
    assert names(train) == ["deploy api"]


def test_what_runs_it_already_is_done(release):
    MicroServiceInstance.objects.filter(microservice__name="api").update(version=release.versions["api"][1])
    train = release.start("api", "shop")
    assert names(train) == ["deploy shop"]


def test_failure_holds_and_resume_repeats_it(release, end):
    train = release.start("api shop", "web")
    end(FAILED, "api")
    end(name="shop")
    train.refresh_from_db()
    assert train.status == TrainStatus.HELD and render(train.reason) == "Stage 1 did not succeed: api."
    assert again(train).status == TrainStatus.HELD
    control.resume(release.caller, train)
    assert names(train) == ["deploy api", "deploy shop", "deploy api"], "only what failed"
    end()
    end()
    assert again(train).status == TrainStatus.SUCCEEDED


def test_a_retry_by_hand_is_seen_when_it_is_resumed(release, end):
    train = release.start("api", "web")
    end(FAILED)
    actions.retry(release.caller, Deployment.objects.get())
    control.resume(release.caller, train)
    train.refresh_from_db()
    assert train.status == TrainStatus.RUNNING and "locked" in render(train.reason), "it waits for the retry"
    end()
    Train.objects.update(look_at=timezone.now())
    again(train)
    assert names(train) == ["deploy api", "deploy web"]


def test_failure_sends_it_back_last_stage_first(release, end):
    train = release.start("api", "shop", "web", on_failure=Train.OnFailure.REVERT_TRAIN)
    end()
    end()
    end(FAILED)
    assert names(train)[3:] == ["revert shop"]
    assert again(train).status == TrainStatus.REVERTING
    end()
    assert names(train)[3:] == ["revert shop", "revert api"]
    end()
    train.refresh_from_db()
    assert train.status == TrainStatus.REVERTED and "did not succeed: web" in render(train.reason)
    assert all(release.runs(name) == {"1.0"} for name in release.versions)


def test_what_succeeded_of_a_failed_deployment_goes_back_with_its_retry(release, end):
    train = release.start("api")
    deployment = Deployment.objects.get()
    end_each(deployment, OperationStatus.SUCCEEDED, FAILED)
    assert again(train).status == TrainStatus.HELD and release.runs("api") == {"1.0", "2.0"}
    deployment.refresh_from_db()
    end_all(actions.retry(release.caller, deployment), OperationStatus.SUCCEEDED)
    assert release.runs("api") == {"2.0"}
    control.revert(release.caller, train)
    assert names(train) == ["deploy api", "revert api", "revert api"], "the deployment, and what its retry changed"
    end()
    assert release.runs("api") == {"1.0"} and again(train).status == TrainStatus.REVERTED


def test_revert_by_a_person_cancels_what_is_under_way_first(release, end):
    train = release.start("api", "shop web")
    end()
    control.revert(release.caller, train)
    states = dict(Deployment.objects.values_list("microservice__name", "status"))
    assert states["shop"] == states["web"] == DeploymentStatus.CANCELLED
    assert names(train)[-1] == "revert api"
    end()
    train.refresh_from_db()
    assert train.status == TrainStatus.REVERTED and render(train.reason) == "Reverted by ann."
    assert History.objects.filter(subject="train", action="revert").count() == 3


def test_one_that_succeeded_can_be_reverted(release, end):
    train = release.start("api")
    end()
    control.revert(release.caller, train)
    end()
    assert again(train).status == TrainStatus.REVERTED and release.runs("api") == {"1.0"}
    with pytest.raises(Problem) as caught:
        control.revert(release.caller, train)
    assert caught.value.code == "train_state"


def test_revert_that_fails_holds_and_resume_tries_it_again(release, end):
    train = release.start("api")
    end()
    control.revert(release.caller, train)
    end(FAILED)
    assert again(train).status == TrainStatus.HELD and "could not be reverted" in render(train.reason)
    control.resume(release.caller, train)
    end()
    assert again(train).status == TrainStatus.REVERTED and release.runs("api") == {"1.0"}


def test_cancelled_keeps_what_succeeded(release, end):
    train = release.start("api", "shop")
    end()
    control.cancel(release.caller, train)
    assert again(train).status == TrainStatus.CANCELLED
    assert (release.runs("api"), release.runs("shop")) == ({"2.0"}, {"1.0"})
    with pytest.raises(Problem) as caught:
        control.resume(release.caller, train)
    assert caught.value.code == "train_state"


def test_stage_begins_whole_or_not_at_all_and_waits_for_locks(release, end):
    held = MicroServiceInstance.objects.filter(microservice__name="web").first()
    MicroServiceInstance.objects.filter(pk=held.pk).update(locked=True)
    train = release.start("shop web")
    assert names(train) == [] and train.status == TrainStatus.RUNNING
    assert "web" in render(train.reason) and train.look_at > timezone.now()
    assert not MicroServiceInstance.objects.filter(microservice__name="shop", locked=True).exists()
    MicroServiceInstance.objects.filter(pk=held.pk).update(locked=False)
    assert names(again(train)) == [], "not before its time"
    Train.objects.update(look_at=timezone.now() - timedelta(seconds=1))
    again(train)
    assert names(train) == ["deploy shop", "deploy web"] and train.reason is None


def test_what_a_stage_may_not_do_by_then_holds_it(release, end):
    train = release.start("api", "shop")
    mark_bad(release.caller, release.versions["shop"][1], "leaks")
    end()
    train.refresh_from_db()
    assert train.status == TrainStatus.HELD and "Stage 2 cannot begin: shop" in render(train.reason)
    assert names(train) == ["deploy api"]


@pytest.mark.parametrize("ran", ["1.0", "2.0"], ids=["other targets", "targets where none were"])
def test_stage_whose_plan_changed_holds_and_who_resumes_it_confirms(release, end, ran):
    MicroServiceInstance.objects.filter(microservice__name="web", version__version="1.0").update(
        version=next(one for one in release.versions["web"] if one.version == ran)
    )
    shown = preview_train(release.caller, release.request("api", "shop web")).token
    train = release.start("api", "shop web", plan_token=shown)
    MicroServiceInstance.objects.filter(microservice__name="web").update(version=release.versions["web"][2])
    end()
    train.refresh_from_db()
    assert train.status == TrainStatus.HELD and names(train) == ["deploy api"]
    assert train.reason.code == "train_stage_refused" and "hanged" in render(train.reason)
    control.resume(release.caller, train)
    assert names(train) == ["deploy api", "deploy shop", "deploy web"]
    end()
    assert again(train).status == TrainStatus.SUCCEEDED


def test_what_is_refused_for_another_reason_is_still_held_to_its_plan(release, end):
    shown = preview_train(release.caller, release.request("api", "shop")).token
    train = release.start("api", "shop", plan_token=shown)
    mark_bad(release.caller, release.versions["shop"][1], "leaks")
    end()
    MicroServiceVersion.objects.update(bad=False)
    MicroServiceInstance.objects.filter(microservice__name="shop").update(weight=7)
    control.resume(release.caller, again(train))
    train.refresh_from_db()
    assert train.status == TrainStatus.HELD and "The plan has changed" in render(train.reason)


def test_plan_that_was_new_when_the_train_started_does_not_grow_old(release, end, monkeypatch):
    shown = preview_train(release.caller, release.request("api", "shop")).token
    train = release.start("api", "shop", plan_token=shown)
    monkeypatch.setattr(plan_token, "MAX_AGE", -1)  # every token is too old from now on
    end()
    assert names(train) == ["deploy api", "deploy shop"]
    with pytest.raises(Problem) as caught:
        release.start("web", plan_token=preview_train(release.caller, release.request("web")).token)
    assert caught.value.message.code == "plan_changed.expired"


@pytest.mark.parametrize("lost", ["account", "right", "environment"])
def test_it_acts_with_the_rights_that_its_user_has_by_then(release, end, lost):
    train = release.start("api", "shop")
    user = get_user_model().objects.get()
    if lost == "account":
        user.is_active = False
    elif lost == "right":
        user.is_superuser = False
        MicroService.objects.update(team=Team.objects.create(name="others"))
    else:
        Train.objects.update(environment=None)
    user.save()
    end()
    train.refresh_from_db()
    assert train.status == TrainStatus.HELD and names(train) == ["deploy api"]
    if lost == "account":
        bob = get_user_model().objects.create_superuser("bob")
        control.resume(Caller(name="bob", user_id=bob.pk, scopes=frozenset({"deploy"})), train)
        assert names(train) == ["deploy api", "deploy shop"], "who resumes it answers for it"
        assert Deployment.objects.order_by("pk").last().requested_by == "bob"


def test_nobody_without_the_right_for_all_services_acts_on_it(release):
    train = release.start("api", "shop")
    one = Caller(
        name="bob", scopes=frozenset({"deploy"}), services=frozenset({release.versions["api"][0].microservice_id})
    )
    for act in (control.resume, control.cancel, control.revert):
        with pytest.raises(Problem) as caught:
            act(one, train)
        assert caught.value.status == 403


def test_stage_waits_while_one_of_its_deployments_waits(release, end, django_capture_on_commit_callbacks):
    release.environment.approvals = 1
    release.environment.save()
    train = release.start("api", "shop")
    waits = Deployment.objects.get()
    assert waits.status == DeploymentStatus.WAITING and again(train).status == TrainStatus.RUNNING
    assert overview([train])[train.pk][0][0].status == TrainPartStatus.WAITING
    bob = get_user_model().objects.create_superuser("bob")
    with django_capture_on_commit_callbacks(execute=True):
        actions.reject(acting_as(bob, None), waits, "not today")
    train.refresh_from_db()
    assert train.status == TrainStatus.HELD, "who says no ends it"
    control.resume(release.caller, train)
    assert names(train) == ["deploy api", "deploy api"]


def test_who_asked_for_the_train_does_not_approve_its_stages(release):
    release.environment.approvals = 1
    release.environment.save()
    release.start("api")
    with pytest.raises(Problem) as caught:
        actions.reject(release.caller, Deployment.objects.get(), "mine")
    assert caught.value.status == 403


def test_a_train_waits_for_a_deployment_of_its_own(release):
    """Not for that of another train, or of its user, for the same: cancelling it would cancel that one too."""
    release.environment.approvals = 1
    release.environment.save()
    first, second = release.start("api"), release.start("api")
    assert first.pk != second.pk and Deployment.objects.filter(status=DeploymentStatus.WAITING).count() == 2
