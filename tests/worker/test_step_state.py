"""A step as its journal tells it: what it came to stays, whatever its undo comes to."""

import pytest

from deployer.engine.journal import JournalEvent, Kind
from worker.step_state import StepState

pytestmark = pytest.mark.pure


def after(*events: tuple[Kind, int | None]) -> StepState:
    state = StepState(3, "start")
    for number, (kind, exit_status) in enumerate(events):
        state = state.after(JournalEvent(number, 100.0 + number, kind, 3, "start", exit_status=exit_status))
    return state


@pytest.mark.parametrize(
    ("end", "status", "came_to"), [(Kind.FAILED, "failed", 7), (Kind.DONE, "done", 0), (Kind.FAILED, "failed", None)]
)
@pytest.mark.parametrize(
    ("undo", "undo_status", "undone_with"), [(Kind.UNDONE, "undone", 0), (Kind.UNDO_FAILED, "failed", 9)]
)
def test_undo_leaves_what_the_step_came_to(end, status, came_to, undo, undo_status, undone_with):
    before = after((Kind.STARTED, None), (end, came_to))
    state = after((Kind.STARTED, None), (end, came_to), (Kind.UNDOING, None), (undo, undone_with))
    assert (state.status, state.exit_status, state.finished) == (status, came_to, before.finished)
    assert (state.undo_status, state.undo_exit_status) == (undo_status, undone_with)
    assert state.undo_started is not None and state.undo_finished is not None
    told = state.as_event()
    assert (told["status"], told["exit_status"], told["undo_exit_status"]) == (status, came_to, undone_with)
