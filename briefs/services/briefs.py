"""What can be done to a brief, apart from moving it (briefs/lifecycle.py) and dispatching it (the dispatch room)."""

from __future__ import annotations

from typing import Final

from django.db import transaction
from django.utils import timezone

from briefs import trace
from briefs.models import Actor, Brief, Project
from briefs.services import references, specs
from briefs.signals import stirred
from core.errors import Conflict, Invalid, TooLarge

TITLE_LENGTH: Final = 70
NOTE_KINDS: Final = {"note": trace.Kind.NOTE, "comment": trace.Kind.COMMENT, "progress": trace.Kind.PROGRESS}


def capture(
    body: str,
    *,
    actor: Actor,
    title: str = "",
    project: Project | None = None,
    parent: Brief | None = None,
    spec: str = "",
    kind: str = "",
    origin: str = Brief.Origin.NOTE,
    needs_approval: bool = False,
) -> Brief:
    """Turn a thought into a brief (an idea). The title is the first line, unless one is given.

    ``needs_approval`` holds it back until an operator approves: for what an agent made on its own.
    """
    body, spec = trace.clean(body).strip(), trace.clean(spec)
    title = _title(title or body)
    if not title:
        raise Invalid("Write something first: the first line becomes the brief's title.")
    if kind and kind not in Brief.Kind.values:
        raise Invalid(f"'{kind}' is no kind of brief; it is one of {', '.join(Brief.Kind.values)}.")
    specs.check(spec)
    with transaction.atomic():
        brief: Brief = Brief.objects.create(
            title=title,
            project=project or (parent.project if parent else None),
            parent=parent,
            spec=spec,
            spec_version=1 if spec else 0,
            kind=kind or Brief.Kind.WORK,
            origin=origin,
            needs_approval=needs_approval,
            created_by=actor,
            updated_at=timezone.now(),
        )
        trace.append(brief, trace.Kind.CAPTURED, actor=actor, body=body, data={"origin": origin, "spec": bool(spec)})
        if parent is not None:
            trace.append(brief, trace.Kind.PARENT_SET, actor=actor, data={"parent": parent.pk, "title": parent.title})
    return brief


def _title(text: str) -> str:
    line = next((stripped for line in text.splitlines() if (stripped := line.strip(" #*-\t"))), "")
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1].rstrip() + "…"


def rename(brief: Brief, title: str, *, actor: Actor) -> Brief:
    """Give the brief another title; the old one stays on the trace."""
    title = " ".join(trace.clean(title).split())
    if not title:
        raise Invalid("A brief needs a title.")
    if len(title) > 200:
        raise TooLarge("A title holds at most 200 characters.")
    with transaction.atomic():
        trace.lock(brief)
        brief.refresh_from_db()
        if title == brief.title:
            return brief
        old, brief.title = brief.title, title
        brief.save(update_fields=["title"])
        trace.append(brief, trace.Kind.REFINEMENT, actor=actor, data={"title": title, "was": old})
    return brief


def note(brief: Brief, body: str, *, actor: Actor, kind: str = "note") -> int:
    """Add a note, comment or progress line to the trace; returns its number. Terminal briefs take notes too."""
    if kind not in NOTE_KINDS:
        raise Invalid(f"'{kind}' is no kind of note; it is one of {', '.join(NOTE_KINDS)}.")
    if not body.strip():
        raise Invalid("Write something first.")
    mentions = references.mentioned(body)
    data = {"mentions": mentions} if mentions else {}
    return trace.append(brief, NOTE_KINDS[kind], actor=actor, body=body.strip(), data=data).seq


def set_flag(brief: Brief, flag: str, on: bool, *, actor: Actor) -> Brief:
    """Switch ``auto_dispatch`` or ``design_loop``; a trace entry says who did."""
    if flag not in {"auto_dispatch", "design_loop"}:
        raise Invalid(f"'{flag}' is no switch of a brief.")
    with transaction.atomic():
        trace.lock(brief)
        brief.refresh_from_db()
        if getattr(brief, flag) != on:
            if on and brief.is_terminal:
                what = flag.replace("_", "-").capitalize()
                raise Conflict(f"Brief #{brief.pk} is {brief.get_status_display()}; reopen it first. {what} stays off.")
            setattr(brief, flag, on)
            brief.save(update_fields=[flag])
            trace.append(brief, trace.Kind.REFINEMENT, actor=actor, data={flag: on})
            stirred.send(Brief, brief=brief)
    return brief


def set_project(brief: Brief, project: Project | None, *, actor: Actor) -> Brief:
    """Say on which repository the brief's work happens. Dispatched work keeps the project that it began with."""
    with transaction.atomic():
        trace.lock(brief)
        brief.refresh_from_db()
        if brief.project == project:
            return brief
        was, brief.project = brief.project, project
        brief.save(update_fields=["project"])
        if project is not None:
            brief.other_projects.remove(project)
        data = {"project": project.slug if project else None, "was": was.slug if was else None}
        trace.append(brief, trace.Kind.REFINEMENT, actor=actor, data=data)
    return brief


def set_other_project(brief: Brief, project: Project, concerned: bool, *, actor: Actor) -> Brief:
    """Say that the brief concerns a further project, or does no longer; agents of that project may then see it."""
    if concerned and brief.project == project:
        raise Invalid(f"{project.slug} is the brief's own project already.")
    with transaction.atomic():
        trace.lock(brief)
        if concerned == brief.other_projects.filter(pk=project.pk).exists():
            return brief
        (brief.other_projects.add if concerned else brief.other_projects.remove)(project)
        data = {"other_project": project.slug, "concerned": concerned}
        trace.append(brief, trace.Kind.REFINEMENT, actor=actor, data=data)
    return brief
