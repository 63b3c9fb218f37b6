"""The example brief's page has every panel, kicker, label and line that the first seed page has, panel by panel."""

from __future__ import annotations

import html
import re

import pytest

from dispatch import tasks
from dispatch.management.commands.seed_example import COMMENT, FIRST_NOTE, SECOND_NOTE, TITLE, make

pytestmark = pytest.mark.django_db

PANELS = {
    "head": ["All briefs", "in progress", "note", "flower", TITLE],
    "spec": ["canonical · plan", "Spec", "Principle.", "Layout", "MAIN", "Mechanics.", "First step."],
    "dispatch": [
        "hand-off · dispatch",
        "Dispatch",
        "Auto-dispatch",
        "when it reaches planned",
        "Design-loop",
        "design pass before build",
        "kind",
    ],
    "trace-panel": [
        "provenance · append-only",
        "Trace",
        "live",
        "or paste a screenshot",
        "uploading…",
        "7 links added",
        "link added",
        "status change",
        "comment",
        "note added",
        "refinement",
        "spec snapshot",
        "plan proposed",
        "participant joined",
        "agent · flower-orchestrator",
        "operator · operator:mike",
        FIRST_NOTE,
        SECOND_NOTE,
        COMMENT.replace("`", ""),
        "Spec: Agent / worktree topology — isolation + a small standing pool + on-demand spawn",
        "show all",
    ],
    "relationships": [
        "epic · dependencies",
        "Relationships",
        "epic parent",
        "depends on",
        "No dependencies — dispatchable once planned.",
    ],
    "participants": [
        "agents · waves",
        "Participants",
        "operator:mike",
        "flower-orchestrator",
        "participant · active",
        "wave 1",
    ],
    "links": [
        "trace · graph",
        "Links",
        *(f"Scratchpad #{number}" for number in (399, 398, 386, 381, 344, 346, 351)),
        "execution",
    ],
    "scope": ["scope", "Projects", "flower · primary"],
    "payload": [
        "dogfood · read-only",
        "Agent’s-eye view",
        "The literal recall_brief payload an agent gets — same service path as the MCP tool.",
    ],
}


@pytest.fixture(autouse=True)
def _nothing_is_kicked(monkeypatch):
    monkeypatch.setattr(tasks.advance, "delay", lambda *_: None)


def element(page: str, name: str) -> str:
    """The element of that id: from its tag to its end, by counting its like."""
    start = re.search(rf'<(\w+)[^>]*\bid="{name}"', page)
    assert start, f"there is no #{name}"
    depth = 0
    for tag in re.finditer(rf"<(/?){start[1]}\b", page[start.start() :]):
        depth += -1 if tag[1] else 1
        if depth == 0:
            return page[start.start() : start.start() + tag.start()]
    raise AssertionError(f"#{name} does not end")


def words(markup: str) -> str:
    text = html.unescape(re.sub(r"</?(b|strong|em|code|a)\b[^>]*>|<(?!/?(b|strong|em|code|a)\b)[^>]+>", _gap, markup))
    return " ".join(text.split())


def _gap(tag: re.Match[str]) -> str:
    return "" if tag[1] else " "


@pytest.mark.parametrize("panel", PANELS)
def test_each_panel_says_all_that_the_seed_page_says(browser, panel):
    brief = make()
    shown = words(element(browser.get(brief.get_absolute_url()).content.decode(), panel))
    assert [said for said in PANELS[panel] if said not in shown] == [], shown


def test_the_panels_stand_in_the_seeds_order(browser):
    page = browser.get(make().get_absolute_url()).content.decode()
    places = [page.index(f'id="{name}"') for name in ("head", "spec", "trace-panel")]
    assert places == sorted(places)
    places = [page.index(f'id="{name}"') for name in PANELS if name not in {"head", "spec", "trace-panel"}]
    assert places == sorted(places)


def test_before_it_is_handed_off_the_panels_say_so(browser):
    page = browser.get(make(planned=True).get_absolute_url()).content.decode()
    assert "No dependencies — dispatchable once planned." in words(element(page, "relationships"))
    shown = words(element(page, "dispatch"))
    assert "No dispatch requests yet — dispatch above to generate a copy-paste packet." in shown
    assert "kind" in shown
