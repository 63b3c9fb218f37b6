from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.urls import reverse


class Process(models.Model):
    """A program in a PTY, kept by a holder. Facts are stored; what they mean is said by ``state``."""

    class Purpose(models.TextChoices):
        AGENT = "agent"
        SETUP = "setup"
        GATE = "gate"

    class Phase(models.TextChoices):
        STARTING = "starting"
        RUNNING = "running"
        EXITED = "exited"
        LOST = "lost"

    purpose = models.CharField(max_length=8, choices=Purpose.choices, default=Purpose.AGENT)
    program = models.ForeignKey("daemons.AgentProgram", on_delete=models.PROTECT, null=True, blank=True)
    actor = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    project = models.ForeignKey("briefs.Project", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    brief = models.ForeignKey("briefs.Brief", on_delete=models.PROTECT, null=True, blank=True, related_name="processes")
    token = models.ForeignKey("briefs.Token", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    run = models.PositiveBigIntegerField(
        null=True, blank=True, db_index=True, help_text="number of the dispatch request"
    )
    command = models.CharField(max_length=500, help_text="as shown to people; never holds a secret")
    cwd = models.CharField(max_length=700)
    phase = models.CharField(max_length=8, choices=Phase.choices, default=Phase.STARTING, db_index=True, editable=False)
    pid = models.PositiveIntegerField(null=True, blank=True)
    exit_code = models.IntegerField(null=True, blank=True)
    exit_signal = models.IntegerField(null=True, blank=True)
    error = models.TextField(blank=True)
    reason = models.CharField(max_length=20, blank=True, help_text="exited, time limit or stopped")
    stopped_by = models.ForeignKey(
        "briefs.Actor",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="who asked first that it be stopped",
    )
    stop_why = models.CharField(max_length=300, blank=True)
    output_bytes = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True, help_text="when its facts were last read")

    ENDED: ClassVar = frozenset({Phase.EXITED, Phase.LOST})

    class Meta:
        ordering = ["-pk"]
        verbose_name_plural = "processes"

    def __str__(self) -> str:
        return f"process {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("process", args=[self.pk])

    @property
    def run_dir(self) -> Path:
        """The holder's folder: its log, its exit.json. Derived, so that it is known before anything is started."""
        return settings.FLOWER.home / "processes" / str(self.pk)

    @property
    def socket(self) -> Path:
        return settings.FLOWER.run / f"p{self.pk}.sock"

    @property
    def has_ended(self) -> bool:
        return self.phase in self.ENDED

    @property
    def was_stopped(self) -> bool:
        """Whether it ended since somebody asked for that, and not by itself in the moment before."""
        return self.has_ended and self.reason == "stopped"

    @property
    def state(self) -> str:
        """``starting``, ``running``, ``exited (0)``, ``killed (9)``, ``not started`` or ``lost``."""
        if self.phase != self.Phase.EXITED:
            return str(self.phase)
        if self.exit_signal is not None:
            return f"killed ({self.exit_signal})"
        return "not started" if self.exit_code is None else f"exited ({self.exit_code})"
