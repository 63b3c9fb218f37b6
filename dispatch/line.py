"""Who waits for a free place: what flower runs itself starts in the order in which it was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from dispatch.models import HELD, DispatchRequest, State


@dataclass(frozen=True)
class Line:
    """How many agents run, how many may, and the requests that wait, the first one first."""

    running: int
    cap: int
    waiting: tuple[int, ...]

    @classmethod
    def now(cls) -> Line:
        """The line as it is in this moment: two queries."""
        ours = DispatchRequest.objects.exclude(program=None)
        waiting = ours.filter(state=State.QUEUED).order_by("pk").values_list("pk", flat=True)
        return cls(ours.filter(state__in=HELD).count(), settings.FLOWER.max_concurrent, tuple(waiting))

    def before(self, number: int) -> int:
        """How many wait that were asked for earlier."""
        return sum(other < number for other in self.waiting)

    def may_start(self, number: int) -> bool:
        """Whether there is a place for this one, with all that were asked for earlier started first."""
        return self.running + self.before(number) < self.cap

    @property
    def is_full(self) -> bool:
        """Whether one more would have to wait."""
        return self.running + len(self.waiting) >= self.cap
