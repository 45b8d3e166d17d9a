"""Sessions in a table of their own, tokens' parents, service accounts. Says what it took over, and what has no end."""

import hashlib
from datetime import timedelta

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.core import signing
from django.db import migrations, models
from django.utils import timezone

SALT = "django.contrib.sessions.SessionStore"
AGE = timedelta(days=14)  # how long a session lasted before there was a setting for it


def take_over_sessions(apps, schema_editor):
    """Whoever is signed in stays so. The old rows hold the cookies themselves, so they go."""
    old = apps.get_model("sessions", "Session")
    people = set(apps.get_model("auth", "User").objects.values_list("pk", flat=True))
    now, rows = timezone.now(), []
    for session in old.objects.filter(expire_date__gt=now):
        try:
            number = int(signing.loads(session.session_data, salt=SALT)["_auth_user_id"])
        except (signing.BadSignature, KeyError, TypeError, ValueError):
            continue  # nobody is signed in with it
        if number in people:
            digest = hashlib.sha256(session.session_key.encode()).hexdigest()
            rows.append({"digest": digest, "data": session.session_data, "user_id": number,
                         "created": min(session.expire_date - AGE, now), "seen": now})
    new = apps.get_model("access", "Session")
    new.objects.bulk_create(new(**row) for row in rows)
    old.objects.all().delete()
    if rows:
        print(f"\n  {len(rows)} sessions were taken over; cookies are kept as hashes from now on.")


def name_endless_tokens(apps, schema_editor):
    """Tokens that were made without an end keep working. An administrator should look at them."""
    rows = apps.get_model("access", "Token").objects.filter(expires=None, revoked=None).order_by("pk")
    found = list(rows.values_list("pk", "name", "user__username"))
    if found:
        print(f"\n  {len(found)} tokens have no end and stay as they are. New ones end after TOKEN_LIFETIME_DAYS days.")
        print("\n".join(f"    {number}: {name!r} of {user}" for number, name, user in found))


class Migration(migrations.Migration):

    dependencies = [
        ('sessions', '0001_initial'),
        ('access', '0003_teams'),
        ('auth', '0012_alter_user_first_name_max_length'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='FailedSignIns',
            fields=[
                ('key', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('user_id', models.IntegerField(null=True)),
                ('username', models.CharField(blank=True, max_length=150)),
                ('address', models.CharField(blank=True, max_length=64)),
                ('failed', models.PositiveIntegerField(default=0)),
                ('refused', models.PositiveIntegerField(default=0, help_text='Not tried at all: there were too many before')),
                ('since', models.DateTimeField(db_index=True)),
            ],
            options={
                'db_table': 'failed_sign_ins',
            },
        ),
        migrations.CreateModel(
            name='ServiceAccount',
            fields=[
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='service_account', serialize=False, to=settings.AUTH_USER_MODEL)),
                ('created', models.DateTimeField(auto_now_add=True)),
                ('created_by', models.CharField(blank=True, max_length=150)),
            ],
            options={
                'db_table': 'service_account',
            },
        ),
        migrations.AddField(
            model_name='token',
            name='parent',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='children', to='access.token'),
        ),
        migrations.CreateModel(
            name='Session',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(help_text='SHA-256 of the cookie', max_length=64, unique=True)),
                ('data', models.TextField(help_text='Signed, as django.contrib.sessions signs it')),
                ('address', models.CharField(blank=True, help_text='Where the person signed in from', max_length=64)),
                ('agent', models.CharField(blank=True, help_text="The browser's own words, shortened", max_length=200)),
                ('created', models.DateTimeField(default=django.utils.timezone.now)),
                ('seen', models.DateTimeField(default=django.utils.timezone.now, help_text='The last request by hand; noted once a minute')),
                ('proved', models.DateTimeField(help_text='When the password was last given in this session', null=True)),
                ('user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='sessions', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'db_table': 'user_session',
                'ordering': ['-seen'],
            },
        ),
        migrations.CreateModel(
            name='TokenAddress',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('address', models.CharField(max_length=64)),
                ('first_used', models.DateTimeField(default=django.utils.timezone.now)),
                ('token', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='addresses', to='access.token')),
            ],
            options={
                'db_table': 'token_address',
                'constraints': [models.UniqueConstraint(fields=('token', 'address'), name='one_row_for_an_address')],
            },
        ),
        migrations.RunPython(take_over_sessions, migrations.RunPython.noop),
        migrations.RunPython(name_endless_tokens, migrations.RunPython.noop),
    ]
