from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('microservice', '0008_what_a_step_printed'),
    ]

    operations = [
        migrations.AddField(
            model_name='microservice',
            name='build_refs',
            field=models.JSONField(blank=True, default=list),
        ),
    ]
