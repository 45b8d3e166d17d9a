from django.db import migrations
from django.db.models import OuterRef, Subquery


def fill(apps, schema_editor) -> None:
    build, version = apps.get_model("builds", "Build"), apps.get_model("microservice", "MicroServiceVersion")
    service = version.objects.filter(pk=OuterRef("version")).values("microservice")
    build.objects.filter(microservice=None).update(microservice=Subquery(service))


class Migration(migrations.Migration):
    """Apart from the one before: PostgreSQL changes no table in the transaction that wrote its rows."""

    dependencies = [("builds", "0007_list")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
