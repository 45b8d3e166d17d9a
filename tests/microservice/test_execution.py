"""The whole way: a request, a real worker process, real hosts. Host, process and rows must agree at the end."""

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
from tests.lab.network import free_port
from tests.lab.sshd import Sshd

from .world import World

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(transactional_db, sshds):
    return lambda hosts=2, **service: World(sshds(hosts), **service)


def output(operation: Operation) -> str:
    return b"".join(bytes(row.data) for row in operation.output.order_by("start")).decode()


def test_every_action_ends_with_host_process_and_rows_agreeing(world, worker):
    here = world(hosts=2)
    worker()
    assert here.install().status == DeploymentStatus.SUCCEEDED
    here.agrees(0)
    assert here.go("upgrade", 0, 2).status == DeploymentStatus.SUCCEEDED
    here.agrees(2)
    back = here.go("revert", 2, 0)
    assert back.status == DeploymentStatus.SUCCEEDED
    assert {row.bytes_sent for row in back.operations.all()} == {0}  # the release was still there
    here.agrees(0)
    again = here.go("upgrade", 0, 2)
    assert {(row.status, row.bytes_sent) for row in again.operations.all()} == {("succeeded", 0)}  # and so was this one
    here.agrees(2)
    gone = actions.delete(SYSTEM, here.service, list(MicroServiceInstance.objects.values_list("pk", flat=True)))
    assert here.ended(gone).status == DeploymentStatus.SUCCEEDED
    here.agrees(None)
    assert not MicroServiceInstance.objects.exists()


def test_hosts_behind_a_jump_host_fetch_the_package_from_it_and_a_row_says_so(world, worker, tmp_path):
    here = world(hosts=2)
    with Sshd(tmp_path / "jump", extra=f"SetEnv XDG_CACHE_HOME={tmp_path}/cache") as jump:
        gate = here._asset(9, jump)
        Asset.objects.filter(pk__in=[asset.pk for asset in here.assets]).update(jump_host=gate)
        worker()
        for version, port, said in ((0, free_port(jump.address), "fetched from the jump host"), (1, None, "")):
            Asset.objects.filter(pk=gate.pk).update(package_port=port)
            done = here.install() if not version else here.go("upgrade", 0, version)
            assert done.status == DeploymentStatus.SUCCEEDED
            sent = {bool(row.bytes_sent) for row in done.operations.all()}
            uploads = Step.objects.filter(operation__deployment=done, name="upload")
            assert ({step.detail for step in uploads}, sent) == ({said}, {not said})
        here.agrees(1)


def test_steps_states_and_output_are_rows(world, worker):
    here = world(hosts=1, pre_command='echo "out of traffic"; echo "really" >&2')
    worker()
    here.install()
    operation = here.go("upgrade", 0, 1).operations.get()
    steps = list(Step.objects.filter(operation=operation))
    assert {step.status for step in steps} == {"done"}
    assert [step.name for step in steps][:3] == ["prepare", "upload", "unpack"]
    link = next(step for step in steps if step.name == "link")
    assert "1.0" in link.old_state and "2.0" in link.new_state
    assert all(step.started and step.finished and step.finished >= step.started for step in steps)
    assert "out of traffic\nreally\n" in output(operation)
    assert operation.output_size == len(output(operation))


def test_a_failed_check_brings_the_old_version_back_and_retry_repeats_exactly_that(world, worker):
    here = world(hosts=2, check_timeout=1)
    worker()
    here.install()
    (here.hosts[1].root / "shop" / "shared" / "sick").touch()
    here.service.check_command = here.service.check_command + ' && { [ "$VERSION" = 1.0 ] || [ ! -e "$SHARED/sick" ]; }'
    here.service.save()
    failed = here.go("upgrade", 0, 1, strategy={"max_failures": 5})
    assert failed.status == DeploymentStatus.FAILED
    assert sorted(failed.operations.values_list("status", flat=True)) == ["succeeded", "undone"]
    assert (here.current(0), here.running(0)) == ("2.0", "2.0")
    assert (here.current(1), here.running(1)) == ("1.0", "1.0")
    bad = failed.operations.get(status=OperationStatus.UNDONE)
    assert bad.error_step == "check" and bad.error
    assert bad.instance.status == InstanceStatus.UPGRADE_FAILED and not bad.instance.locked
    (here.hosts[1].root / "shop" / "shared" / "sick").unlink()
    again = here.ended(actions.retry(SYSTEM, failed))
    row = again.operations.get()
    assert (row.status, row.attempt, row.bytes_sent) == ("succeeded", 2, 0)
    here.agrees(1)


