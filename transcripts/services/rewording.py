"""A model words the outline of a session that has been quiet for a while, where a model is configured.

The rules' words are always there first and stay on any failure, which is kept with its reason. What a person touched,
and what a model has worded and is settled, is not asked about again. Afterwards all but the last segment is settled:
the log goes on behind them, and their words stay.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from briefs.models import Actor
from core import live, llm
from core.errors import Conflict, Forbidden
from transcripts import wording
from transcripts.models import Segment, Session, Wording
from transcripts.segmentation import Segment as Made
from transcripts.services import aside, outlining

QUIET: Final = timedelta(seconds=20)  # without new events, before a model is asked
RECENT: Final = timedelta(days=2)  # an old log that is read for the first time costs no money by itself
STALE: Final = timedelta(minutes=15)  # longer than a run takes: whoever began it is gone


def due(limit: int = 4) -> list[int]:
    """Sessions to be worded now, those that were active last first."""
    if not llm.is_configured():
        return []
    now = timezone.now()
    asked = Wording.objects.filter(session=OuterRef("pk"), events=OuterRef("events"))
    held = asked.filter(
        Q(ended_at=None, begun_at__gt=now - STALE)
        | Q(ended_at__isnull=False) & (Q(again_at=None) | Q(again_at__gt=now))
    )
    rows = Session.objects.filter(
        ~Exists(held), outlined=F("events"), events__gt=0, grown_at__lt=now - QUIET, active_at__gt=now - RECENT
    )
    return list(rows.order_by("-active_at").values_list("pk", flat=True)[:limit])


def last_run(session: Session) -> Wording | None:
    """The newest try at wording it, whatever came of it."""
    return session.wordings.first()


def is_running(run: Wording) -> bool:
    return run.ended_at is None and run.begun_at > timezone.now() - STALE


def can_ask(session: Session, run: Wording | None) -> bool:
    """Would it make sense to ask the model now? ``run``: the last one."""
    if not llm.is_configured() or not session.events or (run is not None and is_running(run)):
        return False
    return run is None or run.events != session.events or run.how != Segment.How.MODEL


def ask(session: Session, *, actor: Actor) -> None:
    """Have the model word a session now, however old it is. Raises Forbidden, Conflict."""
    if actor.kind != Actor.Kind.OPERATOR:
        raise Forbidden("Only an operator has a model asked: it costs money.")
    if not llm.is_configured():
        raise Conflict("No model is configured; FLOWER_LLM_BASE_URL and FLOWER_LLM_MODEL name one.")
    if not can_ask(session, last_run(session)):
        raise Conflict("The model is at it, or has worded all that there is; look at the session again.")
    session.wordings.filter(events=session.events, ended_at__isnull=False).update(again_at=timezone.now())
    live.kick("transcripts.tasks.reword", session.pk)


def _announce(session: Session) -> None:
    live.publish(live.session_group(session.pk), "wording.changed", session=session.pk)


def reword(number: int) -> Wording | None:
    """Ask the model about one session, if nobody else is at it. None: there was nothing to do."""
    session = Session.objects.filter(pk=number).first()
    if session is None or not session.events or not llm.is_configured():
        return None
    run = _begin(session)
    if run is None:
        return None
    _announce(session)
    try:
        return _run(session, run)
    finally:
        _announce(session)


def _run(session: Session, run: Wording) -> Wording:
    events = outlining.events_of(session)
    rows = list(session.segments.prefetch_related("comments", "uses"))
    made = [outlining.made_of(row) for row in rows]
    fixed = [one for row, one in zip(rows, made, strict=True) if is_fixed(row)]
    try:
        worded = wording.word(events, outlining.facts_of(session), made, fixed)
    except ValueError:  # events and segments were read at two moments, and the log grew in between
        run.reason, run.ended_at, run.again_at = (
            "The log grew while it was read.",
            timezone.now(),
            timezone.now() + QUIET,
        )
        run.save()
        return run
    run.how, run.reason, run.model = str(worded.how), worded.reason, worded.model[:120]
    run.prompt_version, run.cost_usd, run.duration_ms = worded.prompt_version, worded.cost_usd, worded.duration_ms
    run.tokens_in, run.tokens_out = worded.tokens_in, worded.tokens_out
    if worded.how is wording.How.MODEL and not _store(session, worded.segments, fixed):
        run.how, run.reason = Segment.How.RULES, "The outline changed while the model wrote; its words were not taken."
    if worded.again_after is not None:
        run.again_at = timezone.now() + timedelta(seconds=worded.again_after)
    run.ended_at = timezone.now()
    run.save()
    return run


def is_fixed(row: Segment) -> bool:
    """Did a person touch it, or a model word it for good?"""
    return aside.is_touched(row) or (row.is_settled and row.how == Segment.How.MODEL)


def _begin(session: Session) -> Wording | None:
    """Take the run for this length of the log: a new row, or one whose runner is gone or whose time has come again."""
    now = timezone.now()
    try:
        with transaction.atomic():
            made: Wording = Wording.objects.create(session=session, events=session.events, begun_at=now)
            return made
    except IntegrityError:
        rows = Wording.objects.filter(session=session, events=session.events)
        free = rows.filter(Q(ended_at=None, begun_at__lt=now - STALE) | Q(ended_at__isnull=False, again_at__lte=now))
        taken = free.update(begun_at=now, ended_at=None, again_at=None)
        return rows.get() if taken else None


def _store(session: Session, segments: list[Made], fixed: list[Made]) -> bool:
    """Put the model's segments in the place of those that it was asked about. False: somebody else wrote meanwhile."""
    kept = {one.key for one in fixed}
    for one in segments[:-1]:
        one.settled = True
    try:
        outlining.replace(session, segments, how=Segment.How.MODEL, but=kept)
    except Conflict:
        return False
    return True
