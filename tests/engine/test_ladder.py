"""What comes next after each answer of a host: every rung, without a host."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.engine.decisions import MOST_CUTS, MOST_ROUNDS, Heard, Mode, Move, Outcome, OutcomeKind, Tale, next_move
from deployer.engine.errors import AuthRefused, ConnectionLost, KeyChanged, NoCommonAlgorithm, Unreachable
from deployer.engine.journal import JournalEvent, Kind, Result
from deployer.engine.program import Answer

START, ATTACH = Mode.START, Mode.ATTACH
LOST = ConnectionLost(where="a", reason="b")
AWAY = Unreachable(where="a", reason="b")
NO_KEY = KeyChanged(where="a", pinned="b", offered="c")


def end(result: Result, size: int = 0, detail: str = "") -> JournalEvent:
    return JournalEvent(9, 1.0, Kind.END, result=result, output_size=size, detail=detail)


def go(tale: Tale, *heard: Heard, away: float = 0.0) -> Move:
    """The move after these visits."""
    for each in heard:
        tale = tale.after(each, away)
        move = next_move(tale, each)
    return move


def kind(move: Move) -> OutcomeKind | None:
    return move.outcome.kind if move.outcome else None


FRESH, TAKEN_OVER = Tale(safe=True), Tale(safe=False)


def test_a_run_that_nobody_tried_is_started_and_any_other_attached_to():
    assert (FRESH.next_mode, TAKEN_OVER.next_mode) == (START, ATTACH)


@pytest.mark.parametrize("result", [Result.DONE, Result.UNDONE, Result.CANCELLED, Result.FAILED])
@pytest.mark.parametrize("mode", [START, ATTACH])
def test_an_end_is_the_outcome_whoever_hears_it_and_however_the_line_ends(result, mode):
    for rest in ({"answer": 0}, {"error": LOST}, {}):
        move = go(TAKEN_OVER, Heard(mode, end=end(result), events=True, **rest))
        assert kind(move) == OutcomeKind(result.value)


@pytest.mark.found("output")
@pytest.mark.parametrize(
    ("detail", "told"),
    [
        ("exit status 7: no such port", "start failed with exit status 7: no such port"),
        ("exit status 7", "start failed with exit status 7."),
        ("exit status 7, and its check does not pass", "start failed: exit status 7, and its check does not pass"),
        ("exit status 77: odd", "start failed with exit status 7: exit status 77: odd"),
        (
            "not passed in 20 s; exit status 7: no",
            "start failed with exit status 7: not passed in 20 s; exit status 7: no",
        ),
    ],
)
def test_the_exit_status_is_said_once(detail, told):
    failed = JournalEvent(4, 1.0, Kind.FAILED, position=6, step="start", exit_status=7, detail=detail)
    heard = Heard(START, answer=0, end=end(Result.FAILED, detail=""), failed=failed, events=True)
    assert go(FRESH, heard).outcome.error == told


def test_the_step_that_failed_is_named_with_its_words_and_what_is_left():
    failed = JournalEvent(4, 1.0, Kind.FAILED, position=6, step="start", exit_status=3, detail="port in use")
    heard = Heard(START, answer=0, end=end(Result.FAILED, detail="not undone: link"), failed=failed, events=True)
    outcome = go(FRESH, heard).outcome
    assert outcome.step == "start"
    assert "port in use" in outcome.error and "not undone: link" in outcome.error and "3" in outcome.error


def test_a_run_that_died_between_two_steps_says_so():
    outcome = go(TAKEN_OVER, Heard(ATTACH, answer=0, end=end(Result.UNDONE), events=True)).outcome
    assert outcome.kind is OutcomeKind.UNDONE and "died" in outcome.error


def test_output_that_is_missing_is_fetched_but_not_for_ever():
    missing = Heard(ATTACH, answer=0, end=end(Result.DONE, 100), events=True, output_missing=True)
    assert go(FRESH, missing).mode is ATTACH
    assert kind(go(FRESH, *[missing] * 5)) is OutcomeKind.DONE
    coming = Heard(ATTACH, end=end(Result.DONE, 100), events=True, output=True, output_missing=True, error=LOST)
    assert go(FRESH, *[coming] * 50).mode is ATTACH


def test_a_start_whose_line_broke_is_attached_to_and_never_started_again_unasked():
    assert go(FRESH, Heard(START, error=LOST)).mode is ATTACH
    assert go(FRESH, Heard(START, error=LOST), Heard(ATTACH, error=AWAY, sent=False)).mode is ATTACH
    assert go(FRESH, Heard(START, error=LOST, sent=False)).mode is START
    assert go(FRESH, Heard(START, error=LOST), Heard(ATTACH, answer=Answer.NO_RUN)).mode is START


def test_a_start_that_finds_its_run_there_attaches_to_it():
    assert go(FRESH, Heard(START, answer=Answer.EXISTS)).mode is ATTACH


def test_a_run_that_the_host_had_begun_and_no_longer_knows_is_not_begun_again():
    begun = Heard(START, error=LOST, events=True)
    assert kind(go(FRESH, begun, Heard(ATTACH, answer=Answer.NO_RUN))) is OutcomeKind.UNKNOWN
    assert kind(go(Tale(safe=False, begun=True), Heard(ATTACH, answer=Answer.NO_RUN))) is OutcomeKind.UNKNOWN


@pytest.mark.parametrize("tale", [FRESH, TAKEN_OVER])
def test_a_lower_fence_ends_it_as_lost_and_tells_the_hosts_own(tale):
    move = go(tale, Heard(tale.next_mode, answer=Answer.LOWER_FENCE, host_fence=12))
    assert (move.outcome.kind, move.outcome.host_fence) == (OutcomeKind.LOST, 12)


def test_a_busy_host_is_waited_for_and_then_left_with_nothing_changed():
    busy = Heard(START, answer=Answer.BUSY)
    assert (go(FRESH, busy).mode, go(FRESH, busy).pause > 0) == (START, True)
    move = go(FRESH, busy, away=61)
    assert kind(move) is OutcomeKind.NOT_STARTED and "Another run" in move.outcome.error
    assert kind(go(TAKEN_OVER, Heard(ATTACH, answer=Answer.BUSY), away=61)) is OutcomeKind.UNKNOWN


@pytest.mark.parametrize("answer", [Answer.CANNOT_WRITE, Answer.NO_TOOL, Answer.UNSETTLED])
def test_a_host_that_cannot_begin_says_why_and_nothing_was_changed(answer):
    move = go(FRESH, Heard(START, answer=answer, noise="this host has no flock"))
    assert kind(move) is OutcomeKind.NOT_STARTED
    assert "this host has no flock" in move.outcome.error and "Nothing was changed" in move.outcome.error
    later = Heard(ATTACH, answer=answer)
    assert go(TAKEN_OVER, later).mode is ATTACH
    assert kind(go(TAKEN_OVER, later, away=61)) is OutcomeKind.UNKNOWN


def test_a_host_that_was_never_reached_is_left_after_a_few_tries_with_nothing_changed():
    away = Heard(START, error=AWAY, sent=False)
    assert go(FRESH, away, away=5).mode is START
    assert kind(go(FRESH, away, away=11)) is OutcomeKind.NOT_STARTED
    assert go(TAKEN_OVER, away, away=11).mode is ATTACH
    assert kind(go(TAKEN_OVER, away, away=61)) is OutcomeKind.UNKNOWN


def test_tries_are_made_after_growing_pauses():
    away = Heard(ATTACH, error=AWAY, sent=False)
    pauses = [go(TAKEN_OVER, *[away] * count).pause for count in range(1, 8)]
    assert pauses == sorted(pauses) and pauses[0] <= 0.5 and pauses[-1] == 3.0


@pytest.mark.parametrize("error", [NO_KEY, AuthRefused(where="a", username="b", reason="c")])
def test_what_time_does_not_heal_is_not_tried_again(error):
    assert kind(go(FRESH, Heard(START, error=error, sent=False))) is OutcomeKind.NOT_STARTED
    assert kind(go(TAKEN_OVER, Heard(ATTACH, error=error, sent=False))) is OutcomeKind.UNKNOWN


def test_a_package_that_was_cut_is_sent_again_a_few_times():
    cut = Heard(START, answer=0, end=end(Result.CUT), events=True)
    assert go(FRESH, cut).mode is START
    move = go(FRESH, *[cut] * MOST_CUTS)
    assert kind(move) is OutcomeKind.NOT_STARTED and "did not arrive whole" in move.outcome.error
    move = go(FRESH, Heard(START, answer=0, end=end(Result.CUT), events=True, problem="The package is damaged."))
    assert kind(move) is OutcomeKind.NOT_STARTED and "damaged" in move.outcome.error


def test_a_cancelled_run_is_left_and_attached_to_and_is_not_begun():
    cancelled = Tale(safe=True, cancelled=True)
    assert go(cancelled, Heard(START, left=True, events=True)).mode is ATTACH
    gone = Heard(ATTACH, answer=Answer.NO_RUN)
    assert go(cancelled, gone).mode is ATTACH
    assert kind(go(cancelled, gone, gone, gone)) is OutcomeKind.CANCELLED
    assert kind(go(cancelled, Heard(ATTACH, answer=0, end=end(Result.CUT), events=True))) is OutcomeKind.CANCELLED
    assert kind(go(cancelled, Heard(START, answer=Answer.BUSY), away=61)) is OutcomeKind.CANCELLED


def test_a_program_that_sudo_or_the_shell_did_not_run_is_told_with_its_words():
    move = go(Tale(safe=True, sudo=True), Heard(START, answer=1, noise="sudo: a password is required"))
    assert kind(move) is OutcomeKind.NOT_STARTED and "NOPASSWD" in move.outcome.error
    move = go(FRESH, Heard(START, answer=127, noise="sh: not found"))
    assert kind(move) is OutcomeKind.NOT_STARTED and "127" in move.outcome.error


def test_a_program_that_was_killed_is_asked_after():
    assert go(FRESH, Heard(START, answer=137)).mode is ATTACH
    assert go(FRESH, Heard(START, answer=1, events=True)).mode is ATTACH
    assert kind(go(FRESH, Heard(START, answer=1, events=True), Heard(ATTACH, answer=2), away=61)) is OutcomeKind.UNKNOWN


@pytest.mark.found("ssh")
def test_an_answer_that_is_not_our_programs_is_told_at_once_and_believed_in_nothing():
    """A forced command may end with any status: 0, or those of our own answers."""
    for answer in [*Answer, 1, 2, 127]:
        move = go(FRESH, Heard(START, answer=answer, signed=False, noise="Welcome"))
        assert kind(move) is OutcomeKind.NOT_STARTED and "Something else ran" in move.outcome.error
        assert "Welcome" in move.outcome.error and move.outcome.host_fence is None
        begun = go(FRESH, Heard(START, answer=137, events=True), Heard(ATTACH, answer=answer, signed=False))
        assert begun.mode is ATTACH, "what was begun may be under way"


@pytest.mark.found("ssh")
def test_a_host_without_a_common_algorithm_is_not_tried_again():
    error = NoCommonAlgorithm(where="a", gaps="no cipher (it has x; we have y)", hint="Let it allow y (Ciphers).")
    move = go(FRESH, Heard(START, error=error, sent=False))
    assert kind(move) is OutcomeKind.NOT_STARTED
    assert "no cipher (it has x; we have y)" in move.outcome.error and "(Ciphers)" in move.outcome.error


RESULTS = st.none() | st.sampled_from(list(Result)).map(end)
ANSWERS = st.sampled_from([*Answer, 1, 2, 126, 127, 137, 255])


@st.composite
def visits(draw):
    """What a host may bring, in any order and however mad."""
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


@given(st.lists(visits(), max_size=30), st.booleans(), st.sampled_from([0.0, 5.0, 30.0, 70.0]))
def test_whatever_a_host_says_a_run_that_may_have_begun_is_never_started_nor_called_untouched(told, fresh, away):
    """The only licence to start again is the host's own: that there is no such run, or that it was cut."""
    tale, mode, may_have_begun = Tale(safe=fresh), START if fresh else ATTACH, not fresh
    for one in told:
        heard = Heard(mode, **one)
        assert not (mode is START and may_have_begun)
        was_cut = heard.end is not None and heard.end.result is Result.CUT
        answer = heard.answer if heard.signed else None
        if was_cut or (answer == Answer.NO_RUN and not heard.events and not tale.begun):
            may_have_begun = False
        elif heard.events or answer == Answer.EXISTS or (mode is START and heard.sent and heard.answer is None):
            may_have_begun = True
        tale = tale.after(heard, away)
        move = next_move(tale, heard)
        if move.outcome is not None:
            assert not (move.outcome.kind is OutcomeKind.NOT_STARTED and may_have_begun)
            return
        mode = move.mode


@given(visits(), st.booleans())
def test_every_story_has_an_end(visit, fresh):
    tale = Tale(safe=fresh)
    for _ in range(MOST_ROUNDS + 2):
        heard = Heard(tale.next_mode, **{**visit, "output": False})
        tale = tale.after(heard, 0.0)
        if next_move(tale, heard).outcome is not None:
            return
    raise AssertionError("it would go on for ever")


def test_an_outcome_shows_what_it_is():
    assert Outcome(OutcomeKind.DONE) == Outcome(OutcomeKind("done"), "", "", None)
