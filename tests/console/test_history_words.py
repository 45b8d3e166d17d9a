"""The history in words: every field that any code records, and every kind of value."""

import ast
from pathlib import Path

import pytest
from django.db.models import BooleanField
from django.utils import translation

from access.models import Team
from api.resources import teams as team_api
from api.resources import users as user_api
from asset import credentials, environments, host_groups, validation
from asset.models import Asset, Credential, Environment, HostGroup
from audit.models import History
from callbacks.models import Callback
from console import history_words
from console.history_fields import DEEDS, FLAGS, LABELS
from console.queries import history
from microservice import instances
from microservice.catalog import services, versions
from microservice.deployments import freeze_changes
from microservice.models import Deployment, Freeze, MicroService, MicroServiceInstance, MicroServiceVersion

ROOT = Path(__file__).parents[2]
APPS = ("access", "api", "asset", "audit", "builds", "callbacks", "console", "integrations", "microservice", "worker")
RECORDERS = {"record", "record_alike", "row_of", "record_event"}
# What each model's history may name, by where its writers keep their lists.
SECRETS = ("secrets", "build_secrets", "build_password", "build_key")
OF_MODELS = {
    "service": (MicroService, [*services.SERVICE_FIELDS, "team", *SECRETS]),
    "version": (MicroServiceVersion, [*versions.VERSION_FIELDS, *versions.VERSION_CHANGES]),
    "instance": (MicroServiceInstance, instances.FIELDS),
    "host": (Asset, validation.FIELDS),
    "environment": (Environment, environments.FIELDS),
    "freeze": (Freeze, freeze_changes.FIELDS),
    "host_group": (HostGroup, host_groups.FIELDS),
    "credential": (Credential, credentials.FIELDS),
    "callback": (Callback, ["url", "events", "active", "secret", "headers"]),
    "deployment": (Deployment, ["note"]),
    "team": (Team, list(team_api.TeamCreate.model_fields)),
    "user": (None, list(user_api.UserCreate.model_fields)),
}


def recorded() -> set[str]:
    """Return the names of fields that calls of the recorders spell, and those of the dictionaries they are given."""
    names: set[str] = set()
    for path in (path for app in APPS for path in (ROOT / app).rglob("*.py")):
        tree = ast.parse(path.read_text())
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node.func) in RECORDERS]
        inside = [node for call in calls for node in ast.walk(call)]
        given = {node.id for node in inside if isinstance(node, ast.Name)} & {"before", "after"}
        dicts = [node for node in inside if isinstance(node, ast.Dict)]
        for node in ast.walk(tree) if given else ():
            if isinstance(node, ast.Assign) and any(_targets(node) & given):
                dicts += [one for one in ast.walk(node.value) if isinstance(one, ast.Dict)]
        names |= {key.value for one in dicts for key in one.keys if isinstance(key, ast.Constant)}
    return names


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _targets(node: ast.Assign) -> set[str]:
    parts = [part for target in node.targets for part in ast.walk(target)]
    return {part.id for part in parts if isinstance(part, ast.Name)}


def said(subject: str, before, after, action="change", names=None) -> list[str]:
    row = History(subject=subject, action=action, before=before, after=after)
    return history_words.sentences(row, names or {}) or [history_words.deed(row)]


def test_every_recorded_field_has_words():
    known = LABELS.keys() | {name.split()[0] for name in FLAGS}
    found = recorded()
    assert {"version", "is_maintain", "fingerprint", "hostnames", "delete_attempts"} <= found, "the calls are read"
    assert found | {name for _, names in OF_MODELS.values() for name in names} <= known
    assert set(history.ACTIONS) <= DEEDS.keys()


@pytest.mark.parametrize("subject", OF_MODELS)
def test_every_field_of_every_model_is_a_sentence(subject):
    model, names = OF_MODELS[subject]
    flags = {field.name for field in model._meta.fields if isinstance(field, BooleanField)} if model else set()
    flags |= {"admin", "active"} if subject == "user" else set()
    for name in names:
        values = ((True, False), (False, True)) if name in flags else (("a", "b"), (None, "b"), ("a", None), ([1], [2]))
        for old, new in values:
            with translation.override("en"):
                (sentence, *_) = said(subject, {name: old}, {name: new})
            words = sentence.split()
            assert not {"True", "False", "None", "→"} & set(words) and "_" not in sentence, (name, sentence)
            assert len(words) > 1 or name in flags, (name, sentence)


