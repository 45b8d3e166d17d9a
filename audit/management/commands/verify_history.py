"""`manage.py verify_history`: check that the history is what was written. Exit status 1 where it is not."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import chain
from audit.models import History, HistoryHead
from runtime.ids import parse_number


class Command(BaseCommand):
    help = "Check the hash chain of the history, and name each row that was changed, moved or removed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--seen", metavar="POSITION:HASH", help="a head noted before: the chain must still contain it"
        )

    def handle(self, *args: object, **options: Any) -> None:
        while chain.seal():
            pass
        wrong = [*chain.verify(), *self._seen(options["seen"])]
        for line in wrong:
            self.stdout.write(line)
        if wrong:
            sys.exit(1)
        head = HistoryHead.objects.first()
        rows = History.objects.exclude(position=None).count()
        self.stdout.write(f"{rows} rows, all as written. Head: {head or 'none yet'}")

    def _seen(self, seen: str | None) -> list[str]:
        if not seen:
            return []
        text, _, known = seen.partition(":")
        position = parse_number(text)
        if position is None or len(known) != 64:
            raise CommandError("--seen takes a head that this command printed: a position, a colon and a hash")
        row = History.objects.filter(position=position).first()
        head = HistoryHead.objects.first()
        if row is None and head and position <= head.first_position:
            return []  # pruned since
        return [] if row and row.hash == known else [f"The chain no longer contains {seen}."]
