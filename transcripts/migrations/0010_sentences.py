from django.db import migrations, models

from transcripts.rules import rules_of_today

HELP = "by which its segments were worded"


class Migration(migrations.Migration):
    """Each sentence of an outline knows where it is from; which rules made it is a hash of them, no number."""

    dependencies = [("transcripts", "0009_figures")]

    operations = [
        migrations.AddField(
            "segment",
            "sentences",
            models.JSONField(
                blank=True, default=dict, help_text="title, summary, outcome as rules made them: each sentence as a line"
            ),
        ),
        migrations.AlterField("session", "rules", models.CharField(default=rules_of_today, help_text=HELP, max_length=16)),
    ]
