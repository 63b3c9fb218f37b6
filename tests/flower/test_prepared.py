"""A prepared query gives what its queryset gives, for every number, on every thread."""

from __future__ import annotations

import threading

import pytest
from django.db import connection
from django.db.models import Q

from briefs import trace
from briefs.models import Dependency, TraceEntry
from core.prepared import Prepared
from tests.factories import make_brief, operator

pytestmark = pytest.mark.django_db

COLUMNS = ("seq", "kind", "body", "data", "at", "actor__ref")


def newest(brief: int):
    return TraceEntry.objects.filter(brief=brief).order_by("-seq").values_list(*COLUMNS)[:3]


def test_it_gives_what_the_queryset_gives_for_each_number(django_assert_num_queries):
    rows = Prepared(newest)
    for brief in (make_brief(), make_brief()):
        for number in range(3):
            trace.append(brief, trace.Kind.NOTE, actor=operator(), body=f"note {number}", data={"list": [number]})
        expected = list(newest(brief.pk))
        with django_assert_num_queries(1):
            assert rows(brief.pk) == expected
        assert len(expected) == 3 and expected[0][3] == {"list": [2]}


def test_it_is_compiled_once():
    built = []
    rows = Prepared(lambda brief: built.append(brief) or newest(brief))
    assert [rows(1), rows(2), rows(3)] == [[], [], []]
    assert len(built) == 1


def test_numbers_that_no_column_holds_have_no_rows():
    rows = Prepared(newest)
    assert rows(2**63) == rows(-(2**63)) == rows(10**30) == rows(-1) == rows(0) == []


def test_several_numbers_and_one_that_comes_twice():
    first, second = make_brief(), make_brief()
    edge = Dependency.objects.create(brief=first, depends_on=second)
    either = Prepared(lambda brief: Dependency.objects.filter(Q(brief=brief) | Q(depends_on=brief)).values_list("pk"))
    both = Prepared(lambda brief, on: Dependency.objects.filter(depends_on=on, brief=brief).values_list("pk"))
    assert either(first.pk) == either(second.pk) == both(first.pk, second.pk) == [(edge.pk,)]
    assert both(second.pk, first.pk) == []


def test_a_number_that_the_query_does_not_use_is_a_mistake():
    with pytest.raises(TypeError):
        Prepared(lambda brief, other: TraceEntry.objects.filter(brief=brief, kind="note").values_list("pk"))(1, 2)


@pytest.mark.django_db(transaction=True)
def test_each_thread_has_its_own():
    brief = make_brief()
    rows, found = Prepared(newest), []

    def read() -> None:
        found.append(rows(brief.pk))
        connection.close()

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [list(newest(brief.pk))] * 4
