"""Operations say in one word what went wrong. Those that ended before are given theirs by our own sentences, and only
where one stands at its place: what a service printed says nothing."""

from django.db import migrations, models

STEP = r"^\S+ failed( with exit status \d+)?: "
# The first that matches; where no step failed, our sentence begins the error, or an address does.
SENTENCES = (
    ("lock_broken", r"^The lock was broken by "),
    ("key_changed", r"^\S+ shows another host key than the pinned one"),
    ("not_trusted", r"^\S+ has no host key pinned"),
    ("auth_refused", r"^\S+ did not let \S+ in: "),
    ("no_credential", r"^\S+ has no credential, so nobody can log in"),
    ("bad_credential", r"^The credential cannot be used: "),
    ("lower_fence", r"^The host has seen (a higher fence|the fence )"),
    ("cannot_write", r"^The service's folder on the host cannot be made or written"),
    ("no_tool", r"^A program that is needed is missing on the host"),
    ("sudo_password", r"^sudo -n did not run the program"),
    ("unreachable", r"^\S+ cannot be reached: "),
    ("connection_lost", r"^The connection to \S+ was lost: "),
    ("worker", r"^The worker met an error of its own"),
    ("secrets", r"^The service's secrets: "),
)
STEPS = (
    ("idle", STEP + r"ended after \d+ s without output"),
    ("timeout", STEP + r"ended after \d+ s"),
    ("unchecked", STEP + r"not passed within \d+ s; "),
    ("other_package", STEP + "the package has the sha256 "),
    ("not_writable", STEP + "the user may not write in "),
    ("disk", STEP + r"the disk has \d+ KiB left, and "),
    ("died", STEP + "the run died: "),
    ("step_failed", "."),
)


def give_codes(apps, schema_editor):
    rows = apps.get_model("microservice", "Operation").objects.using(schema_editor.connection.alias)
    wrong, given = rows.filter(error_code="").exclude(error=""), {}
    for kinds, of in ((SENTENCES, wrong.filter(error_step="")), (STEPS, wrong.exclude(error_step=""))):
        for code, pattern in kinds:
            if count := of.filter(error__regex=pattern).update(error_code=code):
                given[code] = count
    if given:
        told = ", ".join(f"{count} {code}" for code, count in given.items())
        print(f"  Operations that say now in one word what went wrong: {told}.")


class Migration(migrations.Migration):
    dependencies = [("microservice", "0014_build_refs")]

    operations = [
        migrations.AddField(
            model_name="microservice",
            name="encoding",
            field=models.CharField(blank=True, db_default="", default="", max_length=16),
        ),
        migrations.AddField(
            model_name="operation",
            name="error_code",
            field=models.CharField(blank=True, db_default="", default="", max_length=32),
        ),
        migrations.RunPython(give_codes, migrations.RunPython.noop),
    ]
