"""What a host says is bounded on our side, at the limits of the plan: real sshds, whose forced command lies."""

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
from deployer.engine.run import OutcomeKind
from microservice.models import Operation, Output, Step
from tests.engine.host import Host
from tests.engine.test_conduct import Site, Watching
from tests.engine.words import said
from tests.lab import processes
from tests.lab.busy import within
from tests.lab.hostile import forced
from tests.lab.sshd import Sshd
from tests.microservice.world import World
from worker import execution
from worker.progress import Progress

LIMITS = {"step_timeout": 1, "output_head": 65_536, "output_tail": 1_024}
HEAD = 'out(f"@{nonce} output\\n".encode()); event("begun"); event("need", names.index("upload"), "upload")\n'

# name: what the host does, and what the error says of it.
LIES = {
    "endless output": (HEAD + 'while True: out(b"x" * 65536)', "it prints more"),
    "output line by line": (HEAD + 'while True: out(b"y\\n")', "it prints more"),
    "9,999 steps": (
        HEAD + 'for n in range(9999): event("started", n, names[n] if n < len(names) else f"s{n}")',
        "step that is not planned",
    ),
    "a step of another place": (HEAD + 'event("started", 1, names[0])', "step that is not planned"),
    "a name that no step has": (HEAD + 'event("done", 0, "nonsense")', "step that is not planned"),
    "a step of no place": (HEAD + 'event("done", "-", names[0])', "step that is not planned"),
    "a time far ahead": ('event("begun", at="9" * 18); time.sleep(60)', "a time in it"),
    "a time long past": ('event("begun", at="0"); time.sleep(60)', "a time in it"),
    "a time tomorrow": ('event("begun", at=str(int(now) + 2 * 8640000)); time.sleep(60)', "a time in it"),
    "an absurd size": (HEAD + 'event("end", old="done", new="9" * 15); time.sleep(60)', "more output"),
    "a size beyond the limits": (HEAD + 'event("end", old="done", new="70700"); time.sleep(60)', "more output"),
    "endless beginnings": ('while True: event("begun")', "again and again"),
    "the same for ever": (HEAD + 'while True: event("begun", seq=1)', "again and again"),
    "a step for ever": (HEAD + 'while True: event("started", 0, names[0])', "goes back"),
    "done and failed in turn": (HEAD + 'event("done", 0, names[0]); event("failed", 0, names[0], 1)', "goes back"),
    "steps backwards": (HEAD + 'event("done", 3, names[3]); event("started", 2, names[2])', "not in order"),
    "forward after an undo": (HEAD + 'event("undoing", 3, names[3]); event("started", 4, names[4])', "not in order"),
    "undos forwards": (HEAD + 'event("undone", 3, names[3]); event("undone", 4, names[4])', "undos are not in order"),
    "after its end": (HEAD + 'event("end", old="cut", new="0")\nwhile True: event("done", 0, names[0])', None),
    "endless need": (HEAD + 'while True: event("need", 1, names[1])', "does not need"),
    "need of another step": (HEAD + 'event("need", 0, names[0]); time.sleep(60)', "does not need"),
    "endless noise": (HEAD + 'while True: os.write(2, b"noise\\n" * 999)', "none of the program's"),
    "noise without a newline": ('while True: os.write(2, b"noise" * 999)', "none of the program's"),
    "a trickle": (HEAD + 'while True: out(b"x"); time.sleep(0.2)', "longer than all limits"),
    "a trickle of noise": (HEAD + 'while True: os.write(2, b"x\\n"); time.sleep(0.2)', "longer than all limits"),
    "silence": (HEAD + "time.sleep(600)", "longer than all limits"),
    "never read": (HEAD + "while True: time.sleep(1)", "longer than all limits"),
}


@contextmanager
def lying(folder, body: str):
    """A host whose every answer is `body`. What it left running is ended with it."""
    try:
        with Sshd(folder / "host", extra=forced(folder / "lie", body)) as sshd:
            yield sshd
    finally:
        processes.end_using(folder / "lie")


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_ends_soon_with_a_named_error(tmp_path, lie, monkeypatch):
    body, says = LIES[lie]
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
    assert says is None or says in said(outcome)
    assert len(watch.data) <= limits.max_output(run.atom)
    assert len(watch.told) <= limits.MAX_STARTS * (4 * len(run.atom.steps) + 4)
    assert took < within(limit + 25), took
    assert grew < 40_000, "KiB"


def test_every_lie_that_is_named_is_one_about_the_plan(tmp_path):
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


# --- what is left of it in the database -------------------------------------------------------------------------------


@pytest.fixture
def hostile_world(transactional_db, tmp_path, settings):
    servers = []

    def make(body: str) -> World:
        settings.UNREACHABLE_TIMEOUT = 0
        servers.append(Sshd(tmp_path / "host", extra=forced(tmp_path / "lie", body)))
        servers[0].start()
        return World(servers, limits=LIMITS, check_command="", stop_command="")

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
def test_the_rows_of_an_operation_are_those_of_its_plan_and_it_ends(hostile_world, client, body, admin_client):
    world = hostile_world(body)
    deployment = world.install(wait=False)
    until = time.monotonic() + 40
    while Operation.objects.exclude(status__in=("failed", "undone")).exists():
        assert time.monotonic() < until, Operation.objects.values("status", "error")
        Operation.objects.filter(status="unknown").update(due="2020-01-01T00:00:00Z")
        execution.work()
    operation = Operation.objects.get()
    assert operation.status == "failed" and "does not fit the plan" in operation.error
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
def test_output_that_comes_byte_by_byte_makes_a_row_a_second_and_not_a_row_a_byte(hostile_world):
    trickle = HEAD + 'end = time.time() + 5\nwhile time.time() < end: out(b"x"); time.sleep(0.02)'
    hostile_world(trickle).install(wait=False)
    thread = threading.Thread(target=execution.work, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while sum(len(row.data) for row in Output.objects.all()) < 100 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert sum(len(row.data) for row in Output.objects.all()) >= 100
    execution.process_writer().stop()
    thread.join(20)
    assert Output.objects.count() <= 9


def test_the_time_that_an_operation_may_take_comes_from_its_plan(tmp_path):
    """Nobody who keeps the limits of each step is cut off: they are all in the sum, the undo's too."""
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
def test_a_host_check_answers_in_time_and_keeps_little(tmp_path, body):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with lying(tmp_path, body) as sshd:
        began = time.monotonic()
        found = probe(Site(sshd).endpoint(), "/srv", False, deadline=4.0)
        assert time.monotonic() - began < within(6)
    assert not found.ready and said(found)
    assert len(json.dumps(found.to_json())) < 3000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000


def test_a_step_that_is_not_planned_makes_no_row():
    """Whoever hands events in, and whatever the engine lets through."""
    progress = Progress(Operation(pk=1))
    progress.plan(["prepare", "link"])
    told = enumerate((0, 1, 2, 9998), 1)
    events = [JournalEvent(seq, time.time(), Kind.STARTED, position, "evil") for seq, position in told]
    progress.events(events)
    assert [(step.position, step.name) for step in progress.take().steps] == [(0, "prepare"), (1, "link")]
