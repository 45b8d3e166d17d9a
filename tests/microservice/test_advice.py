"""What an operation's page says about the cause and what to do next; and the ssh line."""

import shlex

import pytest

from asset.by_hand import ssh_line
from asset.models import Asset
from microservice.models import Operation
from microservice.queries.advice import advice
from microservice.status import OperationStatus


@pytest.mark.parametrize(
    ("error", "step", "status", "cause", "then"),
    [
        ("h shows another host key than the pinned one", "", OperationStatus.UNDONE, "another key", "fingerprints"),
        ("tar: x; No space left on device", "unpack", OperationStatus.UNDONE, "disk is full", "Make room"),
        ("h cannot be reached: timed out", "", OperationStatus.UNKNOWN, "does not answer", "asked again by itself"),
        ("exit status 1", "check", OperationStatus.UNDONE, "did not pass its check", "output below"),
        ("not passed within 20 s; refused", "check", OperationStatus.UNDONE, "did not pass its check", "new build"),
        ("ended after 30 s", "check", OperationStatus.UNDONE, "longer than", "limit"),
        ("exit status 1", "start", OperationStatus.FAILED, "did not start", "between two versions"),
        ("exit status 1", "migrate", OperationStatus.UNDONE, "", "mend the cause"),
        ("The lock was broken by ada: stuck", "", OperationStatus.FAILED, "took the instance away", "history"),
    ],
)  # fmt: skip
def test_each_kind_of_failure_has_a_cause_and_a_next_step(error, step, status, cause, then):
    found = advice(Operation(status=status, error=error, error_step=step))
    assert cause in found.cause and then in found.next


def test_what_went_well_needs_no_advice():
    assert advice(Operation(status=OperationStatus.SUCCEEDED)) is None


def test_the_ssh_line_goes_through_jump_hosts_and_quotes_whatever_a_row_says():
    far = Asset(hostname="far", ip="fd00::1", port=2222, username="jump")
    near = Asset(hostname="near", ip="10.0.0.2", port=22, username="hop", jump_host=far)
    evil = "-oProxyCommand=x; rm -rf '/'"
    host = Asset(hostname="h", ip="10.0.0.1", port=22, username=evil, jump_host=near, sudo=True)
    line = ssh_line(host)
    assert shlex.split(line) == [
        "ssh", "-p", "22", "-J", "jump@[fd00::1]:2222,hop@10.0.0.2:22", "-l", evil, "--",
        "10.0.0.1", "sudo", "-n", "true",
    ]  # fmt: skip
    assert ssh_line(far) == "ssh -p 2222 -l jump -- fd00::1"
