"""Secrets of services and builds get a place of their own; passwords in build_url move there."""

import access.sealed
from django.db import migrations, models
from django.utils import timezone

from access import url_userinfo
from access.sealed import SealedMap


def move_passwords(apps, schema_editor):
    """A password in an address is a secret that every reader saw. Says whose were moved, and never what they are."""
    services = apps.get_model("microservice", "MicroService").objects
    moved = []
    for service in services.filter(build_url__contains="@").only("name", "build_url"):
        url, user, password = url_userinfo.split(service.build_url)
        if url != service.build_url:
            credential = SealedMap().after({"password": password}, timezone.now()) if password else SealedMap()
            services.filter(pk=service.pk).update(build_url=url, build_username=user, build_credential=credential)
            moved.append(service.name)
    if moved:
        print(f"\n  moved the password out of build_url, where every reader saw it, to build_password: {', '.join(sorted(moved))}")


class Migration(migrations.Migration):

    dependencies = [
        ('microservice', '0011_run_as'),
    ]

    operations = [
        migrations.AddField(
            model_name='deployment',
            name='secrets',
            field=access.sealed.SealedMapField(blank=True, db_default='', default=access.sealed.SealedMap, editable=False),
        ),
        migrations.AddField(
            model_name='microservice',
            name='build_credential',
            field=access.sealed.SealedMapField(blank=True, db_default='', default=access.sealed.SealedMap, editable=False),
        ),
        migrations.AddField(
            model_name='microservice',
            name='build_secrets',
            field=access.sealed.SealedMapField(blank=True, db_default='', default=access.sealed.SealedMap, editable=False),
        ),
        migrations.AddField(
            model_name='microservice',
            name='build_username',
            field=models.CharField(blank=True, db_default='', default='', max_length=128),
        ),
        migrations.AddField(
            model_name='microservice',
            name='secrets',
            field=access.sealed.SealedMapField(blank=True, db_default='', default=access.sealed.SealedMap, editable=False),
        ),
        # On PostgreSQL a table cannot be altered again in a transaction that has changed its rows: this comes last.
        migrations.RunPython(move_passwords, migrations.RunPython.noop),
    ]
