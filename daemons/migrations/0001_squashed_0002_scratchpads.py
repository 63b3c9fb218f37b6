"""The migrations up to 0002 as one: a new database is made in a third of the time.

A database that was made by them knows itself to be here already (``replaces``).
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    replaces = [
        ('daemons', '0001_initial'),
        ('daemons', '0002_scratchpads'),
    ]

    dependencies = [
        ('briefs', '0001_squashed_0014_dependency_accepted'),
    ]

    operations = [
        migrations.CreateModel(
            name='AgentProgram',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.SlugField(max_length=60, unique=True)),
                ('adapter', models.CharField(default='command', help_text='how it is launched: daemons/agents/', max_length=20)),
                ('argv', models.JSONField(default=list)),
                ('env', models.JSONField(blank=True, default=dict)),
                ('enabled', models.BooleanField(default=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Process',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('purpose', models.CharField(choices=[('agent', 'Agent'), ('setup', 'Setup'), ('gate', 'Gate')], default='agent', max_length=8)),
                ('run', models.PositiveBigIntegerField(blank=True, db_index=True, help_text='number of the dispatch request', null=True)),
                ('command', models.CharField(help_text='as shown to people; never holds a secret', max_length=500)),
                ('cwd', models.CharField(max_length=700)),
                ('phase', models.CharField(choices=[('starting', 'Starting'), ('running', 'Running'), ('exited', 'Exited'), ('lost', 'Lost')], db_index=True, default='starting', editable=False, max_length=8)),
                ('pid', models.PositiveIntegerField(blank=True, null=True)),
                ('exit_code', models.IntegerField(blank=True, null=True)),
                ('exit_signal', models.IntegerField(blank=True, null=True)),
                ('error', models.TextField(blank=True)),
                ('reason', models.CharField(blank=True, help_text='exited, time limit or stopped', max_length=20)),
                ('output_bytes', models.PositiveBigIntegerField(default=0)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('seen_at', models.DateTimeField(blank=True, help_text='when its facts were last read', null=True)),
                ('actor', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='briefs.actor')),
                ('brief', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='processes', to='briefs.brief')),
                ('program', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='daemons.agentprogram')),
                ('project', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='briefs.project')),
                ('token', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='briefs.token')),
            ],
            options={
                'verbose_name_plural': 'processes',
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='Scratchpad',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=120)),
                ('content', models.TextField(blank=True)),
                ('revision', models.PositiveIntegerField(default=1)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField()),
                ('created_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='briefs.actor')),
                ('project', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='briefs.project')),
                ('updated_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='briefs.actor')),
            ],
            options={
                'ordering': ['-updated_at', '-pk'],
            },
        ),
        migrations.CreateModel(
            name='ScratchpadRevision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('revision', models.PositiveIntegerField()),
                ('content', models.TextField(blank=True)),
                ('at', models.DateTimeField()),
                ('actor', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='briefs.actor')),
                ('scratchpad', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='revisions', to='daemons.scratchpad')),
            ],
            options={
                'ordering': ['scratchpad_id', '-revision'],
                'constraints': [models.UniqueConstraint(fields=('scratchpad', 'revision'), name='scratchpad_revision_once')],
            },
        ),
    ]
