"""A segment from its steps: facts first, then words about them."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final

from transcripts.events import Event, Kind

from .decisions import decisions
from .following import next_steps
from .outline import HORIZON, Segment, Status
from .questions import open_questions
from .steps import Step
from .summary import words_of
from .titles import title_for
from .work import Work, is_in_the_middle, work_of

COMMIT: Final = 3  # edits that a commit is worth; 1, where it only ends what was done before


def described(
    events: Sequence[Event],
    steps: Sequence[Step],
    at: int,
    end: int,
    calls: dict[str, Event],
    taken: Container[str],
    name: str = "",
) -> Segment:
    """The segment of the steps ``at`` to ``end`` (not included); ``taken`` are titles, folded, that others have.

    ``name``: the program's own name for the session, for a segment that is all of it.
    """
    own = steps[at:end]
    beyond = steps[end : end + HORIZON]
    work = work_of(events, own, calls, beyond[-1].end - 1 if beyond else 0)
    before = next((step.text for step in reversed(steps[max(0, at - 3) : at]) if step.text), "")
    following = steps[end].prompt if end < len(steps) else None
    title = title_for(work, taken, name if at == 0 and end == len(steps) else "")
    summary, outcome = words_of(work, title)
    return Segment(
        key=events[work.first].key,
        first=work.first + 1,
        last=work.last + 1,
        first_line=0,
        last_line=0,
        title=title,
        status=status_of(work, is_last=end == len(steps)),
        summary=summary,
        outcome=outcome,
        next_steps=next_steps(work, is_last=end == len(steps)) if end == len(steps) or following is not None else [],
        key_decisions=decisions(work, before, title),
        open_questions=open_questions(work, following),
        started_at=work.started_at,
        ended_at=work.ended_at,
        phase=work.phase,
        files=work.files,
        commits=work.commits,
        usage=work.usage,
        by_model={name: figures for name, figures in work.by_model.items() if name},
        changes=work.edits + (COMMIT if work.edits else 1) * len(work.commits),
        errors=work.errors,
        prompts=work.prompts,
    )


def status_of(work: Work, *, is_last: bool) -> Status:
    """From facts: how the log ends, an interruption, the last check, an error of the service. Never from tone."""
    fruitless = not work.changed and not work.commits
    if work.steps[-1].interrupted and not _had_closed(work):
        return Status.ABANDONED if fruitless else Status.PARTIAL
    if is_last and is_in_the_middle(work):
        return Status.IN_PROGRESS
    if work.failing or (work.push and not work.push.went_through) or _broken_off(work):
        return Status.PARTIAL
    return Status.DONE


def _had_closed(work: Work) -> bool:
    """Was the turn over when somebody pressed Esc: the model's last words were whole, and no call was open?"""
    for event in reversed(work.events[work.first : work.last + 1]):
        if event.agent or event.kind in (Kind.SYSTEM, Kind.TITLE, Kind.INTERRUPTION):
            continue
        return event.kind is Kind.ANSWER and event.text.rstrip(" \n)]*_`\"'”").endswith((".", "!", "?", "|"))
    return False


def _broken_off(work: Work) -> bool:
    """Is the last thing an error of the service, with no word of the model after it?"""
    for event in reversed(work.events[work.first : work.last + 1]):
        if event.kind is Kind.SYSTEM and event.is_error:
            return True
        if event.kind in (Kind.ANSWER, Kind.CALL, Kind.RESULT, Kind.PROMPT):
            return False
    return False
