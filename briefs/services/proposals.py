"""Plans that agents or the refiner propose. They never overwrite a person's text: somebody accepts or refuses them."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from briefs import lifecycle, trace
from briefs.models import Actor, Brief, Proposal
from briefs.models.status import Status
from briefs.services import specs
from briefs.signals import stirred
from core.errors import Conflict, Forbidden, Invalid


def propose(brief: Brief, plan: str, *, actor: Actor) -> Proposal:
    """Put a plan on the trace for a person to decide. An older open one of the same actor is superseded."""
    plan = trace.clean(plan).strip()
    if not plan:
        raise Invalid("Write the plan first.")
    specs.check(plan)
    if brief.is_terminal:
        raise Conflict(f"Brief #{brief.pk} is {brief.get_status_display()}; reopen it before planning it again.")
    with transaction.atomic():
        trace.lock(brief)
        brief.refresh_from_db()
        Proposal.objects.filter(brief=brief, actor=actor, state=Proposal.State.OPEN).update(
            state=Proposal.State.SUPERSEDED, decided_at=timezone.now()
        )
        data = {"base_version": brief.spec_version}
        entry = trace.append(brief, trace.Kind.PLAN_PROPOSED, actor=actor, body=plan, data=data)
        proposal = Proposal.objects.create(
            brief=brief, plan=plan, base_version=brief.spec_version, entry=entry.seq, actor=actor
        )
        if brief.status == Status.IDEA:
            lifecycle.move(brief, Status.REFINING, actor=actor, why="a plan was proposed")
    return proposal


def accept(proposal: Proposal, *, actor: Actor, base_version: int, plan: str = "") -> Brief:
    """Make a plan (or the person's edit of it) the spec. Raises StaleSpec when the spec moved on since it was read."""
    with transaction.atomic():
        trace.lock(proposal.brief)
        _decide(proposal, Proposal.State.ACCEPTED, actor)
        edited = bool(plan.strip()) and trace.clean(plan).strip() != proposal.plan
        why = f"plan of {proposal.actor.ref} accepted" + (", edited" if edited else "")
        text = plan if edited else proposal.plan
        return specs.update(proposal.brief, text, base_version=base_version, actor=actor, why=why)


def adopt(proposal: Proposal, *, actor: Actor) -> Brief | None:
    """Make a plan the spec without asking, where a person's switches said so; the prior spec stays on the trace.

    Only while the spec is the one that the plan was made from; otherwise None, and a person decides.
    """
    with transaction.atomic():
        trace.lock(proposal.brief)
        brief = Brief.objects.get(pk=proposal.brief_id)
        rows = Proposal.objects.filter(pk=proposal.pk, state=Proposal.State.OPEN)
        if brief.spec_version != proposal.base_version:
            return None
        if rows.update(state=Proposal.State.ACCEPTED, decided_by=actor, decided_at=timezone.now()) != 1:
            return None
        why = f"plan of {proposal.actor.ref} adopted"
        return specs.update(brief, proposal.plan, base_version=brief.spec_version, actor=actor, why=why)


def refuse(proposal: Proposal, *, actor: Actor, why: str = "") -> None:
    """Leave the spec as it is; the reason goes to the trace, where the proposer finds it."""
    with transaction.atomic():
        trace.lock(proposal.brief)
        _decide(proposal, Proposal.State.REFUSED, actor)
        data = {"refused": proposal.entry, "by": proposal.actor.ref}
        trace.append(proposal.brief, trace.Kind.REFUSED, actor=actor, body=why.strip(), data=data)


def _decide(proposal: Proposal, state: str, actor: Actor) -> None:
    if actor.kind != Actor.Kind.OPERATOR:
        raise Forbidden("Only an operator decides about a proposed plan.")
    rows = Proposal.objects.filter(pk=proposal.pk, state=Proposal.State.OPEN)
    if rows.update(state=state, decided_by=actor, decided_at=timezone.now()) != 1:
        proposal.refresh_from_db()
        raise Conflict(f"This plan is {proposal.state} already.")
    proposal.refresh_from_db()


def approve(brief: Brief, *, actor: Actor) -> Brief:
    """Let a brief that an agent made on its own be worked on."""
    if actor.kind != Actor.Kind.OPERATOR:
        raise Forbidden("Only an operator approves a brief.")
    with transaction.atomic():
        trace.lock(brief)
        brief.refresh_from_db()
        if brief.needs_approval:
            brief.needs_approval = False
            brief.save(update_fields=["needs_approval"])
            trace.append(brief, trace.Kind.REFINEMENT, actor=actor, data={"approved": True})
            if not brief.waits_for():
                trace.append(brief, trace.Kind.UNBLOCKED, actor=actor, data={"by": "approval"})
            stirred.send(Brief, brief=brief)
    return brief


def disapprove(brief: Brief, *, actor: Actor, why: str = "") -> Brief:
    """Cancel a brief that an agent made on its own; the reason goes to the trace, where the agent finds it."""
    if actor.kind != Actor.Kind.OPERATOR:
        raise Forbidden("Only an operator refuses a brief.")
    with transaction.atomic():
        trace.lock(brief)
        brief.refresh_from_db()
        if not brief.needs_approval:
            raise Conflict(f"Brief #{brief.pk} was approved meanwhile; cancel it by its status instead.")
        return lifecycle.move(brief, Status.CANCELLED, actor=actor, why=why.strip() or "not approved")
