"""Plans: the steps of each action on a host, without a host."""

import pytest

from deployer.engine.atom import ServiceSpec, Target
from deployer.engine.plans import plan
from deployer.engine.spec import check_environment, check_limits, check_steps

pytestmark = pytest.mark.pure

TARGET = Target("h", "127.0.0.1", "/srv/", 80, "blue", 50, 7)
SHA = "0a" * 32
FULL = ServiceSpec(
    "shop",
    "start",
    "stop",
    "check",
    pre="pre",
    pre_undo="unpre",
    post="post",
    steps=[
        {"name": "late", "before": "post", "run": "late"},
        {"name": "migrate", "before": "stop", "run": "up", "undo": "down"},
        {"name": "second", "before": "stop", "run": "up"},
    ],
)


def names(spec, action, old, new, **more) -> str:
    return " ".join(step.name for step in plan(spec, TARGET, action, old, new, sha256=SHA, **more).steps)


@pytest.mark.parametrize(
    "action, old, new, expected",
    [
        ("upgrade", "v1", "v2", "prepare upload unpack pre migrate second stop link start check late post prune"),
        ("revert", "v2", "v1", "prepare upload unpack pre migrate second stop link start check late post prune"),
        ("install", None, "v1", "prepare upload unpack pre migrate second link start check late post prune"),
        ("delete", "v1", None, "prepare pre stop unlink remove post"),
        ("delete", None, None, "prepare pre unlink remove post"),
    ],
)
def test_steps_of_each_action(action, old, new, expected):
    assert names(FULL, action, old, new) == expected


def test_adopting_plan_only_checks():
    assert names(FULL, "install", None, "v1", adopt=True) == "prepare check"


def test_steps_without_command_are_omitted():
    assert names(ServiceSpec("shop"), "upgrade", "v1", "v2") == "prepare upload unpack link prune"


def test_commands_get_version_and_paths():
    atom = plan(FULL, TARGET, "upgrade", "v1", "v2", sha256=SHA, size=9)
    assert atom.directory == "/srv/shop"
    assert atom.environment == {
        "SERVICE": "shop",
        "HOST": "h",
        "PORT": "80",
        "TAG": "blue",
        "WEIGHT": "50",
        "INSTANCE": "7",
    }
    acts = {step.name: (step.acts, step.undo_acts) for step in atom.steps}
    assert acts["stop"] == ("old", "old") and acts["start"] == ("new", "new") and acts["migrate"] == ("new", "old")


def test_undo_without_stop_command_starts_old_version():
    atom = plan(ServiceSpec("shop", start="restart", check="look"), TARGET, "upgrade", "v1", "v2", sha256=SHA)
    undo = {step.name: (step.undo, step.undo_check, step.undo_timeout) for step in atom.steps}
    assert undo["link"] == ("restart", "look", 60)
    assert undo["start"] == ("", "", 0)


@pytest.mark.parametrize(
    "arguments",
    [
        ("retry", "v1", "v2"),
        ("upgrade", "v1", None),
        ("upgrade", "v1", "../v2"),
        ("upgrade", "v1", "-v2"),
        ("install", None, "a/b"),
        ("install", None, "a\nb"),
        ("install", None, "a b"),
    ],
)
def test_rejects_impossible_plan(arguments):
    with pytest.raises(ValueError):
        plan(FULL, TARGET, *arguments, sha256=SHA)


def test_rejects_missing_hash_and_relative_path():
    with pytest.raises(ValueError, match="sha256"):
        plan(FULL, TARGET, "upgrade", "v1", "v2")
    with pytest.raises(ValueError, match="absolute"):
        plan(FULL, Target("h", "127.0.0.1", "srv"), "upgrade", "v1", "v2", sha256=SHA)


GOOD = {"name": "a", "before": "stop", "run": "x"}


@pytest.mark.parametrize(
    "steps, code",
    [
        ({}, "steps_not_list"),
        (["x"], "step_keys"),
        ([{**GOOD, "then": 1}], "step_keys"),
        ([{**GOOD, "name": "a b"}], "step_name"),
        ([{**GOOD, "name": 7}], "step_name"),
        ([{**GOOD, "name": "stop"}], "step_repeated"),
        ([GOOD, GOOD], "step_repeated"),
        ([{**GOOD, "before": "unpack"}], "step_before"),
        ([{**GOOD, "run": ""}], "step_without_run"),
        ([{**GOOD, "undo": ["x"]}], "step_command"),
        ([{**GOOD, "check": "a\0"}], "step_command"),
    ],
)
def test_rejects_invalid_step(steps, code):
    with pytest.raises(ValueError, match=code):
        check_steps(steps)


@pytest.mark.parametrize(
    "environment",
    [
        [],
        {"1A": "x"},
        {"A B": "x"},
        {"": "x"},
        {"A": 1},
        {"A": "\0"},
        {"VERSION": "x"},
        {"_MODE": "x"},
        {"A\n": "x"},
    ],
)
def test_rejects_invalid_environment(environment):
    with pytest.raises(ValueError):
        check_environment(environment)


@pytest.mark.parametrize(
    "limits",
    [
        [],
        {"no": 1},
        {"step_timeout": 0},
        {"step_timeout": "1"},
        {"step_timeout": True},
        {"output_head": 1},
        {"check_passes": 0},
        {"idle_timeout": -1},
        {"step_timeout": 1.5},
    ],
)
def test_rejects_invalid_limit(limits):
    with pytest.raises(ValueError):
        check_limits(limits)


def test_good_definitions_pass():
    check_steps([GOOD, {**GOOD, "name": "b-2", "undo": "", "check": "y"}])
    check_environment({"A": "", "b_2": "é\n"})
    check_limits({"step_timeout": 1, "idle_timeout": 0, "output_head": 65536})
