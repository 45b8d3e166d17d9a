from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("microservice", "0025_images")]

    operations = [
        migrations.AddField(
            "operation",
            "cause",
            models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="The same for all that failed alike: causes.py",
                max_length=16,
            ),
        ),
    ]
