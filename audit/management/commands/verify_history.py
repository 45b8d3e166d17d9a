"""`manage.py verify_history`: whether the history is what was written. Exit status 1 where it is not."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit import chain
from audit.models import History, HistoryHead
from runtime.ids import parse_number


class Command(BaseCommand):
    help = "Checks the history's chain of hashes and names each row that was changed, moved or taken away."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--seen", metavar="PLACE:HASH", help="a head that was noted before: the chain must still lead through it"
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
        self.stdout.write(f"{rows} rows, each as it was written. Head: {head or 'none yet'}")

    def _seen(self, seen: str | None) -> list[str]:
        if not seen:
            return []
        place, _, known = seen.partition(":")
        position = parse_number(place)
        if position is None or len(known) != 64:
            raise CommandError("--seen takes what this command printed as the head: a place, a colon and a hash")
        row = History.objects.filter(position=position).first()
        head = HistoryHead.objects.first()
        if row is None and head and position <= head.first_position:
            return []  # pruned since
        return [] if row and row.hash == known else [f"The chain no longer leads through {seen}."]
