"""Answers of hosts are bounded by the limits of the plan: real sshds with hostile forced commands."""

import dataclasses
import json
import resource
import threading
import time
from contextlib import contextmanager

import pytest

from audit.models import Event
from deployer.engine import limits
from deployer.engine.journal import JournalEvent, Kind
from deployer.engine.probe import probe
from deployer.engine.run import Outcome, OutcomeKind
from messages import Message
from microservice.models import Operation, Output, Step
from tests.engine.host import Host
from tests.engine.site import Site, Watching
from tests.engine.words import said
from tests.lab import processes
from tests.lab.busy import within
from tests.lab.fleet import Fleet
from tests.lab.hostile import forced
from tests.lab.sshd import Sshd
from worker import execution
from worker.progress import Progress

LIMITS = {"step_timeout": 1, "output_head": 65_536, "output_tail": 1_024}
HEAD = 'out(f"@{nonce} output\\n".encode()); event("begun"); event("need", names.index("upload"), "upload")\n'

# name: what the host does, and the code of the error or of its reason; None where the operation has ended by then.
LIES = {
    "endless output": (HEAD + 'while True: out(b"x" * 65536)', "reason.too_much_output"),
    "output line by line": (HEAD + 'while True: out(b"y\\n")', "reason.too_much_output"),
    "9,999 steps": (
        HEAD + 'for n in range(9999): event("started", n, names[n] if n < len(names) else f"s{n}")',
        "reason.unplanned_step",
    ),
    "a step of another place": (HEAD + 'event("started", 1, names[0])', "reason.unplanned_step"),
    "a name that no step has": (HEAD + 'event("done", 0, "nonsense")', "reason.unplanned_step"),
    "a step of no place": (HEAD + 'event("done", "-", names[0])', "reason.unplanned_step"),
    "a time far ahead": ('event("begun", at="9" * 18); time.sleep(60)', "reason.wrong_time"),
    "a time long past": ('event("begun", at="0"); time.sleep(60)', "reason.wrong_time"),
    "a time tomorrow": ('event("begun", at=str(int(now) + 2 * 8640000)); time.sleep(60)', "reason.wrong_time"),
    "an absurd size": (HEAD + 'event("end", old="done", new="9" * 15); time.sleep(60)', "reason.too_much_output"),
    "a size beyond the limits": (
        HEAD + 'event("end", old="done", new="70700"); time.sleep(60)',
        "reason.too_much_output",
    ),
    "endless beginnings": ('while True: event("begun")', "reason.restarts"),
    "the same for ever": (HEAD + 'while True: event("begun", seq=1)', "reason.repeats"),
    "a step for ever": (HEAD + 'while True: event("started", 0, names[0])', "reason.step_goes_back"),
    "done and failed in turn": (
        HEAD + 'event("done", 0, names[0]); event("failed", 0, names[0], 1)',
        "reason.step_goes_back",
    ),
    "steps backwards": (
        HEAD + 'event("done", 3, names[3]); event("started", 2, names[2])',
        "reason.steps_out_of_order",
    ),
    "forward after an undo": (
        HEAD + 'event("undoing", 3, names[3]); event("started", 4, names[4])',
        "reason.steps_out_of_order",
    ),
    "undos forwards": (
        HEAD + 'event("undone", 3, names[3]); event("undone", 4, names[4])',
        "reason.undos_out_of_order",
    ),
    "after its end": (HEAD + 'event("end", old="cut", new="0")\nwhile True: event("done", 0, names[0])', None),
    "endless need": (HEAD + 'while True: event("need", 1, names[1])', "reason.unneeded_package"),
    "need of another step": (HEAD + 'event("need", 0, names[0]); time.sleep(60)', "reason.unneeded_package"),
    "endless noise": (HEAD + 'while True: os.write(2, b"noise\\n" * 999)', "reason.foreign_output"),
    "noise without a newline": ('while True: os.write(2, b"noise" * 999)', "reason.foreign_output"),
    "a trickle": (HEAD + 'while True: out(b"x"); time.sleep(0.2)', "operation.overdue"),
    "a trickle of noise": (HEAD + 'while True: os.write(2, b"x\\n"); time.sleep(0.2)', "operation.overdue"),
    "silence": (HEAD + "time.sleep(600)", "operation.overdue"),
    "never read": (HEAD + "while True: time.sleep(1)", "operation.overdue"),
}


