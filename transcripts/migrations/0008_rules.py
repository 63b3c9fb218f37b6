from django.db import migrations, models

from transcripts.rules import rules_of_today

HELP = "by which its segments were worded"


class Migration(migrations.Migration):
    dependencies = [
        ("transcripts", "0007_changes"),
    ]

    operations = [
        # what is there was worded by older rules; new rows begin with those of their day
        migrations.AddField("session", "rules", models.PositiveIntegerField(default=0, help_text=HELP)),
        migrations.AlterField("session", "rules", models.PositiveIntegerField(default=rules_of_today, help_text=HELP)),
    ]
