"""The secrets of a service reach its commands and are masked in their output, over a real sshd."""

import base64
import json
import os

import pytest
from cryptography.fernet import Fernet

from access.callers import SYSTEM, Caller
from access.masking import Mask
from access.problems import Problem
from access.sealed import SealedMap
from audit.models import Event
from deployer.engine.journal import JournalEvent, Kind
from microservice import atoms, catalog
from microservice.deployments import actions
from microservice.models import Deployment, Operation, Step
from microservice.status import DeploymentStatus, OperationStatus
from tests.lab.fleet import Fleet
from tests.lab.network import wait_until
from tests.microservice.deployments.requests import change_version, install, preview_install
from worker import execution
from worker.progress import Progress

pytestmark = pytest.mark.django_db(transaction=True)
ANN = Caller(name="ann", user_id=1, scopes=SYSTEM.scopes)
LINES = [base64.b64encode(os.urandom(48)).decode() for _ in range(5)]
PEM = "\n".join(["-----BEGIN X-----", *LINES, "-----END X-----"])
VALUES = {"DB_PASSWORD": 'it\'s a kanari $(id) "x"', "PEM": PEM}


@pytest.fixture
def fleet(transactional_db, sshds):
    fleet = Fleet(sshds(1))
    yield fleet
    execution.process_writer().close()
    execution.process_writer.cache_clear()


def set_up(fleet: Fleet, values: dict | None = None, **fields) -> None:
    catalog.change_service(ANN, fleet.service, {"secrets": values or VALUES, **fields})


def work(deployment: Deployment) -> Operation:
    while execution.work():
        pass
    deployment.refresh_from_db()
    return deployment.operations.get()


def output(operation: Operation) -> bytes:
    return b"".join(bytes(row.data) for row in operation.output.order_by("start"))


def kept(fleet: Fleet) -> list[str]:
    return (fleet.folder() / "shared" / "seen").read_text().split("\0")[:-1]


def everything(operation: Operation) -> str:
    """Return everything that the rows of an operation contain."""
    number = operation.deployment_id
    rows = [
        Step.objects.filter(operation=operation),
        Event.objects.filter(deployment=number),
        Operation.objects.filter(pk=operation.pk),
        Deployment.objects.filter(pk=number),
    ]
    return repr([list(found.values()) for found in rows]) + output(operation).decode("utf-8", "replace")


def test_commands_get_secrets_and_rows_do_not(fleet):
    look = 'printf "%s\\0" "$DB_PASSWORD" "$PEM" "$COLOR" > "$SHARED/seen"; '
    say = 'echo "pw=$DB_PASSWORD"; echo "$PEM"; printf %s "$PEM" | base64; printf "%s" "$DB_PASSWORD" >&2'
    set_up(fleet, environment={"COLOR": "blue"}, pre_command=look + say)
    operation = work(fleet.install(wait=False))
    assert operation.status == OperationStatus.SUCCEEDED, operation.error
    assert kept(fleet) == [VALUES["DB_PASSWORD"], PEM, "blue"]
    printed = output(operation)
    assert printed.startswith(b"pw=" + b"*" * len(VALUES["DB_PASSWORD"]) + b"\n-----BEGIN X-----\n****")
    shown = everything(operation)
    assert "kanari" not in shown and not [line for line in LINES if line[:20] in shown]
    # As many bytes as the host has: its own file is what offsets are about.
    there = fleet.folder() / ".deployer" / "runs" / str(operation.pk) / "output"
    assert operation.output_size == len(printed) and (not there.exists() or there.stat().st_size == len(printed))
    assert operation.output_lines == printed.count(b"\n")


def test_masks_secrets_in_errors(fleet):
    set_up(fleet, start_command='echo "cannot log in with $DB_PASSWORD" >&2; exit 9')
    operation = work(fleet.install(wait=False))
    assert operation.status in (OperationStatus.UNDONE, OperationStatus.FAILED)
    shown = everything(operation)
    assert "kanari" not in shown and "***" in operation.error + output(operation).decode()


def test_deployment_keeps_its_secrets_until_its_end(fleet):
    look = 'printf "%s\\0" "$DB_PASSWORD" >> "$SHARED/seen"'
    set_up(fleet, {"DB_PASSWORD": "the first value"}, pre_command=look)
    first = fleet.install(wait=False)
    set_up(fleet, {"DB_PASSWORD": "the second value"})
    first.refresh_from_db()
    assert "first value" not in json.dumps(first.spec) and list(first.spec["secrets"]) == ["DB_PASSWORD"]
    work(first)
    assert kept(fleet) == ["the first value"]
    assert first.status == DeploymentStatus.SUCCEEDED and not first.secrets
    second = fleet.go("upgrade", 0, 1, wait=False)
    work(second)
    back = change_version(SYSTEM, fleet.versions[1], fleet.versions[0].pk, "revert", host="all")
    assert work(back).status == OperationStatus.SUCCEEDED
    assert kept(fleet) == ["the first value", "the second value", "the second value"]


