"""A list that missed a hint finds out by its page's next heartbeat, whatever it lists."""

from __future__ import annotations

import re

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test.utils import CaptureQueriesContext

from briefs.services import briefs
from core import changes
from core.threads import run_in_database_thread
from daemons.models import Process, Scratchpad
from daemons.services import scratchpads
from dispatch import services as dispatching
from dispatch.models import DispatchRequest
from tests.briefs.test_live import Page, append_silently, reader
from tests.factories import make_brief, operator
from transcripts.models import Session
from worktrees.models import Worktree

pytestmark = pytest.mark.django_db(transaction=True)


def version() -> str:
    changes.forget()
    return changes.version()


def test_every_list_has_another_version_after_a_change_of_it(project):
    brief = make_brief("Look", project)
    pad = scratchpads.create("notes", "one", actor=operator())
    request = dispatching.dispatch(brief, actor=operator())
    tree = Worktree.objects.create(
        project=project, name="t", path="/t", branch="b", base_sha="0" * 40, created_by=operator()
    )
    session = Session.objects.create(program="claude", session_id="s")
    process = Process.objects.create(command=["x"], cwd="/x")
    acts = {
        "a note": lambda: briefs.note(brief, "hello", actor=operator(), kind="note"),
        "a brief": lambda: make_brief("Another", project),
        "a project": lambda: type(project).objects.filter(pk=project.pk).update(auto_merge=True),
        "a dispatch": lambda: DispatchRequest.objects.filter(pk=request.pk).update(state="claimed"),
        "a worktree": lambda: Worktree.objects.filter(pk=tree.pk).update(state="ready"),
        "a scratchpad": lambda: Scratchpad.objects.filter(pk=pad.pk).update(revision=2),
        "a session": lambda: Session.objects.filter(pk=session.pk).update(events=3),
        "a process": lambda: Process.objects.filter(pk=process.pk).update(phase="running"),
    }
    before = version()
    assert version() == before
    for name, act in acts.items():
        act()
        now = version()
        assert now != before, name
        before = now


def test_many_heartbeats_are_one_look(project):
    changes.forget()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert len({changes.version() for _ in range(200)}) == 1
    assert len(queries) == len(changes.sources)


@pytest.mark.parametrize(
    "path", ["/briefs/", "/worktrees/", "/dispatches/", "/sessions/", "/projects/", "/scratchpads/", "the brief"]
)
def test_each_page_with_a_list_names_its_version_and_follows_a_socket(browser, project, path):
    brief = make_brief("Look", project)
    page = browser.get(f"/briefs/{brief.pk}/" if path == "the brief" else path).text
    assert f'<body data-changes="{changes.version()}">' in page
    assert re.search(r'data-(live|board-live|trace-live)="/ws/', page)


@pytest.mark.parametrize("path", ["/ws/board/", "/ws/briefs/{}/"])
def test_a_page_whose_hint_was_lost_hears_of_another_version_at_its_next_heartbeat(project, path):
    brief, who = make_brief("Look", project), reader()

    @async_to_sync
    async def watch() -> None:
        page = Page(path.format(brief.pk), who)
        assert await page.opens()
        told = []
        for act in (lambda: None, lambda: None, lambda: append_silently(brief)):
            await run_in_database_thread(act)
            changes.forget()
            await page.socket.send_to("{}")
            message = await page.socket.receive_from(timeout=5)
            while '"changes"' not in message:  # the entry itself, on the brief's page
                message = await page.socket.receive_from(timeout=5)
            told.append(message)
        assert told[0] == told[1] != told[2]
        await page.leaves()

    watch()
