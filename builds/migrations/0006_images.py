from django.db import migrations, models


def text(length: int) -> models.CharField:
    return models.CharField(blank=True, db_default="", default="", max_length=length)


class Migration(migrations.Migration):
    dependencies = [("builds", "0005_build_messages")]

    operations = [
        migrations.AddField("build", "dockerfile", models.TextField(blank=True, db_default="", default="")),
        migrations.AddField("build", "base", text(512)),
        migrations.AddField("build", "image", text(512)),
        migrations.AddField("build", "fingerprint", text(64)),
    ]
