"""The migrations up to 0002 as one: a new database is made in a third of the time.

A database that was made by them knows itself to be here already (``replaces``).
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    replaces = [
        ('worktrees', '0001_initial'),
        ('worktrees', '0002_captures_and_setup_changes'),
    ]

    dependencies = [
        ('briefs', '0001_squashed_0014_dependency_accepted'),
        ('daemons', '0001_squashed_0002_scratchpads'),
    ]

    operations = [
        migrations.CreateModel(
            name='Worktree',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=120)),
                ('path', models.CharField(max_length=700, unique=True)),
                ('branch', models.CharField(max_length=200)),
                ('base_sha', models.CharField(max_length=64)),
                ('keep', models.CharField(choices=[('lane', 'lane (kept)'), ('ephemeral', 'ephemeral (removed once merged)')], default='ephemeral', max_length=10)),
                ('state', models.CharField(choices=[('creating', 'Creating'), ('preparing', 'Preparing'), ('ready', 'Ready'), ('removing', 'Removing'), ('removed', 'Removed'), ('failed', 'Failed')], db_index=True, default='creating', editable=False, max_length=10)),
                ('failure', models.TextField(blank=True)),
                ('setup_changes', models.JSONField(blank=True, default=list, editable=False, help_text='files that were not as committed when its setup had ended')),
                ('kept_folder', models.CharField(blank=True, help_text='where ignored files were copied that are kept', max_length=700)),
                ('kept_files', models.PositiveIntegerField(default=0)),
                ('captured_sha', models.CharField(blank=True, help_text='work saved under a private ref before removal', max_length=64)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('ready_at', models.DateTimeField(blank=True, null=True)),
                ('removed_at', models.DateTimeField(blank=True, null=True)),
                ('brief', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='worktrees', to='briefs.brief')),
                ('created_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='briefs.actor')),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='worktrees', to='briefs.project')),
                ('setup_process', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='daemons.process')),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='Capture',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('path', models.CharField(blank=True, help_text='the inner repository that held it; empty: the worktree itself', max_length=700)),
                ('git_dir', models.CharField(help_text='git folder of the repository that keeps it', max_length=700)),
                ('ref', models.CharField(max_length=200)),
                ('sha', models.CharField(max_length=64)),
                ('restored_branch', models.CharField(blank=True, max_length=250)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('worktree', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='captures', to='worktrees.worktree')),
            ],
            options={
                'ordering': ['pk'],
                'constraints': [models.UniqueConstraint(fields=('worktree', 'ref', 'sha'), name='capture_once')],
            },
        ),
    ]
