"""`manage.py prune_history`: forgets the oldest rows of the history, and says so in it."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from access.callers import Caller
from audit import chain
from audit.history import record


class Command(BaseCommand):
    help = "Deletes rows of the history that are older than so many days. What stays can still be verified."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, required=True, help="rows older than this go; at least 30")

    def handle(self, *args: object, **options: Any) -> None:
        if options["days"] < 30:
            raise CommandError("--days must be at least 30")
        while chain.seal():
            pass
        before = timezone.now() - timedelta(days=options["days"])
        with transaction.atomic():
            gone, last = chain.prune(before)
            if gone:
                after = {"rows": gone, "older_than_days": options["days"], "last_hash": last}
                record(Caller(name="manage.py prune_history"), "delete", "history", None, after=after)
        self.stdout.write(f"{gone} rows were deleted.")
