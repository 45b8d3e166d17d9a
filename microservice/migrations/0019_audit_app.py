"""Events and history belong to the app `audit` from here on. Their tables stay as they are: only who names them moves."""
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("microservice", "0018_complete_checkouts")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.DeleteModel("Event"),
                migrations.DeleteModel("History"),
                migrations.DeleteModel("HistoryHead"),
            ]
        )
    ]