@contextmanager
def lying(folder, body: str):
    """Yield a host whose every answer is `body`. What it left running is ended with it."""
    try:
        with Sshd(folder / "host", extra=forced(folder / "lie", body)) as sshd:
            yield sshd
    finally:
        processes.end_using(folder / "lie")


def codes(outcome: Outcome) -> set[str]:
    """Return the code of the error, and that of the reason in it."""
    error = outcome.message
    reason = error.params.get("reason") if error else None
    return {each.code for each in (error, reason) if isinstance(each, Message)}


@pytest.mark.parametrize("lie", LIES)
def test_hostile_host_ends_with_named_error(tmp_path, lie, monkeypatch):
    body, code = LIES[lie]
    for name, value in {"SLACK": 2.0, "ENDING": 0, "SLOWEST": 1 << 20}.items():
        monkeypatch.setattr(limits, name, value)
    monkeypatch.setattr(limits, "seconds_to_send", lambda size: 1.0)
    with lying(tmp_path, body) as sshd:
        site, watch = Site(sshd), Watching()
        run = site.host.run("install", None, "1.0", limits=LIMITS, check="", stop="")
        limit = limits.max_seconds(run.atom)
        assert limit < 15
        began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcome, _ = site.carry_out(run, watch, patience=3)
        took, grew = time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert outcome.kind in (OutcomeKind.UNKNOWN, OutcomeKind.NOT_STARTED), outcome
    assert code is None or code in codes(outcome)
    assert len(watch.data) <= limits.max_output(run.atom)
    assert len(watch.told) <= limits.MAX_STARTS * (4 * len(run.atom.steps) + 4)
    assert took < within(limit + 25), took
    assert grew < 40_000, "KiB"


def test_same_answers_of_an_honest_host_succeed(tmp_path):
    """The same words from an honest host are no lie: the whole table would show nothing otherwise."""
    honest = (
        HEAD
        + """
while os.read(0, 1 << 16): pass
for n, name in enumerate(names): event("started", n, name, detail="0"); event("done", n, name, 0)
out(b"x" * 100)
event("end", old="done", new="100")
"""
    )
    with lying(tmp_path, honest) as sshd:
        site = Site(sshd)
        outcome, watch = site.carry_out(site.host.run("install", None, "1.0", limits=LIMITS))
    assert (outcome.kind, len(watch.data)) == (OutcomeKind.DONE, 100)


# --- rows afterwards --------------------------------------------------------------------------------------------------


@pytest.fixture
def hostile_fleet(transactional_db, tmp_path, settings):
    servers = []

    def make(body: str) -> Fleet:
        settings.UNREACHABLE_TIMEOUT = 0
        servers.append(Sshd(tmp_path / "host", extra=forced(tmp_path / "lie", body)))
        servers[0].start()
        return Fleet(servers, limits=LIMITS, check_command="", stop_command="")

    yield make
    execution.process_writer().close()
    execution.process_writer.cache_clear()
    for server in servers:
        server.stop()


