"""The bench runs, tells what it measured, and notices a host that does not carry the version."""
import json
import os
import subprocess
from pathlib import Path

from bench.hosts import SERVICE, Hosts
from bench.results import KEYS, LIMIT, PRODUCT, REVERT, History, Row, figures, summary, table

ROOT = Path(__file__).resolve().parents[2]


def row(contestant, wall, hosts=50, **more):
    return Row(**{"began": "1", "contestant": contestant, "hosts": hosts, "turn": 1, "wall": wall, "cpu": 1.0,
                  "host_cpu": 2.0, "carrying": hosts, "status": 0, **more})  # fmt: skip


def test_two_hosts_and_one_turn_give_ratios_a_summary_and_a_history(tmp_path):
    environment = {**os.environ, "VAR": str(tmp_path)}
    ended = subprocess.run(
        [ROOT / "bench" / "run", "--hosts", "2", "--turns", "1", "--no-write"],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "| 2 | PRODUCT |" in ended.stdout
    told = json.loads((tmp_path / "bench.json").read_text())
    assert set(told) == set(KEYS)
    assert told["vs_limit"]["2"] > 0 and told["revert_vs_limit"] > 0 and told["client_cpu_ms_per_host"] > 0
    (rows,) = History(tmp_path / "bench-history.jsonl").runs().values()
    assert [one.contestant for one in rows] == [PRODUCT, REVERT, LIMIT] and all(one.good for one in rows)


def test_ratios_are_of_medians_of_good_turns_to_limit_on_as_many_hosts():
    rows = [row(LIMIT, 2.0), row(LIMIT, 1.0, hosts=1), row(PRODUCT, 3.0), row(PRODUCT, 5.0), row(PRODUCT, 4.0)]
    rows += [row(PRODUCT, 0.1, status=1), row(PRODUCT, 0.1, carrying=49), row(REVERT, 1.0)]
    found = figures(rows)
    told = summary(found)
    assert told["vs_limit"] == {"50": 2.0} and told["revert_vs_limit"] == 0.5
    assert told["client_cpu_ms_per_host"] == 20.0 and told["vs_fabric"] is None
    one = next(figure for figure in found if figure.contestant == PRODUCT)
    assert (one.least, one.most, one.good, one.turns) == (1.5, 2.5, 3, 5)
    assert "| 50 | PRODUCT | 2.00 | 1.50–2.50 | 2.00 |" in table(found, found)


def test_a_host_carries_a_version_only_whole_linked_and_started(tmp_path):
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
