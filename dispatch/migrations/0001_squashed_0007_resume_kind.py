"""The migrations up to 0007 as one: a new database is made in a third of the time.

A database that was made by them knows itself to be here already (``replaces``).
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    replaces = [
        ('dispatch', '0001_initial'),
        ('dispatch', '0002_design_kind'),
        ('dispatch', '0003_stumbles'),
        ('dispatch', '0004_landing'),
        ('dispatch', '0005_changes'),
        ('dispatch', '0006_main_state'),
        ('dispatch', '0007_resume_kind'),
    ]

    dependencies = [
        ('briefs', '0001_squashed_0014_dependency_accepted'),
        ('daemons', '0001_squashed_0002_scratchpads'),
        ('worktrees', '0001_squashed_0002_captures_and_setup_changes'),
    ]

    operations = [
        migrations.CreateModel(
            name='DispatchRequest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('only_active', models.PositiveBigIntegerField(editable=False, null=True, unique=True)),
                ('kind', models.CharField(choices=[('fresh', 'Fresh'), ('rework', 'Rework'), ('direct', 'Direct'), ('design', 'Design'), ('resume', 'Resume')], default='fresh', max_length=8)),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('claimed', 'Claimed'), ('preparing', 'Preparing'), ('running', 'Running'), ('finished', 'Finished'), ('merging', 'Merging'), ('done', 'Done'), ('conflicted', 'Conflicted'), ('failed', 'Failed'), ('cancelled', 'Cancelled')], db_index=True, default='queued', editable=False, max_length=10)),
                ('branch', models.CharField(blank=True, max_length=200)),
                ('base', models.CharField(blank=True, help_text='as it was asked for', max_length=200)),
                ('base_sha', models.CharField(blank=True, help_text='what it was when the request was made', max_length=64)),
                ('packet', models.TextField(blank=True)),
                ('fence', models.PositiveIntegerField(default=0, help_text='rises with every claim; later writes must carry it')),
                ('lease_seconds', models.PositiveIntegerField(default=600)),
                ('lease_expires_at', models.DateTimeField(blank=True, db_index=True, null=True)),
                ('summary', models.TextField(blank=True)),
                ('handoff', models.TextField(blank=True)),
                ('no_changes', models.BooleanField(default=False)),
                ('head_sha', models.CharField(blank=True, help_text="the branch's tip at completion", max_length=64)),
                ('changes', models.JSONField(editable=False, help_text='what it changes, then (dispatch/changes.py)', null=True)),
                ('merge_attempt', models.PositiveIntegerField(default=0)),
                ('target_sha', models.CharField(blank=True, help_text='the target branch before the merge', max_length=64)),
                ('merge_sha', models.CharField(blank=True, help_text='the commit that the merge put on the target branch', max_length=64)),
                ('landing', models.BooleanField(default=False, help_text='the ref is being moved: too late to call the merge off')),
                ('came_outside', models.BooleanField(default=False, help_text='its commits came to the branch outside of flower')),
                ('main_behind', models.CharField(blank=True, help_text="why MAIN's files do not show the merge yet", max_length=300)),
                ('stumbles', models.PositiveSmallIntegerField(default=0, help_text='unexpected errors of its step, one after another')),
                ('failure_class', models.CharField(blank=True, max_length=20)),
                ('failure', models.TextField(blank=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('claimed_at', models.DateTimeField(blank=True, null=True)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('brief', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='dispatch_requests', to='briefs.brief')),
                ('claimed_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='claims', to='briefs.actor')),
                ('created_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='briefs.actor')),
                ('merge_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='briefs.actor')),
                ('process', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='dispatch_requests', to='daemons.process')),
                ('program', models.ForeignKey(blank=True, help_text='flower starts it; empty: an agent claims', null=True, on_delete=django.db.models.deletion.PROTECT, to='daemons.agentprogram')),
                ('project', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='briefs.project')),
                ('worktree', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='dispatch_requests', to='worktrees.worktree')),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='MainCheck',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sha', models.CharField(max_length=64)),
                ('attempt', models.PositiveIntegerField(default=1, help_text='rises when somebody has the gates run again')),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='briefs.project')),
            ],
        ),
        migrations.CreateModel(
            name='GateRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('attempt', models.PositiveIntegerField(help_text='the attempt of its merge or check that this run belongs to')),
                ('ordinal', models.PositiveIntegerField()),
                ('command', models.TextField()),
                ('tree', models.CharField(help_text='the commit whose files were tested', max_length=64)),
                ('passed', models.BooleanField(null=True)),
                ('judged', models.BooleanField(default=True, help_text='it ended by itself: not lost, and not stopped by somebody')),
                ('why', models.CharField(blank=True, max_length=200)),
                ('tail', models.TextField(blank=True)),
                ('started_at', models.DateTimeField(auto_now_add=True)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('process', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='daemons.process')),
                ('request', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='gate_runs', to='dispatch.dispatchrequest')),
                ('main_check', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='gate_runs', to='dispatch.maincheck')),
            ],
            options={
                'ordering': ['request_id', 'attempt', 'ordinal'],
            },
        ),
        migrations.CreateModel(
            name='MainMove',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('branch', models.CharField(max_length=200)),
                ('old_sha', models.CharField(max_length=64)),
                ('new_sha', models.CharField(max_length=64)),
                ('rewritten', models.BooleanField(default=False, help_text='the old commit is not below the new one any more')),
                ('commits', models.JSONField(default=list, help_text='the newest that came: [sha, subject, author]')),
                ('commit_count', models.PositiveIntegerField(default=0)),
                ('dropped', models.JSONField(default=list, help_text='the newest that are not on the branch any more')),
                ('dropped_count', models.PositiveIntegerField(default=0)),
                ('authors', models.JSONField(default=list)),
                ('gates', models.CharField(choices=[('none', 'the project has no gates'), ('running', 'the gates run'), ('green', 'the gates are green'), ('red', 'a gate is red'), ('passed_over', 'the branch moved on before its gates ended')], max_length=12)),
                ('found_at', models.DateTimeField(auto_now_add=True)),
                ('checked_at', models.DateTimeField(blank=True, null=True)),
                ('main_check', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='moves', to='dispatch.maincheck')),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='main_moves', to='briefs.project')),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='MainState',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('branch', models.CharField(max_length=200)),
                ('sha', models.CharField(help_text='the commit that flower last saw or made', max_length=64)),
                ('files_sha', models.CharField(help_text="the commit that MAIN's files and index were brought to", max_length=64)),
                ('bringing_sha', models.CharField(blank=True, max_length=64)),
                ('behind', models.CharField(blank=True, help_text="why MAIN's files do not show the commit", max_length=500)),
                ('tried_at', models.DateTimeField(blank=True, help_text="when MAIN's files were tried last", null=True)),
                ('project', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='main_state', to='briefs.project')),
            ],
        ),
        migrations.CreateModel(
            name='MergeLock',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('branch', models.CharField(max_length=200)),
                ('fence', models.PositiveIntegerField(default=0)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='briefs.project')),
                ('request', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='dispatch.dispatchrequest')),
            ],
        ),
        migrations.AddConstraint(
            model_name='maincheck',
            constraint=models.UniqueConstraint(fields=('project', 'sha'), name='main_check_once'),
        ),
        migrations.AddConstraint(
            model_name='gaterun',
            constraint=models.UniqueConstraint(fields=('request', 'attempt', 'ordinal'), name='gate_run_once'),
        ),
        migrations.AddConstraint(
            model_name='gaterun',
            constraint=models.UniqueConstraint(fields=('main_check', 'attempt', 'ordinal'), name='gate_run_once_on_main'),
        ),
        migrations.AddConstraint(
            model_name='mergelock',
            constraint=models.UniqueConstraint(fields=('project', 'branch'), name='merge_lock_once'),
        ),
    ]
