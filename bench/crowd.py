"""`celery -A bench.crowd worker`: the product's worker, with hosts that are only played.

Everything up to the engine's connection is the product's: claims, fences, plans, the compiled program, the journal's
parser, rows, events. A module of its own, because to import it is to have no real hosts any more.
"""

from bench.simulated import Connection
from deployer.engine import run
from runtime.celery_app import app

__all__ = ["app"]

run.connect = Connection
