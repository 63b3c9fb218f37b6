"""What people do with the outline of a session: edit, merge, split, review, comment, make something out of a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, Final, TypeVar

from django.db import IntegrityError
from django.utils import timezone

from briefs import trace
from briefs.models import Actor, Brief, Link, Project
from briefs.services import briefs, links, questions
from core.errors import Conflict, Invalid, NotFound
from transcripts.events import Event
from transcripts.models import Segment, SegmentComment, SegmentUse, Session
from transcripts.models.outline import EDITABLE, LINES
from transcripts.segmentation.ranges import describe, starts
from transcripts.services import aside, outlining

Result = TypeVar("Result")

MAX_TITLE: Final = 200  # characters
MAX_TEXT: Final = 20_000
MAX_LINES: Final = 50  # of one field
_MADE: Final = {
    "next_steps": SegmentUse.Made.BRIEF,
    "open_questions": SegmentUse.Made.QUESTION,
    "key_decisions": SegmentUse.Made.ENTRY,
}


def edit(segment: Segment, field: str, value: str | Sequence[str], *, actor: Actor) -> Segment:
    """Put a person's words over a field; they stay when the segmenter runs again.

    ``value``: a text, or a list of texts for next_steps, key_decisions and open_questions; an empty line is left out.
    The same words as were made take the edit away. Raises Invalid.
    """
    _check(field)
    given = _checked(field, value)

    def do(session: Session) -> Segment:
        row = _row(session, segment)
        shown = _with_evidence(row, field, given)
        row.edits = {name: words for name, words in row.edits.items() if name != field}
        if shown != getattr(row, field):
            row.edits[field] = shown
        return _touched(row, actor)

    return _changed(segment, do)


def unedit(segment: Segment, field: str, *, actor: Actor) -> Segment:
    """Show what was made again."""
    _check(field)

    def do(session: Session) -> Segment:
        row = _row(session, segment)
        row.edits = {name: words for name, words in row.edits.items() if name != field}
        return _touched(row, actor)

    return _changed(segment, do)


def merge(segment: Segment, *, actor: Actor) -> Segment:
    """Join a segment with the next one. What people did with both stays; ``split`` where it was takes it back.

    Raises Conflict for the last one.
    """
    events = outlining.events_of(segment.session)

    def do(session: Session) -> Segment:
        row = _row(session, segment)
        following = session.segments.filter(position=row.position + 1).first()
        if following is None:
            raise Conflict("This is the last segment; there is no next one to merge it with.")
        made = describe(events, row.first, following.last, _titles(session, row, following))
        made.first_line, made.last_line, made.settled = row.first_line, following.last_line, True
        before = aside.as_it_is(row)
        row.edits = _joined(row, following)
        if not (row.reviewed_at and following.reviewed_at):  # one half of it was not read
            row.reviewed_by = row.reviewed_at = None
        aside.keep_merged(before, row, following)
        following.comments.update(segment=row)
        for use_ in following.uses.all():
            if not row.uses.filter(field=use_.field, text_key=use_.text_key).exists():
                SegmentUse.objects.filter(pk=use_.pk).update(segment=row)
        following.delete()
        for later in session.segments.filter(position__gt=row.position + 1):
            later.position -= 1
            later.revision += 1
            later.save(update_fields=["position", "revision"])
        row = outlining.put(session, row, made, row.position)
        return _touched(row, actor)

    return _changed(segment, do)


def split(segment: Segment, event: int, *, actor: Actor) -> tuple[Segment, Segment]:
    """Cut a segment in two before an event, or before the step that holds it. The first keeps what people did with it.

    Where two were merged each gets back what it had. What was done with the whole since then stays with the first.
    Raises Invalid when no step of the segment begins there.
    """
    events = outlining.events_of(segment.session)
    borders = starts(events)

    def do(session: Session) -> tuple[Segment, Segment]:
        row = _row(session, segment)
        inside = [number for number in borders if row.first < number <= row.last]
        at = max((number for number in inside if number <= event), default=None)
        if at is None or event > row.last:
            between = f"e{inside[0]} to e{row.last}" if inside else "nothing: it is a single step"
            raise Invalid(f"Segment {row.position} cannot be split before e{event}; what can be chosen is {between}.")
        taken = _titles(session, row)
        made = describe(events, row.first, at - 1, taken)
        rest = describe(events, at, row.last, {*taken, made.title.casefold()})
        made.first_line, made.last_line = row.first_line, _last_line(events, row.first, at - 1)
        rest.first_line, rest.last_line = made.last_line + 1, row.last_line
        is_last = not session.segments.filter(position__gt=row.position).exists()
        made.settled, rest.settled = True, not is_last
        for later in session.segments.filter(position__gt=row.position):
            later.position += 1
            later.revision += 1
            later.save(update_fields=["position", "revision"])
        merged = aside.merged_into(row)
        if merged is None or merged[0].segment.first != at:
            first = outlining.put(session, row, made, row.position)
            second = outlining.put(session, None, rest, row.position + 1)
            return _touched(first, actor), second
        kept, before = merged
        aside.give_back(row, before, kept.entry)
        first = outlining.put(session, row, outlining.made_of(before), row.position, how=before.how)
        second = kept.put_back()
        if second.is_settled:
            rest = outlining.made_of(second)
        second = outlining.put(session, second, rest, row.position + 1, how=second.how)
        kept.entry.delete()
        return _touched(first, actor), second

    return _changed(segment, do)


def review(segment: Segment, reviewed: bool, *, actor: Actor) -> Segment:
    """Mark a segment as read, or as not read."""

    def do(session: Session) -> Segment:
        row = _row(session, segment)
        row.reviewed_by = actor if reviewed else None
        row.reviewed_at = timezone.now() if reviewed else None
        return _saved(row)

    return _changed(segment, do)


def review_session(session: Session, reviewed: bool, *, actor: Actor) -> Session:
    """Mark a whole session, and each of its segments, as read, or take the mark of the session away."""

    def do(locked: Session) -> Session:
        now = timezone.now()
        locked.reviewed_by, locked.reviewed_at = (actor, now) if reviewed else (None, None)
        locked.save(update_fields=["reviewed_by", "reviewed_at"])
        if reviewed:
            for row in locked.segments.filter(reviewed_at=None):
                row.reviewed_by, row.reviewed_at = actor, now
                _saved(row)
        return locked

    return outlining.change(session, do)


def comment(segment: Segment, body: str, *, actor: Actor) -> SegmentComment:
    """Say something about a segment; markdown. Raises Invalid."""
    body = trace.clean(body).strip()
    if not body:
        raise Invalid("Write something first.")
    if len(body) > MAX_TEXT:
        raise Invalid(f"A comment has at most {MAX_TEXT:,} characters; this one has {len(body):,}.")

    def do(session: Session) -> SegmentComment:
        row = _row(session, segment)
        made: SegmentComment = SegmentComment.objects.create(segment=row, actor=actor, body=body)
        _saved(row)
        return made

    return _changed(segment, do)


def use(
    segment: Segment,
    field: str,
    text: str,
    *,
    actor: Actor,
    brief: Brief | None = None,
    project: Project | None = None,
) -> SegmentUse:
    """Make something out of a line: a brief of a next step, a question of an open question, an entry of a decision.

    A question and an entry go to ``brief``, or to the session's own one; a brief to ``project``, to that of the session
    or of the brief, or to the only one that there is. The same line twice gives what it gave first.
    Raises Invalid for a line that is not there, Conflict where a brief is missing.
    """
    if field not in _MADE:
        raise Invalid(f"Nothing can be made of '{field}'; it is one of {', '.join(_MADE)}.")
    target = brief or segment.session.brief
    if target is None and _MADE[field] != SegmentUse.Made.BRIEF:
        raise Conflict("This session belongs to no brief; say which brief it should go to.")

    def do(session: Session) -> SegmentUse:
        row = _row(session, segment)
        wanted = " ".join(text.split())
        if wanted not in {" ".join(line["text"].split()) for line in row.shown(field)}:
            raise Invalid("That line is not there any more; look at the segment again.")
        key = blake2b(wanted.encode(), digest_size=16).hexdigest()
        if known := row.uses.filter(field=field, text_key=key).first():
            return known
        goal, number = _make(session, row, field, wanted, target, project, actor)
        made: SegmentUse = SegmentUse.objects.create(
            segment=row,
            field=field,
            text=wanted,
            text_key=key,
            made=_MADE[field],
            brief=goal,
            number=number,
            actor=actor,
        )
        _saved(row)
        return made

    return _changed(segment, do)


def _make(
    session: Session,
    row: Segment,
    field: str,
    text: str,
    target: Brief | None,
    project: Project | None,
    actor: Actor,
) -> tuple[Brief, int]:
    source = f"From segment {row.position} of session {session.pk}, “{row.shown('title')}”."
    if field == "next_steps":
        project = project or project_of(session) or (target.project if target else None)
        title = text[:200]
        made = briefs.capture(f"{text}\n\n{source}", title=title, actor=actor, project=project)
        if target is not None:
            links.add(made, Link.Kind.BRIEF, str(target.pk), actor=actor, label=target.title)
        return made, made.pk
    assert target is not None
    if field == "open_questions":
        return target, questions.ask(target, text, actor=actor).pk
    return target, briefs.note(target, f"Decided: {text}\n\n{source}", actor=actor)


def project_of(session: Session) -> Project | None:
    """Whose a brief is that is made out of it: its own, its brief's, or the only project that there is."""
    own = session.project or (session.brief.project if session.brief else None)
    if own is not None:
        return own
    some = list(Project.objects.all()[:2])
    return some[0] if len(some) == 1 else None


