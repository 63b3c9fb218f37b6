"""What a brief points at: commits, branches, worktrees, sessions, files, addresses, other briefs."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.db import transaction

from briefs import trace
from briefs.models import Actor, Brief, Link
from core.errors import Invalid
from core.refnames import is_commit_id, why_no_branch


def add(brief: Brief, kind: str, target: str, *, actor: Actor, relation: str = "reference", label: str = "") -> Link:
    """Link the brief to something. The same link twice stays one. Raises Invalid."""
    if kind not in Link.Kind.values:
        raise Invalid(f"'{kind}' cannot be linked; a link is one of {', '.join(Link.Kind.values)}.")
    if relation not in Link.Relation.values:
        raise Invalid(f"'{relation}' is no relation; it is one of {', '.join(Link.Relation.values)}.")
    target = _target(kind, target)
    label = " ".join(trace.clean(label).split())[:200]
    with transaction.atomic():
        trace.lock(brief)
        found = Link.objects.filter(brief=brief, kind=kind, target=target, relation=relation).first()
        if found is not None:
            return found
        made = Link.objects.create(brief=brief, kind=kind, target=target, relation=relation, label=label, actor=actor)
        data = {"kind": kind, "target": target, "relation": relation, "label": label}
        trace.append(brief, trace.Kind.LINK_ADDED, actor=actor, data=data)
    return made


def remove(link: Link, *, actor: Actor) -> None:
    """Take a link away; the trace keeps that it was there. Removing one that is gone is nothing."""
    with transaction.atomic():
        trace.lock(link.brief)
        gone, _ = Link.objects.filter(pk=link.pk).delete()
        if gone:
            data = {"kind": link.kind, "target": link.target, "relation": link.relation, "label": link.label}
            trace.append(link.brief, trace.Kind.LINK_REMOVED, actor=actor, data=data)


def _target(kind: str, target: str) -> str:
    target = " ".join(trace.clean(target).split())
    if not target or len(target) > 500:
        raise Invalid("A link needs a target of at most 500 characters.")
    if kind == Link.Kind.URL and urlsplit(target).scheme not in {"http", "https"}:
        raise Invalid("A link to an address must begin with http:// or https://.")
    if kind == Link.Kind.COMMIT:
        target = target.lower()
        if not is_commit_id(target):
            raise Invalid(f"'{target[:100]}' is no commit; give its id, 4 to 64 hex digits.")
    if kind == Link.Kind.BRANCH and (why := why_no_branch(target)):
        raise Invalid(f"'{target[:100]}' is no name for a branch: {why}.")
    return target
