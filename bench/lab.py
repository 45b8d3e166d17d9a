"""What the measurements share: a folder, hosts, and one product at a time, each created on first use."""

import os
import shutil
import tempfile
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from demo.network import choose_port
from tests.lab.postgres import Postgres

from .delayed_link import DelayedLink
from .hosts import Hosts
from .product import Product

ROOM = 3 << 30  # bytes of memory that the hosts' files may take before a disk is used for them
# simulated_worker: a worker with simulated hosts. statement_counter: a web process that counts statements per request.
SIMULATED = {"deployer": "bench.simulated_worker", "deployer.wsgi": "bench.statement_counter"}
DATABASES = ("sqlite", "postgresql")
SLOTS = 64  # operations in flight while memory is measured
WATCHERS = 200  # tabs that watch one page


class Lab:
    """`close()` ends whatever was started."""

    def __init__(self, folder: Path, hosts: int):
        self.folder, self._hosts = folder, hosts
        self._made: dict[str, Product] = {}
        self._running: Product | None = None
        self._far: dict[float, Hosts] = {}
        self._endings: list[Callable[[], None]] = []

    @cached_property
    def hosts(self) -> Hosts:
        hosts = Hosts(self.folder, self._hosts)
        self._endings.append(hosts.stop)
        hosts.start()
        return hosts

    def hosts_behind(self, rtt: float) -> Hosts:
        """Return the hosts as seen over a line with a round trip of `rtt` ms; without one, the hosts."""
        if not rtt:
            return self.hosts
        if rtt not in self._far:
            port = choose_port(self.hosts.addresses[0])
            line = DelayedLink(self.folder, port, self.hosts.port, rtt)
            self._endings.append(line.stop)
            self._far[rtt] = self.hosts.behind(port, self._fresh())
        return self._far[rtt]

    def product(self) -> Product:
        """Return the product with a service on all of the hosts."""
        return self._on_hosts("product", {}, self.hosts.root)

    def product_behind(self, rtt: float) -> Product:
        """Return the product with hosts at a round trip of `rtt` ms."""
        if not rtt:
            return self.product()
        far = self.hosts_behind(rtt)
        return self._on_hosts(f"far-{rtt:g}", {}, far.root, far)

    def wide_product(self) -> Product:
        """Return the product with a worker of SLOTS slots."""
        return self._on_hosts("wide", {"WORKER_CONCURRENCY": str(SLOTS)})

    def _fresh(self) -> Path:
        """Make folders for new hosts."""
        root = Path(tempfile.mkdtemp(prefix="hosts-", dir=self.folder))
        for address in self.hosts.addresses:
            (root / address).mkdir()
        return root

    def _on_hosts(
        self, name: str, settings: dict[str, str], root: Path | None = None, hosts: Hosts | None = None
    ) -> Product:
        product = self._made.get(name)
        if product is None or product is not self._running:
            if root is None or product is not None:
                root = self._fresh()  # its rows are new, and hosts refuse lower fences than they know
            product = self._make(name, Product(self.folder / name, settings))
            hosts = hosts or self.hosts
            ssh = {"port": hosts.port, "username": hosts.user, "host_key": hosts.host_key}
            product.fill(hosts.addresses, root, ssh, hosts.key.read_text())
        return product

    def large_system(self, database: str) -> Product:
        """Return the product with very many rows (fill.py), no real host, and no worker that runs."""
        return self._filled(f"large-{database}", database, "bench.fill")

    def many_environments(self) -> Product:
        """Return the same with other rows: hosts are in environments (fill_environments.py)."""
        return self._filled("environments", "sqlite", "bench.fill_environments")

    def _filled(self, name: str, database: str, rows: str) -> Product:
        if self._made.get(name) is self._running and self._running is not None:
            self._running.stop_part("worker")
            return self._running
        settings = {"WEB_THREADS": str(WATCHERS + 16)}  # made as they are needed
        if database == "postgresql":
            settings["DATABASE_URL"] = self.postgres.url("postgres")
        return self._make(name, Product(self.folder / name, settings, SIMULATED), "broker", "web", rows=rows)

    @cached_property
    def postgres(self) -> Postgres:
        server = Postgres()
        self._endings.append(server.stop)
        server.start()
        return server

    def _make(self, name: str, product: Product, *parts: str, rows: str = "") -> Product:
        """Start the product after stopping the one before: nothing is measured beside another."""
        self.quiet()
        if name in self._made:
            product = self._made[name]
        else:
            product.prepare()
            if rows:
                product.call("-m", rows, str(product.prepared))
                product.call("manage.py", "collectstatic", "--noinput")  # pages name their styles and scripts
            self._made[name] = product
        self._running = product
        try:
            product.start(*parts)
        except BaseException:
            self.quiet()
            raise
        return product

    def quiet(self) -> None:
        """Stop the product that runs."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    def close(self) -> None:
        self._endings.append(self.quiet)
        while self._endings:
            ending = self._endings.pop()
            try:
                ending()
            except OSError as error:
                print(f"could not be ended: {error}", flush=True)


def memory() -> str | None:
    """Return the folder of the hosts' files: in memory if there is room, so that no disk is measured; else TMPDIR."""
    shared = Path("/dev/shm")
    roomy = shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > ROOM
    return str(shared) if roomy else None
