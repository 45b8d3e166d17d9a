"""What a run leaves on the host: nothing that holds the service's environment."""

from deployer.engine.journal import Kind
from deployer.engine.program import Answer


def holding(host, text: str) -> list[str]:
    """Return the engine's files that hold a text."""
    ours = (path for path in (host.folder / ".deployer").rglob("*") if path.is_file())
    return [path.name for path in ours if text in path.read_text(errors="replace")]


def test_program_is_removed_after_run(any_host):
    """The program holds the service's environment. It is removed however the run ends, and by whichever process."""
    secret = {"environment": {"DB_PASSWORD": "canary-41d"}}
    any_host.carry_out("install", None, "v1", **secret)
    assert not holding(any_host, "canary-41d")
    assert any_host.carry_out("upgrade", "v1", "v2", post="exit 1", **secret).end.result == "undone"
    assert not holding(any_host, "canary-41d")
    run = any_host.run("upgrade", "v1", "v2", pre="sleep 30", **secret)
    going = any_host.start(run)
    going.until(Kind.STARTED, "pre")
    assert holding(any_host, "canary-41d") == ["program"]  # it is what a dead run is undone with
    going.kill()
    assert any_host.attach(run).over(30).end.result == "undone"
    assert not holding(any_host, "canary-41d")
    assert not list((any_host.folder / ".deployer" / "runs").glob("*/program"))


def test_next_run_removes_leftover_program(any_host):
    """By a run that ended before programs were removed, or whose runner died right after its end."""
    any_host.carry_out("install", None, "v1")
    old = next((any_host.folder / ".deployer" / "runs").iterdir())
    for name in ("program", "text"):
        (old / name).write_text("DB_PASSWORD='canary-41d'")
    any_host.carry_out("upgrade", "v1", "v2")
    assert not holding(any_host, "canary-41d")
    assert (old / "journal").read_text()


def test_cut_run_keeps_its_program(any_host):
    run = any_host.run("install", None, "v1")
    assert any_host.start(run, b"").over().end.result == "cut"
    again = any_host.start(run).over()
    assert again.end.result == "done", (again.said, again.noise)


def torn(host, run) -> None:
    """Cut the last line of the journal in half, as a power cut does."""
    journal = host.folder / f".deployer/runs/{run.operation}/journal"
    whole = journal.read_bytes()
    journal.write_bytes(whole[: whole.rindex(b"\n", 0, -1) + 9])


def test_lost_end_is_rewritten_from_result(any_host):
    any_host.carry_out("install", None, "v1")
    run = any_host.run("upgrade", "v1", "v2", post="exit 1")
    assert any_host.start(run).over().end.result == "undone"
    torn(any_host, run)
    again = any_host.attach(run).over()
    assert again.end.result == "undone" and again.end.output_size is not None
    torn(any_host, run)
    assert any_host.carry_out("upgrade", "v1", "v2").end.result == "done"  # nothing is in its way


def test_missing_program_and_result_are_unsettled(any_host):
    any_host.carry_out("install", None, "v1")
    run = any_host.run("upgrade", "v1", "v2")
    assert any_host.start(run).over().end.result == "done"
    torn(any_host, run)
    (any_host.folder / f".deployer/runs/{run.operation}/result").unlink()
    call = any_host.attach(run).over()
    assert (call.answer, call.about) == (Answer.UNSETTLED, str(run.operation))
