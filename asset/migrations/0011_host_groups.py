from django.db import migrations, models


def name(length: int = 150, **more) -> models.CharField:
    return models.CharField(blank=True, max_length=length, **more)


class Migration(migrations.Migration):
    dependencies = [("asset", "0010_last_error_message")]

    operations = [
        migrations.CreateModel(
            "HostGroup",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("created", models.DateTimeField(auto_now_add=True)),
                ("created_by", name()),
                ("updated", models.DateTimeField(auto_now=True)),
                ("updated_by", name()),
                ("name", models.CharField(max_length=64, unique=True)),
                ("labels", models.JSONField(help_text="A selector: asset/labels.py")),
                ("description", name(256)),
            ],
            options={"db_table": "host_group", "ordering": ["name"]},
        ),
    ]
