from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("asset", "0005_legacy_algorithms")]

    operations = [
        migrations.AddField(
            model_name="asset",
            name="encoding",
            field=models.CharField(blank=True, db_default="", default="", max_length=16),
        ),
    ]
