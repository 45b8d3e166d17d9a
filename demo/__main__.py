"""`python -m demo` (`make demo`): run the product with four hosts and a service on them, until Ctrl-C."""

import getpass
import json
import os
import signal
import sys
import threading
import time
import urllib.error
from pathlib import Path

from . import engine, fill, hosts, images, openssh, parts, repository, surroundings
from .client import OPENER, Client, Refused
from .supervise import Supervisor, end_with_parent
from .surroundings import APPROVER, PASSWORDS, ROOT, USERNAME, CannotStart, Place

Environment = dict[str, str]


def main() -> int:
    started = time.monotonic()
    _end_with_make()
    try:
        place = surroundings.find_place()
        lock = surroundings.only_one(place.var)
        environment = surroundings.environment(place)
        if wrong := parts.check_settings(environment):
            raise CannotStart(wrong)
    except CannotStart as reason:
        print(f"demo: {reason}", file=sys.stderr)
        return 1
    supervisor = Supervisor(say=lambda line: print(f"demo: {line}", flush=True))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: supervisor.stopping.set())
    last = surroundings.last_record(place.last)
    place.record.unlink(missing_ok=True)
    chosen = hosts.choose(place.var, last.get("hosts", []))
    for host in chosen:
        hosts.shut_down(host)  # left behind by a demo that was killed
    engine.clear(place.var)
    outcome: list[int] = []
    threading.Thread(
        target=_start_all, args=(supervisor, place, environment, chosen, started, outcome), daemon=True
    ).start()
    supervisor.watch()
    place.record.unlink(missing_ok=True)
    supervisor.end()
    for host in chosen:
        hosts.shut_down(host)
    engine.clear(place.var)
    os.close(lock)
    return outcome[0] if outcome else 0


def _start_all(
    supervisor: Supervisor,
    place: Place,
    environment: Environment,
    chosen: list[hosts.Host],
    started: float,
    outcome: list[int],
) -> None:
    """Start everything and print the address. Any error ends the demo."""
    try:
        chosen_engine = engine.choose(place.var, USERNAME)
        threading.Thread(target=_start_engine, args=(supervisor, place, chosen_engine), daemon=True).start()
        token, ids = _prepare(supervisor, place, environment, chosen)
        _announce(place, environment, token, chosen, ids, time.monotonic() - started)
        _report_missing_sandbox(Client(place.url, token), supervisor)
        _show_images(Client(place.url, token), chosen_engine, supervisor, place, ids)
    except Exception as error:  # noqa: BLE001 - any error: one line and the end
        if not supervisor.stopping.is_set():
            print(f"demo: {error} (logs: {place.var / 'log'})", file=sys.stderr, flush=True)
            outcome.append(1)
        supervisor.stopping.set()


def _start_engine(supervisor: Supervisor, place: Place, found: engine.Engine | str) -> None:
    """Start an engine and a registry beside everything else, where there is one."""
    if isinstance(found, engine.Engine):
        found.prepare()
        for part in found.parts(place.log("engine")):
            supervisor.start(part)


def _show_images(
    client: Client, found: engine.Engine | str, supervisor: Supervisor, place: Place, ids: list[int]
) -> None:
    """Build and install the example of images, after the demo is ready. Without it the demo goes on."""
    if isinstance(found, str):
        print(f"demo: {images.NAME} is left out: {found}", flush=True)
        return
    begun = time.monotonic()
    try:
        images.show(client, found, supervisor, place.log("images"), ids)
    except (images.NoImages, Refused, OSError, RuntimeError) as error:
        if not supervisor.stopping.is_set():
            print(f"demo: {images.NAME} is left out: {error}", flush=True)
        return
    print(
        f"demo: {images.NAME} runs in containers on {images.HOSTS} hosts, {time.monotonic() - begun:.0f} s later. Its "
        f"images were built at the demo's own engine ({found.url}) and pushed to its registry ({found.registry}).",
        flush=True,
    )


