from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("microservice", "0019_audit_app")]

    operations = [migrations.RenameField("microservice", "auto_deploy", "auto_deploy_tag")]
