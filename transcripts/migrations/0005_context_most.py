import orjson
import zstandard
from django.db import migrations, models


def look_up(apps, schema_editor):
    """What was read before has it in the indexes of its blocks."""
    most = {}
    rows = apps.get_model("transcripts", "Block").objects.filter(file__agent="").order_by("pk")
    for session, index in rows.values_list("file__session", "index").iterator(chunk_size=200):
        told = orjson.loads(zstandard.ZstdDecompressor().decompress(bytes(index)))["c"]
        most[session] = max([most.get(session, 0), *(tokens for _, tokens in told)])
    for session, tokens in most.items():
        apps.get_model("transcripts", "Session").objects.filter(pk=session).update(context_most=min(tokens, 2**31 - 1))


class Migration(migrations.Migration):

    dependencies = [
        ('transcripts', '0004_aside'),
    ]

    operations = [
        migrations.AddField(
            model_name='session',
            name='context_most',
            field=models.PositiveIntegerField(default=0, help_text='the most that it ever saw'),
        ),
        migrations.AlterField(
            model_name='session',
            name='window',
            field=models.PositiveIntegerField(default=0, help_text='what it can see, where the log tells; 0: it does not'),
        ),
        migrations.RunPython(look_up, migrations.RunPython.noop),
    ]
