from django.db import migrations, models

ACTIONS = ["install", "upgrade", "revert", "delete", "retry", "deploy"]


def action() -> models.CharField:
    return models.CharField(choices=[(word, word) for word in ACTIONS], max_length=8)


class Migration(migrations.Migration):
    dependencies = [("microservice", "0026_operation_cause")]

    operations = [
        migrations.AlterField("deployment", "action", action()),
        migrations.AlterField("operation", "action", action()),
    ]
