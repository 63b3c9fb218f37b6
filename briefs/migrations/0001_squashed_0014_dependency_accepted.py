"""The migrations up to 0014 as one: a new database is made in a third of the time.

A database that was made by them knows itself to be here already (``replaces``).
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    replaces = [
        ('briefs', '0001_initial'),
        ('briefs', '0002_triggers_and_system'),
        ('briefs', '0003_throttle'),
        ('briefs', '0004_refinement_and_attachments'),
        ('briefs', '0005_other_projects'),
        ('briefs', '0006_link_removed_kind'),
        ('briefs', '0007_graph_lock_and_exact_names'),
        ('briefs', '0008_branch_prefix'),
        ('briefs', '0009_keyed_calls'),
        ('briefs', '0010_worktree_settings'),
        ('briefs', '0011_main_moved_kind'),
        ('briefs', '0012_search_text'),
        ('briefs', '0013_git_programs'),
        ('briefs', '0014_dependency_accepted'),
    ]

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Brief',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('title', models.CharField(max_length=200)),
                ('status', models.CharField(choices=[('idea', 'idea'), ('refining', 'refining'), ('planned', 'planned'), ('dispatched', 'dispatched'), ('in_progress', 'in progress'), ('in_review', 'in review'), ('complete', 'complete'), ('deferred', 'deferred'), ('cancelled', 'cancelled'), ('abandoned', 'abandoned')], db_index=True, default='idea', editable=False, max_length=12)),
                ('origin', models.CharField(choices=[('note', 'Note'), ('mcp', 'Mcp'), ('feedback', 'Feedback'), ('deep_review', 'Deep Review')], default='note', max_length=12)),
                ('kind', models.CharField(choices=[('work', 'Work'), ('bug', 'Bug'), ('research', 'Research'), ('epic', 'Epic')], default='work', max_length=12)),
                ('draft', models.BooleanField(default=False)),
                ('needs_approval', models.BooleanField(default=False)),
                ('auto_dispatch', models.BooleanField(default=False)),
                ('design_loop', models.BooleanField(default=False)),
                ('spec', models.TextField(blank=True)),
                ('spec_version', models.PositiveIntegerField(default=0)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('updated_at', models.DateTimeField(db_index=True)),
                ('trace_seq', models.PositiveIntegerField(default=0, editable=False)),
                ('trace_head', models.CharField(blank=True, default='', editable=False, max_length=64)),
            ],
            options={
                'ordering': ['-updated_at', '-pk'],
            },
        ),
        migrations.CreateModel(
            name='GraphLock',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
            ],
        ),
        migrations.CreateModel(
            name='LoginThrottle',
            fields=[
                ('key', models.CharField(help_text='SHA-256 of what is counted: names may be long', max_length=64, primary_key=True, serialize=False)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('last_at', models.DateTimeField(db_index=True)),
                ('blocked_until', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Project',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('slug', models.SlugField(max_length=60, unique=True)),
                ('root', models.CharField(help_text='absolute path of the main checkout', max_length=700, unique=True)),
                ('main_branch', models.CharField(max_length=200)),
                ('branch_prefix', models.CharField(default='flower', help_text="what the names of agents' branches begin with: flower/12-fix-login", max_length=60)),
                ('setup_command', models.TextField(blank=True, help_text='run by the shell in a new worktree, before the agent starts')),
                ('gates', models.JSONField(blank=True, default=list, help_text='shell commands that must exit 0 before a merge')),
                ('gate_seconds', models.PositiveIntegerField(default=1800, help_text='time limit of one gate, in seconds')),
                ('auto_merge', models.BooleanField(default=False, help_text='merge finished work without being asked')),
                ('submodules', models.BooleanField(default=True, help_text='check submodules out in each worktree, where the repository has any')),
                ('keep_paths', models.JSONField(blank=True, default=list, help_text='patterns of ignored files that are kept when a worktree is removed')),
                ('setup_changes', models.JSONField(blank=True, default=list, editable=False, help_text='files that the setup command left changed the last time')),
                ('git_programs', models.JSONField(blank=True, default=dict, help_text="commands of git filters and merge drivers that flower's git may run, by configuration key")),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ['slug'],
            },
        ),
        migrations.CreateModel(
            name='Actor',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('ref', models.CharField(max_length=120, unique=True)),
                ('kind', models.CharField(choices=[('operator', 'Operator'), ('agent', 'Agent'), ('system', 'System')], max_length=10)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('user', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='actor', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['ref'],
            },
        ),
        migrations.CreateModel(
            name='SearchText',
            fields=[
                ('brief', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='search_text', serialize=False, to='briefs.brief')),
                ('title', models.TextField()),
                ('spec', models.TextField()),
            ],
        ),
        migrations.AddField(
            model_name='brief',
            name='created_by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='briefs.actor'),
        ),
        migrations.AddField(
            model_name='brief',
            name='parent',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='children', to='briefs.brief'),
        ),
        migrations.CreateModel(
            name='EntryCode',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('expires_at', models.DateTimeField()),
                ('used_at', models.DateTimeField(blank=True, null=True)),
                ('actor', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='briefs.actor')),
            ],
        ),
        migrations.AddField(
            model_name='brief',
            name='other_projects',
            field=models.ManyToManyField(blank=True, help_text='further projects that it concerns', related_name='other_briefs', to='briefs.project'),
        ),
        migrations.AddField(
            model_name='brief',
            name='project',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='briefs', to='briefs.project'),
        ),
        migrations.CreateModel(
            name='Proposal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('plan', models.TextField()),
                ('base_version', models.PositiveIntegerField(help_text="the spec's version that the plan was made from")),
                ('state', models.CharField(choices=[('open', 'Open'), ('accepted', 'Accepted'), ('refused', 'Refused'), ('superseded', 'Superseded')], default='open', editable=False, max_length=10)),
                ('entry', models.PositiveIntegerField(help_text='the trace entry that tells of it')),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('decided_at', models.DateTimeField(blank=True, null=True)),
                ('actor', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='briefs.actor')),
                ('brief', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='proposals', to='briefs.brief')),
                ('decided_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='briefs.actor')),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='Question',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('body', models.TextField()),
                ('options', models.JSONField(blank=True, default=list)),
                ('blocking', models.BooleanField(default=False)),
                ('asked_at', models.DateTimeField(auto_now_add=True)),
                ('answer', models.TextField(blank=True)),
                ('answered_at', models.DateTimeField(blank=True, null=True)),
                ('answered_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='briefs.actor')),
                ('asked_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='briefs.actor')),
                ('brief', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='questions', to='briefs.brief')),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='Refinement',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('queued', 'Queued'), ('running', 'Running'), ('proposed', 'Proposed'), ('cancelled', 'Cancelled'), ('failed', 'Failed')], default='queued', editable=False, max_length=10)),
                ('step', models.CharField(blank=True, help_text='what it does now, for people', max_length=120)),
                ('characters', models.PositiveIntegerField(default=0, help_text='how much of the answer has come')),
                ('failure', models.CharField(blank=True, max_length=300)),
                ('model', models.CharField(blank=True, max_length=120)),
                ('tokens', models.PositiveIntegerField(default=0)),
                ('only_active', models.PositiveBigIntegerField(editable=False, null=True, unique=True)),
                ('asked_at', models.DateTimeField(auto_now_add=True)),
                ('heartbeat_at', models.DateTimeField(blank=True, null=True)),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('asked_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='briefs.actor')),
                ('brief', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='refinements', to='briefs.brief')),
                ('proposal', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='briefs.proposal')),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='SavedView',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=60)),
                ('query', models.CharField(help_text="the board's query string", max_length=1000)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('actor', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='saved_views', to='briefs.actor')),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Token',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('scope', models.CharField(choices=[('operator', 'Operator'), ('orchestrator', 'Orchestrator'), ('agent', 'Agent'), ('readonly', 'Readonly'), ('run', 'Run')], max_length=12)),
                ('run', models.PositiveBigIntegerField(blank=True, help_text='number of the dispatch request, for a run', null=True)),
                ('label', models.CharField(blank=True, max_length=120)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('expires_at', models.DateTimeField(blank=True, null=True)),
                ('last_used_at', models.DateTimeField(blank=True, null=True)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('actor', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='tokens', to='briefs.actor')),
                ('brief', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='briefs.brief')),
                ('project', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='briefs.project')),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='TraceEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('seq', models.PositiveIntegerField()),
                ('kind', models.CharField(choices=[('captured', 'captured'), ('note', 'note added'), ('comment', 'comment'), ('progress', 'progress'), ('refinement', 'refinement'), ('plan_proposed', 'plan proposed'), ('spec_snapshot', 'spec snapshot'), ('status_change', 'status change'), ('participant_joined', 'participant joined'), ('link_added', 'link added'), ('link_removed', 'link removed'), ('question', 'question'), ('answer', 'answer'), ('dependency_added', 'dependency added'), ('dependency_removed', 'dependency removed'), ('unblocked', 'unblocked'), ('parent_set', 'parent set'), ('merged', 'merged into'), ('dispatched', 'dispatched'), ('claimed', 'claimed'), ('worktree', 'worktree'), ('process', 'process'), ('completed', 'work completed'), ('failed', 'failed'), ('gate', 'gate'), ('merge', 'merge'), ('main_moved', 'main moved'), ('refused', 'refused')], max_length=20)),
                ('source', models.CharField(choices=[('operator', 'Operator'), ('agent', 'Agent'), ('system', 'System')], max_length=10)),
                ('actor_ref', models.CharField(max_length=120)),
                ('body', models.TextField(blank=True)),
                ('data', models.JSONField(blank=True, default=dict)),
                ('at', models.DateTimeField()),
                ('previous_hash', models.CharField(blank=True, max_length=64)),
                ('hash', models.CharField(max_length=64)),
                ('actor', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='briefs.actor')),
                ('brief', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='trace', to='briefs.brief')),
            ],
            options={
                'verbose_name_plural': 'trace entries',
                'ordering': ['brief_id', 'seq'],
            },
        ),
        migrations.CreateModel(
            name='Attachment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(help_text='SHA-256 of the stored file', max_length=64)),
                ('media_type', models.CharField(max_length=20)),
                ('name', models.CharField(blank=True, help_text='as it was called by whoever sent it', max_length=120)),
                ('width', models.PositiveIntegerField()),
                ('height', models.PositiveIntegerField()),
                ('size', models.PositiveIntegerField(help_text='bytes')),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('actor', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='briefs.actor')),
                ('brief', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='attachments', to='briefs.brief')),
            ],
            options={
                'ordering': ['-pk'],
                'constraints': [models.UniqueConstraint(fields=('brief', 'digest'), name='attachment_once')],
            },
        ),
        migrations.CreateModel(
            name='Dependency',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('accepted_at', models.DateTimeField(blank=True, help_text='when somebody said to start without the work of a prerequisite that has none', null=True)),
                ('accepted_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='briefs.actor')),
                ('brief', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='dependencies', to='briefs.brief')),
                ('depends_on', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='dependents', to='briefs.brief')),
            ],
            options={
                'verbose_name_plural': 'dependencies',
                'ordering': ['pk'],
                'constraints': [models.UniqueConstraint(fields=('brief', 'depends_on'), name='dependency_once')],
            },
        ),
        migrations.CreateModel(
            name='KeyedCall',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(help_text='SHA-256 of tool and key: exact on every collation', max_length=64)),
                ('arguments', models.CharField(help_text='SHA-256 of the other arguments', max_length=64)),
                ('result', models.JSONField(null=True)),
                ('at', models.DateTimeField(db_index=True)),
                ('actor', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='briefs.actor')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('actor', 'digest'), name='keyed_call_once')],
            },
        ),
        migrations.CreateModel(
            name='Link',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('scratchpad', 'Scratchpad'), ('commit', 'Commit'), ('branch', 'Branch'), ('session', 'Session'), ('worktree', 'Worktree'), ('file', 'File'), ('url', 'Url'), ('brief', 'Brief')], max_length=12)),
                ('target', models.CharField(max_length=500)),
                ('label', models.CharField(blank=True, max_length=200)),
                ('relation', models.CharField(choices=[('execution', 'Execution'), ('result', 'Result'), ('reference', 'Reference')], default='reference', max_length=12)),
                ('at', models.DateTimeField(auto_now_add=True)),
                ('actor', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='briefs.actor')),
                ('brief', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='links', to='briefs.brief')),
            ],
            options={
                'ordering': ['-pk'],
                'indexes': [models.Index(fields=['brief', 'kind'], name='briefs_link_brief_i_c10a92_idx')],
            },
        ),
        migrations.CreateModel(
            name='Participant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('role', models.CharField(default='participant', max_length=30)),
                ('wave', models.PositiveIntegerField(blank=True, help_text='the set of agents that were sent out together', null=True)),
                ('joined_at', models.DateTimeField(auto_now_add=True)),
                ('left_at', models.DateTimeField(blank=True, null=True)),
                ('actor', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='participations', to='briefs.actor')),
                ('brief', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='participants', to='briefs.brief')),
            ],
            options={
                'ordering': ['joined_at', 'pk'],
                'constraints': [models.UniqueConstraint(fields=('brief', 'actor'), name='participant_once')],
            },
        ),
        migrations.AddIndex(
            model_name='brief',
            index=models.Index(fields=['status', '-updated_at'], name='briefs_brie_status_bdd8d5_idx'),
        ),
        migrations.AddConstraint(
            model_name='savedview',
            constraint=models.UniqueConstraint(fields=('actor', 'name'), name='saved_view_once'),
        ),
        migrations.AddConstraint(
            model_name='traceentry',
            constraint=models.UniqueConstraint(fields=('brief', 'seq'), name='trace_gapless'),
        ),
    ]
