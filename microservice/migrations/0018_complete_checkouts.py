"""Longer names of versions, branches and jobs; how much of the history a build sees."""

import django.core.validators
from django.db import migrations, models


def keep_depth(apps, schema_editor):
    """Builds saw the commit alone, and a large repository may not have room for all of its history. Says whose did."""
    services = apps.get_model("microservice", "MicroService").objects.filter(build_orig="git").exclude(build_url="")
    names = sorted(services.values_list("name", flat=True))
    services.update(build_depth=1)
    if names:
        print("\n  build_depth is 1 (the commit alone, as before) for these services, and 0 (all of the history and every "
              f"tag) for new ones: {', '.join(names)}")


class Migration(migrations.Migration):

    dependencies = [
        ('microservice', '0017_deleted_versions'),
    ]

    operations = [
        migrations.AddField(
            model_name='microservice',
            name='build_depth',
            field=models.PositiveIntegerField(db_default=0, default=0, help_text='How many commits of the history a build from git sees; 0: all of it, with every tag', validators=[django.core.validators.MaxValueValidator(1000000)]),
        ),
        migrations.AlterField(
            model_name='microservice',
            name='build_url',
            field=models.CharField(blank=True, max_length=500),
        ),
        migrations.AlterField(
            model_name='microserviceversion',
            name='ref',
            field=models.CharField(default='master', max_length=250),
        ),
        migrations.AlterField(
            model_name='microserviceversion',
            name='version',
            field=models.CharField(max_length=128, validators=[django.core.validators.RegexValidator('^[A-Za-z0-9][A-Za-z0-9._+-]*\\Z', 'starts with a letter or a digit, then letters, digits and . _ + -')]),
        ),
        migrations.RunPython(keep_depth, migrations.RunPython.noop),
    ]
