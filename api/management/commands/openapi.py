"""`manage.py openapi`: the API's description as it is committed in openapi.json (`make openapi` writes it)."""

import json
from typing import Any

from django.core.management.base import BaseCommand

from api.v1 import api


def described() -> str:
    """Return the description as text: stable, so that a difference is a change of the API."""
    api.find_routers()
    return json.dumps(api.get_openapi_schema(path_prefix="/api/v1/"), indent=1, sort_keys=True) + "\n"


class Command(BaseCommand):
    help = "Print the API's description (OpenAPI 3.1)."

    def handle(self, *args: object, **options: Any) -> None:
        self.stdout.write(described(), ending="")
