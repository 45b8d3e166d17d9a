"""`celery -A bench.crowd worker`: the product's worker, with hosts that are only played.

Everything up to the engine's connection is the product's: claims, fences, plans, the compiled program, the journal's
parser, rows, events. A module of its own, because to import it is to have no real hosts any more.
"""
from bench.simulated import Connection
from deployer.celery import app
from deployer.engine import conduct

__all__ = ["app"]

conduct.connect = Connection
