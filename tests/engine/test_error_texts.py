"""Every code, error, reason and decision has a text that names only what it is given."""

import re
from itertools import product
from pathlib import Path
from string import Formatter

import pytest

from deployer.engine import decisions, errors, step_reasons
from deployer.engine.codes import PREFIX, Code, plain, sentence
from deployer.engine.decisions import Outcome, decide
from deployer.engine.journal import JournalEvent, Kind, Result
from deployer.engine.program import Answer
from deployer.engine.run_state import AttemptResult, Mode, RunState
from deployer.engine.ssh import algorithms, key_text
from messages import Message
from messages.rendering import cause, english, hint
from messages.texts import TEXTS

pytestmark = pytest.mark.pure

ENGINE = Path(decisions.__file__).parent
WIRE_ERRORS = sorted(errors.WireError.__subclasses__(), key=lambda error: error.__name__)
# Said as they are, or where the error itself says all that is known of the cause.
WITHOUT_CAUSE = {Code.STEP_FAILED, Code.CANCELLED, Code.OTHER}


def places(text) -> set[str]:
    """Return the parameters that a text names."""
    return {name for _, name, _, _ in Formatter().parse(str(text)) if name}


@pytest.mark.parametrize("code", Code)
def test_every_code_has_text_hint_and_cause(code):
    text = TEXTS[f"{PREFIX}{code}"]
    assert text.says and text.hint
    assert bool(text.cause) == (code not in WITHOUT_CAUSE)
    assert not places(text.cause), "the cause of an older row has no parameters"


@pytest.mark.parametrize("error", WIRE_ERRORS)
def test_connection_errors_fill_their_texts(error):
    text = TEXTS[f"{PREFIX}{error.code}"]
    assert places(text.says) | places(text.hint) <= set(error.required)


def raised_reasons() -> set[str]:
    """Return the names of reasons that the engine's code gives."""
    code = "".join(path.read_text() for path in ENGINE.rglob("*.py"))
    named = re.findall(r'(?:\breason|DoesNotFit|BadCredential)\(\s*"([a-z0-9_]+)"', code)
    named += re.findall(r'reason\("(\w+)" if \w+ else "(\w+)"\)', code)[0]
    named += re.findall(r'(?:problem =|return|else) "(package_\w+)"', code)
    return {*named, *(what for _, what, _ in key_text._OTHERS)}


def test_reasons_match_texts():
    used = raised_reasons() | set(step_reasons.REASONS) | {"with_output", "several", "host_given_away"}
    assert {f"reason.{name}" for name in used} == {code for code in TEXTS if code.startswith("reason.")}


def test_runner_reasons_match_table():
    """With as many values as the table names, and nothing in the table that no script sends."""
    scripts = "\n".join(path.read_text() for path in (ENGINE / "runner").glob("*.sh"))
    sent: dict[str, set[int]] = {}
    value = r'\$\(\(.*?\)\)|"(?:[^" ]|# |"\$_DIR/")*"'
    for name, values in re.findall(rf"\b(?:_reason|_note) ([a-z]\w+)((?: +(?:{value}))*)", scripts):
        sent.setdefault(name, set()).add(len(re.findall(value, values)))
    for name in re.findall(r"_detail=([a-z_]{4,})", scripts) + re.findall(r"sure ([a-z_]+)$", scripts, re.MULTILINE):
        sent.setdefault(name, set()).add(0)
    for name in re.findall(r'"([a-z_]+)\$_RS', scripts):
        sent.setdefault(name, set()).add(1)
    for text in re.findall(r"printf '\\t([^']*)'", scripts):
        name, *values = text.split("\\036")
        for one in ("no_interpreter", "crlf_script") if name == "%s" else (name,):
            sent.setdefault(one, set()).add(len(values))
    assert sent == {name: {len(values)} for name, values in step_reasons.REASONS.items()}


@pytest.mark.parametrize("name", step_reasons.REASONS)
def test_runner_reasons_fill_their_texts(name):
    names = step_reasons.REASONS[name]
    assert places(TEXTS[f"reason.{name}"].says) <= set(names)
    message = step_reasons.parse(step_reasons.VALUE.join((name, *names)))
    assert message == Message(f"reason.{name}", {each: each for each in names})


def test_algorithm_lists_and_remedies_have_texts():
    assert {f"gap.{name}" for name in algorithms.OPTIONS} == {code for code in TEXTS if code.startswith("gap.")}
    code = "".join(path.read_text() for path in (ENGINE / "ssh").glob("*.py")) + (ENGINE / "errors.py").read_text()
    named = {code.removeprefix("remedy.") for code in TEXTS if code.startswith("remedy.")}
    assert all(re.search(rf'"(?:remedy\.)?{name}"', code) for name in named)
    assert {remedy for _, _, remedy in key_text._OTHERS} <= named


def test_every_host_check_has_a_text():
    named = set(re.findall(r'_check\("(\w+)"', (ENGINE / "probe.py").read_text()))
    assert {f"host_check.{name}" for name in named} == {code for code in TEXTS if code.startswith("host_check.")}


def end(result: Result, reason: Message | None = None) -> JournalEvent:
    return JournalEvent(9, 1.0, Kind.END, result=result, output_size=0, reason=reason)


def example(error: type[errors.WireError]) -> errors.WireError:
    if error is errors.DoesNotFit:
        return error("restarts")
    return error("dsa_key") if error is errors.BadCredential else error(**dict.fromkeys(error.required, "x"))


def outcomes() -> list[Outcome]:
    """Return the decision after every answer, loss and end, in every state of a run."""
    states = [
        RunState(safe=safe, begun=begun, cancelled=cancelled, out_of_touch=99, cuts=9, no_runs=3, fetches=9, attempts=n)
        for safe, begun, cancelled, n in product((True, False), (True, False), (True, False), (1, 999))
    ]
    failed = JournalEvent(4, 1.0, Kind.FAILED, position=6, step="start", reason=Message("reason.no_room"))
    results = [
        AttemptResult(Mode.START, answer=answer, signed=s) for answer in (*Answer, 1, 137) for s in (True, False)
    ]
    results += [AttemptResult(Mode.START, error=example(error)) for error in WIRE_ERRORS]
    results += [AttemptResult(Mode.START, answer=0, noise="sudo: a password is required", signed=False)]
    left = (None, Message("reason.not_undone", {"steps": "x"}), Message("reason.left_on_host", {"paths": "x"}))
    results += [
        AttemptResult(Mode.START, answer=0, events=True, end=end(result, reason), failed=one, problem=problem)
        for result in Result
        for reason in left
        for one in (None, failed, *(JournalEvent(4, 1.0, Kind.FAILED, step="x", code=code) for code in Code))
        for problem in ("", "package_damaged")
    ]
    decided = (decide(state, result).outcome for state in states for result in results)
    return [outcome for outcome in decided if outcome is not None]


def test_decisions_fill_their_texts():
    """A parameter that is missing would show as {name}."""
    for outcome in outcomes():
        if outcome.message is None:
            assert outcome.kind in (decisions.OutcomeKind.DONE, decisions.OutcomeKind.CANCELLED)
            continue
        texts = english(sentence(outcome.message)), english(outcome.message, hint), english(outcome.message, cause)
        assert all(texts[:2]) and not any(re.search(r"\{\w+\}|\b(?:reason|operation)\.\w", text) for text in texts), (
            texts
        )


def test_log_names_code_and_parameters():
    lost = errors.ConnectionLost(where="h:22", reason=Message("reason.silent", {"seconds": 20}))
    assert str(lost) == plain(lost.message) == "connection_lost (where=h:22, reason=silent (seconds=20))"
