"""Why a deployment has its status is kept as a message from here on. Sentences of older rows stay where they are."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("microservice", "0021_build_messages")]

    operations = [
        migrations.AddField(
            model_name="deployment",
            name="status_message",
            field=models.JSONField(blank=True, null=True),
        ),
    ]