def _prepare(
    supervisor: Supervisor, place: Place, environment: Environment, chosen: list[hosts.Host]
) -> tuple[str, list[int]]:
    authorized = openssh.make_key(place.var / "demo_key")
    for path in (place.var / "log").glob("*.log"):
        parts.short_log(path)
    for host in chosen:
        supervisor.start(hosts.part(host, authorized, place.log(host.name)))
        for command, its_environment in hosts.boot(host):
            supervisor.job(command, its_environment, ROOT, place.log(host.name))
    product = parts.product({k: v for k, v in environment.items() if k not in PASSWORDS.values()}, place.log)
    for part in product:
        if part.name == "broker":
            supervisor.start(part)
    token = _make_ready(supervisor, place, environment)
    for part in product:
        if part.name != "broker":
            supervisor.start(part)
    _wait_for_answer(supervisor, f"{place.url}/healthz", "the web process")
    client = Client(place.url, token)
    private_key = (place.var / "demo_key").read_text()
    source = repository.make(place.var)
    ids = fill.fill(
        client,
        chosen,
        private_key,
        getpass.getuser(),
        sys.executable,
        source,
        repository.commits(place.var) if source else {},
    )
    _wait_for_answer(supervisor, f"{place.url}/readyz", "a worker")
    return token, ids


def _make_ready(supervisor: Supervisor, place: Place, environment: Environment) -> str:
    """Prepare static files, tables, user and token. Return the token."""
    output = place.var / "demo.token"
    openssh.write_private(output, surroundings.last_record(place.last).get("token", ""))
    command = [sys.executable, "-m", "demo.prepare", str(output)]
    if supervisor.job(command, environment, ROOT, place.log("prepare")):
        raise CannotStart(f"the database or the static files could not be prepared: {_last_line(place.log('prepare'))}")
    token = output.read_text().strip()
    output.unlink()
    return token


def _wait_for_answer(supervisor: Supervisor, url: str, what: str, seconds: float = 90) -> None:
    """Return once `url` answers with 200. 503 means not yet; any other error ends the demo."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not supervisor.stopping.is_set():
        try:
            OPENER.open(url, timeout=5).close()
            return
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise CannotStart(f"{url} answered {error.code}") from None
        except OSError:
            pass  # not listening yet
        time.sleep(0.05)
    raise CannotStart(f"{what} did not start within {seconds:.0f} s")


def _announce(
    place: Place, environment: Environment, token: str, chosen: list[hosts.Host], ids: list[int], seconds: float
) -> None:
    passwords = {name: environment[variable] for name, variable in PASSWORDS.items()}
    record = {
        "url": place.url,
        "username": USERNAME,
        "password": passwords[USERNAME],
        "approver": {"username": APPROVER, "password": passwords[APPROVER]},
        "token": token,
        "hosts": [
            {"id": number, "hostname": host.name, "ip": host.ip, "port": host.port, "root": str(host.root)}
            for host, number in zip(chosen, ids, strict=True)
        ],
    }
    for path in (place.last, place.record):
        written = path.with_suffix(".new")
        openssh.write_private(written, json.dumps(record, indent=2) + "\n")
        written.replace(path)  # a reader never sees half of the file
    print(
        f"\n  Ready after {seconds:.0f} s:  {place.url}/\n\n"
        f"  username  {USERNAME}\n  password  {passwords[USERNAME]}\n  token     {token}\n\n"
        f"  To say yes to what production waits for, sign in in another browser as\n"
        f"  username  {APPROVER}\n  password  {passwords[APPROVER]}\n\n"
        f"  Hosts     {', '.join(f'{host.name} ({host.ip}:{host.port})' for host in chosen)}\n"
        f"  Data      {place.var}\n\n  Ctrl-C stops everything; the next `make demo` continues with the same data.\n",
        flush=True,
    )


def _report_missing_sandbox(client: Client, supervisor: Supervisor, seconds: float = 20) -> None:
    """Print a line if this machine has no sandbox for builds, which the worker detects."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not supervisor.stopping.is_set():
        builders = client.get("builds/sandbox")["data"]
        if builders:
            if all(builder["means"] == "none" for builder in builders):
                print(f"demo: search cannot be built here. {' '.join(builders[0]['missing'])}", flush=True)
            return
        time.sleep(0.5)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else "no output"


def _end_with_make() -> None:
    """End with make: a make that is killed cannot end its recipe itself."""
    try:
        parent = Path(f"/proc/{os.getppid()}/comm").read_text().strip()
    except OSError:
        return
    if parent in ("make", "gmake"):
        end_with_parent()


if __name__ == "__main__":
    sys.exit(main())
