"""The outline of a session in the database: it grows with the log, and what people did with it stays."""

from __future__ import annotations

from itertools import pairwise

import pytest

from briefs import trace
from briefs.models import Brief, Question
from briefs.services import briefs
from core import live
from core.errors import Conflict, Invalid, NotFound
from tests import factories
from tests.transcripts import stored
from tests.transcripts.building import Log
from transcripts import tasks
from transcripts.models import Segment, SegmentUse, Session
from transcripts.segmentation.ranges import described_again
from transcripts.services import outlines, outlining

pytestmark = pytest.mark.django_db

TOPICS = ("parser", "cache", "login", "billing", "search", "colours", "locks", "docs")


def work(log: Log, topic: str, steps: int = 4) -> Log:
    """A piece of work with its own words and files, which ends with a commit."""
    log.ask(f"Rewrite the {topic} module so that the {topic} tests pass and the {topic} page is quick")
    for number in range(steps):
        log.say(f"Now the {topic} file number {number} of the {topic} module.")
        log.read(f"src/{topic}/part{number}.py").edit(f"src/{topic}/part{number}.py")
    log.commit(f"Make the {topic} quick")
    log.say(f"The {topic} module is rewritten.\n\n- [ ] Measure the {topic} on real data")
    return log


@pytest.fixture
def mike():
    return factories.operator()


@pytest.fixture
def log() -> Log:
    log = Log()
    for topic in TOPICS[:4]:
        work(log, topic)
    return log


@pytest.fixture
def session(log) -> Session:
    made = stored.session(log)
    assert outlining.refresh(made.pk)
    made.refresh_from_db()
    return made


def tiles(session: Session) -> None:
    rows = list(session.segments.order_by("position"))
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    assert rows[0].first == 1 and rows[-1].last == session.events
    assert all(after.first == before.last + 1 for before, after in pairwise(rows))
    assert all(after.first_line == before.last_line + 1 for before, after in pairwise(rows))


def test_the_outline_covers_the_log_and_a_second_run_changes_nothing(session):
    tiles(session)
    assert session.segments.count() >= 3
    before = list(session.segments.values())
    revision = session.outline_revision
    assert not outlining.refresh(session.pk)
    assert list(session.segments.values()) == before
    session.refresh_from_db()
    assert session.outline_revision == revision
    assert session.outlined == session.events


def test_segments_keep_their_identity_while_the_log_grows(session, log):
    before = {row.key: row.pk for row in session.segments.all()}
    for topic in TOPICS[4:]:
        work(log, topic)
        stored.grow(session, log.events)
        assert outlining.refresh(session.pk)
        session.refresh_from_db()
        tiles(session)
    after = {row.key: row.pk for row in session.segments.all()}
    assert len(after) > len(before)
    kept = before.keys() & after.keys()
    assert kept and all(before[key] == after[key] for key in kept)


def test_a_row_is_what_the_segmenter_made(session):
    for row in session.segments.all():
        made = outlining.made_of(row)
        assert outlining.columns_of(made) | {"position": row.position} == {
            name: getattr(row, name) for name in [*outlining.columns_of(made), "position"]
        }


def test_readers_are_told_which_segments_changed(session, log, mike, monkeypatch):
    told = []
    monkeypatch.setattr(live, "publish", lambda group, kind, **data: told.append((group, kind, data)))
    second = session.segments.get(position=2)
    outlines.edit(second, "title", "A better title", actor=mike)
    (message,) = told
    assert message[:2] == (live.session_group(session.pk), "outline.changed")
    assert message[2]["segments"] == [second.pk]
    assert message[2]["order"] == list(session.segments.order_by("position").values_list("pk", flat=True))


def test_what_a_person_wrote_stays_over_later_runs(session, log, mike):
    second = session.segments.get(position=2)
    outlines.edit(second, "title", "  A better\n title ", actor=mike)
    outlines.edit(second, "next_steps", ["Call the customer", "", second.next_steps[0]["text"]] if second.next_steps
                  else ["Call the customer", ""], actor=mike)  # fmt: skip
    for topic in TOPICS[4:]:
        work(log, topic)
    stored.grow(session, log.events)
    outlining.refresh(session.pk)
    row = Segment.objects.get(pk=second.pk)
    assert row.shown("title") == "A better title"
    assert row.shown("next_steps")[0] == {"text": "Call the customer", "event": None}
    assert row.title == second.title, "what was made is still there"
    assert row.edited_by == mike and row.is_settled
    assert (row.first, row.last) == (second.first, second.last)
    outlines.unedit(row, "title", actor=mike)
    assert Segment.objects.get(pk=second.pk).shown("title") == second.title


