"""A session's socket: that its outline changed, that its log grew, and for a transcript its later events.

The outline is not sent. Each page says which revisions it has and asks for the rest in one request of its own, so that
what its reader may see, and what is folded, hold; a hint that was lost costs nothing, since the next one brings both.
Events are a tail: who says its last number (``?after=812``) is sent every later one in order, on connecting and on
every hint; they are numbered without gaps, so nothing is missed and nothing is sent again.
"""

from __future__ import annotations

import json
from typing import Any

from briefs.consumers import NOT_YOURS, Consumer
from core import metrics
from core.errors import Refusal
from core.live import session_group
from core.threads import run_in_database_thread
from transcripts.models import Session
from transcripts.services import access
from transcripts.tail import tail


class SessionConsumer(Consumer):
    """``outline.revision`` on connecting; ``outline.changed``, ``session.grew``, ``wording.changed`` from then on."""

    number: int
    last: int | None  # event that the page has; None: it wants none

    async def connect(self) -> None:
        self.number = self.scope["url_route"]["kwargs"]["number"]
        try:
            await run_in_database_thread(access.find, self.identity, self.number)
        except Refusal:
            await self.close(NOT_YOURS)
            return
        await self.join(session_group(self.number))  # before reading where it is: nothing falls between
        await self.accept()
        self.last = self.number_in_query("after")
        await self.say_where_it_is()

    async def outline_changed(self, message: dict[str, Any]) -> None:
        told = {name: message[name] for name in ("session", "revision", "segments", "order")}
        await self.send(json.dumps({"type": "outline.changed", **told}))
        metrics.note_push(message)

    async def session_grew(self, message: dict[str, Any]) -> None:
        await self.send(json.dumps({"type": "session.grew", "session": self.number, "last": message["last"]}))
        await self.catch_up(message["last"])
        metrics.note_push(message)

    async def wording_changed(self, message: dict[str, Any]) -> None:
        await self.send(json.dumps({"type": "wording.changed", "session": self.number}))
        metrics.note_push(message)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """The page's heartbeat: a good moment to repair a hint that was lost."""
        await self.say_where_it_is()

    async def say_where_it_is(self) -> None:
        revision, events = await run_in_database_thread(where_it_is, self.number)
        said = {"type": "outline.revision", "session": self.number, "revision": revision, "last": events}
        await self.send(json.dumps(said))
        await self.catch_up(events)

    async def catch_up(self, upto: int) -> None:
        if self.last is not None and upto < self.last:  # its log was cut or rewritten, and read anew
            self.last = None
            await self.send(json.dumps({"type": "transcript.anew", "session": self.number}))
        while self.last is not None and self.last < upto:
            last, html = await tail.after(self.number, self.last, upto)
            if last <= self.last:
                return  # not there (yet): the next hint asks again
            self.last = last
            if html:
                await self.send(html)


def where_it_is(number: int) -> tuple[int, int]:
    """The revision of a session's outline, and the number of its last event."""
    return Session.objects.filter(pk=number).values_list("outline_revision", "events").first() or (0, 0)
