"""The rows of the board: briefs by status, epics with their parts, and what matters now about each.

However many briefs there are, a page reads a fixed number of rows with a fixed number of queries.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.conf import settings
from django.core.paginator import Page, Paginator
from django.db.models import Count, Q
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from briefs import lifecycle
from briefs.identity import Identity
from briefs.models import Brief, Dependency, Proposal, Question
from briefs.models.relation import UNMET
from briefs.models.status import TERMINAL, Status
from briefs.services.recall import visible
from briefs.views import rooms
from briefs.views.board_filters import Filters
from core.format import ago

ORDER: Final = (
    Status.IN_PROGRESS,
    Status.IN_REVIEW,
    Status.DISPATCHED,
    Status.PLANNED,
    Status.REFINING,
    Status.IDEA,
)
ASIDE: Final = (Status.DEFERRED, Status.COMPLETE, Status.CANCELLED, Status.ABANDONED)
# From left to right, as work goes.
COLUMNS: Final = (
    Status.IDEA,
    Status.REFINING,
    Status.PLANNED,
    Status.DISPATCHED,
    Status.IN_PROGRESS,
    Status.IN_REVIEW,
    Status.COMPLETE,
)
BESIDE: Final = (Status.DEFERRED, Status.CANCELLED, Status.ABANDONED)  # places to drop on, beside the columns
IN_A_GROUP: Final = 25
ON_A_PAGE: Final = 100
PARTS: Final = 20  # of one epic
PARTS_IN_ALL: Final = 400
_UNSAID: Final = ("spec", "trace_head")  # what no row says
KEPT: Final = 5_000  # rendered rows in this process, about 1 KB each
_rendered: dict[tuple[Hashable, ...], SafeString] = {}
_GOING: Final = (Status.DISPATCHED, Status.IN_PROGRESS, Status.IN_REVIEW)


@dataclass
class Rollup:
    """How far an epic's parts are. What was cancelled or abandoned is no part any more."""

    done: int = 0
    going: int = 0
    total: int = 0

    def add(self, status: str, count: int = 1) -> None:
        if status in {Status.CANCELLED, Status.ABANDONED}:
            return
        self.total += count
        self.done += count if status == Status.COMPLETE else 0
        self.going += count if status in _GOING else 0

    @property
    def done_width(self) -> int:
        return round(100 * self.done / self.total) if self.total else 0

    @property
    def going_width(self) -> int:
        return round(100 * (self.done + self.going) / self.total) - self.done_width if self.total else 0

    @property
    def words(self) -> str:
        going = f", {self.going} in progress" if self.going else ""
        return f"{self.done} of {self.total} complete{going}"


@dataclass
class Row:
    """One brief on the board. ``parts`` stand below an epic: whole rows of its group, or lines of other groups."""

    brief: Brief
    waits: str = ""
    asks: bool = False
    now: rooms.Now = field(default_factory=rooms.Now)
    rollup: Rollup = field(default_factory=Rollup)
    count: int = 0
    parts: list[Row] = field(default_factory=list)
    is_part: bool = False
    is_elsewhere: bool = False
    is_folded: bool = False
    may_write: bool = False
    template: str = "briefs/_row.html"

    @property
    def more(self) -> int:
        return self.count - len(self.parts)

    @property
    def html(self) -> SafeString:
        """The row without its parts, rendered once per process for all who look on."""
        key = self._key()
        html = None if settings.DEBUG else _rendered.get(key)
        if html is None:
            html = render_to_string(self.template, {"row": self, "brief": self.brief, "may_write": self.may_write})
            if len(_rendered) >= KEPT:
                _rendered.clear()  # simple, and safe with several threads; what is looked at is there again at once
            _rendered[key] = html
        return html

    def _key(self) -> tuple[Hashable, ...]:
        """All that the template looks at. The time is in it as it is said, so that a kept row never says an old one."""
        brief = self.brief
        return (
            *(self.template, self.may_write, self.is_part, self.is_elsewhere, self.is_folded, self.count),
            *(self.waits, self.asks, self.now, self.rollup.done, self.rollup.going, self.rollup.total),
            *(brief.pk, brief.title, brief.status, brief.auto_dispatch, getattr(brief, "is_blocked", False)),
            *(brief.updated_at, ago(brief.updated_at), brief.parent_id),
            "" if self.is_elsewhere or brief.parent is None else brief.parent.title,
        )


