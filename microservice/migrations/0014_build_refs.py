from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('microservice', '0013_report_of_rights'),
    ]

    operations = [
        migrations.AddField(
            model_name='microservice',
            name='build_refs',
            field=models.JSONField(blank=True, default=list),
        ),
    ]
