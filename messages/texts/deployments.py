"""Deployments: requests, targets, rollouts."""

from ..text import Text

TEXTS: dict[str, Text] = {}
