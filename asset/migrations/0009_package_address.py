from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("asset", "0008_archived_hosts")]

    operations = [
        migrations.RenameField("asset", "fetch_port", "package_port"),
        migrations.RenameField("asset", "fetch_address", "package_address"),
    ]
