"""The in-process refiner: a model turns an idea into a plan, in the background, with progress and a cancel.

Its answer is a proposal on the trace: a person accepts, edits or refuses it. It never overwrites a person's text.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.utils import timezone

from briefs import trace
from briefs.models import Actor, Brief, Refinement, TraceEntry
from briefs.services import actors, proposals
from core import live, llm
from core.errors import Conflict, Refusal

State = Refinement.State
REFINER: Final = "flower-refiner"
MAX_TOKENS: Final = 6_000
BEAT_SECONDS: Final = 0.7  # how often progress is written and a cancel is looked for
STALE: Final = timedelta(seconds=200)  # longer than the model may think before its first word
_ACTIVE: Final = [State.QUEUED, State.RUNNING]


def why_not(brief: Brief) -> str:
    """Why a brief cannot be refined by the model now; empty when it can."""
    if not llm.is_configured():
        return "No model is configured (FLOWER_LLM_BASE_URL, FLOWER_LLM_MODEL)."
    if brief.is_terminal:
        return f"Brief #{brief.pk} is {brief.get_status_display()}."
    if Refinement.objects.filter(only_active=brief.pk).exists():
        return "The refiner works on it already."
    return ""


def start(brief: Brief, *, actor: Actor) -> Refinement:
    """Ask the refiner for a plan. Raises Conflict with the reason when it cannot be asked."""
    if reason := why_not(brief):
        raise Conflict(reason)
    try:
        with transaction.atomic():
            run = Refinement.objects.create(
                brief=brief, only_active=brief.pk, asked_by=actor, step="waiting for its turn"
            )
            _tell(run)
    except IntegrityError:
        raise Conflict("The refiner works on it already.") from None
    live.kick("briefs.tasks.refine", run.pk)
    return run


def cancel(run: Refinement, *, actor: Actor) -> Refinement:
    """Call a run off; what the model has written so far is thrown away."""
    if not _end(run, State.CANCELLED, step=f"called off by {actor.ref}"):
        run.refresh_from_db()
        raise Conflict(f"This refinement is {run.state} already.")
    return run


def work(number: int) -> None:
    """The task's part: ask the model, write its progress, propose its plan. A run that somebody has is left alone."""
    now = timezone.now()
    mine = Refinement.objects.filter(pk=number, state=State.QUEUED)
    if mine.update(state=State.RUNNING, heartbeat_at=now, step="reading the brief") != 1:
        return
    run = Refinement.objects.select_related("brief__project").get(pk=number)
    _tell(run)
    try:
        answer = llm.ask(_messages(run.brief), max_tokens=MAX_TOKENS, goes_on=_Progress(run))
        _propose(run, answer)
    except llm.Cancelled:
        return
    except (llm.LlmError, Refusal) as error:
        _end(run, State.FAILED, failure=str(error)[:300])


class _Progress:
    """Writes how far the answer has come, and says no when the run was called off meanwhile."""

    def __init__(self, run: Refinement) -> None:
        self.run = run
        self.next = time.monotonic() + BEAT_SECONDS

    def __call__(self, characters: int) -> bool:
        if time.monotonic() < self.next:
            return True
        self.next = time.monotonic() + BEAT_SECONDS
        rows = Refinement.objects.filter(pk=self.run.pk, state=State.RUNNING)
        still = rows.update(characters=characters, step="writing the plan", heartbeat_at=timezone.now())
        _tell(self.run)
        return still == 1


def _propose(run: Refinement, answer: llm.Answer) -> None:
    refiner = actors.named(REFINER, Actor.Kind.AGENT)
    with transaction.atomic():
        if not _end(run, State.PROPOSED, model=answer.model[:120], tokens=answer.tokens, characters=len(answer.text)):
            return  # called off in the last moment
        proposal = proposals.propose(run.brief, answer.text, actor=refiner)
        Refinement.objects.filter(pk=run.pk).update(proposal=proposal)


def _end(run: Refinement, state: str, **values: object) -> bool:
    with transaction.atomic():
        rows = Refinement.objects.filter(pk=run.pk, state__in=_ACTIVE)
        ended = rows.update(state=state, only_active=None, ended_at=timezone.now(), **values) == 1
        _tell(run)
    return ended


def _tell(run: Refinement) -> None:
    live.publish(live.brief_group(run.brief_id), "brief.changed", brief=run.brief_id)


def sweep() -> None:
    """Runs whose worker was killed end with a sentence; those that never began are kicked again."""
    late = timezone.now() - STALE
    for run in Refinement.objects.filter(state=State.RUNNING, heartbeat_at__lt=late):
        _end(run, State.FAILED, failure="The refiner was interrupted; ask it again.")
    waiting = Refinement.objects.filter(state=State.QUEUED, asked_at__lt=timezone.now() - timedelta(seconds=5))
    for number in waiting.values_list("pk", flat=True):
        live.kick("briefs.tasks.refine", number)


def _messages(brief: Brief) -> list[llm.Message]:
    notes = TraceEntry.objects.filter(
        brief=brief, kind__in=[trace.Kind.CAPTURED, trace.Kind.NOTE, trace.Kind.COMMENT, trace.Kind.ANSWER]
    ).order_by("-seq")[:20]
    context = {"brief": brief, "project": brief.project, "entries": reversed(notes)}
    return [
        {"role": "system", "content": render_to_string("prompts/refiner_system.md")},
        {"role": "user", "content": render_to_string("prompts/refiner.md", context)},
    ]
