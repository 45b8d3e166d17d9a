"""`manage.py prune_history`: delete the oldest rows of the history, and record that in it."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from access.callers import Caller
from audit import chain
from audit.history import record


class Command(BaseCommand):
    help = "Delete rows of the history older than this many days. The rest can still be verified."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, required=True, help="delete rows older than this; at least 30")

    def handle(self, *args: object, **options: Any) -> None:
        if options["days"] < 30:
            raise CommandError("--days must be at least 30")
        while chain.seal():
            pass
        before = timezone.now() - timedelta(days=options["days"])
        with transaction.atomic():
            deleted, last = chain.prune(before)
            if deleted:
                after = {"rows": deleted, "older_than_days": options["days"], "last_hash": last}
                record(Caller(name="manage.py prune_history"), "delete", "history", None, after=after)
        self.stdout.write(f"{deleted} rows deleted.")
