"""What a train does next, from a snapshot alone."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from messages.rendering import render
from microservice.status import TRAIN_MOVING, TRAIN_TRANSITIONS, TrainStatus, may_become
from microservice.trains.decisions import NOTHING, Decision, Part, Snapshot, decide

NEW = Part("shop")
RUNS = Part("shop", begun=True, under_way=True)
DONE = Part("shop", begun=True, succeeded=True)
FAILED = Part("shop", begun=True)
CHANGED = replace(DONE, left=1)
GOES_BACK = replace(DONE, under_way=True)


def of(*stages: list[Part], status: TrainStatus = TrainStatus.RUNNING, **more: bool) -> Decision:
    return decide(Snapshot(status, more.pop("reverts", False), stages, **more))


def test_stages_begin_one_after_the_other():
    assert of([NEW], [NEW]).begin == 0
    assert of([RUNS], [NEW]) == NOTHING
    assert of([DONE, RUNS], [NEW]) == NOTHING, "a stage has ended when all of it has"
    assert of([DONE, DONE], [NEW]).begin == 1
    assert of([DONE], [DONE]).status == TrainStatus.SUCCEEDED


def test_failure_waits_for_the_rest_of_its_stage_and_then_holds():
    assert of([FAILED, RUNS], [NEW]) == NOTHING
    held = of([DONE], [FAILED, DONE], [NEW])
    assert (held.status, held.begin) == (TrainStatus.HELD, None)
    assert render(held.reason) == "Stage 2 did not succeed: shop."


def test_what_failed_begins_again_when_it_was_resumed():
    assert of([DONE], [NEW, DONE]).begin == 1, "as after a resume: its next attempt has not begun"


def test_failure_sends_the_train_back_last_stage_first():
    assert of([DONE], [FAILED], reverts=True).status == TrainStatus.REVERTING
    back = TrainStatus.REVERTING
    assert of([CHANGED], [CHANGED], status=back).revert == 1
    assert of([CHANGED], [GOES_BACK], status=back) == NOTHING
    assert of([CHANGED], [DONE], status=back, has_gone_back=True).revert == 0
    assert of([DONE], [DONE], status=back, has_gone_back=True).status == TrainStatus.REVERTED
    assert of([FAILED], [NEW], status=back).status == TrainStatus.FAILED, "there was nothing to send back"


def test_going_back_waits_for_what_is_under_way():
    assert of([CHANGED], [RUNS], status=TrainStatus.REVERTING) == NOTHING


def test_revert_that_fails_holds():
    held = of([CHANGED], [replace(DONE, revert_failed=True)], status=TrainStatus.REVERTING)
    assert held.status == TrainStatus.HELD and "could not be reverted" in render(held.reason)


def test_cancelled_when_nothing_is_under_way():
    assert of([DONE], [RUNS], [NEW], status=TrainStatus.CANCELLING) == NOTHING
    assert of([DONE], [FAILED], [NEW], status=TrainStatus.CANCELLING).status == TrainStatus.CANCELLED


def test_held_and_ended_ones_do_nothing_by_themselves():
    for status in set(TrainStatus) - TRAIN_MOVING:
        assert of([NEW], [CHANGED], status=status) == NOTHING


PARTS = st.builds(
    Part,
    st.just("shop"),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    left=st.integers(0, 2),
    revert_failed=st.booleans(),
)


@settings(max_examples=300)
@given(
    status=st.sampled_from(list(TrainStatus)),
    reverts=st.booleans(),
    stages=st.lists(st.lists(PARTS, min_size=1, max_size=3), min_size=1, max_size=3),
    gone=st.booleans(),
)
def test_any_snapshot(status, reverts, stages, gone):
    """One thing at a time; only allowed transitions; a stage begins only after all before it have succeeded."""
    found = decide(Snapshot(status, reverts, stages, gone))
    assert sum(one is not None for one in (found.begin, found.revert, found.status)) == (found != NOTHING)
    if found.status is not None:
        assert may_become(TRAIN_TRANSITIONS, status, found.status)
    if found != NOTHING:
        assert not any(part.under_way for stage in stages for part in stage)
    if found.begin is not None:
        assert all(part.succeeded for stage in stages[: found.begin] for part in stage)
        assert any(not part.begun for part in stages[found.begin]) or any(not p.succeeded for p in stages[found.begin])
    if found.revert is not None:
        assert not any(part.left for stage in stages[found.revert + 1 :] for part in stage)
