"""Triggers that keep the trace append-only, and the actor that the machinery acts as.

Not atomic: MariaDB and MySQL refuse DDL in a transaction that RunPython would open.
"""

from django.db import migrations

from briefs import triggers


def make_triggers(apps, schema_editor):
    triggers.drop(schema_editor.connection)
    triggers.create(schema_editor.connection)


def drop_triggers(apps, schema_editor):
    triggers.drop(schema_editor.connection)


def make_system(apps, schema_editor):
    apps.get_model("briefs", "Actor").objects.get_or_create(ref="system", defaults={"kind": "system"})


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("briefs", "0001_initial")]
    operations = [
        migrations.RunPython(make_triggers, drop_triggers, atomic=False),
        migrations.RunPython(make_system, migrations.RunPython.noop, atomic=False),
    ]
