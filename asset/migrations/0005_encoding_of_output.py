from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("asset", "0004_host_teams")]

    operations = [
        migrations.AddField(
            model_name="asset",
            name="encoding",
            field=models.CharField(blank=True, db_default="", default="", max_length=16),
        ),
    ]
