"""A session's socket: who may open it, what it says on opening, and when the outline or the log changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator

from briefs.identity import Identity
from briefs.models import Token
from core import live
from core.threads import run_in_database_thread
from tests.factories import agent, identity, make_brief, operator
from tests.transcripts import stored
from tests.transcripts.building import Log
from transcripts import routing
from transcripts.models import Session
from transcripts.services import outlines, outlining

pytestmark = pytest.mark.django_db(transaction=True)


class Page:
    """A page's socket: what it was sent."""

    def __init__(self, session: int, who: Identity, query: str = "") -> None:
        self.socket = WebsocketCommunicator(URLRouter(routing.websocket_urlpatterns), f"/ws/sessions/{session}/{query}")
        self.socket.scope["identity"] = who

    async def opens(self) -> bool:
        connected, _ = await self.socket.connect(timeout=5)
        return bool(connected)

    async def hears(self, kind: str) -> dict[str, Any]:
        """The next message of this kind."""
        while True:
            text = await self.socket.receive_from(timeout=5)
            message: dict[str, Any] = json.loads(text)
            if message["type"] == kind:
                return message

    async def leaves(self) -> None:
        await self.socket.disconnect()


@pytest.fixture
def session() -> Session:
    log = Log()
    for number in range(4):
        log.ask(f"Please add the file number {number}").say("I will.").edit(f"src/f{number}.py").say("Added it.")
    made = stored.session(log, prompts=4)
    outlining.refresh(made.pk)
    made.refresh_from_db()
    return made


@pytest.fixture
def person() -> Identity:
    return identity(operator(), Token.Scope.OPERATOR)


def test_on_opening_it_says_where_the_outline_is(session, person):
    @async_to_sync
    async def run() -> None:
        page = Page(session.pk, person)
        assert await page.opens()
        said = await page.hears("outline.revision")
        assert (said["revision"], said["last"]) == (session.outline_revision, session.events)
        await page.socket.send_to(text_data="{}")  # the heartbeat repairs what was lost
        assert await page.hears("outline.revision") == said
        await page.leaves()

    run()


def test_a_change_is_told_with_what_changed_and_in_which_order(session, person):
    row, before = session.segments.get(position=1), session.outline_revision

    @async_to_sync
    async def run() -> None:
        page = Page(session.pk, person)
        assert await page.opens()
        await run_in_database_thread(lambda: outlines.edit(row, "title", "Mine", actor=person.actor))
        said = await page.hears("outline.changed")
        assert said["revision"] == before + 1
        assert said["segments"] == [row.pk]
        assert row.pk in said["order"]
        assert "at" not in said
        await page.leaves()

    run()


def test_growth_of_the_log_is_told(session, person):
    @async_to_sync
    async def run() -> None:
        page = Page(session.pk, person)
        assert await page.opens()
        await run_in_database_thread(
            lambda: live.publish(live.session_group(session.pk), "session.grew", session=session.pk, last=99)
        )
        assert (await page.hears("session.grew"))["last"] == 99
        await page.leaves()

    run()


def test_nobody_hears_of_a_session_that_is_not_theirs(session):
    brief = make_brief()
    worker = identity(agent(), Token.Scope.RUN, brief=brief.pk)

    @async_to_sync
    async def run() -> list[bool]:
        return [await Page(number, worker).opens() for number in (session.pk, session.pk + 1, 2**63)]

    assert run() == [False, False, False]
    Session.objects.filter(pk=session.pk).update(brief=brief)

    @async_to_sync
    async def again() -> bool:
        page = Page(session.pk, worker)
        opened = await page.opens()
        await page.leaves()
        return opened

    assert again()