def _joined(row: Segment, following: Segment) -> dict[str, Any]:
    """What people wrote over two segments, over the one that they become. Words of both where either was edited."""
    edits = dict(row.edits)
    for field in EDITABLE:
        if field not in row.edits and field not in following.edits:
            continue
        one, other = row.shown(field), following.shown(field)
        if field == "status":
            edits[field] = other  # it ends as its end does
        elif field == "title":
            own = [each.edits[field] for each in (row, following) if field in each.edits]
            edits[field] = own[0] if len(set(own)) == 1 or len("; ".join(own)) > MAX_TITLE else "; ".join(own)
        elif field in LINES:
            edits[field] = [*one, *(line for line in other if line not in one)]
        elif field == "outcome":
            said = [each for each in (one, other) if each]
            edits[field] = (
                {"text": " ".join(each["text"] for each in said), "event": said[-1]["event"]} if said else None
            )
        else:
            edits[field] = "\n\n".join(part for part in (one, other) if part)
    return edits


# --- rows -------------------------------------------------------------------------------------------------------------


def _changed(segment: Segment, do: Callable[[Session], Result]) -> Result:
    try:
        return outlining.change(segment.session, do)
    except IntegrityError as error:
        raise Conflict(outlining.BUSY) from error


def _row(session: Session, segment: Segment) -> Segment:
    found = session.segments.filter(pk=segment.pk).first()
    if found is None:
        raise NotFound("That segment is not there any more: the log grew, and it was cut anew.")
    return found


