"""Questions to the operator, from agents and from people, and their answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from briefs import trace
from briefs.identity import Identity
from briefs.models import Actor, Brief, Question
from briefs.models.status import TERMINAL
from briefs.services import recall
from briefs.signals import stirred
from core.errors import Conflict, Invalid, NotFound, TooLarge

MAX_OPTIONS: Final = 12
MAX_QUESTION: Final = 8_000  # characters; and as many for an answer


def ask(
    brief: Brief, body: str, *, actor: Actor, options: Sequence[str] | None = None, blocking: bool = False
) -> Question:
    """Ask the operator. A blocking question holds the brief back until it is answered."""
    if not body.strip():
        raise Invalid("Write the question first.")
    if len(body) > MAX_QUESTION:
        raise TooLarge(f"A question has at most {MAX_QUESTION:,} characters; put the rest into a note and cite it.")
    if brief.is_terminal:
        raise Conflict(f"Brief #{brief.pk} is {brief.get_status_display()}; nobody would see a question there.")
    choices = [" ".join(trace.clean(option).split())[:200] for option in options or [] if option.strip()]
    if len(choices) > MAX_OPTIONS:
        raise Invalid(f"A question offers at most {MAX_OPTIONS} options.")
    with transaction.atomic():
        trace.lock(brief)
        question = Question.objects.create(
            brief=brief, body=trace.clean(body.strip()), options=choices, blocking=blocking, asked_by=actor
        )
        data = {"question": question.pk, "blocking": blocking, "options": choices}
        trace.append(brief, trace.Kind.QUESTION, actor=actor, body=question.body, data=data)
    return question


def answer(question: Question, body: str, *, actor: Actor) -> Question:
    """Answer a question once; the asker finds it on the trace. Raises Conflict when it has an answer already."""
    if not body.strip():
        raise Invalid("Write the answer first.")
    if len(body) > MAX_QUESTION:
        raise TooLarge(f"An answer has at most {MAX_QUESTION:,} characters; put the rest into a note or the spec.")
    with transaction.atomic():
        brief = question.brief
        trace.lock(brief)
        text = trace.clean(body.strip())
        open_ = Question.objects.filter(pk=question.pk, answered_at=None)
        if open_.update(answer=text, answered_by=actor, answered_at=timezone.now()) != 1:
            raise Conflict(f"Question {question.pk} was answered already.")
        question.refresh_from_db()
        brief.refresh_from_db()
        data = {"question": question.pk, "asker": question.asked_by.ref, "asked": question.body[:300]}
        trace.append(brief, trace.Kind.ANSWER, actor=actor, body=text, data=data)
        if question.blocking and not brief.is_terminal and not brief.waits_for():
            trace.append(brief, trace.Kind.UNBLOCKED, actor=actor, data={"question": question.pk})
        stirred.send(Brief, brief=brief)
    return question


def waiting_count(project: int | None = None) -> int:
    """How many open questions wait for an operator; those of ended briefs do not count."""
    rows = Question.objects.filter(answered_at=None).exclude(brief__status__in=TERMINAL)
    return (rows.filter(brief__project=project) if project is not None else rows).count()


def find(identity: Identity, number: int) -> Question:
    """A question on a brief that the caller may see. Raises NotFound."""
    question = Question.objects.select_related("brief", "asked_by").filter(pk=number).first() if number > 0 else None
    if question is None or not identity.may_see(question.brief):
        raise NotFound(f"There is no question {number} for you.")
    return question


def payload(
    identity: Identity, *, brief: int | None = None, cursor: str | None = None, limit: int = 50
) -> dict[str, Any]:
    """The answer of ``brief_open_questions``: oldest first; ``cursor`` goes on where the last answer ended."""
    rows = Question.objects.filter(answered_at=None, brief__in=recall.visible(identity)).exclude(
        brief__status__in=TERMINAL
    )
    if brief is not None:
        rows = rows.filter(brief=identity.find_brief(brief))
    if cursor:
        rows = rows.filter(pk__gt=recall.number_of(cursor))
    page = list(
        rows.order_by("pk").values_list(
            "pk", "brief_id", "brief__title", "body", "options", "blocking", "asked_by__ref", "asked_at"
        )[: limit + 1]
    )
    shown = [
        {
            "question": pk,
            "brief": number,
            "title": title,
            "body": body[:2_000],
            "options": options,
            "blocking": blocking,
            "asked_by": ref,
            "at": recall.iso(at),
        }
        for pk, number, title, body, options, blocking, ref, at in page[:limit]
    ]
    answer: dict[str, Any] = {"questions": shown, "cursor": None}
    return recall.page_within(answer, "questions", "question", more=len(page) > limit)
