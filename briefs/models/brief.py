from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.urls import reverse

from briefs.models.blocker import Blocker, BlockerCode
from briefs.models.status import TERMINAL, Status


class BriefQuerySet(models.QuerySet["Brief"]):
    def open(self) -> BriefQuerySet:
        return self.exclude(status__in=TERMINAL)

    def with_blocked(self) -> BriefQuerySet:
        """Annotate ``is_blocked``: an unmet dependency, an open blocking question, or a needed approval."""
        from briefs.models import Dependency, Question
        from briefs.models.relation import UNMET

        unfinished = Dependency.objects.filter(UNMET, brief=OuterRef("pk"))
        asked = Question.objects.filter(brief=OuterRef("pk"), blocking=True, answered_at=None)
        return self.annotate(is_blocked=Exists(unfinished) | Exists(asked) | Q(needs_approval=True))

    def unblocked(self) -> BriefQuerySet:
        rows: Any = self.with_blocked()  # mypy's plugin does not see the annotation
        return rows.filter(is_blocked=False)  # type: ignore[no-any-return]


class Brief(models.Model):
    """The durable folder of one piece of work. Its number is its primary key."""

    class Origin(models.TextChoices):
        NOTE = "note"
        MCP = "mcp"
        FEEDBACK = "feedback"
        DEEP_REVIEW = "deep_review"

    class Kind(models.TextChoices):
        WORK = "work"
        BUG = "bug"
        RESEARCH = "research"
        EPIC = "epic"

    Status = Status

    title = models.CharField(max_length=200)
    project = models.ForeignKey(
        "briefs.Project", on_delete=models.PROTECT, null=True, blank=True, related_name="briefs"
    )
    other_projects = models.ManyToManyField(
        "briefs.Project", blank=True, related_name="other_briefs", help_text="further projects that it concerns"
    )
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.IDEA, db_index=True, editable=False)
    origin = models.CharField(max_length=12, choices=Origin.choices, default=Origin.NOTE)
    kind = models.CharField(max_length=12, choices=Kind.choices, default=Kind.WORK)
    draft = models.BooleanField(default=False)
    needs_approval = models.BooleanField(default=False)
    auto_dispatch = models.BooleanField(default=False)
    design_loop = models.BooleanField(default=False)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="children")
    spec = models.TextField(blank=True)
    spec_version = models.PositiveIntegerField(default=0)
    created_by = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(db_index=True)
    # The end of the trace, kept here: the lock of this row makes the numbers gapless, and a cut-off tail is noticed.
    trace_seq = models.PositiveIntegerField(default=0, editable=False)
    trace_head = models.CharField(max_length=64, default="", blank=True, editable=False)

    objects: ClassVar[Any] = BriefQuerySet.as_manager()

    class Meta:
        ordering = ["-updated_at", "-pk"]
        indexes = [models.Index(fields=["status", "-updated_at"])]

    def __str__(self) -> str:
        return f"#{self.pk} {self.title}"

    def get_absolute_url(self) -> str:
        return reverse("brief", args=[self.pk])

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    def blockers(self) -> list[Blocker]:
        """What holds the brief back; empty when nothing does. Blocked is derived, never a status."""
        edges = self.dependencies.select_related("depends_on").defer("depends_on__spec")
        found = [blocker for edge in edges if (blocker := edge.blocker) is not None]
        asked = self.questions.filter(blocking=True, answered_at=None).values_list("pk", flat=True)
        found += [Blocker(BlockerCode.QUESTION, number) for number in asked]
        if self.needs_approval:
            found.append(Blocker(BlockerCode.APPROVAL))
        return found

    def waits_for(self) -> list[str]:
        """The same for people, a phrase each."""
        return [blocker.phrase for blocker in self.blockers()]