def test_a_line_that_is_kept_keeps_its_evidence(session, mike):
    row = next(row for row in session.segments.all() if row.next_steps)
    line = row.next_steps[0]
    outlines.edit(row, "next_steps", ["First this", line["text"]], actor=mike)
    row.refresh_from_db()
    assert row.shown("next_steps") == [{"text": "First this", "event": None}, line]
    outlines.edit(row, "next_steps", [each["text"] for each in row.next_steps], actor=mike)
    row.refresh_from_db()
    assert row.edits == {}, "the same words as were made are no edit"


def test_the_last_segment_is_edited_while_it_grows(session, log, mike):
    last = session.segments.order_by("position").last()
    outlines.edit(last, "title", "What is going on", actor=mike)
    log.say("One more thing in the same place.").edit("src/billing/part9.py").say("That was it.")
    stored.grow(session, log.events)
    outlining.refresh(session.pk)
    session.refresh_from_db()
    tiles(session)
    row = Segment.objects.get(pk=last.pk)
    assert row.shown("title") == "What is going on"
    assert row.last > last.last


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("title", " \n ", "needs a title"),
        ("title", "x" * 201, "at most 200"),
        ("status", "great", "no status"),
        ("first", "1", "cannot be edited"),
        ("next_steps", "a text", "list of lines"),
        ("summary", ["a", "list"], "one text"),
        ("summary", "x" * 20_001, "At most 20,000"),
        ("open_questions", ["?"] * 51, "At most 50"),
    ],
)
def test_words_that_cannot_be_are_refused_and_change_nothing(session, mike, field, value, sentence):
    row = session.segments.get(position=1)
    before = Segment.objects.filter(pk=row.pk).values().get()
    with pytest.raises(Invalid, match=sentence):
        outlines.edit(row, field, value, actor=mike)
    assert Segment.objects.filter(pk=row.pk).values().get() == before


def test_two_segments_become_one_and_stay_so(session, log, mike):
    first, second = session.segments.order_by("position")[:2]
    outlines.comment(second, "What about this?", actor=mike)
    outlines.edit(second, "next_steps", ["Do it again"], actor=mike)
    count = session.segments.count()
    merged = outlines.merge(first, actor=mike)
    assert (merged.pk, merged.first, merged.last) == (first.pk, first.first, second.last)
    assert session.segments.count() == count - 1
    assert [each.body for each in merged.comments.all()] == ["What about this?"]
    assert "Do it again" in [line["text"] for line in merged.shown("next_steps")]
    assert {commit["sha"] for commit in merged.commits} >= {commit["sha"] for commit in second.commits}
    for topic in TOPICS[4:]:
        work(log, topic)
    stored.grow(session, log.events)
    outlining.refresh(session.pk)
    session.refresh_from_db()
    tiles(session)
    again = Segment.objects.get(pk=first.pk)
    assert (again.first, again.last) == (merged.first, merged.last)


def test_the_last_segment_has_nothing_to_be_merged_with(session, mike):
    with pytest.raises(Conflict, match="no next one"):
        outlines.merge(session.segments.order_by("position").last(), actor=mike)


def test_a_segment_is_split_before_a_step_and_stays_so(session, log, mike):
    row = session.segments.order_by("position").first()
    middle = (row.first + row.last) // 2
    first, second = outlines.split(row, middle, actor=mike)
    assert first.pk == row.pk and second.position == 2
    assert second.first <= middle and second.last == row.last
    session.refresh_from_db()
    tiles(session)
    assert outlining.refresh(session.pk) in (True, False)
    assert Segment.objects.get(pk=second.pk).first == second.first
    for topic in TOPICS[4:]:
        work(log, topic)
    stored.grow(session, log.events)
    outlining.refresh(session.pk)
    session.refresh_from_db()
    tiles(session)
    assert Segment.objects.get(pk=second.pk).last == second.last


