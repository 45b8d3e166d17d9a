"""deployctl environments: listed, made, changed, with their hosts, and deleted."""

import pytest

from access.models import Team
from asset.models import Asset, Environment
from deployctl.exits import Exit
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


def test_they_are_made_changed_listed_and_deleted(said):
    Team.objects.create(name="release")
    assert said("environments", "set", "staging", "--colour", "blue")[:2] == (0, "staging was added.\n")
    rules = ("--requires", "staging", "--soak-minutes", "30", "--approvals", "2", "--approvers", "release")
    assert said("environments", "set", "production", *rules, "--no-tokens-deploy")[0] == 0
    status, output, _ = said("environments", "list")
    assert status == 0 and output.index("staging") < output.index("production")
    assert "requires staging for 30 min, approvals: 2 by release, tokens wait for a person" in output
    changed = ("--requires", "none", "--approvers", "none", "--approvals", "0", "--tokens-deploy", "--wait-hours", "8")
    assert said("environments", "set", "production", *changed)[:2] == (0, "production was changed.\n")
    row = Environment.objects.get(name="production")
    assert (row.requires, row.approvers, row.approvals, row.tokens_deploy, row.wait_hours) == (None, None, 0, True, 8)
    assert row.soak_minutes == 30, "what is not given stays"
    factories.hosts(3)
    status, output, _ = said("environments", "hosts", "staging", "--host", "host1,host2")
    assert (status, output) == (0, "2 hosts came into staging.\n")
    assert said("environments", "delete", "staging")[0] == Exit.CONFLICT
    status, output, _ = said("hosts", "list", "--environment", "staging")
    assert "host1" in output and "staging" in output and "host3" not in output
    status, output, _ = said("hosts", "list", "--no-environment")
    assert "host3" in output and "host1" not in output
    Asset.objects.update(environment=None)
    assert said("environments", "delete", "staging")[:2] == (0, "staging was deleted.\n")


def test_what_is_wrong_is_refused(said):
    Environment.objects.create(name="staging")
    for words in (
        ("set", "production", "--requires", "nowhere"),
        ("set", "production", "--approvals", "6"),
        ("set", "production", "--approvers", "nobody"),
        ("set", "12"),
        ("set", "staging", "--requires", "staging"),
        ("hosts", "staging"),
        ("hosts", "nowhere", "--host", "web1"),
        ("hosts", "staging", "--host", "nowhere"),
        ("delete", "nowhere"),
    ):
        assert said("environments", *words)[0] == Exit.USAGE_ERROR, words
    assert Environment.objects.get().name == "staging"