@dataclass
class Group:
    status: Status
    count: int
    rows: list[Row]
    shown: int
    address: str

    @property
    def hidden(self) -> int:
        return self.count - self.shown

    @property
    def sources(self) -> str:
        """The statuses from which a brief may be moved here by hand."""
        return "" if self.is_rolled_up else " ".join(lifecycle.BRIEF.sources(self.status))

    @property
    def is_rolled_up(self) -> bool:
        return self.status in lifecycle.ROLLED_UP


@dataclass
class Shown:
    groups: list[Group]
    counts: dict[str, int]
    page: Page[Any] | None = None


def shown(identity: Identity, filters: Filters, folded: frozenset[int] = frozenset()) -> Shown:
    """What the filters let through, as groups of a list or as columns."""
    said = filters.said_in_specs(identity)
    rows = filters.apply(visible(identity), identity, said)
    counts = dict(rows.order_by().values_list("status").annotate(Count("pk")))
    detailed = rows.select_related("project", "parent").with_blocked().order_by(*filters.order)
    detailed = detailed.defer(*_UNSAID, *(f"parent__{name}" for name in _UNSAID))
    page = None
    if len(filters.statuses) == 1 and not filters.columns:
        status = Status(filters.statuses[0])
        paginator = Paginator(detailed.filter(status=status), ON_A_PAGE)
        paginator.count = counts.get(status, 0)  # known already
        page = paginator.get_page(filters.page)
        found = {status: list(page)} if counts.get(status) else {}
    else:
        found = {
            status: list(detailed.filter(status=status)[:IN_A_GROUP]) if counts.get(status) else []
            for status in _statuses(filters)
        }
    lines = _rows(identity, [brief for briefs in found.values() for brief in briefs], folded, filters, said)
    groups = [
        Group(
            status,
            counts.get(status, 0),
            [lines[brief.pk] for brief in briefs] if filters.columns else _nested(lines[brief.pk] for brief in briefs),
            len(briefs),
            filters.but(statuses=(status.value,), columns=False),
        )
        for status, briefs in found.items()
        if briefs or filters.columns
    ]
    return Shown(groups, counts, page)


def _statuses(filters: Filters) -> tuple[Status, ...]:
    if filters.columns:
        chosen = tuple(Status(status) for status in filters.statuses)
        return tuple(status for status in (*COLUMNS, *BESIDE) if status in chosen) if chosen else COLUMNS
    everything = (*ORDER, *ASIDE)
    if filters.statuses:
        return tuple(status for status in everything if status in filters.statuses)
    return everything if filters.reaches_ended else ORDER


