"""What a session without a title of its own is called."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from tests.transcripts import stored
from tests.transcripts.building import Log
from transcripts import naming
from transcripts.events import Commit
from transcripts.models import Session
from transcripts.services import outlining

pytestmark = pytest.mark.django_db


def made(log: Log) -> Session:
    session = stored.session(log)
    outlining.refresh(session.pk)
    session.refresh_from_db()
    return session


def name(session: Session) -> str:
    return naming.title(session, naming.outlined([session.pk])[session.pk].main)


def small_then_large() -> Log:
    log = Log().ask("Remove the dead lighthouse function from harbour.py")
    log.say("I've removed the dead lighthouse function.").edit("harbour.py").run("make test")
    for _ in range(5):
        log.say("It was not called by any ship.").read("harbour.py")
    log.commit("Remove the dead lighthouse function", sha="aaaa1111").pause(90)
    log.ask("Translate the invoices of the billing office into Danish")
    for place in range(12):
        log.say("I translate the next invoice of the billing office.").edit(f"billing/invoice{place}.py").run(
            "make test"
        )
    return log.say("I've translated the invoices.").commit("Translate the invoices into Danish", sha="bbbb2222")


def test_a_session_is_named_after_its_main_segment():
    session = made(small_then_large())
    first, second = session.segments.all()
    assert 3 < first.changes < second.changes
    assert first.changes + second.changes == 13 + 2 * 3
    assert name(session) == second.title != first.title
    second.edits = {"title": "Danish invoices"}
    second.save()
    assert name(session) == naming.main_title(list(session.segments.all())) == "Danish invoices"


def test_a_segment_that_only_commits_does_not_name_its_session():
    log = Log().ask("Draw the harbour map for the pilots").say("I draw.").edit("map.py", "ship.py")
    for _ in range(8):
        log.say("The harbour has a channel.").read("chart.py")
    log.say("I've drawn the harbour map for the pilots.").pause(200)
    log.ask("does this mean we can remove the lighthouse keeper's office?").say("I look.").read("office.py")
    for _ in range(4):
        log.say("The office keeps the lamps.").read("lamps.py")
    log.say("Yes, the lamps of the office are automatic now.").ask("commit it").commit("Draw the harbour map")
    session = made(log.say("Committed."))
    first, *others = session.segments.all()
    assert others and all(one.changes < first.changes for one in others)
    assert name(session) == first.title


def test_a_session_counts_the_commits_of_its_outline_and_of_its_agents():
    log = Log().ask("Draw the harbour map").say("I draw.").edit("map.py").commit("Draw the map", sha="aaaa1111")
    log.run(
        "git commit --amend --no-edit",
        result="[main bbbb2222] Draw the map",
        commits=(Commit("bbbb2222", "Draw the map"),),
    )
    session = stored.session(log.say("There it is."))
    for agent, sha in (("", "aaaa1111"), ("", "bbbb2222"), ("side", "cccc3333")):
        file = session.log_files.get_or_create(agent=agent, defaults={"path": agent, "path_key": agent})[0]
        session.made_commits.create(file=file, sha=sha, subject="Draw the map", event=1)
    outlining.refresh(session.pk)
    session.refresh_from_db()
    assert session.commits == 2  # amended into one, and the agent's


def test_a_session_that_changed_nothing_is_named_after_its_longest_segment():
    log = Log().ask("Explain how the harbour is drawn").say("I look.").read("harbour.py").say("By its chart.")
    session = made(log)
    assert name(session) == session.segments.get().title
    assert session.segments.get().changes == 0
    for position, last in ((2, 30), (3, 40)):
        row = {"key": f"k{position}", "position": position, "first": last - 6 * (4 - position), "last": last}
        session.segments.create(**row, first_line=1, last_line=1, title=f"Talk {position}")
    assert name(session) == naming.main_title(list(session.segments.all())) == "Talk 2"


def test_the_first_of_equals_and_each_session_by_itself():
    one, other = made(small_then_large()), made(small_then_large())
    one.segments.update(changes=5)
    found = naming.outlined([one.pk, other.pk])
    assert found[one.pk].main == one.segments.first().title
    assert found[other.pk].main == other.segments.last().title
    assert found[one.pk].now == found[other.pk].now == other.segments.last().title


def test_its_own_title_comes_first_and_its_program_last():
    session = made(Log())
    assert naming.title(session) == f"claude {session.session_id[:8]}"
    session.title = "As the program calls it"
    assert naming.title(session, "As the outline calls it") == "As the program calls it"


def test_segments_of_before_are_counted_by_the_migration():
    session = made(small_then_large())
    before, named = dict(session.segments.values_list("pk", "revision")), name(session)
    session.segments.update(changes=0)
    migration = import_module("transcripts.migrations.0007_changes")
    migration.count(apps, SimpleNamespace(connection=connection))
    assert all(session.segments.values_list("changes", flat=True))
    assert name(session) == named
    outlining.refresh(session.pk)  # settled segments stay as they are
    assert dict(session.segments.filter(is_settled=True).values_list("pk", "revision")).items() <= before.items()
