"""`bench/resident.sh`: the product's resident part for another harness, until a signal ends it.

From the environment: BENCH_HOSTS (folder with a folder for each address), BENCH_PORT (of the hosts' sshd), BENCH_KEYS
(folder with the client's key id_ed25519 and the hosts' hostkey.pub), BENCH_COUNT (hosts, from 127.0.1.1 on), BENCH_API
(where contestant.py finds address and token), BENCH_VAR (the product's own folder). With the argument `prepare` it only
makes what a system has before its first start, so that the next start is quick.
"""

import os
import shutil
import signal
import sys
import threading
from pathlib import Path

from .hosts import addresses
from .product import Product

LAB = Path("/tmp/deploy-bench")


def main() -> None:
    setting = os.environ.get
    product = Product(Path(setting("BENCH_VAR") or LAB / "product"))
    if not product.is_prepared or sys.argv[1:] == ["prepare"]:
        shutil.rmtree(product.folder, ignore_errors=True)
        product.prepare()
    if sys.argv[1:] == ["prepare"]:
        return
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    keys = Path(setting("BENCH_KEYS") or LAB / "keys")
    ssh = {
        "port": int(setting("BENCH_PORT") or 2222),
        "username": "root",
        "host_key": " ".join((keys / "hostkey.pub").read_text().split()[:2]),
    }
    way_in = Path(setting("BENCH_API") or LAB / "product.json")
    way_in.unlink(missing_ok=True)
    try:
        product.start()
        product.fill(
            addresses(int(setting("BENCH_COUNT") or 50)),
            Path(setting("BENCH_HOSTS") or LAB / "hosts"),
            ssh,
            (keys / "id_ed25519").read_text(),
        )
        product.api.replace(way_in)
        over.wait()
    finally:
        way_in.unlink(missing_ok=True)
        product.stop()


if __name__ == "__main__":
    main()
