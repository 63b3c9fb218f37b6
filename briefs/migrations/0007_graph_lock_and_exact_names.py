"""The lock of briefs/graph.py; the trigger that refuses INSERT OR REPLACE; and names that are compared as they are.

MySQL's usual collation takes ``Makefile`` and ``makefile``, or ``e`` and ``é``, for one, and so would make one actor,
link or project of two. SQLite compares them byte by byte anyway. Not atomic: MySQL commits at each ALTER.
"""

from django.db import migrations, models

from briefs import triggers

EXACT = (("Actor", "ref"), ("Project", "root"), ("Link", "target"))


def make_triggers(apps, schema_editor):
    triggers.drop(schema_editor.connection)
    triggers.create(schema_editor.connection)


def make_exact(apps, schema_editor):
    if schema_editor.connection.vendor != "mysql":
        return
    for model, name in EXACT:
        table = apps.get_model("briefs", model)._meta
        kind = table.get_field(name).db_type(schema_editor.connection)
        quote = schema_editor.quote_name
        schema_editor.execute(
            f"ALTER TABLE {quote(table.db_table)} MODIFY {quote(name)} {kind}"
            " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL"
        )


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("briefs", "0006_link_removed_kind")]
    operations = [
        migrations.CreateModel(
            name="GraphLock",
            fields=[("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"))],
        ),
        migrations.RunPython(make_triggers, migrations.RunPython.noop, atomic=False),
        migrations.RunPython(make_exact, migrations.RunPython.noop, atomic=False),
    ]
