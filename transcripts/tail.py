"""The events of a session as they come, as HTML: rendered once per process, whoever looks on.

Viewers of one session ask the same question at the same moment ("after 812, up to 815"), so the answer is kept by its
question, and those who ask while it is made wait for it. What an event says can still grow for a moment after it was
written (its tokens, the digest of a compaction), hence only the newest answers are kept.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

from django.template.loader import render_to_string

from core.threads import run_in_database_thread
from transcripts import paging
from transcripts.models import LogFile, Segment, Session
from transcripts.views import items

KEPT: Final = 64  # answers, of at most a page each

Question = tuple[int, int, int]


class Tail:
    def __init__(self) -> None:
        self.kept: OrderedDict[Question, asyncio.Future[tuple[int, str]]] = OrderedDict()

    async def after(self, session: int, last: int, upto: int) -> tuple[int, str]:
        """(number of the last event, HTML) of the events after ``last``: in order, without a gap, a page at most."""
        question = (session, last, min(upto, last + paging.AT_ONCE))
        found = self.kept.get(question)
        if found is None or found.get_loop() is not asyncio.get_running_loop():
            found = asyncio.ensure_future(run_in_database_thread(render, *question))
            self.kept[question] = found
            found.add_done_callback(lambda done: self._forget_if_empty(question, done))
            while len(self.kept) > KEPT:
                self.kept.popitem(last=False)
        return await asyncio.shield(found)

    def _forget_if_empty(self, question: Question, done: asyncio.Future[tuple[int, str]]) -> None:
        if done.cancelled() or done.exception() or done.result()[0] <= question[1]:
            self.kept.pop(question, None)


tail: Final = Tail()


def render(number: int, last: int, upto: int) -> tuple[int, str]:
    session = Session.objects.filter(pk=number).first()
    events = paging.events(session, last + 1, upto) if session is not None else []
    if session is None or not events:
        return last, ""
    begun = Segment.objects.filter(session=session, first__gt=last, first__lte=upto)
    helpers = LogFile.objects.filter(session=session).exclude(agent="").defer("state")
    nodes = items.arrange(
        events, segments=list(begun), helpers=list(helpers), cwd=session.cwd, opens=False, is_nested=False
    )
    context = {"session": session, "agent": ""}
    parts = (render_to_string("sessions/_node.html", {**context, "node": node}) for node in nodes)
    return events[-1][0], "".join(parts)
