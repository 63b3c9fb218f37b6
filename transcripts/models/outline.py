"""The outline of a session: its segments in order, what people changed in them, said of them, and made out of them."""

from __future__ import annotations

from typing import Any, Final

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from transcripts.models.session import Session

LINES: Final = ("next_steps", "key_decisions", "open_questions")
EDITABLE: Final = ("title", "status", "summary", "outcome", *LINES)


class Segment(models.Model):
    """Events ``first`` to ``last`` of a session's main log, which are one unit of intent.

    The segments of a session tile its events. The words are those of the segmenter or of a model; what a person put in
    their place stands in ``edits``, so that a new run can change the former and not the latter.
    """

    class Status(models.TextChoices):
        IN_PROGRESS = "in_progress", "In progress"
        DONE = "done", "Done"
        PARTIAL = "partial", "Partial"
        ABANDONED = "abandoned", "Abandoned"

    class How(models.TextChoices):
        RULES = "rules"
        MODEL = "model"

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="segments")
    key = models.CharField(max_length=64, help_text="of its first event: its identity while the log grows")
    position = models.PositiveIntegerField(help_text="from 1")
    first = models.PositiveIntegerField(help_text="number of its first event")
    last = models.PositiveIntegerField()
    first_line = models.PositiveIntegerField()
    last_line = models.PositiveIntegerField()
    is_settled = models.BooleanField(default=False, help_text="its borders and words stay as they are")
    phase = models.CharField(max_length=20, default="other")
    how = models.CharField(max_length=10, choices=How.choices, default=How.RULES)

    title = models.CharField(max_length=200, blank=True)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.DONE, db_index=True)
    summary = models.TextField(blank=True)
    # A line is {"text": …, "event": number of the event that it was read from, or null where a person wrote it}; what
    # rules made has "source" (quote, fact) and "reason" besides.
    outcome = models.JSONField(default=None, null=True, blank=True)
    sentences = models.JSONField(
        default=dict, blank=True, help_text="title, summary, outcome as rules made them: each sentence as a line"
    )
    next_steps = models.JSONField(default=list, blank=True)
    key_decisions = models.JSONField(default=list, blank=True)
    open_questions = models.JSONField(default=list, blank=True)

    files = models.JSONField(default=list, blank=True, help_text="{path, verb, times} each")
    commits = models.JSONField(default=list, blank=True, help_text="{sha, subject, event} each")
    usage = models.JSONField(default=dict, blank=True, help_text="tokens, by the names of events.Usage")
    by_model = models.JSONField(
        default=dict, blank=True, help_text="name -> its part of the tokens, as in events.Usage"
    )
    changes = models.PositiveIntegerField(default=0, help_text="edits, and commits, which weigh more")
    errors = models.PositiveIntegerField(default=0)
    prompts = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    edits = models.JSONField(default=dict, blank=True, help_text="field -> what a person put there")
    edited_by = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    edited_at = models.DateTimeField(null=True, blank=True)
    reviewed_by = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    reviewed_at = models.DateTimeField(null=True, blank=True)
    revision = models.PositiveIntegerField(default=1, help_text="rises whenever anything of it changes")

    class Meta:
        ordering = ["session_id", "position"]
        constraints = [models.UniqueConstraint(fields=["session", "key"], name="segment_once")]

    def __str__(self) -> str:
        return f"segment {self.position} of session {self.session_id}"

    def shown(self, field: str) -> Any:
        """A field as people see it: their own words where they wrote some. ``field``: one of EDITABLE."""
        return self.edits[field] if field in self.edits else getattr(self, field)


class SegmentComment(models.Model):
    """What somebody said of a segment."""

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="comments")
    actor = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, related_name="+")
    body = models.TextField(help_text="markdown")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["at", "pk"]

    def __str__(self) -> str:
        return f"comment {self.pk} on {self.segment}"


class SegmentUse(models.Model):
    """What was made out of one line of a segment: a brief, a question, an entry of a trace. Once each."""

    class Made(models.TextChoices):
        BRIEF = "brief"
        QUESTION = "question"
        ENTRY = "entry"

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="uses")
    field = models.CharField(max_length=20, help_text="next_steps, open_questions or key_decisions")
    text = models.TextField(help_text="of the line, when it was used")
    text_key = models.CharField(max_length=32, help_text="digest of the text")
    made = models.CharField(max_length=10, choices=Made.choices)
    brief = models.ForeignKey("briefs.Brief", on_delete=models.CASCADE, related_name="+")
    number = models.PositiveBigIntegerField(help_text="of the brief, the question, or the entry in its brief's trace")
    actor = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["at", "pk"]
        constraints = [models.UniqueConstraint(fields=["segment", "field", "text_key"], name="line_used_once")]

    def __str__(self) -> str:
        return f"{self.made} {self.number} out of {self.segment}"


class Aside(models.Model):
    """A segment that is out of its session's outline for now, with all that people did with it.

    One that is *gone* comes back when its events do: a log that is cut for a moment takes nobody's words away. One that
    was *merged* into the one before it comes back when that is split there.
    """

    class Why(models.TextChoices):
        GONE = "gone"
        MERGED = "merged"

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="asides")
    key = models.CharField(max_length=64, help_text="the segment's")
    why = models.CharField(max_length=10, choices=Why.choices)
    rows = models.JSONField(encoder=DjangoJSONEncoder, help_text="the segment, its comments, its uses: serialised")
    into = models.JSONField(encoder=DjangoJSONEncoder, default=dict, blank=True, help_text="see services/aside.py")
    at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["session_id", "pk"]
        constraints = [models.UniqueConstraint(fields=["session", "key"], name="aside_once")]

    def __str__(self) -> str:
        return f"a segment of session {self.session_id} that is {self.why}"


class Wording(models.Model):
    """A model was asked to word a session's outline. One row for each length of the log that it was asked about."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="wordings")
    events = models.PositiveIntegerField(help_text="of the main log, when it was asked")
    how = models.CharField(max_length=10, choices=Segment.How.choices, default=Segment.How.RULES)
    reason = models.TextField(blank=True, help_text="why the words of the rules were kept")
    model = models.CharField(max_length=120, blank=True, help_text="as the service names it")
    prompt_version = models.CharField(max_length=64, blank=True)
    tokens_in = models.PositiveIntegerField(default=0)
    tokens_out = models.PositiveIntegerField(default=0)
    cost_usd = models.FloatField(null=True, blank=True, help_text="unknown where empty")
    duration_ms = models.PositiveIntegerField(default=0)
    begun_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    again_at = models.DateTimeField(null=True, blank=True, help_text="when another try may help")

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["session", "events"], name="worded_once")]

    def __str__(self) -> str:
        return f"session {self.session_id} worded by {self.how} at event {self.events}"
