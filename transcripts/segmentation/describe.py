"""A segment from its steps: facts first, then words about them."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from transcripts.events import Kind

from .known import Log, Work, is_in_the_middle, work_of
from .outline import HORIZON, Line, Segment, Status
from .titles import title_for
from .words import decisions_of, next_steps_of, outcome_of, questions_left, summary_of

COMMIT: Final = 3  # edits that a commit is worth; 1, where it only ends what was done before


def described(log: Log, at: int, end: int, taken: Container[str]) -> Segment:
    """The segment of the steps ``at`` to ``end`` (not included); ``taken`` are titles, folded, that others have."""
    steps, is_last = log.steps, end == len(log.steps)
    beyond = steps[end : end + HORIZON]
    work = work_of(log, steps[at:end], beyond[-1].end - 1 if beyond else 0)
    title, summary, outcome = title_for(work, taken), summary_of(work), outcome_of(work)
    return Segment(
        key=log.events[work.first].key,
        first=work.first + 1,
        last=work.last + 1,
        first_line=0,
        last_line=0,
        title=title.text,
        status=status_of(work, is_last=is_last),
        summary="\n\n".join(" ".join(line.text for line in paragraph) for paragraph in summary),
        outcome=Line(" ".join(line.text for line in outcome), outcome[0].event) if outcome else None,
        sentences={"title": [title], "summary": [line for own in summary for line in own], "outcome": outcome},
        next_steps=next_steps_of(work, is_last=is_last) if is_last or steps[end].prompt is not None else [],
        key_decisions=decisions_of(work),
        open_questions=questions_left(work, is_last=is_last),
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
    for _, event in reversed(list(work.numbered())):
        if event.kind in (Kind.SYSTEM, Kind.TITLE, Kind.INTERRUPTION):
            continue
        closed = event.text.rstrip(" \n)]*_`\"'”」』）")
        return event.kind is Kind.ANSWER and closed.endswith((".", "!", "?", "|", "。", "！", "？"))
    return False


def _broken_off(work: Work) -> bool:
    """Is the last thing an error of the service, with no word of the model after it?"""
    for event in reversed(work.log.events[work.first : work.last + 1]):
        if event.kind is Kind.SYSTEM and event.is_error:
            return True
        if event.kind in (Kind.ANSWER, Kind.CALL, Kind.RESULT, Kind.PROMPT):
            return False
    return False
