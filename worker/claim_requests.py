"""Requests for operations, and the share that each gets of those that were claimed. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """A request for up to `most` operations."""

    most: int
    task_id: str


def deal(taken: Sequence[T], wanted: Sequence[int]) -> list[list[T]]:
    """Deal what was taken out in turn to those who asked for so many each. Pure."""
    dealt: list[list[T]] = [[] for _ in wanted]
    rest = iter(taken)
    for turn in range(max(wanted, default=0)):
        for hand, most in zip(dealt, wanted, strict=True):
            if turn < most:
                hand.extend(islice(rest, 1))
    return dealt