def test_retry_uses_current_secrets(fleet):
    look = 'printf "%s\\0" "$DB_PASSWORD" >> "$SHARED/seen"; [ "$DB_PASSWORD" = "a right value" ]'
    set_up(fleet, {"DB_PASSWORD": "a wrong value"}, pre_command=look)
    failed = fleet.install(wait=False)
    assert work(failed).status == OperationStatus.UNDONE
    set_up(fleet, {"DB_PASSWORD": "a right value"})
    assert work(actions.retry(SYSTEM, failed)).status == OperationStatus.SUCCEEDED
    assert kept(fleet) == ["a wrong value", "a right value"]


def test_changed_secret_invalidates_plan(fleet):
    set_up(fleet)
    shown = preview_install(SYSTEM, fleet.versions[0], [fleet.assets[0].pk])
    assert "kanari" not in json.dumps(shown) and PEM[20:60] not in json.dumps(shown)
    set_up(fleet, {"DB_PASSWORD": "another value"})
    with pytest.raises(Problem) as refused:
        install(SYSTEM, fleet.versions[0], [fleet.assets[0].pk], plan_token=shown["plan_token"])
    assert refused.value.code == "plan_changed"


def test_unreadable_secrets_start_nothing(fleet, settings):
    set_up(fleet, pre_command="touch $SHARED/ran")
    made = fleet.install(wait=False)
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.FIELD_ENCRYPTION_KEYS]
    Deployment.objects.filter(pk=made.pk).update(secrets=SealedMap({"A": ("no token", "2026-01-01T00:00:00+00:00")}))
    operation = work(made)
    assert operation.status == OperationStatus.UNDONE and "secrets" in operation.error
    assert not (fleet.folder() / "shared" / "ran").exists()


def test_masks_secrets_after_takeover(fleet, worker):
    """The first worker is killed in the middle of a value that is printed in two parts."""
    execution.process_writer().close()
    say = (
        'printf "%s" "pw=it\'s a kan"; touch "$SHARED/in"; sleep 4; printf "%s\\n" "ari \\$(id) \\"x\\""; '
        'echo "again $DB_PASSWORD"'
    )
    set_up(fleet, pre_command=say)
    first = worker()
    made = fleet.install(wait=False)
    wait_until((fleet.folder() / "shared" / "in").exists, 30, "the command")
    first.kill()
    worker()
    fleet.ended(made, 90)
    operation = made.operations.get()
    assert (operation.status, operation.takeovers) == ("succeeded", 1), operation.error
    stars = b"*" * len(VALUES["DB_PASSWORD"])
    assert output(operation) == b"pw=" + stars + b"\nagain " + stars + b"\n"


# ---- what one operation gathers, without a host ----------------------------------------------------------------------


def progress_from(start: int = 0) -> Progress:
    made = Progress(Operation(pk=1, fence=1, output_size=start))
    made.hide(Mask(["correct-horse"]))
    return made


def test_holds_back_partial_secret():
    one = progress_from()
    one.output(0, b"pw: correct-")
    piece = one.take()
    assert (piece.output, piece.start) == (b"pw: ", 0)
    one.forget(piece)
    with pytest.raises(ValueError, match="12 is what follows"):
        one.output(4, b"correct-")
    one.output(12, b"horse\nok correct")
    piece = one.take()
    assert (piece.output, piece.start) == (b"*************\nok ", 4)
    one.forget(piece)
    one.no_more_output()
    assert (one.take().output, one.take().start) == (b"*******", 21)


def test_requests_held_back_output_again():
    one = progress_from()
    one.output(0, b"pw: correct-")
    written = len(one.take().output)
    other = progress_from(written)
    other.output(written, b"correct-horse!")
    assert (other.take().output, other.take().start) == (b"*************!", 4)


def test_masks_secrets_in_steps():
    one = progress_from()
    one.plan(["pre"])
    texts = {"old_state": "correct-horse", "new_state": "is correct-horse", "detail": "no correct-horse here"}
    one.events([JournalEvent(seq=1, at=1.0, kind=Kind.FAILED, position=0, step="pre", exit_status=1, **texts)])
    [step] = one.take().steps
    assert (step.old_state, step.detail) == ("*" * 13, "no ************* here")
    assert "correct" not in repr(step)


def test_atom_repr_has_no_secrets(fleet):
    set_up(fleet)
    spec = atoms.spec_of(fleet.service)
    assert "kanari" not in json.dumps(spec)
    made = fleet.install(wait=False)
    operation = made.operations.select_related("instance__host", "dest_version").get()
    atom = atoms.atom_of(made.spec, operation, made.secrets.open())
    assert "kanari" not in repr(atom) and atom.environment["DB_PASSWORD"].reveal() == VALUES["DB_PASSWORD"]
