from django.db import migrations, models


def count_lines(apps, schema_editor):
    """What was printed before learns its line numbers; pieces are read one by one, so memory stays flat."""
    Output, Operation = apps.get_model("microservice", "Output"), apps.get_model("microservice", "Operation")
    operation, line, pieces = None, 0, []

    def keep():
        Output.objects.bulk_update(pieces, ["line"])
        Operation.objects.filter(pk=operation).update(output_lines=line)
        pieces.clear()

    for row in Output.objects.order_by("operation", "start").iterator(chunk_size=20):
        if row.operation_id != operation or len(pieces) == 100:
            if operation is not None:
                keep()
            line = line if row.operation_id == operation else 0
            operation = row.operation_id
        row.line = line
        line += bytes(row.data).count(b"\n")
        pieces.append(row)
    if operation is not None:
        keep()


class Migration(migrations.Migration):
    dependencies = [
        ("microservice", "0003_team"),
    ]

    operations = [
        migrations.AddField(
            model_name="operation",
            name="output_lines",
            field=models.BigIntegerField(default=0, help_text="Line ends in the output so far"),
        ),
        migrations.AddField(
            model_name="output",
            name="line",
            field=models.BigIntegerField(default=0),
        ),
        migrations.RunPython(count_lines, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="output",
            index=models.Index(fields=["operation", "line"], name="output_lines"),
        ),
    ]
