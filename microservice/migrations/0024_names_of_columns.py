from django.core.validators import RegexValidator
from django.db import migrations, models

NAME = RegexValidator(r"^[A-Za-z0-9][A-Za-z0-9._+-]*\Z", code="name_syntax")
NOT_ALL_DIGITS = RegexValidator(r"^\d+\Z", code="all_digits", inverse_match=True)


class Migration(migrations.Migration):
    dependencies = [("microservice", "0023_operation_error_params")]

    operations = [
        migrations.RemoveIndex("microserviceinstance", "instance_again"),
        migrations.RenameField("microserviceinstance", "again_at", "retry_at"),
        migrations.RenameField("microserviceinstance", "tries", "delete_attempts"),
        migrations.AddIndex(
            "microserviceinstance",
            models.Index(
                fields=["retry_at"], condition=models.Q(retry_at__isnull=False), name="instance_retry_at"
            ),
        ),
        migrations.RemoveIndex("operation", "operation_of_instance"),
        migrations.RenameField("operation", "instance_number", "instance_id_snapshot"),
        migrations.RenameField("operation", "asked", "poll_count"),
        migrations.AddIndex(
            "operation", models.Index(fields=["instance_id_snapshot", "-id"], name="operation_of_instance")
        ),
        # The rest changes no table.
        migrations.AlterField(
            "microservice", "name", models.CharField(max_length=64, unique=True, validators=[NAME, NOT_ALL_DIGITS])
        ),
        migrations.AlterField("microserviceversion", "version", models.CharField(max_length=128, validators=[NAME])),
        migrations.AlterField(
            "microserviceversion",
            "archived",
            models.DateTimeField(blank=True, help_text="When it was archived; null: it was not", null=True),
        ),
    ]
