"""The cells of the fleet's matrix: hundreds on a page, so they are rendered here, not in templates."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django import template
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, gettext_noop, ngettext

from messages.rendering import term
from microservice.models import Deployment, MicroServiceVersion
from microservice.output import terminal
from microservice.status import Action, DeploymentStatus

from .. import times
from ..queries.fleet import NOWHERE, Cell, Running, ServiceRow
from ..queries.fleet_matrix import Column
from .console import mark, status
from .versions import change_button

SHOWN = 3  # versions of a cell, and deployments
STATES = {  # what instances are counted by: how it looks, and what it is called
    "failed": ("bad", "bad", gettext_noop("failed")),
    "locked": ("warn", "lock", gettext_noop("locked")),
    "maintenance": ("warn", "tool", gettext_noop("in maintenance")),
}
register = template.Library()


@register.simple_tag
def cells(row: ServiceRow, columns: Iterable[Column]) -> SafeString:
    """Render what of a service is in each environment; a cell without anything is empty."""
    parts = []
    for column in columns:
        cell = row.cells.get(column.pk if column else NOWHERE)
        name = escape(column.name if column else gettext("No environment"))
        inside = "".join(_Rendering(row, cell, column).parts()) if cell else ""
        parts.append(f'<td data-name="{name}">{inside}</td>' if inside else "<td></td>")
    return mark_safe("".join(parts))  # noqa: S308  every part is escaped where it is made


@dataclass(frozen=True, slots=True)
class _Rendering:
    row: ServiceRow
    cell: Cell
    column: Column

    def parts(self) -> Iterator[str]:
        is_one = len(self.cell.versions) == 1
        for running in self.cell.versions[:SHOWN]:
            yield from self._version(running, list(self._states()) if is_one else [])
        if len(self.cell.versions) > SHOWN:
            text = gettext("%(n)s versions in total") % {"n": len(self.cell.versions)}
            yield format_html('<a class="small" href="{}">{}</a>', self._instances(), text)
        if not is_one and self.cell.total:
            yield _row(*self._states())
        yield from self._candidate()
        for deployment in self.cell.deployments[:SHOWN]:
            yield from _deployment(deployment)
        if (more := len(self.cell.deployments) - SHOWN) > 0:
            text = gettext("and %(n)s more") % {"n": more}
            yield format_html('<a class="small" href="{}">{}</a>', self._deployments(), text)

    def _version(self, running: Running, states: Iterable[str]) -> Iterator[str]:
        """Render a version, and below it how its instances are, how many, and what may be done with them."""
        hosts = ngettext("%(n)s host", "%(n)s hosts", running.count) % {"n": running.count}
        if running.version_id:
            yield _name(running.version, self._instances(version=running.version_id))
        else:
            yield format_html('<div class="at muted">{}</div>', gettext("not installed yet"))
        count = format_html('<span class="small muted nowrap">{}</span>', hosts)
        yield _row(*states, count, *(self._changes(running) if running.version_id else ()))

    def _changes(self, running: Running) -> Iterator[str]:
        """Render the links to the dialogs. Where a version has to be promoted, it goes on by that."""
        if not self.row.may_deploy:
            return
        is_free = self.column is None or not self.column.requires_id
        actions = ((Action.UPGRADE, running.newer and is_free), (Action.REVERT, running.older))
        for action in [action for action, is_possible in actions if is_possible]:
            yield change_button(
                action, self.row.service.name, running.version_id or 0, running.version, True, self._dialog(), "small"
            )

    def _states(self) -> Iterator[str]:
        if self.cell.is_settled and self.cell.total:
            yield mark("ok", "ok", gettext("running"))
        for state, (tone, picture, word) in STATES.items():
            if count := getattr(self.cell, state):
                shown = mark(tone, picture, gettext(word))
                yield format_html('<a class="chip" href="{}">{} {}</a>', self._instances(state=state), shown, count)

    def _candidate(self) -> Iterator[str]:
        found = self.cell.candidate
        if found.ready:
            yield _name(found.ready.version, self._page(found.ready))
            link = self._deploy(found.ready) if self.row.may_deploy else ""
            yield _row(mark("run", "up", gettext("ready")), link)
        if found.soaking:
            yield _name(found.soaking.version, self._page(found.soaking))
            text = escape(gettext("ready from %(time)s")) % {"time": times.clock(found.until)}
            yield f'<div class="small muted" data-due="{_seconds_to(found.until)}">{text}</div>'

    def _page(self, version: MicroServiceVersion) -> str:
        return reverse("console:version", args=[self.row.service.name, version.pk])

    def _deploy(self, version: MicroServiceVersion) -> str:
        """Render the button to the dialog of the version that is ready; the key of upgrades clicks it too."""
        return format_html(
            '<a class="button small" data-key="u" href="{}{}">{}<span class="visually-hidden"> {}</span></a>',
            reverse("console:deploy", args=[self.row.service.name, version.pk]),
            self._dialog(),
            gettext("Deploy…"),
            f"{self.row.service.name} {version.version}",
        )

    def _dialog(self) -> str:
        """Return the query that opens a dialog for this environment."""
        return f"?environment={self.column.pk if self.column else NOWHERE}"

    def _instances(self, **filters: object) -> str:
        query = urlencode({**filters, **self._filter()})
        return f"{reverse('console:instances', args=[self.row.service.name])}?{query}"

    def _deployments(self) -> str:
        query = urlencode({"service": self.row.service.name, **self._filter()})
        return f"{reverse('console:deployments')}?{query}"

    def _filter(self) -> dict[str, str]:
        """Return how lists are filtered by this environment; nothing for those in none."""
        return {"environment": self.column.name} if self.column else {}


def _seconds_to(moment: datetime | None) -> int:
    """Return how many seconds are left, rounded up: the page is fetched again when it is over (static/js/live.js)."""
    return max(1, math.ceil((moment - timezone.now()).total_seconds())) if moment else 1


def _deployment(row: Deployment) -> Iterator[str]:
    text = term(row.action)
    if row.dest_version:
        text = gettext("%(action)s to %(version)s") % {"action": text, "version": row.dest_version}
    yield _name(text, reverse("console:deployment", args=[row.pk]), "")
    yield _row(status(row.status, "deployment"), _done(row) if row.status != DeploymentStatus.WAITING else "")


def _name(text: str, address: str, kind: str = "mono ") -> SafeString:
    """Render what a part of a cell is about: one line, the whole of which is its title."""
    words = terminal.plain(text)
    return format_html(
        '<div class="at"><a class="{}line" href="{}" title="{}">{}</a></div>', kind, address, words, words
    )


def _row(*parts: str) -> SafeString:
    return format_html('<div class="row">{}</div>', format_html_join("", "{}", ((part,) for part in parts)))


def _done(row: Any) -> str:  # a Deployment with its progress
    """Say how many hosts are done, as deployment/done.html does."""
    counts = {"done": row.done, "total": row.total, "failed": row.failed}
    text = gettext("%(done)s of %(total)s, %(failed)s failed") if row.failed else gettext("%(done)s of %(total)s")
    return format_html('<span class="small muted nowrap">{}</span>', text % counts)