def _touched(row: Segment, actor: Actor) -> Segment:
    row.edited_by, row.edited_at = actor, timezone.now()
    return _saved(row)


def _saved(row: Segment) -> Segment:
    """Write what a person did, and settle what it stands on: all before it, and it too unless it is still growing."""
    row.revision += 1
    later = Segment.objects.filter(session=row.session_id, position__gt=row.position)
    row.is_settled = row.is_settled or later.exists()
    row.save()
    Segment.objects.filter(session=row.session_id, position__lt=row.position, is_settled=False).update(is_settled=True)
    return row


def _titles(session: Session, *but: Segment) -> set[str]:
    rows = session.segments.exclude(pk__in=[row.pk for row in but])
    return {title.casefold() for title in rows.values_list("title", flat=True)}


def _last_line(events: Sequence[Event], first: int, last: int) -> int:
    return max(event.line for event in events[first - 1 : last])


# --- words ------------------------------------------------------------------------------------------------------------


def _check(field: str) -> None:
    if field not in EDITABLE:
        raise Invalid(f"'{field}' cannot be edited; it is one of {', '.join(EDITABLE)}.")


def _checked(field: str, value: str | Sequence[str]) -> Any:
    if field in LINES:
        if isinstance(value, str):
            raise Invalid(f"'{field}' is a list of lines.")
        lines = [text for line in value if (text := " ".join(trace.clean(line).split()))]
        if len(lines) > MAX_LINES or any(len(line) > MAX_TEXT for line in lines):
            raise Invalid(f"At most {MAX_LINES} lines of {MAX_TEXT:,} characters each.")
        return lines
    if not isinstance(value, str):
        raise Invalid(f"'{field}' is one text.")
    text = trace.clean(value).strip()
    if field == "status" and text not in Segment.Status.values:
        raise Invalid(f"'{text}' is no status of a segment; it is one of {', '.join(Segment.Status.values)}.")
    if field == "title":
        text = " ".join(text.split())
        if not text:
            raise Invalid("A segment needs a title.")
        if len(text) > MAX_TITLE:
            raise Invalid(f"A title has at most {MAX_TITLE} characters; this one has {len(text)}.")
    if len(text) > MAX_TEXT:
        raise Invalid(f"At most {MAX_TEXT:,} characters; these are {len(text):,}.")
    return text


def _with_evidence(row: Segment, field: str, given: Any) -> Any:
    """As the field is stored: a line that was there keeps its event, one that a person wrote has none."""
    if field in LINES:
        known = {line["text"]: line for line in [*row.shown(field), *getattr(row, field)]}
        return [known.get(text) or {"text": text, "event": None} for text in given]
    if field == "outcome":
        if not given:
            return None
        return row.outcome if row.outcome and row.outcome["text"] == given else {"text": given, "event": None}
    return given
