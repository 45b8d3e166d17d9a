from django.db import migrations, models


class Migration(migrations.Migration):
    """Builds that ended before are not watched: their build servers may be asked about them by a report."""

    dependencies = [
        ("builds", "0002_builder"),
    ]

    operations = [
        migrations.AddField(
            model_name="build",
            name="watched_until",
            field=models.DateTimeField(
                blank=True, help_text="Ended badly at a build server: looked at again until then", null=True
            ),
        ),
        migrations.AddIndex(
            model_name="build",
            index=models.Index(
                condition=models.Q(("watched_until__isnull", False)), fields=["watched_until"], name="build_watched"
            ),
        ),
    ]
