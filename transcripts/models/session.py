"""What is kept of agents' logs.

A ``Session`` is one run of an agent program; its ``LogFile`` s are the main one and those of its sub-agents; the events
of a file stand in ``Block`` s, compressed, with what paging and linking need beside them. An event is addressed by its
file and its number, ``e14``; numbers never change while the file only grows.
"""

from __future__ import annotations

from django.db import models

from transcripts.events import Usage
from transcripts.rules import rules_of_today
from transcripts.windows import window_of


class Session(models.Model):
    """One run of an agent program. Counters hold for all its files together, where nothing else is said."""

    program = models.CharField(max_length=20, help_text="claude, codex")
    session_id = models.CharField(max_length=120, help_text="as the program names it")
    parent_id = models.CharField(max_length=120, blank=True, help_text="the session it was resumed or forked from")
    head_key = models.CharField(
        max_length=32, blank=True, db_index=True, help_text="of its first event: copies share it"
    )
    title = models.CharField(max_length=300, blank=True)
    cwd = models.CharField(max_length=700, blank=True)
    branch = models.CharField(max_length=300, blank=True)
    version = models.CharField(max_length=60, blank=True)
    model = models.CharField(max_length=120, blank=True)
    pull_requests = models.JSONField(default=list, blank=True)

    # Whose it is. Rooms above this one own processes, dispatches and worktrees: plain numbers here.
    project = models.ForeignKey("briefs.Project", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    brief = models.ForeignKey(
        "briefs.Brief", on_delete=models.SET_NULL, null=True, blank=True, related_name="agent_sessions"
    )
    process = models.PositiveBigIntegerField(null=True, blank=True, db_index=True)
    dispatch = models.PositiveBigIntegerField(null=True, blank=True, db_index=True)
    worktree = models.PositiveBigIntegerField(null=True, blank=True, db_index=True)
    is_probable = models.BooleanField(default=False, help_text="its owner was told by the working directory only")

    events = models.PositiveIntegerField(default=0, help_text="of the main log")
    prompts = models.PositiveIntegerField(default=0)
    asked = models.CharField(max_length=200, blank=True, help_text="the last prompt, while nothing has followed it")
    asked_event = models.PositiveIntegerField(default=0, help_text="its number; 0: something has")
    errors = models.PositiveIntegerField(default=0)
    compactions = models.PositiveIntegerField(default=0)
    forks = models.PositiveIntegerField(default=0)
    copied = models.PositiveIntegerField(default=0, help_text="events that an earlier session has too")
    left_out = models.PositiveIntegerField(
        default=0, help_text="records of sub-agents' logs that were copied from their parents'"
    )
    tokens_input = models.PositiveBigIntegerField(default=0, help_text="neither written to nor read from a cache")
    tokens_cache_written = models.PositiveBigIntegerField(default=0)
    tokens_cache_read = models.PositiveBigIntegerField(default=0)
    tokens_output = models.PositiveBigIntegerField(default=0)
    by_model = models.JSONField(
        default=dict, blank=True, help_text="name -> its part of the tokens, as in events.Usage"
    )
    context = models.PositiveIntegerField(default=0, help_text="tokens that the model saw last")
    context_most = models.PositiveIntegerField(default=0, help_text="the most that it ever saw")
    window = models.PositiveIntegerField(default=0, help_text="what it can see, where the log tells; 0: it does not")
    commits = models.PositiveIntegerField(default=0)
    files = models.PositiveIntegerField(default=0, help_text="that were changed")
    records = models.PositiveIntegerField(default=0)
    invalid = models.PositiveIntegerField(default=0, help_text="lines that could not be read")
    unknown = models.PositiveIntegerField(default=0, help_text="records of a kind that flower does not know")

    started_at = models.DateTimeField(null=True, blank=True, db_index=True)
    active_at = models.DateTimeField(null=True, blank=True, db_index=True, help_text="of its last event")
    created_at = models.DateTimeField(auto_now_add=True)
    grown_at = models.DateTimeField(null=True, blank=True, help_text="when new events were last read")
    owned_at = models.DateTimeField(null=True, blank=True, help_text="when its owner was last looked for")

    outlined = models.PositiveIntegerField(default=0, help_text="events of the main log that the outline covers")
    outlined_at = models.DateTimeField(null=True, blank=True)
    rules = models.CharField(max_length=16, default=rules_of_today, help_text="by which its segments were worded")
    outline_revision = models.PositiveIntegerField(default=0, help_text="rises with every change of the outline")
    reviewed_by = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    reviewed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-active_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["program", "session_id"], name="session_once")]

    def __str__(self) -> str:
        return f"session {self.pk}"

    @property
    def usage(self) -> Usage:
        return Usage(self.tokens_input, self.tokens_cache_written, self.tokens_cache_read, self.tokens_output)

    @property
    def tokens(self) -> int:
        """All that the model wrote, and all that it read and was not in its cache: the one number that pages show."""
        return self.tokens_input + self.tokens_cache_written + self.tokens_output

    @property
    def sees(self) -> int:
        """The tokens that its model can see; 0 where nobody knows."""
        return window_of(self.model, self.window, max(self.context, self.context_most))

    @property
    def context_share(self) -> int | None:
        """Percent of what its model can see that it saw last."""
        return min(100, round(100 * self.context / self.sees)) if self.context and self.sees else None


