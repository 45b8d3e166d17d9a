"""How a deployment works through its targets where its request does not say: one place for requests and dialogs."""

from asset.models import Environment
from asset.strategy import Strategy

from ..models import MicroService


def default_strategy(service: MicroService, environment: Environment | None) -> Strategy:
    """Return the environment's strategy, if it has one, else the service's: of deploys, upgrades and reverts there."""
    return Strategy.from_row((environment and environment.default_strategy) or service.default_strategy)