def test_a_failed_undo_is_told_apart_and_names_what_remains(world, worker):
    here = world(hosts=1)
    worker()
    here.install()
    here.service.pre_command, here.service.pre_undo_command = "true", "echo cannot; exit 3"
    here.service.check_command = f'[ "$VERSION" = 1.0 ] && {{ {here.service.check_command}; }}'
    here.service.check_timeout = 1
    here.service.save()
    operation = here.go("upgrade", 0, 1).operations.get()
    assert (operation.status, operation.undo_status) == ("failed", "failed")
    assert "pre" in operation.error
    assert Step.objects.get(operation=operation, name="pre").status == "undo_failed"
    here.agrees(0)  # all other undos were still done


@pytest.mark.parametrize("step", ["pre", "stop", "start", "check", "post"])
def test_a_worker_killed_in_the_middle_of_a_step_is_followed_by_another(world, worker, step):
    """The host goes on by itself; another worker brings the operation to the end that it would have had."""
    here = world(hosts=1, post_command="true")
    wait = 'if [ "$VERSION" = 2.0 ] || [ "$OTHER_VERSION" = 2.0 ]; then touch "$SHARED/in"; sleep 3; fi; '
    first = worker()
    here.install()
    field = f"{step}_command"
    setattr(here.service, field, wait + (getattr(here.service, field) or "true"))
    here.service.save()
    deployment = here.go("upgrade", 0, 1, wait=False)
    until((here.folder() / "shared" / "in").exists, 20)
    first.kill()
    worker()
    assert here.ended(deployment).status == DeploymentStatus.SUCCEEDED
    here.agrees(1)
    assert here.trace().count("start 2.0") == 1
    operation = deployment.operations.get()
    assert operation.takeovers >= 1
    assert set(Step.objects.filter(operation=operation).values_list("status", flat=True)) == {"done"}


def test_a_run_that_died_on_its_host_with_its_worker_is_undone(world, worker):
    here = world(hosts=1)
    first = worker()
    here.install()
    here.service.check_command = (
        f'[ "$VERSION" = 1.0 ] || {{ touch "$SHARED/in"; sleep 60; }}; {here.service.check_command}'
    )
    here.service.check_timeout = 60
    here.service.save()
    deployment = here.go("upgrade", 0, 1, wait=False)
    until((here.folder() / "shared" / "in").exists, 20)
    first.kill()
    kill_run(here, deployment)
    worker()
    assert here.ended(deployment).operations.get().status == OperationStatus.UNDONE
    here.agrees(0)


def test_a_connection_cut_in_the_middle_changes_nothing(world, worker):
    here = world(hosts=1, pre_command='for n in 1 2 3 4 5 6 7 8 9; do echo "line $n"; sleep 0.3; done')
    worker()
    here.install()
    deployment = here.go("upgrade", 0, 1, wait=False)
    until(lambda: "pre" in Step.objects.filter(status="running").values_list("name", flat=True), 20)
    here.hosts[0].drop_connections()
    assert here.ended(deployment).status == DeploymentStatus.SUCCEEDED
    here.agrees(1)
    lines = [line for line in output(deployment.operations.get()).splitlines() if line.startswith("line")]
    assert lines == [f"line {n}" for n in range(1, 10)]