# --- a long session ---------------------------------------------------------------------------------------------------


def outline_of(session: Session) -> list[dict]:
    hidden = ("id", "session_id", "revision")
    return [
        {name: value for name, value in row.items() if name not in hidden}
        for row in session.segments.order_by("position").values()
    ]


def test_only_the_end_of_a_long_session_is_read_again_and_the_outline_is_the_same(monkeypatch):
    log = Log()
    for number in range(40):
        work(log, f"{TOPICS[number % 8]}{number}").pause(number % 3 * 20)
    whole, grown = (stored.session(log) for _ in range(2))
    Session.objects.filter(pk=grown.pk).update(session_id=whole.session_id + "'")
    read = []
    events_of = outlining.events_of
    monkeypatch.setattr(
        outlining, "events_of", lambda session, first=1: read.append(first) or events_of(session, first)
    )
    outlining.refresh(whole.pk)
    outlining.refresh(grown.pk)
    for number in range(40, 46):
        work(log, f"{TOPICS[number % 8]}{number}")
        for session in (whole, grown):
            session.refresh_from_db()
            stored.grow(session, log.events)
        monkeypatch.setattr(outlining, "LONG", 10**9)
        outlining.refresh(whole.pk)
        monkeypatch.setattr(outlining, "LONG", 200)
        monkeypatch.setattr(outlining, "CONTEXT", 150)
        read.clear()
        outlining.refresh(grown.pk)
        assert len(read) == 1 and read[0] > 200
        assert outline_of(grown) == outline_of(whole)
    grown.refresh_from_db()
    tiles(grown)


def test_a_long_session_whose_log_was_read_anew_is_looked_at_whole(monkeypatch):
    log = Log()
    for number in range(40):
        work(log, f"{TOPICS[number % 8]}{number}")
    session = stored.session(log)
    outlining.refresh(session.pk)
    monkeypatch.setattr(outlining, "LONG", 200)
    monkeypatch.setattr(outlining, "CONTEXT", 150)
    Session.objects.filter(pk=session.pk).update(outlined=0)
    read = []
    events_of = outlining.events_of
    monkeypatch.setattr(
        outlining, "events_of", lambda session, first=1: read.append(first) or events_of(session, first)
    )
    outlining.refresh(session.pk)
    assert read == [1]


# --- what is put aside ------------------------------------------------------------------------------------------------


def whole(row: Segment) -> dict:
    """A segment with all that people did with it, but for the number of its changes."""
    row = Segment.objects.get(pk=row.pk)
    values = {field.attname: getattr(row, field.attname) for field in Segment._meta.fields if field.name != "revision"}
    for name in ("edited_at", "reviewed_at"):
        values[name] = values[name] and values[name].replace(microsecond=0)
    return values | {
        "comments": [(each.pk, each.actor_id, each.body) for each in row.comments.all()],
        "uses": [(each.pk, each.field, each.text, each.brief_id, each.number) for each in row.uses.all()],
    }


def shrink(session: Session, events: list) -> None:
    """The log was cut, and read anew: as ingest leaves it."""
    row = session.log_files.get(agent="")
    row.blocks.all().delete()
    row.events = 0
    row.save()
    session.refresh_from_db()
    stored.grow(session, events)
    outlining.refresh(session.pk)
    session.refresh_from_db()


@pytest.fixture
def long(log) -> Session:
    for topic in TOPICS[4:]:
        work(log, topic)
    made = stored.session(log)
    outlining.refresh(made.pk)
    made.refresh_from_db()
    return made


