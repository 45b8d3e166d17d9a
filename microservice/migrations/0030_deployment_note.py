from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("microservice", "0029_default_strategy")]

    operations = [
        migrations.AddField(
            "deployment", "note", models.CharField(blank=True, db_default="", default="", max_length=500)
        ),
    ]
