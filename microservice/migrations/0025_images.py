from django.db import migrations, models


def text(length: int) -> models.CharField:
    return models.CharField(blank=True, db_default="", default="", max_length=length)


def recipe() -> models.JSONField:
    return models.JSONField(blank=True, db_default={}, default=dict)


class Migration(migrations.Migration):
    dependencies = [("microservice", "0024_names_of_columns")]

    operations = [
        migrations.AlterField(
            "microservice",
            "build_orig",
            models.CharField(
                choices=[("git", "git"), ("gitlab", "GitLab"), ("jenkins", "Jenkins"), ("image", "image")],
                default="git",
                max_length=16,
            ),
        ),
        migrations.AddField("microservice", "recipe", recipe()),
        migrations.AddField("microserviceversion", "image", text(512)),
        migrations.AddField("microserviceversion", "image_tag", text(512)),
        migrations.AddField("microserviceversion", "recipe", recipe()),
    ]
