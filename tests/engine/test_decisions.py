"""The decision after each answer of a host, without a host."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.engine.codes import reason
from deployer.engine.decisions import MAX_ATTEMPTS, MAX_CUTS, Decision, Outcome, OutcomeKind, decide
from deployer.engine.errors import AuthRefused, ConnectionLost, KeyChanged, NoCommonAlgorithm, Unreachable
from deployer.engine.journal import JournalEvent, Kind, Result, parse
from deployer.engine.program import Answer
from deployer.engine.run_state import AttemptResult, Mode, RunState
from messages import Message
from messages.rendering import english, hint

from .words import said

pytestmark = pytest.mark.pure

START, ATTACH = Mode.START, Mode.ATTACH
LOST = ConnectionLost(where="a", reason="b")
AWAY = Unreachable(where="a", reason="b")
NO_KEY = KeyChanged(where="a", pinned="b", offered="c")


def end(result: Result, size: int = 0, reason: Message | None = None) -> JournalEvent:
    return JournalEvent(9, 1.0, Kind.END, result=result, output_size=size, reason=reason)


def go(state: RunState, *result: AttemptResult, away: float = 0.0) -> Decision:
    """Return the decision after these attempts."""
    for each in result:
        state = state.after(each, away)
        decision = decide(state, each)
    return decision


def kind(decision: Decision) -> OutcomeKind | None:
    return decision.outcome.kind if decision.outcome else None


FRESH, TAKEN_OVER = RunState(safe=True), RunState(safe=False)


def test_new_run_starts_and_others_attach():
    assert (FRESH.next_mode, TAKEN_OVER.next_mode) == (START, ATTACH)


@pytest.mark.parametrize("result", [Result.DONE, Result.UNDONE, Result.CANCELLED, Result.FAILED])
@pytest.mark.parametrize("mode", [START, ATTACH])
def test_end_event_decides_outcome(result, mode):
    for rest in ({"answer": 0}, {"error": LOST}, {}):
        decision = go(TAKEN_OVER, AttemptResult(mode, end=end(result), events=True, **rest))
        assert kind(decision) == OutcomeKind(result.value)


def failure(detail: str, code: str = "") -> JournalEvent:
    line = b"4 100 failed 6 start 7\t\t\t" + code.encode() + b"\x1f" + detail.encode()
    event = parse(line)
    assert event is not None
    return event


@pytest.mark.found("output")
@pytest.mark.parametrize(
    ("detail", "text"),
    [
        ("exit_status\x1e7\x1fno such port", "start failed: exit status 7: no such port."),
        ("exit_status\x1e7", "start failed: exit status 7."),
        ("check_fails\x1e7", "start failed: exit status 7, and its check does not pass."),
        ("not_passed\x1e20\x1e7\x1fno", "start failed: did not pass within 20 s (exit status 7): no."),
        ("a sentence of an older program\x1fno", "start failed: a sentence of an older program: no."),
        ("", "start failed: no reason was given."),
    ],
)
def test_failure_names_step_reason_and_output(detail, text):
    result = AttemptResult(START, answer=0, end=end(Result.FAILED), failed=failure(detail), events=True)
    assert said(go(FRESH, result).outcome) == text


def test_failed_step_is_named_with_its_output():
    failed = JournalEvent(4, 1.0, Kind.FAILED, position=6, step="start", exit_status=3, detail="port in use")
    result = AttemptResult(
        START, answer=0, end=end(Result.FAILED, reason=reason("not_undone", steps="link")), failed=failed, events=True
    )
    outcome = go(FRESH, result).outcome
    assert outcome.step == "start"
    assert "port in use" in said(outcome) and "Not undone: link." in said(outcome)


def test_run_that_died_between_steps_is_reported():
    outcome = go(TAKEN_OVER, AttemptResult(ATTACH, answer=0, end=end(Result.UNDONE), events=True)).outcome
    assert outcome.kind is OutcomeKind.UNDONE and "died" in said(outcome)


def test_missing_output_is_fetched_a_few_times():
    missing = AttemptResult(ATTACH, answer=0, end=end(Result.DONE, 100), events=True, output_missing=True)
    assert go(FRESH, missing).mode is ATTACH
    assert kind(go(FRESH, *[missing] * 5)) is OutcomeKind.DONE
    coming = AttemptResult(ATTACH, end=end(Result.DONE, 100), events=True, output=True, output_missing=True, error=LOST)
    assert go(FRESH, *[coming] * 50).mode is ATTACH


def test_broken_start_is_attached_to():
    assert go(FRESH, AttemptResult(START, error=LOST)).mode is ATTACH
    assert go(FRESH, AttemptResult(START, error=LOST), AttemptResult(ATTACH, error=AWAY, sent=False)).mode is ATTACH
    assert go(FRESH, AttemptResult(START, error=LOST, sent=False)).mode is START
    assert go(FRESH, AttemptResult(START, error=LOST), AttemptResult(ATTACH, answer=Answer.NO_RUN)).mode is START


def test_start_of_existing_run_attaches():
    assert go(FRESH, AttemptResult(START, answer=Answer.EXISTS)).mode is ATTACH


def test_begun_run_that_is_gone_is_not_restarted():
    begun = AttemptResult(START, error=LOST, events=True)
    assert kind(go(FRESH, begun, AttemptResult(ATTACH, answer=Answer.NO_RUN))) is OutcomeKind.UNKNOWN
    assert (
        kind(go(RunState(safe=False, begun=True), AttemptResult(ATTACH, answer=Answer.NO_RUN))) is OutcomeKind.UNKNOWN
    )


@pytest.mark.parametrize("state", [FRESH, TAKEN_OVER])
def test_lower_fence_is_lost(state):
    decision = go(state, AttemptResult(state.next_mode, answer=Answer.LOWER_FENCE, about="12"))
    assert decision.outcome.kind is OutcomeKind.LOST and decision.outcome.message.params == {"fence": "12"}


def test_busy_host_is_retried_then_left():
    busy = AttemptResult(START, answer=Answer.BUSY)
    assert (go(FRESH, busy).mode, go(FRESH, busy).pause > 0) == (START, True)
    decision = go(FRESH, busy, away=61)
    assert kind(decision) is OutcomeKind.NOT_STARTED and "Another run" in said(decision.outcome)
    assert kind(go(TAKEN_OVER, AttemptResult(ATTACH, answer=Answer.BUSY), away=61)) is OutcomeKind.UNKNOWN


@pytest.mark.parametrize("answer", [Answer.CANNOT_WRITE, Answer.NO_TOOL, Answer.UNSETTLED])
def test_refusing_host_changes_nothing(answer):
    decision = go(FRESH, AttemptResult(START, answer=answer, about="flock"))
    assert kind(decision) is OutcomeKind.NOT_STARTED
    text = said(decision.outcome)
    assert ("flock" in text) == (answer != Answer.CANNOT_WRITE) and "Nothing was changed" in text
    later = AttemptResult(ATTACH, answer=answer)
    assert go(TAKEN_OVER, later).mode is ATTACH
    assert kind(go(TAKEN_OVER, later, away=61)) is OutcomeKind.UNKNOWN


def test_unreachable_host_is_left_after_retries():
    away = AttemptResult(START, error=AWAY, sent=False)
    assert go(FRESH, away, away=5).mode is START
    assert kind(go(FRESH, away, away=11)) is OutcomeKind.NOT_STARTED
    assert go(TAKEN_OVER, away, away=11).mode is ATTACH
    assert kind(go(TAKEN_OVER, away, away=61)) is OutcomeKind.UNKNOWN


def test_pauses_between_attempts_grow():
    away = AttemptResult(ATTACH, error=AWAY, sent=False)
    pauses = [go(TAKEN_OVER, *[away] * count).pause for count in range(1, 8)]
    assert pauses == sorted(pauses) and pauses[0] <= 0.5 and pauses[-1] == 3.0


@pytest.mark.parametrize("error", [NO_KEY, AuthRefused(where="a", username="b", reason="c")])
def test_permanent_errors_are_not_retried(error):
    assert kind(go(FRESH, AttemptResult(START, error=error, sent=False))) is OutcomeKind.NOT_STARTED
    assert kind(go(TAKEN_OVER, AttemptResult(ATTACH, error=error, sent=False))) is OutcomeKind.UNKNOWN


def test_cut_package_is_resent_a_few_times():
    cut = AttemptResult(START, answer=0, end=end(Result.CUT), events=True)
    assert go(FRESH, cut).mode is START
    decision = go(FRESH, *[cut] * MAX_CUTS)
    assert kind(decision) is OutcomeKind.NOT_STARTED and "did not arrive whole" in said(decision.outcome)
    decision = go(FRESH, AttemptResult(START, answer=0, end=end(Result.CUT), events=True, problem="package_damaged"))
    assert kind(decision) is OutcomeKind.NOT_STARTED and "damaged" in said(decision.outcome)


def test_cancelled_run_is_not_begun():
    cancelled = RunState(safe=True, cancelled=True)
    assert go(cancelled, AttemptResult(START, left=True, events=True)).mode is ATTACH
    gone = AttemptResult(ATTACH, answer=Answer.NO_RUN)
    assert go(cancelled, gone).mode is ATTACH
    assert kind(go(cancelled, gone, gone, gone)) is OutcomeKind.CANCELLED
    assert (
        kind(go(cancelled, AttemptResult(ATTACH, answer=0, end=end(Result.CUT), events=True))) is OutcomeKind.CANCELLED
    )
    assert kind(go(cancelled, AttemptResult(START, answer=Answer.BUSY), away=61)) is OutcomeKind.CANCELLED


def test_refused_program_quotes_host():
    decision = go(RunState(safe=True, sudo=True), AttemptResult(START, answer=1, noise="sudo: a password is required"))
    assert kind(decision) is OutcomeKind.NOT_STARTED and "NOPASSWD" in said(decision.outcome)
    decision = go(FRESH, AttemptResult(START, answer=127, noise="sh: not found"))
    assert kind(decision) is OutcomeKind.NOT_STARTED and "127" in said(decision.outcome)


def test_killed_program_is_attached_to():
    assert go(FRESH, AttemptResult(START, answer=137)).mode is ATTACH
    assert go(FRESH, AttemptResult(START, answer=1, events=True)).mode is ATTACH
    assert (
        kind(go(FRESH, AttemptResult(START, answer=1, events=True), AttemptResult(ATTACH, answer=2), away=61))
        is OutcomeKind.UNKNOWN
    )


@pytest.mark.found("ssh")
def test_foreign_answer_is_not_believed():
    """A forced command may end with any status: 0, or those of our own answers."""
    for answer in [*Answer, 1, 2, 127]:
        decision = go(FRESH, AttemptResult(START, answer=answer, signed=False, noise="Welcome"))
        assert kind(decision) is OutcomeKind.NOT_STARTED and "Something else ran" in said(decision.outcome)
        assert "Welcome" in said(decision.outcome)
        begun = go(
            FRESH, AttemptResult(START, answer=137, events=True), AttemptResult(ATTACH, answer=answer, signed=False)
        )
        assert begun.mode is ATTACH, "what was begun may be under way"


@pytest.mark.found("ssh")
def test_missing_algorithm_is_not_retried():
    error = NoCommonAlgorithm(where="a", gaps="no cipher", remedy="Let it allow y.")
    decision = go(FRESH, AttemptResult(START, error=error, sent=False))
    assert kind(decision) is OutcomeKind.NOT_STARTED
    assert "no cipher" in said(decision.outcome) and english(decision.outcome.message, hint) == "Let it allow y."


RESULTS = st.none() | st.sampled_from(list(Result)).map(end)
ANSWERS = st.sampled_from([*Answer, 1, 2, 126, 127, 137, 255])


@st.composite
def attempts(draw):
    """Return what a host may answer, in any order and however wrong."""
    error = draw(st.sampled_from([None, LOST, AWAY, NO_KEY]))
    events = draw(st.booleans())
    return {
        "answer": None if error else draw(ANSWERS),
        "error": error,
        "end": draw(RESULTS) if events else None,
        "events": events,
        "signed": events or draw(st.booleans()),
        "sent": draw(st.booleans()) or events or not error,
        "output_missing": draw(st.booleans()),
        "output": draw(st.booleans()),
    }


@given(st.lists(attempts(), max_size=30), st.booleans(), st.sampled_from([0.0, 5.0, 30.0, 70.0]))
def test_possibly_begun_run_is_never_restarted(told, fresh, away):
    """The only licence to start again is the host's own: that there is no such run, or that it was cut."""
    state, mode, may_have_begun = RunState(safe=fresh), START if fresh else ATTACH, not fresh
    for one in told:
        result = AttemptResult(mode, **one)
        assert not (mode is START and may_have_begun)
        was_cut = result.end is not None and result.end.result is Result.CUT
        answer = result.answer if result.signed else None
        if was_cut or (answer == Answer.NO_RUN and not result.events and not state.begun):
            may_have_begun = False
        elif result.events or answer == Answer.EXISTS or (mode is START and result.sent and result.answer is None):
            may_have_begun = True
        state = state.after(result, away)
        decision = decide(state, result)
        if decision.outcome is not None:
            assert not (decision.outcome.kind is OutcomeKind.NOT_STARTED and may_have_begun)
            return
        mode = decision.mode


@given(attempts(), st.booleans())
def test_every_run_reaches_an_outcome(attempt, fresh):
    state = RunState(safe=fresh)
    for _ in range(MAX_ATTEMPTS + 2):
        result = AttemptResult(state.next_mode, **{**attempt, "output": False})
        state = state.after(result, 0.0)
        if decide(state, result).outcome is not None:
            return
    raise AssertionError("it would go on for ever")


def test_outcome_repr():
    assert Outcome(OutcomeKind.DONE) == Outcome(OutcomeKind("done"), "", None)
