"""Plans: the steps of each action on a host, without a host."""

from dataclasses import replace

import pytest

from deployer.engine.atom import Atom, ServiceSpec, StepKind, Target
from deployer.engine.errors import InvalidDefinition
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


IMAGES = {"old_image": f"r.example/web@sha256:{'1' * 64}", "new_image": f"r.example:5000/web@sha256:{'2' * 64}"}


@pytest.mark.parametrize("action", ["install", "upgrade", "revert"])
def test_image_is_pulled_before_anything_of_the_service_runs(action):
    old = None if action == "install" else "v1"
    atom = plan(FULL, TARGET, action, old, "v2", sha256=SHA, **IMAGES)
    kinds = [step.kind for step in atom.steps]
    assert kinds[:4] == [StepKind.PREPARE, StepKind.UPLOAD, StepKind.UNPACK, StepKind.PULL]
    assert kinds.count(StepKind.PULL) == 1 and atom.pulls
    assert IMAGES["new_image"] in atom.describe()[3]["what"]
    assert Atom.from_json(atom.to_json()) == atom
    assert not plan(FULL, TARGET, action, old, "v2", sha256=SHA, old_image=IMAGES["old_image"]).pulls


def test_adopt_and_delete_pull_nothing():
    assert not plan(FULL, TARGET, "install", None, "v2", adopt=True, **IMAGES).pulls
    atom = plan(FULL, TARGET, "delete", "v1", None, old_image=IMAGES["old_image"])
    assert not atom.pulls and (atom.old_image, atom.new_image) == (IMAGES["old_image"], "")


@pytest.mark.parametrize("image", ["web:1", "r/web@sha256:1", f"-r/web@sha256:{'1' * 64}", f"r/w'eb@sha256:{'1' * 64}"])
def test_refuses_what_is_no_image_by_its_digest(image):
    with pytest.raises(ValueError, match="by its digest"):
        plan(FULL, TARGET, "install", None, "v2", sha256=SHA, new_image=image)


@pytest.mark.parametrize("name", ["IMAGE", "INSTANCE"])
def test_names_that_came_later(name):
    """Refused where a service is saved; one that was saved before keeps its own, but for the image of a version."""
    with pytest.raises(InvalidDefinition):
        check_environment({name: "mine"})
    spec = replace(FULL, environment={name: "mine"})
    assert plan(spec, TARGET, "install", None, "v2", sha256=SHA).environment[name] == "mine"
    kept = plan(spec, TARGET, "install", None, "v2", sha256=SHA, **IMAGES).environment.get(name)
    assert kept == ("mine" if name == "INSTANCE" else None)


def test_own_step_called_pull():
    step = {"name": "pull", "before": "stop", "run": ":"}
    with pytest.raises(InvalidDefinition):
        check_steps([step])
    spec = replace(FULL, steps=[step])
    assert not plan(spec, TARGET, "install", None, "v2", sha256=SHA).pulls
    with pytest.raises(InvalidDefinition):
        plan(spec, TARGET, "install", None, "v2", sha256=SHA, **IMAGES)