@pytest.mark.parametrize("pieces", [(0,), (7,), (1, 30, 60), (61, 62, 63, 80)])
def test_a_log_that_is_cut_for_a_moment_takes_nothing_that_people_did(long, log, mike, pieces):
    rows = list(long.segments.order_by("position"))
    assert len(rows) >= 6
    merged = outlines.merge(rows[1], actor=mike)
    outlines.edit(merged, "title", "My careful title", actor=mike)
    outlines.comment(rows[4], "What about this?", actor=mike)
    outlines.review(rows[4], True, actor=mike)
    outlines.edit(rows[4], "next_steps", ["Call the customer"], actor=mike)
    outlines.use(rows[4], "next_steps", "Call the customer", actor=mike)
    outlines.review(rows[-1], True, actor=mike)
    before = [whole(row) for row in long.segments.order_by("position")]
    events = list(log.events)
    for count in pieces:
        shrink(long, events[:count])
    for count in range(pieces[-1] + 20, len(events), 20):
        stored.grow(long, events[:count])
        outlining.refresh(long.pk)
    stored.grow(long, events)
    outlining.refresh(long.pk)
    long.refresh_from_db()
    tiles(long)
    assert [whole(row) for row in long.segments.order_by("position")] == before


def test_what_was_said_of_a_segment_waits_for_its_event(long, log, mike):
    """Also when the log comes back another one, which ends elsewhere."""
    row = long.segments.order_by("position")[4]
    outlines.edit(row, "title", "My careful title", actor=mike)
    shrink(long, log.events[:10])
    assert not Segment.objects.filter(pk=row.pk).exists()
    stored.grow(long, log.events[: row.first + 3])
    outlining.refresh(long.pk)
    again = Segment.objects.get(pk=row.pk)
    assert again.shown("title") == "My careful title" and again.revision > row.revision
    outlines.edit(again, "title", "A newer one", actor=mike)
    stored.grow(long, log.events)
    outlining.refresh(long.pk)
    assert Segment.objects.get(pk=row.pk).shown("title") == "A newer one", "older words do not come over it"


def test_what_nobody_touched_is_not_kept(long, log):
    shrink(long, log.events[:10])
    assert not long.asides.exists()


def test_what_people_wrote_over_two_segments_stays_when_they_are_merged(session, mike):
    first, second = session.segments.order_by("position")[:2]
    outlines.edit(second, "title", "The second", actor=mike)
    outlines.edit(second, "outcome", "It works", actor=mike)
    outlines.edit(second, "summary", "What I think of it.", actor=mike)
    outlines.edit(second, "status", "partial", actor=mike)
    outlines.edit(first, "next_steps", ["Call the customer"], actor=mike)
    merged = outlines.merge(first, actor=mike)
    assert merged.shown("title") == "The second"
    assert merged.shown("outcome")["text"].endswith("It works")
    assert first.summary in merged.shown("summary") and merged.shown("summary").endswith("\n\nWhat I think of it.")
    assert merged.shown("status") == "partial"
    made = [line["text"] for line in second.next_steps]
    assert made and [line["text"] for line in merged.shown("next_steps")] == ["Call the customer", *made]


def test_two_titles_that_people_wrote_are_both_there(session, mike):
    first, second = session.segments.order_by("position")[:2]
    outlines.edit(first, "title", "The first", actor=mike)
    outlines.edit(second, "title", "The second", actor=mike)
    assert outlines.merge(first, actor=mike).shown("title") == "The first; The second"


def test_a_merge_is_read_when_both_were(session, mike):
    first, second, third = session.segments.order_by("position")[:3]
    for row in (first, second):
        outlines.review(row, True, actor=mike)
    merged = outlines.merge(first, actor=mike)
    assert merged.reviewed_by == mike
    assert outlines.merge(merged, actor=mike).reviewed_by is None, f"{third} was not"


def test_a_merge_is_taken_back_by_splitting_where_it_was(session, mike):
    first, second = session.segments.order_by("position")[:2]
    outlines.edit(first, "title", "The first", actor=mike)
    outlines.review(first, True, actor=mike)
    outlines.comment(first, "Of the first", actor=mike)
    outlines.edit(second, "summary", "What I think of it.", actor=mike)
    outlines.edit(second, "next_steps", ["Call the customer"], actor=mike)
    outlines.use(second, "next_steps", "Call the customer", actor=mike)
    outlines.comment(second, "Of the second", actor=mike)
    before = [whole(row) for row in session.segments.order_by("position")]
    merged = outlines.merge(first, actor=mike)
    assert merged.comments.count() == 2 and merged.uses.count() == 1
    again, other = outlines.split(merged, second.first, actor=mike)
    after = [whole(row) for row in session.segments.order_by("position")]
    assert (again.pk, other.pk) == (first.pk, second.pk)
    for row in (*before, *after):
        del row["edited_at"], row["is_settled"]
    assert after == before
    assert not session.asides.exists()


