"""The right rail of the brief page: what each panel of it is rendered from. What its forms do is beside this module."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, Q

from briefs.models import Brief, Dependency, Link, Project, Question
from briefs.services import recall
from briefs.views import payload, rooms
from briefs.views.board_rows import Rollup
from briefs.views.door import Refused, Request

LINKS: Final = 200
IN_A_GROUP: Final = 7  # links of one relation, before the others are folded away
CHILDREN: Final = 50
ANSWERED: Final = 20
_OF_A_REPOSITORY: Final = (Link.Kind.BRANCH, Link.Kind.FILE)  # their names are the repository's: a label says more


def rail_context(request: Request, found: Brief, refused: Refused | None) -> dict[str, Any]:
    dependencies, dependents = _relations(found)
    children = list(found.children.order_by("pk").only("title", "status", "parent", "project")[:CHILDREN])
    for other in (*dependencies, *dependents, *children, *filter(None, [found.parent])):
        if not request.identity.may_see(other):
            other.title = recall.HIDDEN_TITLE
    return {
        "questions": list(found.questions.filter(answered_at=None).select_related("asked_by")),
        "answered": _answered(found),
        "dependencies": dependencies,
        "dependents": dependents,
        "parent": found.parent,
        "siblings": _rollup(found.parent_id) if found.parent_id else None,
        "children": children,
        "rollup": _rollup(found.pk),
        "participants": list(found.participants.select_related("actor")[:50]),
        "links": _links(request, found),
        "link_kinds": Link.Kind.values,
        "link_relations": Link.Relation.values,
        "others": list(found.other_projects.only("slug")),
        "projects": _projects(request),
        "seen": payload.panel(request, found),
        "rooms": rooms.panels(request, found, refused),
    }


def _answered(found: Brief) -> list[Question]:
    rows = found.questions.exclude(answered_at=None).select_related("asked_by", "answered_by")
    return list(rows.order_by("-answered_at")[:ANSWERED])


def _rollup(parent: int) -> Rollup | None:
    """How far the parts of an epic are; None where there are none."""
    rollup = Rollup()
    rows = Brief.objects.filter(parent=parent).order_by().values_list("status").annotate(Count("pk"))
    for status, count in rows:
        rollup.add(status, count)
    return rollup if rollup.total else None


def _relations(found: Brief) -> tuple[list[Brief], list[Brief]]:
    edges = Dependency.objects.filter(Q(brief=found) | Q(depends_on=found)).select_related("brief", "depends_on")
    edges = edges.defer("brief__spec", "depends_on__spec").order_by("pk")[:200]
    needs = [edge.depends_on for edge in edges if edge.brief_id == found.pk]
    return needs, [edge.brief for edge in edges if edge.brief_id != found.pk]


# --- links ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Linked:
    """A link with the name and the page of what it points at, where somebody knows them."""

    link: Link
    title: str
    address: str
    gone: bool


@dataclass(frozen=True)
class Group:
    """The links of one relation: the newest, and those that are folded away."""

    relation: str
    shown: list[Linked]
    more: list[Linked]


def _links(request: Request, found: Brief) -> list[Group]:
    rows = list(found.links.all()[:LINKS])
    names: dict[tuple[str, str], rooms.Named] = {}
    for kind in {row.kind for row in rows}:
        targets = [row.target for row in rows if row.kind == kind]
        known = (
            _briefs(request, targets)
            if kind == Link.Kind.BRIEF
            else rooms.named(request.identity, kind, targets, found.project)
        )
        names |= {(kind, target): named for target, named in known.items()}
    linked = [_linked(row, names.get((row.kind, row.target), rooms.Named())) for row in rows]
    return list(_grouped(linked))


def _linked(link: Link, named: rooms.Named) -> Linked:
    title = link.label if link.kind in _OF_A_REPOSITORY and link.label else named.title or link.label
    return Linked(link, title, named.address, named.gone)


def _grouped(linked: list[Linked]) -> Iterable[Group]:
    for relation in Link.Relation.values:
        rows = [one for one in linked if one.link.relation == relation]
        if rows:
            # one more is shown rather than a fold for it alone
            cut = len(rows) if len(rows) <= IN_A_GROUP + 1 else IN_A_GROUP
            yield Group(relation, rows[:cut], rows[cut:])


def _briefs(request: Request, targets: list[str]) -> dict[str, rooms.Named]:
    numbers = {target: number for target in targets if (number := recall.number_in(target)) is not None}
    rows = recall.visible(request.identity).filter(pk__in=numbers.values()).only("title")
    seen = {row.pk: rooms.Named(row.title, row.get_absolute_url()) for row in rows}
    return {target: seen.get(number, rooms.Named(gone=True)) for target, number in numbers.items()}


def _projects(request: Request) -> list[Project]:
    rows = Project.objects.only("slug")
    own = request.identity.project
    return list(rows if own is None else rows.filter(pk=own))
