"""A host's address may be a name. Addresses stay as they are: PostgreSQL's own cast would add /32 to each."""

from django.db import migrations, models

TO_TEXT = 'ALTER TABLE "asset" ALTER COLUMN "ip" TYPE varchar(253) USING host("ip")'
# Only where every host has an address again.
TO_ADDRESS = 'ALTER TABLE "asset" ALTER COLUMN "ip" TYPE inet USING "ip"::inet'


class AlterAddress(migrations.AlterField):
    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(TO_TEXT)
        else:
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(TO_ADDRESS)
        else:
            super().database_backwards(app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):
    dependencies = [("asset", "0006_encoding_of_output")]

    operations = [
        AlterAddress(
            model_name="asset",
            name="ip",
            field=models.CharField(
                max_length=253, help_text="An address, or a name that is resolved at each connection"
            ),
        ),
    ]
