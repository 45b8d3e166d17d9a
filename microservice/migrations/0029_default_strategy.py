from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("microservice", "0028_undo_of_steps")]

    operations = [
        migrations.AddField(
            "microservice", "default_strategy", models.JSONField(blank=True, db_default={}, default=dict)
        ),
    ]
