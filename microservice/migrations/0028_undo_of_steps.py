from django.db import migrations, models
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

UNDONE = {"undoing": "undoing", "undone": "undone", "undo_failed": "failed"}


def tell_apart(apps, schema_editor):
    """The undo has overwritten how older steps ended: the one that the operation names failed, the others were done."""
    Step = apps.get_model("microservice", "Step")
    Operation = apps.get_model("microservice", "Operation")
    named = Operation.objects.filter(pk=OuterRef("operation")).values("error_step")[:1]
    for status, undo in UNDONE.items():
        rows = Step.objects.filter(status=status)
        rows.update(
            undo_status=undo,
            undo_detail=F("detail"),
            undo_reason=F("reason"),
            undo_exit_status=F("exit_status"),
            undo_finished=F("finished"),
            undo_state=F("new_state"),
            detail="",
            reason=None,
            exit_status=None,
            finished=None,
        )
        failed = Q(name=Coalesce(Subquery(named), models.Value("")))
        Step.objects.filter(failed, status=status).update(status="failed")
        Step.objects.filter(status=status).update(status="done")


class Migration(migrations.Migration):
    dependencies = [("microservice", "0027_deploy_action")]

    operations = [
        migrations.AddField(
            "step",
            "undo_status",
            models.CharField(
                choices=[("none", "none"), ("undoing", "undoing"), ("undone", "undone"), ("failed", "failed")],
                db_default="none",
                default="none",
                max_length=8,
            ),
        ),
        migrations.AddField(
            "step",
            "undo_state",
            models.TextField(blank=True, default="", db_default="", help_text="After the undo"),
        ),
        migrations.AddField(
            "step",
            "undo_detail",
            models.TextField(blank=True, default="", db_default="", help_text="Of the undo, as detail"),
        ),
        migrations.AddField("step", "undo_reason", models.JSONField(blank=True, null=True)),
        migrations.AddField("step", "undo_exit_status", models.IntegerField(blank=True, null=True)),
        migrations.AddField("step", "undo_started", models.DateTimeField(blank=True, null=True)),
        migrations.AddField("step", "undo_finished", models.DateTimeField(blank=True, null=True)),
        migrations.RunPython(tell_apart, migrations.RunPython.noop),
        migrations.AlterField(
            "step",
            "status",
            models.CharField(
                choices=[("pending", "pending"), ("running", "running"), ("done", "done"), ("failed", "failed")],
                default="pending",
                max_length=12,
            ),
        ),
    ]
