"""What the board's address says is to be shown. Everything is in the address, so a link is a view."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import Q
from django.http import QueryDict
from django.urls import reverse

from briefs.identity import Identity
from briefs.models import Brief, Dependency, Participant, Project, Proposal, Question
from briefs.models.brief import BriefQuerySet
from briefs.models.relation import MISSING_WORK
from briefs.models.status import TERMINAL, Status
from briefs.services import searching
from briefs.services.recall import visible
from briefs.views import rooms

DISPATCHABLE: Final = (Status.IDEA, Status.REFINING, Status.PLANNED)
# How a list may be sorted: name -> (words, order). Briefs are numbered as they come, so the oldest have the smallest
# numbers, and both orders read an index from its end.
SORTS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "changed": ("last changed", ("-updated_at", "-pk")),
    "number": ("newest", ("-pk",)),
    "age": ("oldest", ("pk",)),
    "title": ("title", ("title", "-pk")),
}


@dataclass(frozen=True)
class Chip:
    """A filter that is on, and the address without it."""

    label: str
    without: str


@dataclass(frozen=True)
class Filters:
    columns: bool = False
    text: str = ""
    project: str = ""
    statuses: tuple[str, ...] = ()
    kind: str = ""
    origin: str = ""
    actor: str = ""
    epic: int = 0
    needs: bool = False
    dispatchable: bool = False
    sort: str = "changed"
    page: int = 1

    @classmethod
    def of(cls, get: QueryDict) -> Filters:
        """Read an address; what is nonsense in it counts as not said."""
        return cls(
            columns=get.get("view") == "columns",
            text=_text(get, "q"),
            project=_text(get, "project"),
            statuses=tuple(status for status in Status.values if status in get.getlist("status")),
            kind=_choice(get, "kind", Brief.Kind.values),
            origin=_choice(get, "origin", Brief.Origin.values),
            actor=_text(get, "actor"),
            epic=_number(get, "epic"),
            needs=get.get("needs") == "me",
            dispatchable=get.get("dispatchable") == "1",
            sort=_choice(get, "sort", list(SORTS)) or "changed",
            page=_number(get, "page") or 1,
        )

    @property
    def any(self) -> bool:
        """Whether something is left out; how it is sorted and laid out leaves nothing out."""
        return replace(self, columns=False, sort="changed", page=1) != Filters()

    @property
    def is_project_only(self) -> bool:
        """Whether a whole project is looked at: what is empty then has not begun."""
        return bool(self.project) and not replace(self, project="").any

    @property
    def reaches_ended(self) -> bool:
        """Whether briefs that are done or set aside are shown too: somebody looks for a certain one."""
        return bool(self.text or self.actor or self.epic or self.needs)

    @property
    def query(self) -> str:
        """The address's query, always in the same order and without what needs no saying."""
        pairs = [
            ("view", "columns" if self.columns else ""),
            ("q", self.text),
            ("project", self.project),
            *(("status", status) for status in self.statuses),
            ("kind", self.kind),
            ("origin", self.origin),
            ("actor", self.actor),
            ("epic", self.epic or ""),
            ("needs", "me" if self.needs else ""),
            ("dispatchable", "1" if self.dispatchable else ""),
            ("sort", "" if self.sort == "changed" else self.sort),
            ("page", "" if self.page == 1 else self.page),
        ]
        return urlencode([(name, value) for name, value in pairs if value])

    @property
    def address(self) -> str:
        return f"{reverse('board')}?{self.query}" if self.query else reverse("board")

    def but(self, **changes: Any) -> str:
        """The address with some filters changed, on its first page."""
        return replace(self, page=1, **changes).address

    @property
    def as_list(self) -> str:
        return self.but(columns=False)

    @property
    def as_columns(self) -> str:
        return self.but(columns=True)

    @property
    def cleared(self) -> str:
        return Filters(columns=self.columns, sort=self.sort).address

    @property
    def chips(self) -> list[Chip]:
        said: list[tuple[str, dict[str, Any]]] = [
            (f"“{self.text}”" if self.text else "", {"text": ""}),
            (self.project, {"project": ""}),
            *((Status(one).label, {"statuses": _without(self.statuses, one)}) for one in self.statuses),
            (self.kind, {"kind": ""}),
            (f"from {self.origin.replace('_', ' ')}" if self.origin else "", {"origin": ""}),
            (f"with {self.actor}" if self.actor else "", {"actor": ""}),
            (f"parts of #{self.epic}" if self.epic else "", {"epic": 0}),
            ("needs me" if self.needs else "", {"needs": False}),
            ("dispatchable" if self.dispatchable else "", {"dispatchable": False}),
        ]
        return [Chip(label, self.but(**change)) for label, change in said if label]

    @property
    def order(self) -> tuple[str, ...]:
        return SORTS[self.sort][1]

    def said_in_specs(self, identity: Identity) -> Q:
        return searching.in_specs(self.text, visible(identity)) if self.text else Q(pk__in=[])

    def apply(self, rows: BriefQuerySet, identity: Identity, said: Q) -> BriefQuerySet:
        """All filters but the status, since the board counts by status. ``said``: what ``said_in_specs`` found."""
        if self.project:
            # looked up first: with a join the databases sort all briefs instead of reading an index from its end
            rows = rows.filter(project__in=list(Project.objects.filter(slug=self.project).values_list("pk", flat=True)))
        if self.kind:
            rows = rows.filter(kind=self.kind)
        if self.origin:
            rows = rows.filter(origin=self.origin)
        if self.actor:
            ref = identity.actor.ref if self.actor == "me" else self.actor
            rows = rows.filter(pk__in=Participant.objects.filter(actor__ref=ref).order_by().values("brief"))
        if self.epic:
            rows = rows.filter(Q(parent=self.epic) | Q(pk=self.epic))
        if self.needs:
            rows = rows.filter(needs_a_person())
        if self.dispatchable:
            rows = rows.filter(status__in=DISPATCHABLE, project__isnull=False).exclude(rooms.held_by_somebody())
            rows = rows.unblocked()
        if self.text:
            rows = rows.filter(searching.in_titles(self.text) | searching.numbered(self.text) | said)
        return rows


def needs_a_person() -> Q:
    """The briefs that cannot go on without a person: a question, an approval, a plan to decide, work to merge."""
    asked = Question.objects.filter(answered_at=None).order_by().values("brief")
    proposed = Proposal.objects.filter(state=Proposal.State.OPEN).order_by().values("brief")
    without = Dependency.objects.filter(MISSING_WORK).order_by().values("brief")
    waiting = Q(needs_approval=True) | Q(pk__in=asked) | Q(pk__in=proposed) | Q(pk__in=without)
    waiting |= rooms.waiting_for_a_person()
    return ~Q(status__in=[*TERMINAL, Status.DEFERRED]) & waiting


def waiting_for_a_person(identity: Identity) -> BriefQuerySet:
    rows: BriefQuerySet = visible(identity).filter(needs_a_person())
    return rows


def _text(get: QueryDict, name: str) -> str:
    """Without NUL, which no database looks for: its replacement finds nothing, where nothing would find everything."""
    return get.get(name, "").replace("\x00", "\ufffd").strip()[:200]


def _choice(get: QueryDict, name: str, choices: list[str]) -> str:
    value = get.get(name, "")
    return value if value in choices else ""


def _number(get: QueryDict, name: str) -> int:
    value = get.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 12 else 0


def _without(values: tuple[str, ...], one: str) -> tuple[str, ...]:
    return tuple(value for value in values if value != one)
