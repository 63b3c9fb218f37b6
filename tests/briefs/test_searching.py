"""Briefs are found by their words in any order and script, by their beginnings, without case and accents."""

from __future__ import annotations

import pytest
from django.test import Client

from briefs.folding import fold
from briefs.models import SearchText, Token
from briefs.services import briefs, duplicates, recall, searching, specs
from tests.factories import identity, make_brief, operator

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("title", "queries"),
    [
        ("Задача: Поиск по доске", ["задача", "ПОИСК", "доске поиск", "зада"]),
        ("Ünïcode and the naïve importer", ["ünïcode", "unicode", "naive", "NAÏVE", "importer naive"]),
        ("Rate-limit of the importer", ["rate limit", "rate-limit", "limit  rate", "import rate", "importer limit"]),
        ("The importer drops the last row", ["row last", "importer row", "importer  drops", "ROW"]),
        ("Straße und Ὀδυσσεύς", ["strasse", "STRASSE", "οδυσσευς"]),
        ("修复检索功能", ["检索", "修复", "功能 检索"]),
        ("100 % of test_board.py", ["100 %", "board.py", "test_board", "100 of"]),
    ],
)
def test_board_and_tool_find_the_words_of_a_title(browser: Client, title: str, queries: list[str]):
    make_brief("Something else")
    wanted = make_brief(title)
    me = identity(operator(), Token.Scope.OPERATOR)
    for query in queries:
        assert title in browser.get("/briefs/", {"q": query}).content.decode(), query
        assert [row["brief"] for row in recall.briefs_payload(me, query=query)["briefs"]] == [wanted.pk], query


@pytest.mark.parametrize("query", ["ow", "mporter", "row first", "ast"])
def test_the_middle_of_a_word_and_words_that_are_not_there_find_nothing(query: str):
    make_brief("The importer drops the last row")
    assert recall.briefs_payload(identity(operator(), Token.Scope.OPERATOR), query=query)["briefs"] == []


def test_a_number_is_taken_with_and_without_its_sign():
    made = make_brief("Numbered")
    me = identity(operator(), Token.Scope.OPERATOR)
    for query in (f"#{made.pk}", f"{made.pk}"):
        assert made.pk in [row["brief"] for row in recall.briefs_payload(me, query=query)["briefs"]]


def test_what_is_searched_follows_the_brief():
    brief = make_brief("Old title")
    me = operator()
    briefs.rename(brief, "Néw title", actor=me)
    specs.update(brief, "Über the fence", base_version=0, actor=me)
    row = SearchText.objects.get(brief=brief)
    assert (row.title, row.spec) == (" new title", " uber the fence")
    found = recall.briefs_payload(identity(me, Token.Scope.OPERATOR), query="title uber")["briefs"]
    assert [one["brief"] for one in found] == [brief.pk], "words of title and spec together"


def test_briefs_made_in_bulk_can_be_written_down():
    brief = make_brief("Bulk")
    SearchText.objects.all().delete()
    searching.keep_all([brief])
    assert SearchText.objects.get().title == " bulk"


def test_folding():
    assert fold("") == " "
    assert fold("A-b_c  D") == " a b c d"
    assert fold("ﬁx É") == " fix e"


def test_a_thought_of_a_project_is_compared_with_those_of_none(project):
    made = make_brief("The board loses my filter when I open a brief and come back")
    me = identity(operator(), Token.Scope.OPERATOR)
    hits = duplicates.search(me, "Filters of the board get lost when I open a brief", project=project)
    assert [hit.number for hit in hits] == [made.pk]
