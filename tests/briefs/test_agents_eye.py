"""The Agent's-eye view is what an agent gets, byte for byte: compared with the real endpoint's answer."""

from __future__ import annotations

import html
import json
import re

import pytest

from briefs.models import Token
from briefs.services import actors, links, questions, relations
from briefs.views.payload import readable
from tests.factories import agent, make_brief, operator
from tests.flower.test_mcp import call

HTMX = {"HX-Request": "true"}


def text_of(page: str) -> str:
    return html.unescape(re.search(r'id="payload-text"[^>]*>(.*?)</pre>', page, re.DOTALL)[1])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scope", ["run", "agent", "orchestrator"])
def test_it_is_the_tools_answer_to_that_scope(browser, project, scope):
    brief, other = make_brief("See", project, spec='# Plan <b>\n\nünïcode & "quotes"'), make_brief("Other", project)
    questions.ask(brief, "Which?\nOr not?", actor=agent(), options=["a", "b"])
    links.add(brief, "url", "https://example.org/", actor=agent())
    relations.add_dependency(brief, other, actor=operator())
    limits = {"brief": brief, "run": 1} if scope == "run" else {}
    secret, _ = actors.issue_token(agent(), Token.Scope(scope), **limits)
    page = browser.get(f"/briefs/{brief.pk}/?payload={scope}&as=json").content.decode()
    result = call(secret, "recall_brief", brief=brief.pk)
    assert text_of(page) == result["content"][0]["text"]
    part = browser.get(f"/briefs/{brief.pk}/payload/?payload={scope}&as=json", headers=HTMX).content.decode()
    assert text_of(part) == text_of(page) and "<html" not in part


@pytest.mark.django_db
def test_closed_it_tells_the_sizes_and_open_it_is_readable(browser, project):
    brief = make_brief("See", project, spec="A plan of some length. " * 40)
    closed = browser.get(brief.get_absolute_url()).content.decode()
    assert "payload-text" not in closed and "tokens" in closed and "show it" in closed
    opened = browser.get(f"{brief.get_absolute_url()}?payload=agent").content.decode()
    assert 'id="payload-readable"' in opened and "raw JSON" in opened and "tools are offered to this scope" in opened
    kept = browser.get(
        f"/briefs/{brief.pk}/panels/", headers={**HTMX, "Flower-Payload": "payload=run&as=json"}
    ).content.decode()
    assert json.loads(text_of(kept))["brief"] == brief.pk
    nonsense = browser.get(f"{brief.get_absolute_url()}?payload=root&as=<b>").content.decode()
    assert "payload-text" not in nonsense


@pytest.mark.django_db
def test_nobody_without_access_sees_it(client, project):
    assert client.get(f"/briefs/{make_brief('See', project).pk}/payload/").status_code == 302


def test_json_reads_as_lines():
    assert readable({"a": [{"b": 1, "c": "x\ny"}], "d": None, "e": True, "f": []}) == (
        "a:\n  - b: 1\n    c:\n      x\n      y\nd: —\ne: yes\nf: —"
    )
