"""A version is built more than once: attempts side by side."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('builds', '0003_watched_builds'),
    ]

    operations = [
        migrations.AddField(
            model_name='build',
            name='even_built',
            field=models.BooleanField(db_default=False, default=False, help_text='Although the commit is built already'),
        ),
        migrations.AlterField(
            model_name='build',
            name='reference',
            field=models.CharField(blank=True, help_text='What the origin calls it', max_length=500),
        ),
    ]
