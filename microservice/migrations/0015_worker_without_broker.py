from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("microservice", "0014_build_refs")]

    operations = [
        migrations.AddField(model_name="heartbeat", name="without_broker", field=models.DateTimeField(null=True)),
    ]
