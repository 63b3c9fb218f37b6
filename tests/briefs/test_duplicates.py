"""While somebody types: is this brief there already?"""

from __future__ import annotations

import pytest

from briefs import lifecycle
from briefs.models import Token
from briefs.services import duplicates
from tests.factories import identity, make_brief, operator

pytestmark = pytest.mark.django_db


def search(text: str) -> list[str]:
    return [hit.title for hit in duplicates.search(identity(operator(), Token.Scope.OPERATOR), text)]


def test_the_same_thought_is_found_whatever_its_order():
    make_brief("Worktree preparation before a worker's first turn")
    make_brief("Spawn heuristic and opt-in flag")
    make_brief("Generated task packets")
    assert search("prepare the worktrees before the first turn of a worker")[:1] == [
        "Worktree preparation before a worker's first turn"
    ]
    assert search("task packet generation") == ["Generated task packets"]
    assert search("something else altogether") == []


def test_short_texts_and_ended_briefs_are_left_alone():
    brief = make_brief("Fleet-wide pause of all agents")
    assert search("Fleet") == []
    assert search("Fleet-wide pause") == [brief.title]
    lifecycle.move(brief, "cancelled", actor=operator())
    assert search("Fleet-wide pause") == []
