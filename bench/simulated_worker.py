"""`celery -A bench.simulated_worker worker`: the product's worker with simulated hosts.

Everything up to the engine's connection is the product's: claims, fences, plans, the compiled program, the journal's
parser, rows, events. A separate module, because importing it replaces real hosts.
"""

from bench.simulated import Connection
from deployer.engine import run
from runtime.celery_app import app

__all__ = ["app"]

run.connect = Connection  # type: ignore[assignment]