BOTH = (
    HEAD
    + """
long = "w" * 5000
for n, name in enumerate(names): event("started", n, name, old=long, new=long, detail="0")
for n in range(9999): event("started", n, f"s{n}", old=long)
while True: out(b"z" * 65536)
"""
)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("body", [BOTH, HEAD + 'event("begun", at="9" * 18)', LIES["endless output"][0]])
def test_hostile_host_adds_no_unplanned_rows(hostile_fleet, client, body, admin_client):
    fleet = hostile_fleet(body)
    deployment = fleet.install(wait=False)
    until = time.monotonic() + 40
    while Operation.objects.exclude(status__in=("failed", "undone")).exists():
        assert time.monotonic() < until, Operation.objects.values("status", "error")
        Operation.objects.filter(status="unknown").update(due="2020-01-01T00:00:00Z")
        execution.work()
    operation = Operation.objects.get()
    assert operation.status == "failed" and "is not valid" in operation.error
    assert not deployment.operations.get().instance.locked
    planned = Step.objects.filter(operation=operation)
    assert planned.count() < 12 and {len(step.old_state) for step in planned} <= {0, 500}
    stored = sum(len(row.data) for row in Output.objects.filter(operation=operation))
    assert stored <= 65_536 + 1_024 + limits.MARKER
    assert Event.objects.filter(operation=operation).count() < 40
    answer = admin_client.get(f"/api/v1/deployments/{deployment.pk}/operations/")
    assert answer.status_code == 200 and len(answer.content) < 30_000
    page = admin_client.get(f"/operations/{operation.pk}/")
    assert page.status_code == 200 and len(page.content) < 150_000


@pytest.mark.django_db(transaction=True)
def test_trickling_output_makes_one_row_a_second(hostile_fleet):
    trickle = HEAD + 'end = time.time() + 5\nwhile time.time() < end: out(b"x"); time.sleep(0.02)'
    hostile_fleet(trickle).install(wait=False)
    thread = threading.Thread(target=execution.work, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while sum(len(row.data) for row in Output.objects.all()) < 100 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert sum(len(row.data) for row in Output.objects.all()) >= 100
    execution.process_writer().stop()
    thread.join(20)
    assert Output.objects.count() <= 9


def test_time_limit_covers_every_step_limit(tmp_path):
    """A run that keeps the limits of each step is not cut off: all are in the sum, the undo's too."""
    host = Host(tmp_path)
    run = host.run("upgrade", "1", "2", limits={"step_timeout": 1000}, check_timeout=77, pre="x", pre_undo="y")
    forward = sum(step.timeout or 1000 for step in run.atom.steps if step.name != "upload")
    assert limits.max_seconds(run.atom) > forward + 1000 * 4 + limits.SLACK
    assert limits.seconds_to_send(1 << 30) > 60_000


MARK = 'nonce = re.search(rb"([0-9a-f]{16}) \\$1", text)[1]\n'


@pytest.mark.parametrize(
    "body",
    [
        'while True: out(b"x" * 65536)',
        'while True: os.write(2, b"x" * 65536)',
        'while True: out(b"\\n"); time.sleep(0.1)',
        "time.sleep(60)",
        MARK + 'out((nonce + b" missing flock\\n") * 3000 + nonce + b" uid 0\\n" + nonce + b" over yes\\n")',
        MARK + 'out(nonce + b" user " + b"u" * 60000 + b"\\n" + nonce + b" uid " + b"9" * 5000 + b"\\n")',
    ],
    ids=["output", "noise", "trickle", "silence", "the same for ever", "long words"],
)
def test_host_check_is_bounded(tmp_path, body):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with lying(tmp_path, body) as sshd:
        began = time.monotonic()
        found = probe(Site(sshd).endpoint(), "/srv", False, deadline=4.0)
        assert time.monotonic() - began < within(6)
    assert not found.ready and said(found)
    assert len(json.dumps(dataclasses.asdict(found), default=str)) < 3000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000


def test_unplanned_step_makes_no_row():
    """Whatever events the engine lets through."""
    progress = Progress(Operation(pk=1))
    progress.plan(["prepare", "link"])
    numbered = enumerate((0, 1, 2, 9998), 1)
    events = [JournalEvent(seq, time.time(), Kind.STARTED, position, "evil") for seq, position in numbered]
    progress.events(events)
    assert [(step.position, step.name) for step in progress.take().steps] == [(0, "prepare"), (1, "link")]
