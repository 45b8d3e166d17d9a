"""Atoms as data."""

import json
from pathlib import Path

import pytest

from deployer.engine.atom import Atom
from tests.engine.host import Host

pytestmark = pytest.mark.pure


def atom(tmp_path: Path, action: str = "upgrade") -> Atom:
    own = [{"name": "migrate", "before": "stop", "run": "up", "check": "look"}]
    return Host(tmp_path).run(action, "v1", "v2", pre="a", pre_undo="b", steps=own, environment={"A": "é\n'"}).atom


def test_atom_json_round_trip(tmp_path):
    before = atom(tmp_path)
    assert Atom.from_json(json.loads(json.dumps(before.to_json()))) == before


def test_atom_ignores_unknown_keys(tmp_path):
    before = atom(tmp_path)
    data = before.to_json()
    data["later"] = data["steps"][0]["later"] = 1
    assert Atom.from_json(data) == before


def test_preview_shows_commands_and_missing_undo(tmp_path):
    described = {step["name"]: step for step in atom(tmp_path).describe()}
    assert described["migrate"] == {
        "name": "migrate",
        "what": "the service's own step before stop",
        "command": "up",
        "undo": "",
        "check": "look",
        "undoable": False,
    }
    assert described["pre"]["undo"] == "b" and described["pre"]["undoable"]


def test_only_revert_asks_before_sending(tmp_path):
    assert atom(tmp_path / "a").likely_needs_package
    revert = atom(tmp_path / "b", "revert")
    assert revert.needs_package and not revert.likely_needs_package
