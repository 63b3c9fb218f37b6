"""The trace: gapless, chained, append-only, and any tampering is found."""

from __future__ import annotations

import threading
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, connections, transaction

from briefs import trace, triggers
from briefs.models import Brief, TraceEntry
from briefs.services import briefs, relations, specs
from core.errors import NotFound, TooLarge
from tests.factories import agent, make_brief, operator


@pytest.fixture
def brief(db) -> Brief:
    brief = make_brief("Chain")
    for number in range(5):
        briefs.note(brief, f"note {number} ✿\r\nsecond line", actor=operator())
    return brief


def verify() -> tuple[str, int]:
    out = StringIO()
    try:
        call_command("trace_verify", stdout=out)
    except SystemExit as end:
        return out.getvalue().strip(), int(end.code or 0)
    return out.getvalue().strip(), 0


@pytest.mark.django_db
def test_numbers_are_gapless_and_the_chain_holds(brief):
    seqs = list(brief.trace.values_list("seq", flat=True))
    assert seqs == list(range(1, len(seqs) + 1))
    assert trace.verify(Brief.objects.get(pk=brief.pk)) == (len(seqs), None)
    assert verify() == (f"ok {len(seqs)} entries", 0)


@pytest.mark.django_db
def test_the_database_refuses_update_and_delete(brief):
    for statement in ("UPDATE briefs_traceentry SET body = 'x'", "DELETE FROM briefs_traceentry"):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        TraceEntry.objects.update(body="x")
    with pytest.raises(TypeError, match="append-only"):
        brief.trace.first().save()
    with pytest.raises(TypeError, match="append-only"):
        brief.trace.first().delete()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE briefs_traceentry SET body = 'forged' WHERE seq = 3", "entry 3: its content was changed"),
        ("UPDATE briefs_traceentry SET actor_ref = 'system' WHERE seq = 4", "entry 4: its content was changed"),
        ("DELETE FROM briefs_traceentry WHERE seq = 4", "entry 4 is missing"),
        ("DELETE FROM briefs_traceentry WHERE seq >= 6", "the trace ends at 5, but 7 were written"),
        ("UPDATE briefs_traceentry SET previous_hash = hash WHERE seq = 2", "does not follow"),
    ],
)
def test_tampering_is_found(statement, words):
    brief = make_brief("Chain")
    for number in range(5):
        briefs.note(brief, f"note {number}", actor=operator())
    triggers.drop(connection)  # somebody with the database's password
    with connection.cursor() as cursor:
        cursor.execute(statement)
    triggers.create(connection)
    text, code = verify()
    assert code == 1
    assert words in text


@pytest.mark.django_db(transaction=True)
def test_racing_writers_leave_no_gap():
    brief = make_brief("Race")
    who = [agent(f"agent-{number}") for number in range(8)]
    errors: list[Exception] = []

    def write(actor):
        try:
            for number in range(10):
                briefs.note(Brief.objects.get(pk=brief.pk), f"{number}", actor=actor)
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write, args=(actor,)) for actor in who]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    brief.refresh_from_db()
    assert trace.verify(brief) == (2 + 8 + 80, None)


@pytest.mark.django_db
def test_text_is_kept_as_both_databases_keep_it(brief):
    briefs.note(brief, "nul \x00, lone \ud800, emoji 🌸, line\r\nend", actor=operator())
    entry = brief.trace.last()
    assert entry.body == "nul , lone ?, emoji 🌸, line\nend"
    assert entry.hash == trace.entry_hash(entry)


@pytest.mark.django_db
def test_too_long_and_gone_are_refused(brief):
    with pytest.raises(TooLarge, match="at most 256,000 characters"):
        briefs.note(brief, "x" * 256_001, actor=operator())
    with pytest.raises(NotFound, match="no brief #999"):
        trace.append(Brief(pk=999), "note", actor=operator(), body="x")


@pytest.mark.django_db
def test_a_spec_change_snapshots_the_prior_one_and_a_stale_one_is_refused(brief):
    from core.errors import Conflict

    specs.update(brief, "first", base_version=0, actor=operator())
    specs.update(brief, "second", base_version=1, actor=agent(), why="clearer")
    assert [entry.body for entry in brief.trace.filter(kind="spec_snapshot")] == ["first"]
    with pytest.raises(Conflict, match="version 2, you began from 1"):
        specs.update(brief, "third", base_version=1, actor=operator())
    brief.refresh_from_db()
    assert (brief.spec, brief.spec_version) == ("second", 2)


@pytest.mark.django_db
def test_a_circle_of_dependencies_is_refused_with_its_path():
    from core.errors import Invalid

    a, b, c = make_brief("A"), make_brief("B"), make_brief("C")
    relations.add_dependency(a, b, actor=operator())
    relations.add_dependency(b, c, actor=operator())
    with pytest.raises(Invalid, match=f"circle: #{c.pk} -> #{a.pk} -> #{b.pk} -> #{c.pk}"):
        relations.add_dependency(c, a, actor=operator())
    with pytest.raises(Invalid, match="circle"):
        relations.add_dependency(a, a, actor=operator())
