"""A version names only what lies in its own service's folder of the store, and says what its package was made of.

Until now `file_path` could be set by hand, to any object. What leads into another service's folder is taken away and
reported; so is what a version without a package names in advance. A package that CI put into a folder of its own, which
is no service's, stays: where it was looked at before, its hash is pinned, and otherwise it is written anew, into the
service's own folder, before it is brought to a host.
"""
from django.db import migrations, models

BUILDING = (0, 1)  # pending, building
REASON = "Its file_path named an object in the folder of {}. Publish its package again as another version."


def is_own(service, path):
    first, *rest = path.split("/")
    return first == service and bool(rest) and not {"", ".", ".."} & set(rest) and "\\" not in path


def take_foreign_paths_away(apps, schema_editor):
    Service, Version = (apps.get_model("microservice", name) for name in ("MicroService", "MicroServiceVersion"))
    services = dict(Service.objects.values_list("pk", "name"))
    names = set(services.values())
    rows = Version.objects.exclude(file_path="").order_by("pk")
    for row in rows.only("version", "status", "file_path", "sha256", "microservice_id").iterator():
        service, path = services[row.microservice_id], row.file_path
        if is_own(service, path):
            continue
        line = f"  version {row.version} of {service} names {path}:"
        owner = path.partition("/")[0]
        if row.status in BUILDING:
            Version.objects.filter(pk=row.pk).update(file_path="", sha256="", size=None, unpacked_size=None)
            print(line, "cleared, it has no package yet")
        elif owner in names or {"", ".", ".."} & set(path.split("/")):
            Version.objects.filter(pk=row.pk).update(
                file_path="", sha256="", size=None, unpacked_size=None, bad=True,
                bad_reason=REASON.format(owner)[:256])
            print(line, f"cleared and marked bad, that is the folder of {owner}")
        else:
            print(line, "kept, that is no service's folder; it is not removed with its service")


def say_what_packages_were_made_of(apps, schema_editor):
    """So far a package was stored as it was uploaded."""
    apps.get_model("microservice", "MicroServiceVersion").objects.exclude(sha256="").update(
        source_sha256=models.F("sha256"))


class Migration(migrations.Migration):

    dependencies = [
        ('microservice', '0008_what_a_step_printed'),
    ]

    operations = [
        migrations.CreateModel(
            name='UnclaimedPackage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('path', models.CharField(max_length=255, unique=True)),
                ('doomed', models.BooleanField(default=False)),
                ('created', models.DateTimeField(auto_now_add=True, db_index=True)),
            ],
            options={
                'db_table': 'micro_service_unclaimed_package',
            },
        ),
        migrations.AddField(
            model_name='microserviceversion',
            name='manifest',
            field=models.CharField(blank=True, db_default='', default='', max_length=64),
        ),
        migrations.AddField(
            model_name='microserviceversion',
            name='source_sha256',
            field=models.CharField(blank=True, db_default='', default='', help_text='Of the file that was uploaded', max_length=64),
        ),
        migrations.AlterField(
            model_name='microserviceversion',
            name='sha256',
            field=models.CharField(blank=True, help_text='Of the package as it is stored and sent to hosts', max_length=64),
        ),
        migrations.RunPython(take_foreign_paths_away, migrations.RunPython.noop),
        migrations.RunPython(say_what_packages_were_made_of, migrations.RunPython.noop),
    ]
