"""Packages of older releases: rows whose paths were set by hand, and packages stored as they were uploaded."""

import hashlib
import importlib
import io

import pytest
from django.apps import apps
from django.core.files import storage as storages
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connection, migrations

from audit.models import History
from microservice.models import MicroServiceVersion, UnclaimedPackage
from microservice.packages import store as stored
from microservice.status import BuildStatus
from tests import factories
from tests.api.archives import GOOD, HOSTILE, rewritten

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("store")]
MIGRATION = "microservice.migrations.0009_packages_written_anew"


def migrate() -> None:
    """Do what the migration does to rows."""
    for operation in importlib.import_module(MIGRATION).Migration.operations:
        if isinstance(operation, migrations.RunPython):
            operation.code(apps, connection.schema_editor())


def version(service, name: str, path: str, status=BuildStatus.SUCCESS, sha256="a" * 64) -> MicroServiceVersion:
    return MicroServiceVersion.objects.create(
        microservice=service, version=name, file_path=path, status=status, sha256=sha256, size=1
    )


def test_migration_removes_foreign_paths(capsys):
    red, blue = factories.service("red"), factories.service("blue")
    own = version(red, "1.0", "red/1.0.tar.gz")
    stolen = version(blue, "1.0", "red/1.0.tar.gz")
    waiting = version(blue, "2.0", "red/2.0.tar.gz", BuildStatus.PENDING, "")
    claimed = version(blue, "3.0", "common/3.tar.gz", BuildStatus.BUILDING, "")
    roundabout = version(blue, "4.0", "blue/../red/1.0.tar.gz")
    beside = version(blue, "5.0", "builds/5.tgz")
    nothing = version(blue, "6.0", "", BuildStatus.FAILED, "")
    fields = ("file_path", "sha256", "status", "bad")
    before = {row.pk: [getattr(row, name) for name in fields] for row in (own, beside, nothing)}
    migrate()
    output = capsys.readouterr().out
    for row in MicroServiceVersion.objects.all():
        if row.pk in before:
            assert [getattr(row, name) for name in fields] == before[row.pk]
            assert row.source_sha256 == row.sha256
        else:
            assert (row.file_path, row.sha256, row.size, row.source_sha256) == ("", "", None, "")
            assert row.bad == (row.pk in (stolen.pk, roundabout.pk))
            assert row.status == (waiting if row.pk == waiting.pk else claimed if row.pk == claimed.pk else own).status
        assert (f"version {row.version} of {row.microservice} names" in output) == (row.pk not in (own.pk, nothing.pk))
    stolen.refresh_from_db()
    assert "folder of red" in stolen.bad_reason
    assert output.count("kept") == 1 and output.count("marked bad") == 2 and output.count("no package yet") == 2


def uploaded_before(name: str, data: bytes, service=None) -> MicroServiceVersion:
    """Return a version as it was stored until now: the uploaded bytes."""
    service = service or factories.service("shop")
    path = storages.default_storage.save(f"{service.name}/{name}.tar.gz", ContentFile(data))
    return version(service, name, path, sha256=hashlib.sha256(data).hexdigest())


def test_command_rewrites_old_packages(store):
    one = uploaded_before("1.0", GOOD)
    bad = uploaded_before("2.0", HOSTILE["a link up"], one.microservice)
    gone = version(one.microservice, "3.0", "shop/gone.tar.gz")
    busy = uploaded_before("4.0", GOOD, one.microservice)
    migrate()
    instances = factories.instances(one, factories.hosts(1))
    factories.deployment(instances, busy)
    out = io.StringIO()
    call_command("rewrite_packages", "--dry-run", stdout=out)
    assert "4 packages" in out.getvalue()
    call_command("rewrite_packages", stdout=out)
    output = out.getvalue()
    assert "1 rewritten, 1 in use, 2 not rewritten." in output
    assert "shop 2.0: not rewritten." in output and "shop 3.0: not rewritten. It is not in the store." in output
    old = one.file_path
    one.refresh_from_db()
    with stored.open_package(one) as file:
        assert file.read() == rewritten(GOOD)
    assert one.sha256 == hashlib.sha256(rewritten(GOOD)).hexdigest()
    assert one.source_sha256 == hashlib.sha256(GOOD).hexdigest()
    assert storages.default_storage.exists(old), "an operation may be reading it"
    assert UnclaimedPackage.objects.get().path == old
    assert History.objects.get(action="change").after == {"sha256": one.sha256}
    for row in (bad, gone, busy):
        before = row.file_path, row.sha256
        row.refresh_from_db()
        assert (row.file_path, row.sha256) == before
    call_command("rewrite_packages", stdout=out)
    assert "0 rewritten, 1 in use" in out.getvalue()
