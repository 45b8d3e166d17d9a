"""A map of secrets in the database: encrypted, opened by name only, and written again under a new key."""

import io
import json
from datetime import UTC, datetime

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection

from access.sealed import SealedMap
from access.secrets import Undecryptable
from microservice.models import MicroService

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def sealed(**values: str) -> SealedMap:
    return SealedMap().after(values, NOW)


def stored(column: str = "secrets") -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM micro_service")
        return cursor.fetchone()[0]


def test_stores_values_encrypted():
    MicroService.objects.create(name="shop", secrets=sealed(DB="the canary\nof two lines", API="another canary"))
    assert "canary" not in stored() and set(json.loads(stored())) == {"DB", "API"}
    found = MicroService.objects.get().secrets
    assert {name: value.reveal() for name, value in found.open().items()} == {
        "API": "another canary",
        "DB": "the canary\nof two lines",
    }
    assert found.changed() == {"API": NOW, "DB": NOW}
    assert "canary" not in f"{found} {found!r} {found.open()}" and str(found) == "API=••• DB=•••"


def test_changes_name_the_keys():
    later = datetime(2026, 2, 1, tzinfo=UTC)
    found = sealed(A="first value", B="second value").after({"A": None, "C": "third value", "D": None}, later)
    assert list(found) == ["B", "C"] and found.changed()["C"] == later
    assert found.value("B").reveal() == "second value"


def test_reads_names_without_keys(settings):
    MicroService.objects.create(name="shop", secrets=sealed(DB="the canary"))
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    found = MicroService.objects.get()
    assert list(found.secrets) == ["DB"]
    with pytest.raises(Undecryptable):
        found.secrets.open()


def test_rotate_keys_rewrites_maps(settings):
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [old]
    MicroService.objects.create(
        name="shop", secrets=sealed(A="the canary", B="another"), build_credential=sealed(password="a third")
    )
    before, out = stored(), io.StringIO()
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    call_command("rotate_keys", stdout=out)
    assert out.getvalue() == "2 secrets are under the newest key\n"
    settings.FIELD_ENCRYPTION_KEYS = [new]
    found = MicroService.objects.get()
    assert stored() != before
    assert {name: value.reveal() for name, value in found.secrets.open().items()} == {"A": "the canary", "B": "another"}
    assert found.build_credential.value("password").reveal() == "a third"
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CommandError, match="2 secrets cannot be read"):
        call_command("rotate_keys", stdout=io.StringIO())
