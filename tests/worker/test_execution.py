"""Requests carried out by a real worker on real hosts: host, process and rows must agree at the end."""

import os
import time

import pytest
from django.db import connection

from access.callers import SYSTEM
from asset.models import Asset
from microservice.deployments import actions
from microservice.models import MicroServiceInstance, Operation, Step
from microservice.status import DeploymentStatus, InstanceStatus, OperationStatus
from tests.lab import surroundings
from tests.lab.busy import within
from tests.lab.fleet import Fleet
from tests.lab.network import free_port, wait_until
from tests.lab.sshd import Sshd

pytestmark = pytest.mark.django_db(transaction=True)


def output(operation: Operation) -> str:
    return b"".join(bytes(row.data) for row in operation.output.order_by("start")).decode()


def test_every_action_keeps_host_and_rows_in_agreement(make_fleet, worker):
    fleet = make_fleet(hosts=2)
    worker()
    assert fleet.install().status == DeploymentStatus.SUCCEEDED
    fleet.agrees(0)
    assert fleet.go("upgrade", 0, 2).status == DeploymentStatus.SUCCEEDED
    fleet.agrees(2)
    back = fleet.go("revert", 2, 0)
    assert back.status == DeploymentStatus.SUCCEEDED
    assert {row.bytes_sent for row in back.operations.all()} == {0}  # the release was still there
    fleet.agrees(0)
    again = fleet.go("upgrade", 0, 2)
    assert {(row.status, row.bytes_sent) for row in again.operations.all()} == {("succeeded", 0)}  # and so was this one
    fleet.agrees(2)
    gone = actions.delete(SYSTEM, fleet.service, list(MicroServiceInstance.objects.values_list("pk", flat=True)))
    assert fleet.ended(gone).status == DeploymentStatus.SUCCEEDED
    fleet.agrees(None)
    assert not MicroServiceInstance.objects.exists()


def test_fetches_package_from_jump_host(make_fleet, worker, tmp_path):
    fleet = make_fleet(hosts=2)
    with Sshd(tmp_path / "jump", extra=f"SetEnv XDG_CACHE_HOME={tmp_path}/cache") as jump:
        gate = fleet._asset(9, jump)
        Asset.objects.filter(pk__in=[asset.pk for asset in fleet.assets]).update(jump_host=gate)
        worker()
        for version, port, said in ((0, free_port(jump.address), "fetched from the jump host"), (1, None, "")):
            Asset.objects.filter(pk=gate.pk).update(package_port=port)
            done = fleet.install() if not version else fleet.go("upgrade", 0, version)
            assert done.status == DeploymentStatus.SUCCEEDED
            sent = {bool(row.bytes_sent) for row in done.operations.all()}
            uploads = Step.objects.filter(operation__deployment=done, name="upload")
            assert ({step.detail for step in uploads}, sent) == ({said}, {not said})
        fleet.agrees(1)


def test_records_steps_and_output(make_fleet, worker):
    fleet = make_fleet(hosts=1, pre_command='echo "out of traffic"; echo "really" >&2')
    worker()
    fleet.install()
    operation = fleet.go("upgrade", 0, 1).operations.get()
    steps = list(Step.objects.filter(operation=operation))
    assert {step.status for step in steps} == {"done"}
    assert [step.name for step in steps][:3] == ["prepare", "upload", "unpack"]
    link = next(step for step in steps if step.name == "link")
    assert "1.0" in link.old_state and "2.0" in link.new_state
    assert all(step.started and step.finished and step.finished >= step.started for step in steps)
    assert "out of traffic\nreally\n" in output(operation)
    assert operation.output_size == len(output(operation))


def test_failed_check_is_undone_and_retried(make_fleet, worker):
    fleet = make_fleet(hosts=2, check_timeout=1)
    worker()
    fleet.install()
    (fleet.hosts[1].root / "shop" / "shared" / "sick").touch()
    fleet.service.check_command = (
        fleet.service.check_command + ' && { [ "$VERSION" = 1.0 ] || [ ! -e "$SHARED/sick" ]; }'
    )
    fleet.service.save()
    failed = fleet.go("upgrade", 0, 1, strategy={"max_failures": 5})
    assert failed.status == DeploymentStatus.FAILED
    assert sorted(failed.operations.values_list("status", flat=True)) == ["succeeded", "undone"]
    assert (fleet.current(0), fleet.running(0)) == ("2.0", "2.0")
    assert (fleet.current(1), fleet.running(1)) == ("1.0", "1.0")
    bad = failed.operations.get(status=OperationStatus.UNDONE)
    assert bad.error_step == "check" and bad.error
    assert bad.instance.status == InstanceStatus.UPGRADE_FAILED and not bad.instance.locked
    (fleet.hosts[1].root / "shop" / "shared" / "sick").unlink()
    again = fleet.ended(actions.retry(SYSTEM, failed))
    row = again.operations.get()
    assert (row.status, row.attempt, row.bytes_sent) == ("succeeded", 2, 0)
    fleet.agrees(1)


