from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("microservice", "0015_encoding_and_error_codes")]

    operations = [
        migrations.AddField(model_name="heartbeat", name="without_broker", field=models.DateTimeField(null=True)),
    ]
