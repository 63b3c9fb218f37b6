"""The example brief has every panel, kicker and label of the page that flower follows, in its order."""

from __future__ import annotations

import html
import re

import pytest
from django.core.management import call_command

from briefs import trace
from briefs.models import Brief
from dispatch import tasks
from dispatch.management.commands.seed_example import make

pytestmark = pytest.mark.django_db

WORDS = (
    "flower", "All briefs", "in progress", "note", "Dispatch",
    "Worktree-isolated active work (MAIN = stable served/prod); flexible agents-per-worktree",
    "canonical · plan", "Spec", "hand-off · dispatch", "Auto-dispatch", "when it reaches planned", "Design-loop",
    "design pass before build", "kind", "provenance · append-only", "Trace", "or paste a screenshot", "link added",
    "agent · flower-orchestrator", "status change", "comment", "note added", "operator · operator:mike", "refinement",
    "spec snapshot", "plan proposed", "participant joined", "epic · dependencies", "Relationships", "epic parent",
    "depends on", "No dependencies — dispatchable once planned.", "agents · waves", "Participants", "operator:mike",
    "participant · active", "flower-orchestrator", "trace · graph", "Links", "Scratchpad #399", "Scratchpad #398",
    "Scratchpad #386", "Scratchpad #381", "Scratchpad #344", "Scratchpad #346", "Scratchpad #351", "execution", "scope",
    "Projects", "primary", "dogfood · read-only", "Agent’s-eye view",
    "The literal recall_brief payload an agent gets — same service path as the MCP tool.",
)  # fmt: skip
ORDER = [
    ("participant_joined", "operator:mike"),
    ("note", "operator:mike"),
    ("participant_joined", "flower-orchestrator"),
    ("plan_proposed", "flower-orchestrator"),
    ("spec_snapshot", "flower-orchestrator"),
    ("refinement", "flower-orchestrator"),
    ("note", "operator:mike"),
    ("comment", "flower-orchestrator"),
    ("status_change", "flower-orchestrator"),
    *[("link_added", "flower-orchestrator")] * 7,
]


@pytest.fixture(autouse=True)
def _nothing_is_kicked(monkeypatch):
    monkeypatch.setattr(tasks.advance, "delay", lambda *_: None)


def words_of(response) -> str:
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", response.content.decode(), flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).replace(" - ", " — ").split())


def squeezed(text: str) -> str:
    return re.sub(r"\s+([.,])", r"\1", text)


def test_the_page_has_every_word_of_the_seed(browser, capsys):
    call_command("seed_example")
    brief = Brief.objects.get(pk=int(capsys.readouterr().out))
    shown = squeezed(words_of(browser.get(brief.get_absolute_url())))
    missing = [words for words in WORDS if squeezed(words) not in shown]
    if brief.dispatch_requests.exists() and "kind" in missing:
        missing.remove("kind")  # the form is not offered while the work is out
    assert not missing


def test_before_it_is_dispatched_the_panel_says_what_to_do(browser):
    brief = make(planned=True)
    shown = words_of(browser.get(brief.get_absolute_url()))
    assert "No dispatch requests yet — dispatch above to generate a copy-paste packet." in shown
    assert "kind" in shown


def test_the_trace_has_the_seeds_entries_in_its_order():
    brief = make()
    entries = list(brief.trace.order_by("seq").values_list("kind", "actor_ref"))
    rest = iter(entries)
    assert all(wanted in rest for wanted in ORDER), entries
    assert {actor for _, actor in entries} == {"operator:mike", "flower-orchestrator"}
    assert (brief.status, brief.origin, brief.project.slug) == ("in_progress", "note", "flower")
    assert trace.verify(brief)[1] is None
    assert [link.relation for link in brief.links.all()] == ["execution"] * 7


def test_it_can_be_made_twice():
    assert make().pk != make().pk
