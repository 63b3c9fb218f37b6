"""One numbered, hash-chained entry of what happened to a brief. Written only by briefs/trace.py."""

from __future__ import annotations

from typing import NoReturn

from django.db import models


class TraceEntry(models.Model):
    """An entry of a brief's trace. Rows are only inserted: triggers in the database refuse UPDATE and DELETE."""

    class Kind(models.TextChoices):
        CAPTURED = "captured", "captured"
        NOTE = "note", "note added"
        COMMENT = "comment", "comment"
        PROGRESS = "progress", "progress"
        REFINEMENT = "refinement", "refinement"
        PLAN_PROPOSED = "plan_proposed", "plan proposed"
        SPEC_SNAPSHOT = "spec_snapshot", "spec snapshot"
        STATUS_CHANGE = "status_change", "status change"
        PARTICIPANT_JOINED = "participant_joined", "participant joined"
        LINK_ADDED = "link_added", "link added"
        LINK_REMOVED = "link_removed", "link removed"
        QUESTION = "question", "question"
        ANSWER = "answer", "answer"
        DEPENDENCY_ADDED = "dependency_added", "dependency added"
        DEPENDENCY_REMOVED = "dependency_removed", "dependency removed"
        UNBLOCKED = "unblocked", "unblocked"
        PARENT_SET = "parent_set", "parent set"
        MERGED = "merged", "merged into"
        DISPATCHED = "dispatched", "dispatched"
        CLAIMED = "claimed", "claimed"
        WORKTREE = "worktree", "worktree"
        PROCESS = "process", "process"
        COMPLETED = "completed", "work completed"
        FAILED = "failed", "failed"
        GATE = "gate", "gate"
        MERGE = "merge", "merge"
        MAIN_MOVED = "main_moved", "main moved"
        REFUSED = "refused", "refused"

    class Source(models.TextChoices):
        OPERATOR = "operator"
        AGENT = "agent"
        SYSTEM = "system"

    brief = models.ForeignKey("briefs.Brief", on_delete=models.PROTECT, related_name="trace")
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=20, choices=Kind.choices)
    source = models.CharField(max_length=10, choices=Source.choices)
    actor = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, related_name="+")
    actor_ref = models.CharField(max_length=120)  # as it was then: part of what the hash covers
    body = models.TextField(blank=True)
    data = models.JSONField(default=dict, blank=True)
    at = models.DateTimeField()
    previous_hash = models.CharField(max_length=64, blank=True)
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["brief_id", "seq"]
        verbose_name_plural = "trace entries"
        constraints = [models.UniqueConstraint(fields=["brief", "seq"], name="trace_gapless")]

    def __str__(self) -> str:
        return f"#{self.brief_id}.{self.seq} {self.kind}"

    def save(self, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError("the trace is append-only: use briefs.trace.append")

    def delete(self, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError("the trace is append-only")
