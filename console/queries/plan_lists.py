"""The lists of a plan, page by page: it may have ten thousand targets, and its page names the first of each list."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from messages.rendering import render
from microservice.deployments.plan import Plan, TargetPlan
from microservice.deployments.skipped import SkippedTarget
from microservice.deployments.target_rows import TargetRow
from runtime.ids import parse_number

SHOWN_GROUPS = 20
FIRST_ROWS, NEXT_ROWS = 50, 500
OTHERS, SKIPPED = "others", "skipped"  # names of lists; a group's is its position


@dataclass(frozen=True, slots=True)
class Position:
    """The page of one of the lists that was asked for; the other lists start at their beginning."""

    name: str = ""
    after: int = 0

    @classmethod
    def of(cls, words: dict[str, str]) -> "Position":
        return cls(words["plan_list"], parse_number(words["plan_after"]) or 0)


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of a list: hosts, or why targets are skipped. `before`: how many rows of the list stand before it."""

    name: str
    rows: list[str]
    count: int = 0
    before: int = 0

    @property
    def last(self) -> int:
        return self.before + len(self.rows)

    @property
    def next(self) -> int:
        """How many rows stand before the next page; 0 on the last one."""
        return self.last if self.last < self.count else 0

    @property
    def next_rows(self) -> int:
        return min(NEXT_ROWS, self.count - self.next)


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts with the very same steps."""

    steps: list[dict[str, Any]]
    hosts: Listing


@dataclass(frozen=True, slots=True)
class PlanLists:
    """All lists of a plan. `others`: the hosts of the groups after the first ones. `skipped`: the reasons."""

    groups: list[Group]
    others: Listing
    skipped: Listing

    def find(self, name: str) -> Listing | None:
        every = [*(group.hosts for group in self.groups), self.others, self.skipped]
        return next((one for one in every if one.name == name), None)


def lists(plan: Plan, position: Position) -> PlanLists:
    """Return the lists of a plan, each from its beginning or from the position that was asked for. Pure."""
    together: dict[str, tuple[TargetPlan, list[TargetRow]]] = {}
    for one, rows in alike(plan).items():
        together.setdefault(repr(one.steps), (one, []))[1].extend(rows)
    groups = list(together.values())
    shown = [
        Group(one.steps, _page(str(number), rows, position)) for number, (one, rows) in enumerate(groups[:SHOWN_GROUPS])
    ]
    others = [row for _one, rows in groups[SHOWN_GROUPS:] for row in rows]
    return PlanLists(shown, _page(OTHERS, others, position), _page(SKIPPED, plan.skipped, position))


def alike(plan: Plan) -> dict[TargetPlan, list[TargetRow]]:
    """Return the targets of a plan by what happens to them. Pure."""
    found: dict[TargetPlan, list[TargetRow]] = {}
    for row, one in plan.targets:
        found.setdefault(one, []).append(row)
    return found


def _page(name: str, rows: Sequence[TargetRow] | Sequence[SkippedTarget], position: Position) -> Listing:
    before = position.after if position.name == name else 0
    shown = rows[before : before + (NEXT_ROWS if before else FIRST_ROWS)]
    texts = [row.host if isinstance(row, TargetRow) else render(row.reason) for row in shown]
    return Listing(name, texts, len(rows), before)
