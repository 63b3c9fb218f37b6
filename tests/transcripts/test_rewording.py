"""A model words a quiet session; what people did and what is settled stays, and on any failure the rules' words."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from core.errors import Forbidden
from tests import factories
from tests.transcripts import stored
from tests.transcripts.building import TOPICS, Log, piece
from transcripts import tasks, wording
from transcripts.models import Segment, Session, Wording
from transcripts.services import outlines, outlining, rewording

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def configured(monkeypatch):
    monkeypatch.setattr(rewording.llm, "is_configured", lambda: True)


@pytest.fixture
def log() -> Log:
    log = Log()
    for topic in TOPICS:
        piece(log, topic)
    return log


@pytest.fixture
def session(log) -> Session:
    made = stored.session(log)
    outlining.refresh(made.pk)
    Session.objects.filter(pk=made.pk).update(grown_at=timezone.now() - timedelta(minutes=1))
    made.refresh_from_db()
    return made


class Model:
    """Stands for transcripts.wording, whose own tests talk to a server: says "Worded:" before each title."""

    def __init__(self, monkeypatch) -> None:
        self.how, self.reason, self.again, self.asked, self.meanwhile = wording.How.MODEL, "", None, [], lambda: None
        monkeypatch.setattr(rewording.wording, "word", self.word)

    def word(self, events, facts, segments, fixed=()):
        self.asked.append([one.title for one in segments if one not in fixed])
        self.meanwhile()
        for one in segments if self.how is wording.How.MODEL else []:
            if one not in fixed:
                one.title = f"Worded: {one.title}"[:72]
        return wording.Worded(
            segments=list(segments), how=self.how, reason=self.reason, model="m-1", prompt_version="p1", tokens_in=7,
            tokens_out=3, cost_usd=0.01, again_after=self.again,
        )  # fmt: skip


@pytest.fixture
def model(monkeypatch) -> Model:
    return Model(monkeypatch)


def titles(session: Session) -> list[str]:
    return [row.shown("title") for row in session.segments.order_by("position")]


def test_a_quiet_session_is_worded_once(session, model):
    assert rewording.due() == [session.pk]
    run = rewording.reword(session.pk)
    assert (run.how, run.model, run.prompt_version, run.tokens_in, run.cost_usd) == ("model", "m-1", "p1", 7, 0.01)
    assert all(title.startswith("Worded: ") for title in titles(session))
    rows = list(session.segments.order_by("position"))
    assert {row.how for row in rows} == {"model"}
    assert all(row.is_settled for row in rows[:-1]) and not rows[-1].is_settled
    assert rewording.due() == []
    assert rewording.reword(session.pk) is None, "there is nothing new to ask about"
    assert len(model.asked) == 1


def test_its_words_stay_when_the_log_grows_and_only_what_is_new_is_asked_about(session, log, model):
    rewording.reword(session.pk)
    before = titles(session)
    piece(log, "map")
    stored.grow(session, log.events)
    outlining.refresh(session.pk)
    assert titles(session)[: len(before) - 1] == before[:-1]
    Session.objects.filter(pk=session.pk).update(grown_at=timezone.now() - timedelta(minutes=1))
    rewording.reword(session.pk)
    assert not any("Worded" in title for title in model.asked[1])
    assert titles(session)[: len(before) - 1] == before[:-1]
    assert set(session.segments.values_list("how", flat=True)) == {"model"}


def test_what_a_person_touched_is_not_asked_about(session, model):
    mike = factories.operator()
    first, second = session.segments.order_by("position")[:2]
    outlines.edit(first, "summary", "I know better.", actor=mike)
    outlines.comment(second, "Hm.", actor=mike)
    rewording.reword(session.pk)
    assert first.title not in model.asked[0] and second.title not in model.asked[0]
    assert titles(session)[:2] == [first.title, second.title]
    assert Segment.objects.get(pk=first.pk).how == "rules"


def test_on_failure_the_rules_words_stay_and_it_is_asked_again_when_that_may_help(session, model):
    before = list(session.segments.values())
    model.how, model.reason, model.again = wording.How.RULES, "The model is busy.", 60.0
    run = rewording.reword(session.pk)
    assert (run.how, run.reason) == ("rules", "The model is busy.")
    assert list(session.segments.values()) == before
    assert rewording.due() == []
    Wording.objects.update(again_at=timezone.now() - timedelta(seconds=1))
    assert rewording.due() == [session.pk]
    model.how, model.again = wording.How.MODEL, None
    assert rewording.reword(session.pk).how == "model"
    assert rewording.due() == []


def test_words_for_an_outline_that_changed_meanwhile_are_not_taken(session, model):
    mike = factories.operator()
    model.meanwhile = lambda: outlines.merge(session.segments.get(position=1), actor=mike)
    run = rewording.reword(session.pk)
    assert run.how == "rules" and "changed while" in run.reason
    assert not any(title.startswith("Worded") for title in titles(session))


def test_a_log_that_grew_between_two_looks_is_looked_at_again(session, monkeypatch):
    def grown(*_, **__):
        raise ValueError("the segments do not tile the events")

    monkeypatch.setattr(rewording.wording, "word", grown)
    run = rewording.reword(session.pk)
    assert run.ended_at and run.again_at and "grew" in run.reason


def test_of_two_runners_one_asks(session, model):
    Wording.objects.create(session=session, events=session.events, begun_at=timezone.now())
    assert rewording.due() == []
    assert rewording.reword(session.pk) is None
    Wording.objects.update(begun_at=timezone.now() - timedelta(hours=1))
    assert rewording.due() == [session.pk], "whoever began is gone"
    assert rewording.reword(session.pk).how == "model"


@pytest.mark.parametrize(
    "state",
    [
        {"grown_at": timedelta(0)},
        {"active_at": timedelta(days=9)},
        {"outlined": 1},
        {"events": 0, "outlined": 0},
    ],
    ids=["still growing", "old", "not outlined", "empty"],
)
def test_who_is_not_worded(session, state):
    now = timezone.now()
    values = {name: now - value if isinstance(value, timedelta) else value for name, value in state.items()}
    Session.objects.filter(pk=session.pk).update(**values)
    assert rewording.due() == []


def test_without_a_model_nothing_is_due(session, monkeypatch):
    monkeypatch.setattr(rewording.llm, "is_configured", lambda: False)
    assert rewording.due() == []
    assert rewording.reword(session.pk) is None


def test_the_sweep_finds_both_kinds_of_work(session, log, model, monkeypatch, django_capture_on_commit_callbacks):
    kicked = []
    monkeypatch.setattr(tasks.live, "kick", lambda task, *args: kicked.append((task.rpartition(".")[2], *args)))
    tasks.sweep()
    assert kicked == [("reword", session.pk)]
    kicked.clear()
    piece(log, "map")
    stored.grow(session, log.events)
    tasks.sweep()
    assert kicked == [("outline", session.pk)]
    tasks.outline(session.pk)
    session.refresh_from_db()
    assert session.outlined == session.events


# --- asked for by a person --------------------------------------------------------------------------------------------


@pytest.fixture
def old(session) -> Session:
    """A session that no model is asked about by itself."""
    Session.objects.filter(pk=session.pk).update(active_at=timezone.now() - timedelta(days=30))
    session.refresh_from_db()
    return session


@pytest.fixture
def kicked(monkeypatch) -> list:
    found: list = []
    monkeypatch.setattr(rewording.live, "kick", lambda task, *args: found.append((task, *args)))
    return found


def head(browser, session: Session) -> str:
    return browser.get(f"/sessions/{session.pk}/segments/").content.decode().split("</header>")[1]


def test_an_old_session_is_worded_when_somebody_asks(browser, old, model, kicked):
    assert rewording.due() == []
    assert "Word with the model" in head(browser, old)
    browser.post(f"/sessions/{old.pk}/segments/wording/")
    assert kicked == [("transcripts.tasks.reword", old.pk)]
    rewording.reword(old.pk)
    assert all(title.startswith("Worded: ") for title in titles(old))
    text = head(browser, old)
    assert "Word with the model" not in text
    assert "Worded by m-1 · prompt p1 · 7 tokens in, 3 out · $0.01" in text


def test_what_failed_says_why_and_may_be_tried_again(browser, old, model, kicked):
    model.how, model.reason = wording.How.RULES, "The model refused."
    rewording.reword(old.pk)
    text = head(browser, old)
    assert "The rules’ words: The model refused. Asked: m-1" in text and "Word with the model" in text
    assert rewording.reword(old.pk) is None, "not by itself"
    model.how, model.reason = wording.How.MODEL, ""
    browser.post(f"/sessions/{old.pk}/segments/wording/")
    assert rewording.reword(old.pk).how == "model"
    assert Wording.objects.count() == 1


def test_while_it_is_asked_nobody_else_asks(browser, old, kicked):
    Wording.objects.create(session=old, events=old.events, begun_at=timezone.now())
    assert "Word with the model" not in head(browser, old) and "A model is asked" in head(browser, old)
    assert browser.post(f"/sessions/{old.pk}/segments/wording/").status_code == 409
    assert kicked == []


def test_where_no_model_is_configured_there_is_nothing_to_press(browser, old, kicked, monkeypatch):
    monkeypatch.setattr(rewording.llm, "is_configured", lambda: False)
    assert "Word with the model" not in head(browser, old)
    assert browser.post(f"/sessions/{old.pk}/segments/wording/").status_code == 409
    assert kicked == []


def test_an_agent_does_not_spend_on_it(old, kicked):
    with pytest.raises(Forbidden):
        rewording.ask(old, actor=factories.agent())
    assert kicked == []


def test_pages_are_told_that_a_model_is_asked_and_when_it_is_done(old, model, monkeypatch):
    told = []
    monkeypatch.setattr(rewording.live, "publish", lambda group, kind, **data: told.append(kind))
    rewording.reword(old.pk)
    assert [kind for kind in told if kind == "wording.changed"] == ["wording.changed"] * 2
