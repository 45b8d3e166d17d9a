"""Takes over events and history from the app `microservice`: the tables, their rows and indexes stay as they are."""
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

MOVED = ("event", "history", "historyhead")


def move_content_types(apps, schema_editor):
    """Whoever was given a permission on one of these keeps it."""
    types = apps.get_model("contenttypes", "ContentType").objects.using(schema_editor.connection.alias)
    types.filter(app_label="audit", model__in=MOVED).delete()
    types.filter(app_label="microservice", model__in=MOVED).update(app_label="audit")


def move_back(apps, schema_editor):
    types = apps.get_model("contenttypes", "ContentType").objects.using(schema_editor.connection.alias)
    types.filter(app_label="microservice", model__in=MOVED).delete()
    types.filter(app_label="audit", model__in=MOVED).update(app_label="microservice")


class Migration(migrations.Migration):
    initial = True
    dependencies = [
        ("microservice", "0019_audit_app"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name='HistoryHead',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('position', models.BigIntegerField(default=0)),
                        ('hash', models.CharField(max_length=64)),
                        ('first_position', models.BigIntegerField(default=0)),
                        ('first_hash', models.CharField(max_length=64)),
                    ],
                    options={
                        'db_table': 'history_head',
                    },
                ),
                migrations.CreateModel(
                    name='Event',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('kind', models.CharField(max_length=16)),
                        ('data', models.JSONField(default=dict)),
                        ('created', models.DateTimeField(default=django.utils.timezone.now)),
                        ('deployment', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='events', to='microservice.deployment')),
                        ('operation', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='microservice.operation')),
                    ],
                    options={
                        'db_table': 'event',
                        'ordering': ['id'],
                        'indexes': [models.Index(fields=['deployment', 'id'], name='event_of_deployment')],
                    },
                ),
                migrations.CreateModel(
                    name='History',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('created', models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                        ('actor', models.CharField(max_length=150)),
                        ('token_id', models.BigIntegerField(blank=True, null=True)),
                        ('token_name', models.CharField(blank=True, db_default='', default='', max_length=64)),
                        ('address', models.CharField(blank=True, max_length=64)),
                        ('action', models.CharField(max_length=32)),
                        ('subject', models.CharField(max_length=32)),
                        ('subject_id', models.BigIntegerField(null=True)),
                        ('subject_name', models.CharField(blank=True, max_length=300)),
                        ('before', models.JSONField(blank=True, null=True)),
                        ('after', models.JSONField(blank=True, null=True)),
                        ('reason', models.CharField(blank=True, max_length=500)),
                        ('digest', models.CharField(blank=True, db_default='', default='', max_length=64)),
                        ('position', models.BigIntegerField(editable=False, null=True, unique=True)),
                        ('hash', models.CharField(blank=True, db_default='', default='', max_length=64)),
                        ('microservice', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='microservice.microservice')),
                    ],
                    options={
                        'db_table': 'history',
                        'ordering': ['-id'],
                        'indexes': [models.Index(condition=models.Q(('subject', 'user')), fields=['subject_id', '-id'], name='about_a_user')],
                    },
                ),
            ]
        ),
        migrations.RunPython(move_content_types, move_back),
    ]