@pytest.mark.parametrize(
    ("subject", "before", "after", "sentence"),
    [
        ("instance", {"is_maintain": False}, {"is_maintain": True}, "put into maintenance"),
        ("instance", {"is_maintain": True}, {"is_maintain": False}, "maintenance ended"),
        ("version", {"bad": False, "bad_reason": ""}, {"bad": True, "bad_reason": "leaks"}, "Marked bad"),
        ("version", {"status": 1}, {"status": 2}, "Status changed from building to success"),
        ("service", {"start_command": "./a"}, {"start_command": "./b"}, "Start command changed from “./a” to “./b”"),
        ("service", {"start_command": ""}, {"start_command": "./b"}, "Start command set to “./b”"),
        ("service", {"description": "a"}, {"description": ""}, "Description removed, was “a”"),
        ("service", {"keep_releases": 3}, {"keep_releases": 5}, "Releases kept on a host changed from 3 to 5"),
        ("service", {"environment": {"A": "1"}}, {"environment": {"A": "2"}}, "Variable A changed from “1” to “2”"),
        ("service", {"environment": {"A": "1"}}, {"environment": {}}, "Variable A removed, was “1”"),
        ("service", {"environment": {"A": None}}, {"environment": {"A": None}}, "Variable A, hidden from you"),
        ("service", {}, {"secrets": {"KEY": "removed"}}, "Secret KEY removed"),
        ("service", {}, {"build_password": "changed"}, "Repository password changed"),
        ("service", {"build_refs": ["main"]}, {"build_refs": ["main", "v*"]}, "Branches and tags to build added: v*"),
        ("service", {"steps": []}, {"steps": [{"name": "migrate", "run": "x"}]}, "Custom steps set to migrate"),
        (
            "service",
            {"steps": [{"name": "migrate", "run": "x"}]},
            {"steps": [{"name": "migrate", "run": "y"}]},
            "Custom steps changed",
        ),
        ("service", {"default_strategy": {}}, {"default_strategy": {"canary": 1}}, "Default strategy canary set to 1"),
        ("host", {"labels": {"zone": "eu"}}, {"labels": {"zone": "us"}}, "Label zone changed from “eu” to “us”"),
        ("host", {"credential_id": 1}, {"credential_id": 2}, "Credential changed from old key to 2"),
        ("host", {"sudo": True, "port": 1}, {"sudo": False, "port": 1}, "commands run without sudo"),
        ("team", {"member": "ann"}, {"member": None}, "ann is no longer a member"),
        ("team", None, {"member": "ann", "role": "owner"}, "ann is a member with the role owner"),
        ("team", {"members": []}, {"members": [{"user": "a", "role": "owner"}]}, "Members added: a (owner)"),
        ("user", None, {"password": "changed"}, "Password changed"),
        ("user", None, {"agent": "curl/8.5.0"}, "Browser or program: curl 8.5.0"),
        ("user", {"active": True}, {"active": False}, "account deactivated"),
        ("callback", {"active": True}, {"active": False}, "disabled"),
        ("service", {"team": None}, {"team": "web"}, "Team set to “web”"),
        ("thing", {"new_field": "a"}, {"new_field": "b"}, "New field changed from “a” to “b”"),
    ],
)
def test_words(subject, before, after, sentence):
    assert sentence in said(subject, before, after, names={("credential_id", 1): "old key"})


def test_deployment_and_created_rows():
    before, after = {"version": "1.0"}, {"version": "2.0", "instances": 5}
    row = History(subject="deployment", action="upgrade", before=before, after=after)
    assert history_words.deed(row) == "upgraded"
    assert history_words.sentences(row, {}) == ["Version changed from “1.0” to “2.0”", "Instances: 5"]
    made = {"hostname": "web1", "sudo": False, "port": 22, "labels": {"zone": "eu"}, "description": ""}
    assert said("host", None, made, "create") == ["Host name: “web1”", "Port: 22", "Label zone set to “eu”"]
    assert said("service", {"name": "shop"}, None, "delete") == ["Name: “shop”"]
    long = said("service", {"start_command": "a"}, {"start_command": "b\n" * 500})[0]
    assert len(long) < 200 and "\n" not in long
    assert history_words.deed(History(subject="token", action="delete")) == "revoked"
    assert history_words.deed(History(subject="x", action="unheard_of")) == "unheard of"
