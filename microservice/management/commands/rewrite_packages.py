"""`manage.py rewrite_packages`: rewrites packages that were stored before uploads were rewritten."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from access.callers import Caller
from audit.history import record
from microservice.models import MicroServiceVersion, Operation
from microservice.packages import store
from microservice.packages.archives import BadArchive
from microservice.status import OPERATION_OPEN


class Command(BaseCommand):
    help = "Rewrite stored packages that were uploaded before uploads were rewritten."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only print how many there are")

    def handle(self, *args: object, **options: Any) -> None:
        """Rewrite one after the other, newest first; can be interrupted and restarted. Releases on hosts stay."""
        old = MicroServiceVersion.objects.filter(manifest="").exclude(sha256="").exclude(file_path="")
        if options["dry_run"]:
            self.stdout.write(f"{old.count()} packages are to be rewritten.")
            return
        counts = {"rewritten": 0, "in use": 0, "not rewritten": 0}
        for number in list(old.order_by("-pk").values_list("pk", flat=True)):
            version = old.select_related("microservice").filter(pk=number).first()
            if version is not None:
                counts[self._one(version)] += 1
        self.stdout.write(", ".join(f"{count} {what}" for what, count in counts.items()) + ".")

    def _one(self, version: MicroServiceVersion) -> str:
        name = f"{version.microservice.name} {version.version}"
        # An open operation has the hash and the path that the row has now.
        if Operation.objects.filter(dest_version=version, status__in=OPERATION_OPEN).exists():
            self.stdout.write(f"{name}: an operation is using it. Run this command again later.")
            return "in use"
        before = version.sha256
        try:
            if not store.rewrite(version):
                return "in use"
        except (BadArchive, FileNotFoundError) as error:
            reason = str(error) if isinstance(error, BadArchive) else "It is not in the store."
            self.stdout.write(f"{name}: not rewritten. {reason} Mark it bad, or publish it as another version.")
            return "not rewritten"
        record(
            Caller(name="manage.py rewrite_packages"),
            "change",
            "version",
            version,
            before={"sha256": before},
            after={"sha256": version.sha256},
            service=version.microservice,
        )
        return "rewritten"
