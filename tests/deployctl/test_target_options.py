"""The targets that --host, --label, --group and --instance select."""

import pytest

from deployctl.exits import Ended, Exit
from deployctl.targets import Targets

pytestmark = [pytest.mark.found("hosts"), pytest.mark.pure]
ROWS = [{"id": 9002, "host_id": 9001, "host": "web1:10.0.0.1"}, {"id": 9001, "host_id": 9002, "host": "web2:fd00::2"}]


@pytest.mark.parametrize(
    ("hosts", "instances", "body"),
    [
        ((), (), {"host": "all"}),
        (("all",), (), {"host": "all"}),
        (("web1", "2,3"), (), {"host": ["web1", 2, 3]}),
        ((" web1 , 7",), (), {"host": ["web1", 7]}),
        ((), ("7", "8,9"), {"instances": [7, 8, 9]}),
    ],
)
def test_request_body(hosts, instances, body):
    assert Targets(hosts, instances).body() == body


@pytest.mark.parametrize(
    ("hosts", "instances"),
    [
        (("",), ()),
        ((), ("",)),
        (("web1,",), ()),
        ((",",), ()),
        (("  ",), ()),
        (("web1",), ("7",)),
        ((), ("web1",)),
        ((), ("all",)),
        (("all,web1",), ()),
        (("all", "7"), ()),
    ],
)
def test_rejects_empty_and_mixed_targets(hosts, instances):
    """An empty one above all: a variable that a script did not set is never everything."""
    with pytest.raises(Ended) as caught:
        Targets(hosts, instances)
    assert caught.value.status == Exit.USAGE_ERROR


@pytest.mark.parametrize(
    ("hosts", "instances", "found"),
    [
        (("web1",), (), [9002]),
        (("9002",), (), [9001]),
        ((), ("9002",), [9002]),
        (("web2,9001",), (), [9001, 9002]),
        ((), (), [9002, 9001]),
    ],
)
def test_selects_instances(hosts, instances, found):
    assert [row["id"] for row in Targets(hosts, instances).select("shop", ROWS)] == found


@pytest.mark.parametrize(("hosts", "instances"), [(("web3",), ()), (("9003",), ()), ((), ("9003",))])
def test_names_missing_target(hosts, instances):
    with pytest.raises(Ended, match=r"shop has no instance (on host )?(web3|9003)\."):
        Targets(hosts, instances).select("shop", ROWS)


def test_labels_and_groups_are_left_to_the_server():
    targets = Targets(labels=["zone=eu", " note = two words ", "canary"])
    assert targets.body() == {"labels": {"zone": "eu", "note": "two words", "canary": None}}
    assert targets.query()["label"] == "zone=eu 'note=two words' canary"
    assert Targets(group="europe").body() == {"group": "europe"}
    assert Targets(group="europe").query()["group"] == "europe"
    assert Targets(labels=["zone"]).select("shop", ROWS) == ROWS
    with pytest.raises(Ended, match="No instance of shop is on a host that was chosen"):
        Targets(group="europe").select("shop", [])


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"labels": [""]}, "NAME=VALUE"),
        ({"labels": ["zone="]}, "NAME=VALUE"),
        ({"labels": ["=eu"]}, "NAME=VALUE"),
        ({"labels": ["zone=eu", "zone=us"]}, "given twice"),
        ({"labels": ["zone=eu"], "hosts": ["web1"]}, "mutually exclusive"),
        ({"labels": ["zone=eu"], "group": "europe"}, "mutually exclusive"),
        ({"instances": ["1"], "group": "europe"}, "mutually exclusive"),
        ({"group": ""}, "must not be empty"),
        ({"group": " "}, "must not be empty"),
    ],
)
def test_rejects_unset_and_mixed_labels(more, told):
    with pytest.raises(Ended, match=told):
        Targets(**more)
