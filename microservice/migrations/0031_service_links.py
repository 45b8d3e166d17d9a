from django.db import migrations, models


def link() -> models.CharField:
    return models.CharField(blank=True, db_default="", default="", max_length=500)


class Migration(migrations.Migration):
    dependencies = [("microservice", "0030_deployment_note")]

    operations = [
        migrations.AddField("microservice", "repository_url", link()),
        migrations.AddField("microservice", "ci_url", link()),
        migrations.AddField("microservice", "commit_url", link()),
    ]
