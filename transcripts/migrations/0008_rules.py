from django.db import migrations, models


HELP = "by which its segments were worded"


class Migration(migrations.Migration):
    dependencies = [
        ("transcripts", "0007_changes"),
    ]

    operations = [
        # what is there was worded by older rules; new rows begin with those of their day
        migrations.AddField("session", "rules", models.PositiveIntegerField(default=0, help_text=HELP)),
    ]