class LogFile(models.Model):
    """One log, and how far it was read."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="log_files")
    agent = models.CharField(max_length=64, blank=True, help_text="the sub-agent's id; empty: the session's own log")
    path = models.CharField(max_length=1000)
    # Databases compare texts without regard to case; files are not so.
    path_key = models.CharField(max_length=32, unique=True, help_text="digest of the path")
    inode = models.CharField(max_length=40, blank=True, help_text="device and inode, when it was last read")
    changed = models.CharField(max_length=24, blank=True, help_text="its time, in nanoseconds, when it was last read")
    size = models.PositiveBigIntegerField(default=0, help_text="bytes, when it was last read")
    offset = models.PositiveBigIntegerField(default=0, help_text="bytes that were read")
    crc = models.PositiveBigIntegerField(default=0, help_text="CRC-32 of the bytes before the offset")
    ends = models.CharField(max_length=64, blank=True, help_text="digest of the first and last KB before the offset")
    lines = models.PositiveIntegerField(default=0)
    events = models.PositiveIntegerField(default=0)
    state = models.BinaryField(default=b"", help_text="the adapter's, compressed JSON")
    # Rises with every write; a write names the one that it began from, so that of two readers only one writes.
    version = models.PositiveBigIntegerField(default=0)
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["agent", "pk"]
        constraints = [models.UniqueConstraint(fields=["session", "agent"], name="log_file_once")]

    def __str__(self) -> str:
        return self.path


class Block(models.Model):
    """A run of events with their raw lines. ``payload`` last: a look at the index need not read past it."""

    file = models.ForeignKey(LogFile, on_delete=models.CASCADE, related_name="blocks")
    first = models.PositiveIntegerField(help_text="number of its first event")
    last = models.PositiveIntegerField()
    first_line = models.PositiveIntegerField()
    last_line = models.PositiveIntegerField()
    offset = models.PositiveBigIntegerField(help_text="of its first line, in bytes")
    size = models.PositiveIntegerField(help_text="bytes before compression")
    index = models.BinaryField(help_text="kind, time, context of each event: transcripts/blocks.py")
    keys = models.BinaryField(help_text="8 bytes each")
    payload = models.BinaryField()

    class Meta:
        ordering = ["file_id", "first"]
        constraints = [models.UniqueConstraint(fields=["file", "first"], name="block_once")]

    def __str__(self) -> str:
        return f"events {self.first} to {self.last} of {self.file_id}"


class TouchedFile(models.Model):
    """A path that a session read or changed, in one way."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="touched")
    file = models.ForeignKey(LogFile, on_delete=models.CASCADE, related_name="touched")
    path = models.CharField(max_length=1000, help_text="absolute, where the log tells enough")
    path_key = models.CharField(max_length=32, db_index=True, help_text="digest of the path")
    name = models.CharField(max_length=255, db_index=True, help_text="its last part")
    verb = models.CharField(max_length=10)
    times = models.PositiveIntegerField(default=0)
    first = models.PositiveIntegerField(help_text="number of the event in its file")
    last = models.PositiveIntegerField()
    at = models.DateTimeField(null=True, blank=True, help_text="of the last time")

    class Meta:
        ordering = ["session_id", "path"]
        constraints = [models.UniqueConstraint(fields=["file", "path_key", "verb"], name="touched_once")]

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"


class SessionCommit(models.Model):
    """A commit that git told of in a session."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="made_commits")
    file = models.ForeignKey(LogFile, on_delete=models.CASCADE, related_name="made_commits")
    sha = models.CharField(max_length=40, db_index=True, help_text="as git printed it, mostly abbreviated")
    subject = models.CharField(max_length=500)
    event = models.PositiveIntegerField(help_text="number of the event in its file")
    at = models.DateTimeField(null=True, blank=True)
    amends = models.BooleanField(default=False, help_text="it came in the place of the one before it")

    class Meta:
        ordering = ["session_id", "event"]
        constraints = [models.UniqueConstraint(fields=["file", "sha"], name="session_commit_once")]

    def __str__(self) -> str:
        return f"{self.sha} {self.subject}"


class Taking(models.Model):
    """A project's wish that sessions in its folders are taken although flower did not start them."""

    project = models.OneToOneField("briefs.Project", on_delete=models.CASCADE, related_name="taking")
    is_on = models.BooleanField(default=False)
    days = models.PositiveIntegerField(default=30, help_text="how old a log may be, in days")

    def __str__(self) -> str:
        return f"{self.project}: {f'{self.days} days' if self.is_on else 'off'}"


class ExpectedSession(models.Model):
    """A session whose owner was known before its log, or beside it: from a hook, or from the launch."""

    program = models.CharField(max_length=20)
    session_id = models.CharField(max_length=120)
    project = models.ForeignKey("briefs.Project", on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    brief = models.ForeignKey("briefs.Brief", on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    process = models.PositiveBigIntegerField(null=True, blank=True)
    dispatch = models.PositiveBigIntegerField(null=True, blank=True)
    worktree = models.PositiveBigIntegerField(null=True, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["program", "session_id"], name="expected_session_once")]

    def __str__(self) -> str:
        return f"{self.program} {self.session_id}"