def test_a_host_that_cannot_be_reached_is_left_as_it_was_and_named(world, worker):
    here = world(hosts=1)
    worker()
    here.install()
    here.hosts[0].stop()
    try:
        operation = here.go("upgrade", 0, 1).operations.get()
    finally:
        here.hosts[0].start()
    assert operation.status == OperationStatus.UNDONE and here.assets[0].ip in operation.error
    here.agrees(0)


def test_while_hosts_are_waited_for_a_worker_holds_few_connections_and_no_transaction(world, worker):
    here = world(hosts=6, pre_command='touch "$SHARED/in"; sleep 3')
    one = worker(slots=8, **counted())
    deployment = here.install(wait=False)
    until(lambda: all((here.folder(number) / "shared" / "in").exists() for number in range(6)), 20)
    open_now, held = database_connections(one.pid)
    assert 0 < open_now <= 5, "one for each thread that writes or sweeps, none for each operation"
    assert held == 0
    assert here.ended(deployment).status == DeploymentStatus.SUCCEEDED


def counted() -> dict[str, str]:
    """Settings with which a process calls itself so, where the database is told."""
    name = connection.settings_dict["NAME"]
    url = f"postgresql://postgres@127.0.0.1:{surroundings.POSTGRESQL_PORT}/{name}?application_name=counted"
    return {} if connection.vendor == "sqlite" else {"DATABASE_URL": url}


def database_connections(pid: int) -> tuple[int, int]:
    """How many a process has (on PostgreSQL: what calls itself so), and how many sit in a transaction for long."""
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


def test_a_worker_told_to_stop_leaves_its_host_to_go_on_and_the_next_one_finishes(world, worker):
    here = world(hosts=1)
    first = worker()
    here.install()
    here.service.pre_command = 'touch "$SHARED/in"; until [ -e "$SHARED/go" ]; do sleep 0.1; done'
    here.service.save()
    deployment = here.go("upgrade", 0, 1, wait=False)
    until((here.folder() / "shared" / "in").exists, 20)
    process = first.process
    first.stop(60)
    assert process.returncode == 0, "it waited for its host, and was killed"
    (here.folder() / "shared" / "go").touch()
    worker()
    assert here.ended(deployment).status == DeploymentStatus.SUCCEEDED
    here.agrees(1)


def test_a_cancel_ends_the_command_on_the_host_and_undoes_what_was_done(world, worker):
    here = world(hosts=1)
    worker()
    here.install()
    here.service.check_command = (
        f'[ "$VERSION" = 1.0 ] || {{ touch "$SHARED/in"; trap "" TERM; sleep 600; }}; {here.service.check_command}'
    )
    here.service.check_timeout = 600
    here.service.save()
    deployment = here.go("upgrade", 0, 1, wait=False)
    until((here.folder() / "shared" / "in").exists, 20)
    began = time.monotonic()
    actions.cancel(SYSTEM, deployment)
    assert here.ended(deployment, 30).status == DeploymentStatus.CANCELLED
    assert time.monotonic() - began < within(12)
    here.agrees(0)


def test_a_host_that_has_seen_higher_fences_than_the_rows_refuses_and_says_which(world, worker):
    """As after the database was restored from a backup."""
    here = world(hosts=1)
    worker()
    here.install()
    with (here.folder() / ".deployer" / "fence").open("a") as file:
        file.write("\n888888888888\n")
    operation = here.go("upgrade", 0, 1).operations.get()
    assert operation.status == OperationStatus.FAILED
    assert "888888888888" in operation.error and "backup" in operation.error
    here.agrees(0)


def test_what_a_message_never_announced_is_found_by_the_sweep(world, worker, broker):
    here = world(hosts=1)
    broker.stop()  # nobody can be woken
    deployment = here.install(wait=False)
    broker.start()
    worker()
    assert here.ended(deployment).status == DeploymentStatus.SUCCEEDED


def kill_run(here: World, deployment) -> None:
    """Kills every process of the run on the host, as a reboot would, but not the service."""
    from tests.lab import processes

    processes.end_using(here.folder() / ".deployer")
    assert deployment


def until(condition, seconds: float) -> None:
    deadline = time.monotonic() + within(seconds)
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
