"""Two who change the graph of briefs at one moment: no circle, nobody forgotten, nobody told "internal error"."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction

from briefs import lifecycle, trace
from briefs.models import Brief, Link, Project, TraceEntry
from briefs.services import actors, links, relations
from core.errors import Refusal
from core.trouble import resilient
from tests.factories import make_brief, operator

ROUNDS = 12


def at_once(*calls: Callable[[], Any]) -> list[str]:
    """Make the calls in threads that begin together, as doors make them; what became of each."""
    outcomes = [""] * len(calls)
    start = threading.Barrier(len(calls))

    def run(number: int) -> None:
        start.wait()
        try:
            resilient(calls[number])()
            outcomes[number] = "ok"
        except Refusal as refusal:
            outcomes[number] = refusal.sentence
        except Exception as error:
            outcomes[number] = repr(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


@pytest.mark.django_db(transaction=True)
class TestAtOneMoment:
    def test_two_halves_of_a_circle(self):
        me = operator()
        for change in (relations.add_dependency, relations.set_parent):
            for _ in range(ROUNDS):
                a, b, c, d = (make_brief(name) for name in "abcd")
                change(b, c, actor=me)
                change(d, a, actor=me)
                said = at_once(lambda: change(a, b, actor=me), lambda: change(c, d, actor=me))  # noqa: B023
                assert said.count("ok") == 1, said
                assert sum("would be a circle" in sentence for sentence in said) == 1, said

    def test_what_waited_for_two_that_end_is_told_once(self):
        me = operator()
        for _ in range(ROUNDS):
            waiting, first, second = make_brief("waiting"), make_brief("first"), make_brief("second")
            for needed in (first, second):
                relations.add_dependency(waiting, needed, actor=me)
                Brief.objects.filter(pk=needed.pk).update(status="in_review")
            said = at_once(
                lambda: lifecycle.move(first, "complete", actor=me),  # noqa: B023
                lambda: lifecycle.move(second, "complete", actor=me),  # noqa: B023
            )
            assert said == ["ok", "ok"]
            assert TraceEntry.objects.filter(brief=waiting, kind="unblocked").count() == 1

    def test_a_merge_or_a_new_parent_beside_an_end(self):
        me = operator()
        for _ in range(ROUNDS):
            low, high = make_brief("low"), make_brief("high")
            relations.add_dependency(low, high, actor=me)
            said = at_once(
                lambda: lifecycle.move(high, "cancelled", actor=me),  # noqa: B023
                lambda: relations.merge(Brief.objects.get(pk=low.pk), Brief.objects.get(pk=high.pk), actor=me),  # noqa: B023
                lambda: relations.set_parent(Brief.objects.get(pk=low.pk), high, actor=me),  # noqa: B023
            )
            assert not any("Error" in sentence for sentence in said), said
            for brief in Brief.objects.filter(pk__in=[low.pk, high.pk]):
                assert trace.verify(brief)[1] is None


@pytest.mark.django_db
def test_names_are_compared_as_they_are(tmp_path):
    """On MySQL, too, whose usual collation takes these for one another."""
    brief, me = make_brief("Names"), operator()
    for one, other in (("Makefile", "makefile"), ("docs/é", "docs/e"), ("a", "a b")):
        links.add(brief, "file", one, actor=me)
        links.add(brief, "file", other, actor=me)
    assert Link.objects.filter(brief=brief).count() == 6
    assert actors.named("operator:Anna", "operator").pk != actors.named("operator:anna", "operator").pk
    for name in ("Shop", "shop"):
        Project.objects.create(slug=f"x-{name == 'shop'}".lower(), root=f"/somewhere/{name}")
    assert Project.objects.filter(root="/somewhere/SHOP").count() == 0


@pytest.mark.django_db
def test_an_entry_cannot_be_replaced():
    brief = make_brief("Once")
    entry = trace.append(brief, "note", actor=operator(), body="as it was")
    columns = [field.column for field in TraceEntry._meta.concrete_fields]
    names = ", ".join(f"`{name}`" for name in columns)
    taken = ", ".join("'otherwise'" if name == "body" else f"`{name}`" for name in columns)
    replace = "REPLACE" if connection.vendor == "mysql" else "INSERT OR REPLACE"
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"{replace} INTO briefs_traceentry ({names}) SELECT {taken} FROM briefs_traceentry WHERE id = %s",
            [entry.pk],
        )
    entry.refresh_from_db()
    assert entry.body == "as it was"
