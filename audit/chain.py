"""The history is a chain: each row's hash covers its content, its place, and the hash of the row before it.

A row is written in the transaction of its deed, with the digest of its content and no place yet, so that no deed waits
for another one's commit. Right after the commit it is sealed: rows get their places in a short transaction of their
own, under the lock of the chain's head (on SQLite there is one writer anyway). What nobody sealed, because a process
died in between, the next deed, the sweep of a worker or `manage.py verify_history` seals. What is sealed is told to
whoever watches, in the same transaction: so that is told in order, once, and also where a process died.
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

START = "0" * 64  # what stands before the first row
BATCH = 1000  # rows that one transaction seals: the lock is never held for longer than that takes
# What a digest covers. Not the service, which may be deleted: its name is in the row where it matters.
CONTENT = ("actor", "address", "action", "subject", "subject_id", "subject_name", "before", "after", "reason")
# Covered where a token acted. Rows from before they were kept have neither, and keep the digest that they had.
TOKEN = ("token_id", "token_name")


def digest(row: History) -> str:
    """Of everything that the row tells, in one form whatever the database makes of JSON and of times."""
    names = CONTENT + TOKEN if row.token_id is not None or row.token_name else CONTENT
    told = {name: getattr(row, name) for name in names}
    told["created"] = row.created.astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def link(before: str, position: int, number: int, content: str) -> str:
    """A row's hash: of the hash before it, its place, its id and the digest of its content."""
    return hashlib.sha256(f"{before}\n{position}\n{number}\n{content}".encode()).hexdigest()


def seal_after_commit() -> None:
    """Seals once the caller's transaction has committed. A deed that was done is never failed by this."""
    transaction.on_commit(_seal_quietly)


def _seal_quietly() -> None:
    try:
        # Again until nothing is left: a deed that commits meanwhile finds the head in our hands, and leaves it to us.
        while seal():
            pass
    except Error as error:  # the rows are there; the next sweep seals them
        log.warning("the history was not sealed: %s", type(error).__name__)


def seal() -> int:
    """Gives rows without a place theirs, oldest first, at most BATCH. Answers how many; 0 where somebody else does."""
    if not History.objects.filter(position=None).exists():
        return 0
    with transaction.atomic():
        head = _head()
        if head is None:
            return 0
        rows = list(History.objects.filter(position=None).order_by("pk")[:BATCH])
        told = [events.of_history(row) for row in rows if row.digest]  # those from before there was a chain are old
        for row in rows:
            row.digest = row.digest or digest(row)  # rows from before there was a chain have none
            head.position += 1
            row.position = head.position
            row.hash = head.hash = link(head.hash, head.position, row.pk, row.digest)
        History.objects.bulk_update(rows, ["position", "hash", "digest"], batch_size=200)
        head.save(update_fields=["position", "hash"])
        events.write(event for event in told if event)
    return len(rows)


def _head() -> HistoryHead | None:
    """The chain's head, locked until the end of the transaction; None where somebody else has it."""
    heads = HistoryHead.objects.select_for_update(skip_locked=True)
    if head := heads.first():
        return head
    if HistoryHead.objects.exists() or History.objects.exclude(position=None).exists():
        return None  # in other hands; or taken away, which verify_history tells
    HistoryHead.objects.bulk_create([HistoryHead(pk=1, hash=START, first_hash=START)], ignore_conflicts=True)
    return heads.first()


def verify() -> Iterator[str]:
    """What is wrong with the chain, each in one sentence that names the row; nothing where it is whole."""
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
        yield f"{name(last)} stands behind the head of the chain, which is at {now.position}."


def faults(rows: Iterable[History], head: HistoryHead) -> Iterator[str]:
    """Compares rows, in their order, with the hashes that they carry and with the head."""
    position, before = head.first_position, head.first_hash
    known = True  # whether `before` is the hash that the next row was chained to
    for row in rows:
        place = row.position or 0
        if place != position + 1:
            yield _missing(position + 1, place - 1, f"before {name(row)}")
            known = False
        if digest(row) != row.digest:
            yield f"{name(row)} was changed: its content is not what was written."
        elif known and link(before, place, row.pk, row.digest) != row.hash:
            yield f"{name(row)} is not in its place: it does not follow the row before it."
        position, before, known = place, row.hash, True
    if position != head.position:
        yield _missing(position + 1, head.position, "at the end")
    elif before != head.hash:
        yield f"The head of the chain, at {head.position}, is not the hash of the last row."


def name(row: History) -> str:
    """A row as somebody finds it again: its id, its place, when, who and what."""
    return f"Row {row.pk} (place {row.position}, {row.created:%Y-%m-%d %H:%M:%S} UTC, {row})"


def _missing(first: int, last: int, where: str) -> str:
    if first == last:
        return f"Place {first} is missing {where}."
    return f"Places {first} to {last} are missing {where}."


def prune(before: datetime) -> tuple[int, str]:
    """Deletes the oldest rows, up to the first that is not older than `before`. Answers how many, and the hash of the
    last of them, which the chain begins with from then on. Raises DatabaseError where somebody else has the head."""
    with transaction.atomic():
        head = HistoryHead.objects.select_for_update().first()
        if head is None:
            return 0, START
        chained = History.objects.exclude(position=None)
        stays = chained.filter(created__gte=before).order_by("position").first()
        old = chained.filter(position__lt=stays.position) if stays else chained
        last = old.order_by("-position").first()
        if last is None or last.position is None:
            return 0, head.first_hash
        gone, _ = old.delete()
        head.first_position, head.first_hash = last.position, last.hash
        head.save(update_fields=["first_position", "first_hash"])
    return gone, last.hash
