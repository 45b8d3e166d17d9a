"""`manage.py broker`: run the embedded broker in the foreground."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from runtime import embedded_broker

PREFIX = "redis+socket://"


class Command(BaseCommand):
    help = "Run the embedded broker in the foreground, on the unix socket that is used without BROKER_URL."
    requires_system_checks: list[str] = []

    def handle(self, *args: object, **options: Any) -> None:
        if settings.BROKER_URL:
            raise CommandError("BROKER_URL is set, so the embedded broker is not used")
        socket = Path(settings.BROKER_SOCKET)
        socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = embedded_broker.command(socket)
        self.stderr.write(f"broker: {socket}")
        os.execve(command[0], command, embedded_broker.environment())
