from __future__ import annotations

from typing import Final

from django.db import models
from django.urls import reverse


class State(models.TextChoices):
    QUEUED = "queued"
    CLAIMED = "claimed"
    PREPARING = "preparing"
    RUNNING = "running"
    FINISHED = "finished"
    MERGING = "merging"
    DONE = "done"
    CONFLICTED = "conflicted"
    FAILED = "failed"
    CANCELLED = "cancelled"


ACTIVE = frozenset({State.QUEUED, State.CLAIMED, State.PREPARING, State.RUNNING, State.FINISHED, State.MERGING})
HELD = frozenset({State.CLAIMED, State.PREPARING, State.RUNNING})  # somebody holds the lease
LONGEST_NAME: Final = 200  # characters: of a branch, or of what it begins from


class DispatchRequest(models.Model):
    """One hand-off of a brief to an agent. Its number is its primary key; its packet is the prompt the agent gets."""

    class Kind(models.TextChoices):
        FRESH = "fresh"
        REWORK = "rework"
        DIRECT = "direct"
        DESIGN = "design"

    State = State

    brief = models.ForeignKey("briefs.Brief", on_delete=models.PROTECT, related_name="dispatch_requests")
    # The brief's number while this request is active, else NULL: its uniqueness allows one active request a brief, on
    # databases without partial indexes too. Requests that were asked for beside another one leave it NULL.
    only_active = models.PositiveBigIntegerField(null=True, unique=True, editable=False)
    project = models.ForeignKey("briefs.Project", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.FRESH)
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED, db_index=True, editable=False)
    program = models.ForeignKey(
        "daemons.AgentProgram",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        help_text="flower starts it; empty: an agent claims",
    )
    branch = models.CharField(max_length=LONGEST_NAME, blank=True)
    base = models.CharField(max_length=LONGEST_NAME, blank=True, help_text="as it was asked for")
    base_sha = models.CharField(max_length=64, blank=True, help_text="what it was when the request was made")
    worktree = models.ForeignKey(
        "worktrees.Worktree", on_delete=models.PROTECT, null=True, blank=True, related_name="dispatch_requests"
    )
    process = models.ForeignKey(
        "daemons.Process", on_delete=models.SET_NULL, null=True, blank=True, related_name="dispatch_requests"
    )
    packet = models.TextField(blank=True)
    created_by = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, related_name="+")
    claimed_by = models.ForeignKey(
        "briefs.Actor", on_delete=models.PROTECT, null=True, blank=True, related_name="claims"
    )
    fence = models.PositiveIntegerField(default=0, help_text="rises with every claim; later writes must carry it")
    lease_seconds = models.PositiveIntegerField(default=600)
    lease_expires_at = models.DateTimeField(null=True, blank=True, db_index=True)
    summary = models.TextField(blank=True)
    handoff = models.TextField(blank=True)
    no_changes = models.BooleanField(default=False)
    head_sha = models.CharField(max_length=64, blank=True, help_text="the branch's tip at completion")
    changes = models.JSONField(null=True, editable=False, help_text="what it changes, then (dispatch/changes.py)")
    merge_attempt = models.PositiveIntegerField(default=0)
    target_sha = models.CharField(max_length=64, blank=True, help_text="the target branch before the merge")
    merge_sha = models.CharField(
        max_length=64, blank=True, help_text="the commit that the merge put on the target branch"
    )
    landing = models.BooleanField(default=False, help_text="the ref is being moved: too late to call the merge off")
    main_behind = models.CharField(max_length=300, blank=True, help_text="why MAIN's files do not show the merge yet")
    stumbles = models.PositiveSmallIntegerField(default=0, help_text="unexpected errors of its step, one after another")
    failure_class = models.CharField(max_length=20, blank=True)
    failure = models.TextField(blank=True)
    merge_by = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"dispatch {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("dispatch", args=[self.pk])

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    @property
    def is_held(self) -> bool:
        return self.state in HELD

    @property
    def has_work(self) -> bool:
        """Whether its agent said that work is finished on the branch: what a rework takes over."""
        return bool(self.head_sha) and not self.no_changes and self.kind != self.Kind.DESIGN

    @property
    def is_stuck(self) -> bool:
        """Finished work whose merge was refused: a red gate, say. A rework may take its place."""
        return self.state == State.FINISHED and bool(self.failure_class) and self.kind != self.Kind.DESIGN


class GateRun(models.Model):
    """One run of one of the project's gate commands on the merged tree."""

    request = models.ForeignKey(DispatchRequest, on_delete=models.CASCADE, related_name="gate_runs")
    attempt = models.PositiveIntegerField(help_text="the merge attempt that this run belongs to")
    ordinal = models.PositiveIntegerField()
    command = models.TextField()
    tree = models.CharField(max_length=64, help_text="the merged tree that was tested")
    process = models.ForeignKey("daemons.Process", on_delete=models.SET_NULL, null=True, related_name="+")
    passed = models.BooleanField(null=True)
    why = models.CharField(max_length=200, blank=True)
    tail = models.TextField(blank=True)
    started_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["request_id", "attempt", "ordinal"]
        constraints = [models.UniqueConstraint(fields=["request", "attempt", "ordinal"], name="gate_run_once")]

    def __str__(self) -> str:
        return f"gate {self.ordinal} of {self.request}"


class MergeLock(models.Model):
    """One merger at a time for each target branch of a project: a lease with a rising fence."""

    project = models.ForeignKey("briefs.Project", on_delete=models.CASCADE, related_name="+")
    branch = models.CharField(max_length=200)
    request = models.ForeignKey(DispatchRequest, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    fence = models.PositiveIntegerField(default=0)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "branch"], name="merge_lock_once")]

    def __str__(self) -> str:
        return f"merge lock of {self.branch}"