def test_what_was_written_over_the_whole_stays_when_a_merge_is_taken_back(session, mike):
    first, second = session.segments.order_by("position")[:2]
    outlines.edit(first, "title", "The first", actor=mike)
    outlines.edit(second, "title", "The second", actor=mike)
    merged = outlines.merge(first, actor=mike)
    outlines.edit(merged, "title", "Both", actor=mike)
    again, other = outlines.split(merged, second.first, actor=mike)
    assert (again.shown("title"), other.shown("title")) == ("Both", "The second")


def test_a_split_elsewhere_is_a_split_as_any(session, mike):
    first, second = session.segments.order_by("position")[:2]
    outlines.edit(second, "title", "The second", actor=mike)
    merged = outlines.merge(first, actor=mike)
    again, other = outlines.split(merged, first.first + 4, actor=mike)
    assert again.shown("title") == "The second" and other.edits == {}


def test_merges_are_taken_back_one_after_the_other(session, mike):
    first, second, third = session.segments.order_by("position")[:3]
    for row, title in ((first, "One"), (second, "Two"), (third, "Three")):
        outlines.edit(row, "title", title, actor=mike)
    merged = outlines.merge(outlines.merge(first, actor=mike), actor=mike)
    assert merged.shown("title") == "One; Two; Three"
    merged, _ = outlines.split(merged, third.first, actor=mike)
    assert merged.shown("title") == "One; Two"
    outlines.split(merged, second.first, actor=mike)
    assert [row.shown("title") for row in session.segments.order_by("position")[:3]] == ["One", "Two", "Three"]


@pytest.mark.parametrize("event", [0, 1, -5, 10**9])
def test_a_split_outside_of_the_segment_is_refused(session, mike, event):
    row = session.segments.order_by("position").first()
    before = list(session.segments.values())
    with pytest.raises(Invalid, match="cannot be split"):
        outlines.split(row, event, actor=mike)
    assert list(session.segments.values()) == before


def test_review_marks_segments_and_sessions(session, mike):
    row = outlines.review(session.segments.get(position=1), True, actor=mike)
    assert row.reviewed_by == mike and row.reviewed_at
    assert outlines.review(row, False, actor=mike).reviewed_at is None
    outlines.review_session(session, True, actor=mike)
    assert not session.segments.filter(reviewed_at=None).exists()
    assert Session.objects.get(pk=session.pk).reviewed_by == mike
    outlines.review_session(session, False, actor=mike)
    assert Session.objects.get(pk=session.pk).reviewed_at is None


def test_a_segment_that_is_gone_is_said_so(session, mike):
    row = session.segments.get(position=1)
    Segment.objects.filter(pk=row.pk).delete()
    for act in (lambda: outlines.review(row, True, actor=mike), lambda: outlines.comment(row, "Hm.", actor=mike)):
        with pytest.raises(NotFound, match="not there any more"):
            act()


# --- what is made of a line -------------------------------------------------------------------------------------------


@pytest.fixture
def briefed(session, mike, tmp_path) -> Session:
    project = factories.make_project(tmp_path / "sample")
    session.project = project
    session.brief = briefs.capture("The whole work", actor=mike, project=project)
    session.save()
    row = session.segments.get(position=1)
    outlines.edit(row, "next_steps", ["Measure it on real data"], actor=mike)
    outlines.edit(row, "open_questions", ["Which data?"], actor=mike)
    outlines.edit(row, "key_decisions", ["Keep the old parser for a month"], actor=mike)
    return session


def test_a_next_step_becomes_a_brief_once(briefed, mike):
    row = briefed.segments.get(position=1)
    made = outlines.use(row, "next_steps", "Measure it on  real data", actor=mike)
    brief = Brief.objects.get(pk=made.number)
    assert brief.title == "Measure it on real data"
    assert brief.project == briefed.project
    assert brief.links.filter(kind="brief", target=str(briefed.brief_id)).exists()
    assert outlines.use(row, "next_steps", "Measure it on real data", actor=mike) == made
    assert SegmentUse.objects.count() == 1


