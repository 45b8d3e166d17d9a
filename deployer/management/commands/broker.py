"""`manage.py broker`: runs the embedded broker in the foreground until it is ended."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from runtime import embedded_broker

PREFIX = "redis+socket://"


class Command(BaseCommand):
    help = "Runs the embedded broker in the foreground, on the unix socket that is used when BROKER_URL is not set."
    requires_system_checks: list[str] = []

    def handle(self, *args: object, **options: Any) -> None:
        if settings.BROKER_URL:
            raise CommandError("BROKER_URL is set: that broker is used, the embedded one is not needed")
        socket = Path(settings.BROKER_SOCKET)
        socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = embedded_broker.command(socket)
        self.stderr.write(f"broker: {socket}")
        os.execve(command[0], command, embedded_broker.environment())
