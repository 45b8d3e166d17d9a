"""The bench runs, reports figures, goes on after a failed measurement, and detects a host without the version."""

import json
import os
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.db.models import F

from bench import __main__ as bench
from bench import fill, fill_environments, report, simulated
from bench.contestants import tools
from bench.delayed_link import DelayedLink
from bench.figure import Figure
from bench.history import History
from bench.hosts import SERVICE, Hosts
from bench.results import KEYS, LIMIT, PRODUCT, REVERT, Finding, Row, figures, summary
from deployer.engine import program
from deployer.engine.journal import JournalReader, Kind, Result
from microservice import atoms
from microservice.models import Deployment, MicroServiceInstance, MicroServiceVersion, Operation, Step
from microservice.status import Action
from tests import factories
from tests.lab.busy import within
from tests.lab.network import free_port

ROOT = Path(__file__).resolve().parents[2]


def row(contestant, wall, hosts=50, **more):
    return Row(
        **{
            "began": "1",
            "contestant": contestant,
            "hosts": hosts,
            "turn": 1,
            "wall": wall,
            "cpu": 1.0,
            "host_cpu": 2.0,
            "carrying": hosts,
            "status": 0,
            **more,
        }
    )


@pytest.mark.slow
def test_writes_ratios_summary_and_history(tmp_path):
    environment = {**os.environ, "DATA_DIR": str(tmp_path)}
    ended = subprocess.run(
        [
            ROOT / "bench" / "run",
            "--only",
            "race",
            "--contestants",
            "LIMIT,PRODUCT,NOBODY",
            "--hosts",
            "2,2@4ms",
            "--turns",
            "1",
            "--no-write",
        ],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=within(110),
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr  # because of the contestant that cannot be had
    assert "| 2@4ms | REVERT |" in ended.stdout
    assert "| 2 | PRODUCT |" in ended.stdout and "NOBODY is left out: no such contestant" in ended.stdout
    written = json.loads((tmp_path / "bench.json").read_text())
    assert set(written) == {*KEYS, "figures"} and written["figures"] == {"race": {"NOBODY": None}}
    assert set(written["vs_limit"]) == {"2", "2@4ms"}
    assert written["revert_vs_limit"] > 0 and written["client_cpu_ms_per_host"] > 0
    (rows,) = History(tmp_path / "bench-history.jsonl").runs().values()
    assert [one.contestant for one in rows] == [PRODUCT, REVERT, LIMIT] * 2 and all(one.good for one in rows)


def test_ratios_compare_medians_of_successful_runs():
    rows = [row(LIMIT, 2.0), row(LIMIT, 1.0, hosts=1), row(PRODUCT, 3.0), row(PRODUCT, 5.0), row(PRODUCT, 4.0)]
    rows += [row(PRODUCT, 0.1, status=1), row(PRODUCT, 0.1, carrying=49), row(REVERT, 1.0), row(tools.CAPISTRANO, 6.0)]
    found = figures(rows)
    ratios = summary(found)
    assert ratios["vs_limit"] == {"50": 2.0} and ratios["revert_vs_limit"] == 0.5
    assert ratios["client_cpu_ms_per_host"] == 20.0 and ratios["vs_fabric"] is None and ratios["vs_capistrano"] == 1.5
    one = next(figure for figure in found if figure.contestant == PRODUCT)
    assert (one.least, one.most, one.good, one.turns) == (1.5, 2.5, 3, 5)
    assert "| 50 | PRODUCT | 2.00 | 1.50–2.50 | 2.00 |" in report.race(found, found)


def test_reports_distant_hosts_separately():
    rows = [row(LIMIT, 2.0), row(PRODUCT, 4.0), row(REVERT, 1.0)]
    far = [row(LIMIT, 3.0, rtt=20.0), row(PRODUCT, 3.3, rtt=20.0), row(REVERT, 2.7, rtt=20.0)]
    near, both = summary(figures(rows)), summary(figures(rows + far))
    assert both == near | {"vs_limit": {"50": 2.0, "50@20ms": 1.1}}
    assert "| 50@20ms | PRODUCT | 1.10 |" in report.race(figures(rows + far), [])
    assert bench.places("50@20ms") == (50, 20.0) and bench.places("7", 5.0) == (7, 5.0)


def test_delayed_link_delivers_every_byte(tmp_path):
    served = socket.create_server(("127.0.1.1", 0))
    line = DelayedLink(tmp_path, free_port("127.0.1.1"), served.getsockname()[1], 100)
    try:
        client = socket.create_connection(("127.0.1.1", line.port))
        host, _ = served.accept()
        sent, began = os.urandom(3_000_000), time.perf_counter()
        sender = threading.Thread(target=lambda: (client.sendall(sent), client.shutdown(socket.SHUT_WR)))
        sender.start()
        got = host.makefile("rb").read()
        assert got == sent and time.perf_counter() - began >= 0.1
        began = time.perf_counter()
        host.sendall(b"x")
        host.close()
        assert client.makefile("rb").read() == b"x" and time.perf_counter() - began >= 0.05
        sender.join()
    finally:
        line.stop()


def finding(name, value, measurement="lock", **more):
    return Finding("1", measurement, name, value, "s", 1.0, **more)


def test_failed_measurement_does_not_end_bench(tmp_path, monkeypatch, capsys):
    def breaks(lab):
        yield Figure("10,000 instances, sqlite", 0.2, "s", 1.0)
        raise RuntimeError("the floor gave way")

    measurements = {"lock": breaks, "idle": lambda lab: [Figure("CPU", 0.5, "% of a core", 1.0)]}
    monkeypatch.setattr(bench, "import_module", lambda name: SimpleNamespace(measure=measurements[name[6:]]))
    run = bench.Run(History(tmp_path / "history.jsonl"), "1")
    for name in measurements:
        run.measure(name, None)
    ratios = summary([], run.findings)
    assert ratios["lock_10000_s"] == {"sqlite": 0.2, "postgresql": None} and ratios["idle_cpu_percent"] == 0.5
    assert not run.good and "the floor gave way" in capsys.readouterr().out
    assert "not measured: RuntimeError: the floor gave way" in report.own(run.findings)
    assert [one.value for one in History(tmp_path / "history.jsonl").findings()] == [0.2, 0.5]


def test_reports_regression(tmp_path):
    table = report.own([finding("10,000 instances, sqlite", 1.5)], [finding("10,000 instances, sqlite", 0.4)])
    assert "| lock | 10,000 instances, sqlite | 1.5 s **missed** | < 1 | 0.4 s |" in table
    document = tmp_path / "figures.md"
    document.write_text("before\n<!-- runs: begin -->\n<!-- runs: end -->\nafter\n")
    for name in ("first", "second"):
        ratios = dict.fromkeys(KEYS) | {"vs_limit": {"1": 1.2, "50": 1.05}}
        report.write(document, "runs", report.runs(report.between(document.read_text(), "runs"), name, ratios))
    lines = document.read_text().splitlines()
    assert [line.split("| ")[1:3] for line in lines[4:6]] == [
        [f"{one} ", "1: 1.2, 50: 1.05 "] for one in ("first", "second")
    ]
    assert lines[0] == "before" and lines[-1] == "after"


def test_simulated_host_succeeds(db):
    old, new = factories.versions(factories.service(start_command="true"), 2)
    (instance,) = factories.instances(old, factories.hosts())
    operation = Operation(instance=instance, action=Action.UPGRADE, from_version=old, dest_version=new)
    atom = atoms.atom_of(atoms.spec_of(old.microservice), operation)
    run = program.Run(operation=1, fence=1, atom=atom, nonce="abc")
    events = JournalReader("abc").feed(simulated.journal(program.start(run).decode()))
    assert events[-1].kind is Kind.END and events[-1].result is Result.DONE
    assert [one.step for one in events if one.kind is Kind.DONE] == [step.name for step in atom.steps]


def test_fills_environments(db, monkeypatch):
    for name, value in {"SERVICES": 3, "HOSTS": 20}.items():
        monkeypatch.setattr(fill_environments, name, value)
    fill_environments.main()
    assert MicroServiceInstance.objects.count() == 3 * fill_environments.ENVIRONMENTS * fill_environments.PER_CELL
    assert Operation.objects.count() == 2 * MicroServiceInstance.objects.count()
    assert not Operation.objects.exclude(deployment__microservice=F("dest_version__microservice")).exists()
    assert not Operation.objects.exclude(deployment__environment=F("host__environment")).exists()


def test_fills_large_system(db, monkeypatch, tmp_path, settings):
    small = {"HOSTS": 40, "SERVICES": 12, "INSTANCES": 100, "VERSIONS": 30, "DEPLOYMENTS": 3, "OF_DEPLOYMENT": 10}
    for name, value in {**small, "LARGE": {"big-1000": 12, fill.FAILED: 20, "big-versions": 2}}.items():
        monkeypatch.setattr(fill, name, value)
    settings.PACKAGE_ROOT = tmp_path / "packages"
    fill.main(tmp_path)
    assert MicroServiceInstance.objects.count() == 100 and Deployment.objects.count() == 3 + 1
    assert MicroServiceVersion.objects.filter(microservice__name="big-versions").count() == 30
    assert Step.objects.count() == 10 * len(fill.STEPS)


def test_detects_incomplete_version(tmp_path):
    hosts = Hosts(tmp_path, 1)
    folder = hosts.folder("127.0.1.1", of_product=True)
    assert folder.name == SERVICE
    release = folder / "releases" / "v2"
    release.mkdir(parents=True)
    (folder / "run").mkdir()
    (folder / "run" / "pid").write_text("12\n")
    (release / "VERSION").write_text("v2\n")
    (folder / "current").symlink_to("releases/v2")
    assert hosts.carrying(["127.0.1.1"], "v2", 1, of_product=True) == 1
    assert hosts.carrying(["127.0.1.1"], "v2", 2, of_product=True) == 0
    assert hosts.carrying(["127.0.1.1"], "v1", 1, of_product=True) == 0
    (folder / "run" / "pid").unlink()
    assert hosts.carrying(["127.0.1.1"], "v2", 1, of_product=True) == 0