def test_a_question_and_a_decision_go_to_the_sessions_brief(briefed, mike):
    row = briefed.segments.get(position=1)
    asked = outlines.use(row, "open_questions", "Which data?", actor=mike)
    assert Question.objects.get(pk=asked.number).brief == briefed.brief
    decided = outlines.use(row, "key_decisions", "Keep the old parser for a month", actor=mike)
    entry = briefed.brief.trace.get(seq=decided.number)
    assert entry.kind == trace.Kind.NOTE and "Keep the old parser" in entry.body


def test_what_cannot_be_used_is_refused(briefed, mike):
    row = briefed.segments.get(position=1)
    with pytest.raises(Invalid, match="not there any more"):
        outlines.use(row, "next_steps", "Something else", actor=mike)
    with pytest.raises(Invalid, match="Nothing can be made"):
        outlines.use(row, "summary", "x", actor=mike)
    Session.objects.filter(pk=briefed.pk).update(brief=None)
    row = Segment.objects.get(pk=row.pk)
    with pytest.raises(Conflict, match="no brief"):
        outlines.use(row, "open_questions", "Which data?", actor=mike)
    assert not SegmentUse.objects.exists()


# --- words of older rules ---------------------------------------------------------------------------------------------


def aged(session: Session) -> Session:
    """As older rules left it."""
    session.segments.update(title="Old words", summary="Old words", outcome=None)
    Session.objects.filter(pk=session.pk).update(rules="of last year")
    return Session.objects.get(pk=session.pk)


def test_what_older_rules_worded_is_worded_anew_between_the_same_borders(session):
    words = list(session.segments.order_by("position").values_list("title", "summary", "first", "last", "is_settled"))
    assert outlining.outdated() == [], "it was made by the rules of today"
    revision = aged(session).outline_revision
    assert outlining.outdated() == [session.pk]
    assert outlining.renew(session.pk)
    assert (
        list(session.segments.order_by("position").values_list("title", "summary", "first", "last", "is_settled"))
        == words
    )
    assert outlining.outdated() == []
    session.refresh_from_db()
    assert session.outline_revision == revision + 1, "open pages hear of it"
    assert not outlining.renew(session.pk)


def test_what_people_or_a_model_worded_stays_when_rules_change(session, mike):
    first, second, third, fourth = session.segments.order_by("position")
    aged(session)
    outlines.edit(first, "title", "My words", actor=mike)
    outlines.review(second, True, actor=mike)
    outlines.comment(third, "So this was it.", actor=mike)
    Segment.objects.filter(pk=fourth.pk).update(how=Segment.How.MODEL)
    assert not outlining.renew(session.pk)
    assert set(session.segments.values_list("title", flat=True)) == {"Old words"}
    assert outlining.outdated() == []


def test_a_session_that_grows_while_it_is_worded_anew_is_tried_again(session, mike, monkeypatch):
    aged(session)

    def slowly(*given):
        outlines.review(session.segments.first(), True, actor=mike)
        return described_again(*given)

    monkeypatch.setattr(outlining, "described_again", slowly)
    assert not outlining.renew(session.pk)
    assert outlining.outdated() == [session.pk]
    monkeypatch.undo()
    assert outlining.renew(session.pk)


def test_an_outline_that_cannot_be_worded_anew_is_tried_once(session, monkeypatch):
    aged(session)
    monkeypatch.setattr(outlining, "described_again", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        outlining.renew(session.pk)
    assert outlining.outdated() == []


def test_borders_that_are_no_more_are_left_alone(session):
    aged(session)
    row = session.segments.order_by("position")[1]
    Segment.objects.filter(pk=row.pk).update(first=row.first + 2)  # inside a step
    assert outlining.renew(session.pk)
    row.refresh_from_db()
    assert row.title == "Old words" and session.segments.filter(title="Old words").count() == 1


def test_the_sweep_words_anew_what_is_outdated(session, monkeypatch):
    kicked = []
    monkeypatch.setattr(live, "kick", lambda task, *given: kicked.append((task, *given)))
    aged(session)
    tasks.sweep()
    assert kicked == [("transcripts.tasks.renew", session.pk)]
    tasks.renew(session.pk)
    assert not session.segments.filter(title="Old words").exists()
