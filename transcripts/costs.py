"""What sessions and segments cost, in US dollars: the figure beside tokens wherever they are shown."""

from __future__ import annotations

from dataclasses import dataclass

from transcripts.events import Usage
from transcripts.models import Segment, Session
from transcripts.wording import price


def of_session(session: Session) -> float | None:
    """Of a session with its sub-agents, each counted once; None where a price is missing."""
    usage = session.usage._replace(cache_hour=sum(figures[4] for figures in session.by_model.values()))
    return price.of_models(usage, session.by_model, session.model, price.table())


def of_segment(segment: Segment) -> float | None:
    """Of the events of one segment; None where a price is missing."""
    return price.of_models(Usage(**segment.usage), segment.by_model, segment.session.model, price.table())


@dataclass(frozen=True, slots=True)
class Spent:
    """What a dispatch used in all its sessions: tokens as pages count them; dollars where every price is known."""

    tokens: int
    dollars: float | None


def of_run(dispatch: int) -> Spent | None:
    """Of the sessions of a dispatch, by its number; None where none was read yet."""
    found = list(Session.objects.filter(dispatch=dispatch))
    if not any(session.tokens for session in found):
        return None
    costs = [of_session(session) for session in found if session.tokens]
    known = [cost for cost in costs if cost is not None]
    return Spent(sum(session.tokens for session in found), sum(known) if len(known) == len(costs) else None)