def _rows(identity: Identity, briefs: list[Brief], folded: frozenset[int], filters: Filters, said: Q) -> dict[int, Row]:
    """What each shown brief's line says, from a handful of queries for all of them together."""
    numbers = [brief.pk for brief in briefs]
    template = "briefs/_card.html" if filters.columns else "briefs/_row.html"
    rows = {brief.pk: Row(brief, may_write=identity.may_write, template=template) for brief in briefs}
    unmet = Dependency.objects.filter(UNMET, brief__in=numbers).order_by("-pk")
    for number, other, title, status in unmet.values_list(
        "brief", "depends_on", "depends_on__title", "depends_on__status"
    ):
        rows[number].asks = rows[number].asks or status in TERMINAL
        rows[number].waits = (
            f"#{other} {title} is {status}: start without its work?"
            if status in TERMINAL
            else f"waits for #{other} {title}"
        )
    asked = Question.objects.filter(brief__in=numbers, answered_at=None).order_by("-pk")
    for number, body in asked.values_list("brief", "body"):
        rows[number].asks, rows[number].waits = True, f"asks: {' '.join(body[:400].split())[:160]}"
    proposed = Proposal.objects.filter(brief__in=numbers, state=Proposal.State.OPEN).order_by("pk")
    for number, ref in proposed.values_list("brief", "actor__ref"):
        rows[number].asks, rows[number].waits = True, rows[number].waits or f"a plan of {ref} waits to be decided"
    for number, now in rooms.nows(numbers).items():
        rows[number].now = now
    for row in rows.values():
        if row.brief.needs_approval and not row.waits:
            row.asks, row.waits = True, "waits for an operator's approval"
        if row.brief.is_terminal:
            row.asks, row.waits = False, ""
    _add_parts(identity, rows, folded, filters, said)
    return rows


def _add_parts(identity: Identity, rows: dict[int, Row], folded: frozenset[int], filters: Filters, said: Q) -> None:
    """How far each epic is, and those of its parts that the filters let through; the others are a number."""
    below = visible(identity).filter(parent__in=list(rows)).order_by()
    for parent, status, count in below.values_list("parent", "status").annotate(Count("pk", distinct=True)):
        rows[parent].rollup.add(status, count)
        rows[parent].count += count
    for row in rows.values():
        row.is_folded = row.brief.pk in folded
    epics = [number for number, row in rows.items() if row.count]
    if filters.columns or not epics:
        return
    parts = replace(filters, epic=0).apply(visible(identity).filter(parent__in=epics), identity, said).order_by("-pk")
    if filters.statuses:
        parts = parts.filter(status__in=filters.statuses)
    for part in parts.only("title", "status", "parent", "updated_at", "auto_dispatch")[:PARTS_IN_ALL]:
        parent = rows[part.parent_id or 0]
        if len(parent.parts) < PARTS:
            parent.parts.append(Row(part, is_part=True, is_elsewhere=True, may_write=identity.may_write))


def _nested(rows: Iterable[Row]) -> list[Row]:
    """The rows of one group, each part below its epic where both are in it; an epic names its other parts too."""
    rows = list(rows)
    inside = {row.brief.pk: row for row in rows}
    for row in rows:
        parent = inside.get(row.brief.parent_id or 0)
        if parent is not None and not _is_below(parent, row, inside):
            row.is_part = True
            parent.parts = [part for part in parent.parts if part.brief.pk != row.brief.pk]
            own = sum(not part.is_elsewhere for part in parent.parts)
            parent.parts.insert(own, row)
    return [row for row in rows if not row.is_part]


def _is_below(row: Row, other: Row, inside: dict[int, Row]) -> bool:
    """Whether ``row`` hangs below ``other`` itself: a ring, which services refuse, must not swallow its rows."""
    seen: set[int] = set()
    here: Row | None = row
    while here is not None and here.brief.pk not in seen:
        if here is other:
            return True
        seen.add(here.brief.pk)
        here = inside.get(here.brief.parent_id or 0)
    return False


def aside(found: Shown, filters: Filters) -> list[tuple[Status, int, str]]:
    """What a list leaves out because it is done or set aside, and where it is listed."""
    if filters.statuses or filters.reaches_ended:
        return []
    return [
        (status, found.counts[status], filters.but(statuses=(status.value,), columns=False))
        for status in ASIDE
        if found.counts.get(status)
    ]


def beside(found: Shown, filters: Filters) -> list[Group]:
    """The places beside the columns on which a card may be dropped to set it aside."""
    return [
        Group(status, found.counts.get(status, 0), [], 0, filters.but(statuses=(status.value,), columns=False))
        for status in BESIDE
    ]
