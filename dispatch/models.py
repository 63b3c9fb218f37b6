from __future__ import annotations

from typing import Final

from django.db import models
from django.urls import reverse

from briefs.models import Project


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
        RESUME = "resume"

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
    came_outside = models.BooleanField(default=False, help_text="its commits came to the branch outside of flower")
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
    ended_by = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, null=True, blank=True, related_name="+")

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


class MainState(models.Model):
    """Where flower last saw, or put, a project's main branch, and which commit MAIN's files were last brought to."""

    project = models.OneToOneField("briefs.Project", on_delete=models.CASCADE, related_name="main_state")
    branch = models.CharField(max_length=LONGEST_NAME)
    sha = models.CharField(max_length=64, help_text="the commit that flower last saw or made")
    files_sha = models.CharField(max_length=64, help_text="the commit that MAIN's files and index were brought to")
    # Kept before files are written: a second try at the same commit takes back what a killed first one left half-done.
    bringing_sha = models.CharField(max_length=64, blank=True)
    behind = models.CharField(max_length=500, blank=True, help_text="why MAIN's files do not show the commit")
    tried_at = models.DateTimeField(null=True, blank=True, help_text="when MAIN's files were tried last")

    def __str__(self) -> str:
        return f"{self.branch} at {self.sha[:12]}"


class MainCheck(models.Model):
    """The project's gates on a commit of its main branch itself, without anything to be merged."""

    project = models.ForeignKey("briefs.Project", on_delete=models.CASCADE, related_name="+")
    sha = models.CharField(max_length=64)
    attempt = models.PositiveIntegerField(default=1, help_text="rises when somebody has the gates run again")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "sha"], name="main_check_once")]

    def __str__(self) -> str:
        return f"gates on {self.sha[:12]}"


class MainMove(models.Model):
    """The main branch moved and flower did not do it: an agent, a person, a push. What it brought, and its gates."""

    class Gates(models.TextChoices):
        NONE = "none", "the project has no gates"
        RUNNING = "running", "the gates run"
        GREEN = "green", "the gates are green"
        RED = "red", "a gate is red"
        PASSED_OVER = "passed_over", "the branch moved on before its gates ended"

    project = models.ForeignKey("briefs.Project", on_delete=models.CASCADE, related_name="main_moves")
    branch = models.CharField(max_length=LONGEST_NAME)
    old_sha = models.CharField(max_length=64)
    new_sha = models.CharField(max_length=64)
    rewritten = models.BooleanField(default=False, help_text="the old commit is not below the new one any more")
    commits = models.JSONField(default=list, help_text="the newest that came: [sha, subject, author]")
    commit_count = models.PositiveIntegerField(default=0)
    dropped = models.JSONField(default=list, help_text="the newest that are not on the branch any more")
    dropped_count = models.PositiveIntegerField(default=0)
    authors = models.JSONField(default=list)
    main_check = models.ForeignKey(MainCheck, on_delete=models.SET_NULL, null=True, related_name="moves")
    gates = models.CharField(max_length=12, choices=Gates.choices)
    found_at = models.DateTimeField(auto_now_add=True)
    checked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.sentence

    @property
    def sentence(self) -> str:
        """What happened, for people: calm, since a person's own commit in MAIN is nothing bad."""
        by = f", by {_listed(self.authors)}" if self.authors else ""
        came = f"{self.commit_count:,} commit{'' if self.commit_count == 1 else 's'}"
        if not self.rewritten:
            return f"{self.branch} moved outside of flower: {came}{by}."
        gone = f"{self.dropped_count:,} commit{'' if self.dropped_count == 1 else 's'} dropped"
        return f"{self.branch} was rewritten outside of flower: {gone}, {came} new{by}."


def _listed(names: list[str]) -> str:
    shown = names[:3] + ([f"{len(names) - 3} more"] if len(names) > 3 else [])
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]


class GateRun(models.Model):
    """One run of one of the project's gate commands: on a merged tree for a request, or on the main branch itself."""

    request = models.ForeignKey(DispatchRequest, on_delete=models.CASCADE, null=True, related_name="gate_runs")
    main_check = models.ForeignKey(MainCheck, on_delete=models.CASCADE, null=True, related_name="gate_runs")
    attempt = models.PositiveIntegerField(help_text="the attempt of its merge or check that this run belongs to")
    ordinal = models.PositiveIntegerField()
    command = models.TextField()
    tree = models.CharField(max_length=64, help_text="the commit whose files were tested")
    process = models.ForeignKey("daemons.Process", on_delete=models.SET_NULL, null=True, related_name="+")
    passed = models.BooleanField(null=True)
    judged = models.BooleanField(default=True, help_text="it ended by itself: not lost, and not stopped by somebody")
    why = models.CharField(max_length=200, blank=True)
    tail = models.TextField(blank=True)
    started_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["request_id", "attempt", "ordinal"]
        constraints = [
            models.UniqueConstraint(fields=["request", "attempt", "ordinal"], name="gate_run_once"),
            models.UniqueConstraint(fields=["main_check", "attempt", "ordinal"], name="gate_run_once_on_main"),
        ]

    def __str__(self) -> str:
        return f"gate {self.ordinal} of {self.request or self.main_check}"

    @property
    def project(self) -> Project:
        """The project whose gate it is."""
        owner = self.request or self.main_check
        assert owner is not None and owner.project is not None
        return owner.project


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
