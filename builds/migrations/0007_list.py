from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("builds", "0006_images"),
        ("microservice", "0025_images"),
    ]

    operations = [
        migrations.AddField(
            "build",
            "microservice",
            models.ForeignKey(
                "microservice.MicroService",
                db_index=False,
                null=True,
                on_delete=models.CASCADE,
                related_name="builds",
            ),
        ),
        migrations.AddIndex("build", models.Index(fields=["microservice", "-id"], name="build_service")),
        migrations.AddIndex("build", models.Index(fields=["status", "-id"], name="build_status")),
        migrations.AddIndex("build", models.Index(fields=["origin", "-id"], name="build_origin")),
        migrations.AddIndex("build", models.Index(fields=["requested_by", "-id"], name="build_requested_by")),
        migrations.AddIndex("build", models.Index(fields=["created", "id"], name="build_created")),
    ]
