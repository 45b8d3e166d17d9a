"""The history is a hash chain: each row's hash covers its content, its position, and the hash of the row before it.

A row is written in the transaction of its action, with the digest of its content and no position, so that no action
waits for the commit of another. Right after the commit the row is chained: rows get their positions in a short
transaction of their own, under the lock of the chain's head (SQLite has one writer anyway). Where a process dies in
between, the next action, the sweep of a worker or `manage.py verify_history` chains the rest. Events for live views are
written in the same transaction: in order, once, and also after a crash.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from django.db import Error, transaction

from . import events
from .models import History, HistoryHead

log = logging.getLogger(__name__)

START = "0" * 64  # the hash before the first row
BATCH_SIZE = 1000  # rows chained in one transaction, which limits how long the lock is held
# What a digest covers. Not the service, which may be deleted: its name is in the row where it matters.
CONTENT = ("actor", "address", "action", "subject", "subject_id", "subject_name", "before", "after", "reason")
# Covered where a token acted. Older rows have neither, and keep their digest.
TOKEN = ("token_id", "token_name")


def digest(row: History) -> str:
    """Return the hash of a row's content, independent of how the database stores JSON and times."""
    names = CONTENT + TOKEN if row.token_id is not None or row.token_name else CONTENT
    content = {name: getattr(row, name) for name in names}
    content["created"] = row.created.astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def link(before: str, position: int, row_id: int, content: str) -> str:
    """Return a row's hash: of the hash before it, its position, its id and the digest of its content."""
    return hashlib.sha256(f"{before}\n{position}\n{row_id}\n{content}".encode()).hexdigest()


def seal_after_commit() -> None:
    """Chain pending rows after the caller's transaction has committed. An error here does not fail the action."""
    transaction.on_commit(_seal_quietly)


def _seal_quietly() -> None:
    try:
        # Until nothing is left: an action that commits meanwhile finds the head locked, and leaves its row to us.
        while seal():
            pass
    except Error as error:  # the rows are saved; the next sweep chains them
        log.warning("rows of the history were not chained: %s", type(error).__name__)


def seal() -> int:
    """Give pending rows positions, oldest first, BATCH_SIZE at most. Return how many; 0 while another process does."""
    if not History.objects.filter(position=None).exists():
        return 0
    with transaction.atomic():
        head = _head()
        if head is None:
            return 0
        rows = list(History.objects.filter(position=None).order_by("pk")[:BATCH_SIZE])
        live = [
            events.of_history(row) for row in rows if row.digest
        ]  # rows older than the chain have none, and are old
        for row in rows:
            row.digest = row.digest or digest(row)  # rows older than the chain have none
            head.position += 1
            row.position = head.position
            row.hash = head.hash = link(head.hash, head.position, row.pk, row.digest)
        History.objects.bulk_update(rows, ["position", "hash", "digest"], batch_size=200)
        head.save(update_fields=["position", "hash"])
        events.write(event for event in live if event)
    return len(rows)


def _head() -> HistoryHead | None:
    """Return the chain's head, locked until the end of the transaction; None where another process holds it."""
    heads = HistoryHead.objects.select_for_update(skip_locked=True)
    if head := heads.first():
        return head
    if HistoryHead.objects.exists() or History.objects.exclude(position=None).exists():
        return None  # locked by another process; or removed, which verify_history reports
    HistoryHead.objects.bulk_create([HistoryHead(pk=1, hash=START, first_hash=START)], ignore_conflicts=True)
    return heads.first()


def verify() -> Iterator[str]:
    """Yield what is wrong with the chain, in one sentence each, with the row; nothing where it is intact."""
    head = HistoryHead.objects.first()
    if head is None:
        if History.objects.exclude(position=None).exists():
            yield "The head of the chain is missing."
        return
    rows = History.objects.filter(position__lte=head.position).order_by("position")
    yield from faults(rows.iterator(2000), head)
    last = History.objects.exclude(position=None).order_by("-position").first()
    now = HistoryHead.objects.get()  # read again: rows may have been sealed since
    if last and (last.position or 0) > now.position:
        yield f"{name(last)} comes after the head of the chain, which is at {now.position}."


def faults(rows: Iterable[History], head: HistoryHead) -> Iterator[str]:
    """Compare rows, in order, with their hashes and with the head. Yield what is wrong."""
    position, before = head.first_position, head.first_hash
    known = True  # whether `before` is the hash that the next row was chained to
    for row in rows:
        place = row.position or 0
        if place != position + 1:
            yield _missing(position + 1, place - 1, f"before {name(row)}")
            known = False
        if digest(row) != row.digest:
            yield f"{name(row)} was changed: its content differs from what was written."
        elif known and link(before, place, row.pk, row.digest) != row.hash:
            yield f"{name(row)} is out of place: it does not follow the row before it."
        position, before, known = place, row.hash, True
    if position != head.position:
        yield _missing(position + 1, head.position, "at the end")
    elif before != head.hash:
        yield f"The head of the chain, at {head.position}, is not the hash of the last row."


def name(row: History) -> str:
    """Describe a row so that it can be found: its id, position, time, actor and action."""
    return f"Row {row.pk} (position {row.position}, {row.created:%Y-%m-%d %H:%M:%S} UTC, {row})"


def _missing(first: int, last: int, where: str) -> str:
    if first == last:
        return f"Position {first} is missing {where}."
    return f"Positions {first} to {last} are missing {where}."


def prune(before: datetime) -> tuple[int, str]:
    """Delete the oldest rows, up to the first that is not older than `before`.

    Return how many, and the hash of the last of them, with which the chain begins from then on. Raise DatabaseError
    where another process holds the head.
    """
    with transaction.atomic():
        head = HistoryHead.objects.select_for_update().first()
        if head is None:
            return 0, START
        chained = History.objects.exclude(position=None)
        first_kept = chained.filter(created__gte=before).order_by("position").first()
        old = chained.filter(position__lt=first_kept.position) if first_kept else chained
        last = old.order_by("-position").first()
        if last is None or last.position is None:
            return 0, head.first_hash
        deleted, _ = old.delete()
        head.first_position, head.first_hash = last.position, last.hash
        head.save(update_fields=["first_position", "first_hash"])
    return deleted, last.hash
