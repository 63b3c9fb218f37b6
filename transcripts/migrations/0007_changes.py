from typing import Any

from django.db import migrations, models


def count(apps: Any, schema_editor: Any) -> None:
    """Nearly as transcripts/segment/describe.py counts, which knows edits from looks at the same file."""
    rows = apps.get_model("transcripts", "Segment").objects.using(schema_editor.connection.alias)
    for row in rows.only("files", "commits").iterator(500):
        changes = 3 * len(row.commits) + sum(each["times"] for each in row.files if each["verb"] != "read")
        if changes:
            rows.filter(pk=row.pk).update(changes=changes)


class Migration(migrations.Migration):
    dependencies = [
        ("transcripts", "0006_asked"),
    ]

    operations = [
        migrations.AddField(
            model_name="segment",
            name="changes",
            field=models.PositiveIntegerField(default=0, help_text="edits, and commits, which weigh more"),
        ),
        migrations.RunPython(count, migrations.RunPython.noop),
    ]