def test_failed_undo_names_remaining_steps(make_fleet, worker):
    fleet = make_fleet(hosts=1)
    worker()
    fleet.install()
    fleet.service.pre_command, fleet.service.pre_undo_command = "true", "echo cannot; exit 3"
    fleet.service.check_command = f'[ "$VERSION" = 1.0 ] && {{ {fleet.service.check_command}; }}'
    fleet.service.check_timeout = 1
    fleet.service.save()
    operation = fleet.go("upgrade", 0, 1).operations.get()
    assert (operation.status, operation.undo_status) == ("failed", "failed")
    assert "pre" in operation.error
    pre = Step.objects.get(operation=operation, name="pre")
    assert (pre.status, pre.exit_status) == ("done", 0), "what its undo came to is told apart"
    assert (pre.undo_status, pre.undo_exit_status) == ("failed", 3) and "cannot" in str(pre.undo_reason)
    fleet.agrees(0)  # all other undos were still done


@pytest.mark.slow
@pytest.mark.parametrize("step", ["pre", "stop", "start", "check", "post"])
def test_takes_over_from_killed_worker(make_fleet, worker, step):
    """The host goes on by itself; another worker takes the operation to the end that it would have had."""
    fleet = make_fleet(hosts=1, post_command="true")
    wait = 'if [ "$VERSION" = 2.0 ] || [ "$OTHER_VERSION" = 2.0 ]; then touch "$SHARED/in"; sleep 3; fi; '
    first = worker()
    fleet.install()
    field = f"{step}_command"
    setattr(fleet.service, field, wait + (getattr(fleet.service, field) or "true"))
    fleet.service.save()
    deployment = fleet.go("upgrade", 0, 1, wait=False)
    wait_until((fleet.folder() / "shared" / "in").exists, 20)
    first.kill()
    worker()
    assert fleet.ended(deployment).status == DeploymentStatus.SUCCEEDED
    fleet.agrees(1)
    assert fleet.trace().count("start 2.0") == 1
    operation = deployment.operations.get()
    assert operation.takeovers >= 1
    assert set(Step.objects.filter(operation=operation).values_list("status", flat=True)) == {"done"}


def test_undoes_run_that_died_with_its_worker(make_fleet, worker):
    fleet = make_fleet(hosts=1)
    first = worker()
    fleet.install()
    fleet.service.check_command = (
        f'[ "$VERSION" = 1.0 ] || {{ touch "$SHARED/in"; sleep 60; }}; {fleet.service.check_command}'
    )
    fleet.service.check_timeout = 60
    fleet.service.save()
    deployment = fleet.go("upgrade", 0, 1, wait=False)
    wait_until((fleet.folder() / "shared" / "in").exists, 20)
    first.kill()
    kill_run(fleet, deployment)
    worker()
    assert fleet.ended(deployment).operations.get().status == OperationStatus.UNDONE
    fleet.agrees(0)


def test_survives_cut_connection(make_fleet, worker):
    fleet = make_fleet(hosts=1, pre_command='for n in 1 2 3 4 5 6 7 8 9; do echo "line $n"; sleep 0.3; done')
    worker()
    fleet.install()
    deployment = fleet.go("upgrade", 0, 1, wait=False)
    wait_until(lambda: "pre" in Step.objects.filter(status="running").values_list("name", flat=True), 20)
    fleet.hosts[0].drop_connections()
    assert fleet.ended(deployment).status == DeploymentStatus.SUCCEEDED
    fleet.agrees(1)
    lines = [line for line in output(deployment.operations.get()).splitlines() if line.startswith("line")]
    assert lines == [f"line {n}" for n in range(1, 10)]


