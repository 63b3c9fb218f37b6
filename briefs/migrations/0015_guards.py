"""What a schema cannot say: triggers that keep the trace append-only, the actor that the machinery acts as, and names
that are compared as they are (see 0002 and 0007, whose work this is for a database that begins with the squashed one).

Each may be done again where it is done already. Not atomic: MySQL and MariaDB commit at each statement of this kind.
"""

from django.db import migrations

from briefs import triggers

EXACT = (("Actor", "ref"), ("Project", "root"), ("Link", "target"))


def make_triggers(apps, schema_editor):
    triggers.drop(schema_editor.connection)
    triggers.create(schema_editor.connection)


def make_system(apps, schema_editor):
    apps.get_model("briefs", "Actor").objects.get_or_create(ref="system", defaults={"kind": "system"})


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
    dependencies = [("briefs", "0001_squashed_0014_dependency_accepted")]
    operations = [
        migrations.RunPython(make_triggers, migrations.RunPython.noop, atomic=False),
        migrations.RunPython(make_system, migrations.RunPython.noop, atomic=False),
        migrations.RunPython(make_exact, migrations.RunPython.noop, atomic=False),
    ]
