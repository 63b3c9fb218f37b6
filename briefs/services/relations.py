"""How briefs hang together: epics, dependencies, merging two into one. Circles are refused, with their path."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.db import transaction
from django.utils import timezone

from briefs import graph, lifecycle, trace
from briefs.models import Actor, Brief, Dependency, Link
from briefs.models.status import TERMINAL, Status
from briefs.signals import stirred
from core.errors import Conflict, Invalid, NotFound


def add_dependency(brief: Brief, depends_on: Brief, *, actor: Actor) -> Dependency:
    """``brief`` waits for ``depends_on``. Raises Invalid when that would be a circle, naming it."""
    with transaction.atomic():
        graph.lock()
        trace.lock(brief)
        if path := _path(depends_on.pk, brief.pk, _needed_by_each):
            raise Invalid(f"That would be a circle: {_arrows([brief.pk, *path])}.")
        made, created = Dependency.objects.get_or_create(brief=brief, depends_on=depends_on)
        if created:
            data = {"depends_on": depends_on.pk, "title": depends_on.title}
            trace.append(brief, trace.Kind.DEPENDENCY_ADDED, actor=actor, data=data)
    return made


def remove_dependency(brief: Brief, depends_on: Brief, *, actor: Actor) -> None:
    """``brief`` waits no longer for ``depends_on``. Removing one that is not there is nothing."""
    with transaction.atomic():
        graph.lock()
        trace.lock(brief)
        edge = Dependency.objects.select_related("depends_on").filter(brief=brief, depends_on=depends_on).first()
        if edge is None:
            return
        edge.delete()
        data = {"depends_on": depends_on.pk, "title": depends_on.title}
        trace.append(brief, trace.Kind.DEPENDENCY_REMOVED, actor=actor, data=data)
        if not brief.is_terminal and edge.blocker is not None and not brief.waits_for():
            trace.append(
                brief, trace.Kind.UNBLOCKED, actor=actor, data={"by": depends_on.pk, "title": depends_on.title}
            )
        stirred.send(Brief, brief=brief)


def accept_missing(brief: Brief, depends_on: Brief, *, actor: Actor) -> Dependency:
    """Let ``brief`` start although ``depends_on`` was cancelled or abandoned, so that its work is not there.

    The dependency stays on record, with who said so. Once said, saying it again is nothing. Raises NotFound when there
    is no such dependency, Conflict while the other brief may still bring its work.
    """
    with transaction.atomic():
        graph.lock()
        trace.lock(brief)
        edge = Dependency.objects.select_related("depends_on").filter(brief=brief, depends_on=depends_on).first()
        if edge is None:
            raise NotFound(f"Brief #{brief.pk} does not depend on #{depends_on.pk}.")
        other = edge.depends_on
        if other.status not in TERMINAL - {Status.COMPLETE}:
            raise Conflict(
                f"Brief #{other.pk} is {other.get_status_display()}; "
                "one starts without the work of what was cancelled or abandoned only."
            )
        if edge.accepted_at is not None:
            return edge
        edge.accepted_by, edge.accepted_at = actor, timezone.now()
        edge.save(update_fields=["accepted_by", "accepted_at"])
        data = {"starts_without": other.pk, "title": other.title, "status": other.status}
        trace.append(brief, trace.Kind.REFINEMENT, actor=actor, data=data)
        if not brief.is_terminal and not brief.waits_for():
            trace.append(brief, trace.Kind.UNBLOCKED, actor=actor, data={"by": other.pk, "title": other.title})
        stirred.send(Brief, brief=brief)
    return edge


def set_parent(brief: Brief, parent: Brief | None, *, actor: Actor) -> Brief:
    """Put a brief into an epic, or take it out. Raises Invalid when that would be a circle, naming it."""
    with transaction.atomic():
        graph.lock()
        trace.lock(brief)
        brief.refresh_from_db()
        if parent is not None and (path := _path(parent.pk, brief.pk, _parent_of_each)):
            raise Invalid(f"That would be a circle of epics: {_arrows([brief.pk, *path])}.")
        if brief.parent_id == (parent.pk if parent else None):
            return brief
        brief.parent = parent
        brief.save(update_fields=["parent"])
        data = {"parent": parent.pk if parent else None, "title": parent.title if parent else ""}
        trace.append(brief, trace.Kind.PARENT_SET, actor=actor, data=data)
    return brief


def merge(brief: Brief, into: Brief, *, actor: Actor) -> Brief:
    """Fold ``brief`` into another one: it is cancelled, both keep their trace and point at each other.

    Its children, and what waited for it, belong to ``into`` from now on. Raises Invalid, Conflict.
    """
    if brief.pk == into.pk:
        raise Invalid("A brief cannot be merged into itself.")
    if into.is_terminal:
        raise Conflict(f"Brief #{into.pk} is {into.get_status_display()}; reopen it before merging into it.")
    with transaction.atomic():
        graph.lock()
        for one in sorted([brief, into], key=lambda row: row.pk):  # always in one order: no two merges wait in a ring
            trace.lock(one)
        brief.refresh_from_db()
        if brief.is_terminal:
            raise Conflict(f"Brief #{brief.pk} is {brief.get_status_display()} already; there is nothing to merge.")
        if _path(into.pk, brief.pk, _parent_of_each):
            raise Invalid(f"Brief #{into.pk} is part of the epic #{brief.pk}; an epic is not merged into its own part.")
        edges = Dependency.objects.filter(depends_on=brief)
        for relation in edges.exclude(brief=into):
            if not _path(into.pk, relation.brief_id, _needed_by_each):
                Dependency.objects.get_or_create(brief_id=relation.brief_id, depends_on=into)
        edges.update(accepted_by=actor, accepted_at=timezone.now())  # its work is not missing: it goes on in ``into``
        lifecycle.move(brief, Status.CANCELLED, actor=actor, why=f"merged into #{into.pk}")
        trace.append(brief, trace.Kind.MERGED, actor=actor, data={"into": into.pk, "title": into.title})
        body = brief.spec[: trace.MAX_BODY]
        trace.append(into, trace.Kind.MERGED, actor=actor, body=body, data={"from": brief.pk, "title": brief.title})
        Brief.objects.filter(parent=brief).exclude(pk=into.pk).update(parent=into)
        for one, other in ((brief, into), (into, brief)):
            Link.objects.get_or_create(
                brief=one,
                kind=Link.Kind.BRIEF,
                target=str(other.pk),
                relation=Link.Relation.REFERENCE,
                defaults={"label": other.title, "actor": actor},
            )
    return into


# --- ways through the graph -------------------------------------------------------------------------------------------

Step = Callable[[Iterable[int]], Iterable[tuple[int, int]]]


def _needed_by_each(briefs: Iterable[int]) -> Iterable[tuple[int, int]]:
    return Dependency.objects.filter(brief__in=briefs).values_list("brief_id", "depends_on_id")


def _parent_of_each(briefs: Iterable[int]) -> Iterable[tuple[int, int]]:
    return [
        (brief, parent)
        for brief, parent in Brief.objects.filter(pk__in=briefs).values_list("pk", "parent_id")
        if parent is not None
    ]


def _path(start: int, goal: int, step: Step) -> list[int]:
    """The way from ``start`` to ``goal``, both included; empty when there is none. One query a step outward."""
    came_from: dict[int, int] = {start: 0}
    frontier = [start]
    while frontier and goal not in came_from:
        edges, frontier = list(step(frontier)), []
        for source, target in edges:
            if target not in came_from:
                came_from[target] = source
                frontier.append(target)
    if goal not in came_from:
        return []
    path = [goal]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return path[::-1]


def _arrows(numbers: list[int]) -> str:
    return " -> ".join(f"#{number}" for number in numbers)