@pytest.mark.slow
def test_unreachable_host_stays_unchanged(make_fleet, worker):
    fleet = make_fleet(hosts=1)
    worker()
    fleet.install()
    fleet.hosts[0].stop()
    try:
        operation = fleet.go("upgrade", 0, 1).operations.get()
    finally:
        fleet.hosts[0].start()
    assert operation.status == OperationStatus.UNDONE and fleet.assets[0].ip in operation.error
    fleet.agrees(0)


def test_waits_for_hosts_without_transaction(make_fleet, worker):
    fleet = make_fleet(hosts=6, pre_command='touch "$SHARED/in"; sleep 3')
    one = worker(slots=8, **counted())
    deployment = fleet.install(wait=False)
    wait_until(lambda: all((fleet.folder(number) / "shared" / "in").exists() for number in range(6)), 20)
    open_now, held = database_connections(one.pid)
    assert 0 < open_now <= 5, "one for each thread that writes or sweeps, none for each operation"
    assert held == 0
    assert fleet.ended(deployment).status == DeploymentStatus.SUCCEEDED


def counted() -> dict[str, str]:
    """Return settings that give a process this name in PostgreSQL; none on SQLite."""
    name = connection.settings_dict["NAME"]
    url = f"postgresql://postgres@127.0.0.1:{surroundings.POSTGRESQL_PORT}/{name}?application_name=counted"
    return {} if connection.vendor == "sqlite" else {"DATABASE_URL": url}


def database_connections(pid: int) -> tuple[int, int]:
    """Return how many connections a process has (on PostgreSQL by name), and how many of them idle in a transaction."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        links = [os.readlink(one.path) for one in os.scandir(f"/proc/{pid}/fd") if os.path.lexists(one.path)]
        return links.count(str(name)), 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*), COUNT(*) FILTER (WHERE state LIKE 'idle in%' AND now() - state_change > interval '0.5 s')"
            " FROM pg_stat_activity WHERE application_name LIKE 'counted%%'"
        )
        return cursor.fetchone()


def test_stopped_worker_hands_over_its_run(make_fleet, worker):
    fleet = make_fleet(hosts=1)
    first = worker()
    fleet.install()
    fleet.service.pre_command = 'touch "$SHARED/in"; until [ -e "$SHARED/go" ]; do sleep 0.1; done'
    fleet.service.save()
    deployment = fleet.go("upgrade", 0, 1, wait=False)
    wait_until((fleet.folder() / "shared" / "in").exists, 20)
    process = first.process
    first.stop(60)
    assert process.returncode == 0, "it waited for its host, and was killed"
    (fleet.folder() / "shared" / "go").touch()
    worker()
    assert fleet.ended(deployment).status == DeploymentStatus.SUCCEEDED
    fleet.agrees(1)


def test_cancel_ends_command_and_undoes(make_fleet, worker):
    fleet = make_fleet(hosts=1)
    worker()
    fleet.install()
    fleet.service.check_command = (
        f'[ "$VERSION" = 1.0 ] || {{ touch "$SHARED/in"; trap "" TERM; sleep 600; }}; {fleet.service.check_command}'
    )
    fleet.service.check_timeout = 600
    fleet.service.save()
    deployment = fleet.go("upgrade", 0, 1, wait=False)
    wait_until((fleet.folder() / "shared" / "in").exists, 20)
    began = time.monotonic()
    actions.cancel(SYSTEM, deployment)
    assert fleet.ended(deployment, 30).status == DeploymentStatus.CANCELLED
    assert time.monotonic() - began < within(12)
    fleet.agrees(0)


def test_host_refuses_lower_fence(make_fleet, worker):
    """The rows are older than the host, as after a restore of the database."""
    fleet = make_fleet(hosts=1)
    worker()
    fleet.install()
    with (fleet.folder() / ".deployer" / "fence").open("a") as file:
        file.write("\n888888888888\n")
    operation = fleet.go("upgrade", 0, 1).operations.get()
    assert operation.status == OperationStatus.FAILED
    assert "888888888888" in operation.error and "backup" in operation.error
    fleet.agrees(0)


def test_sweep_finds_unannounced_operation(make_fleet, worker, broker):
    fleet = make_fleet(hosts=1)
    broker.stop()  # no worker can be woken
    deployment = fleet.install(wait=False)
    broker.start()
    worker()
    assert fleet.ended(deployment).status == DeploymentStatus.SUCCEEDED


def kill_run(fleet: Fleet, deployment) -> None:
    """Kill every process of the run on the host, as a reboot would, but not the service."""
    from tests.lab import processes

    processes.end_using(fleet.folder() / ".deployer")
    assert deployment
