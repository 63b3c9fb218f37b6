"""Every tool of the brief, called by the official client at a real daphne; what it did is then on the page.

Writes answer with a receipt of less than 300 bytes; reads stay under their byte budget and say what they left out.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from briefs.services.recall import MIN_BUDGET
from core.toolbox import ANSWER_BUDGET
from flower.mcp.registry import catalogue
from tests.web import WebProcess

pytestmark = pytest.mark.slow
RECEIPT = 300  # bytes
_called: set[str] = set()


class Refused(Exception):
    """A tool error, with its sentence."""


@pytest.fixture
def tool(web_process: WebProcess) -> Callable[..., dict[str, Any]]:
    """``tool("brief_append", brief=1, …, scope="agent")``: the tool's result; a write's size is checked."""

    def use(name: str, /, scope: str = "orchestrator", **arguments: Any) -> dict[str, Any]:
        async def talk() -> Any:
            headers = {"Authorization": f"Bearer {web_process.token(scope)}"}
            async with create_mcp_http_client(headers=headers) as http:
                transport = streamable_http_client(f"{web_process.url}/mcp", http_client=http)
                async with Client(transport) as client:
                    return await client.call_tool(name, arguments)

        answer = async_to_sync(talk)()
        text = answer.content[0].text
        if answer.is_error:
            raise Refused(text)
        _called.add(name)
        assert json.loads(text) == answer.structured_content
        size = len(text.encode())
        # a claim hands over the packet, and a new brief comes with its look-alikes: that is what they are for
        written = (
            not catalogue()[name].tool.read_only
            and name != "brief_claim"
            and not answer.structured_content.get("look_alikes")
        )
        assert not written or size < RECEIPT, f"{name} answers with {size} bytes"
        assert size <= max(ANSWER_BUDGET, arguments.get("budget", 0)) or name == "brief_claim"
        return answer.structured_content

    return use


@pytest.fixture
def page(web_process: WebProcess) -> Callable[[str], str]:
    """The words of a page, as an operator reads it."""

    def read(path: str) -> str:
        headers = {"Authorization": f"Bearer {web_process.token('operator')}", "Accept": "text/html"}
        status, _, body = web_process.request(path, **headers)
        assert status == 200, path
        text = re.sub(r"<(script|style)\b.*?</\1>", " ", body.decode(), flags=re.S)
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())

    return read


@pytest.fixture
def made(tool, web_process) -> Callable[..., int]:
    def make(body: str, **options: Any) -> int:
        options.setdefault("project", web_process.scene["project"])
        return int(tool("brief_create", body=body, **options)["brief"])

    return make


def test_who_is_there(tool, web_process):
    assert tool("whoami")["scope"] == "orchestrator"
    assert tool("whoami", scope="run")["brief"] == web_process.scene["mine"]


def test_a_brief_is_made_written_to_and_moved(tool, page, made):
    number = made("Paint the shed\n\nall of it", kind="bug")
    assert tool("brief_append", brief=number, body="A **comment** of mine.", kind="comment")["seq"] > 1
    spec = tool("brief_update_spec", brief=number, spec="Use green paint.", base_version=0, why="it is nicer")
    assert spec["spec_version"] == 1
    assert tool("brief_update_status", brief=number, status="planned", why="ready")["status"] == "planned"
    shown = page(f"/briefs/{number}/")
    for words in ("Paint the shed", "A comment of mine.", "Use green paint.", "planned", "v1"):
        assert words in shown, words
    with pytest.raises(Refused, match="Somebody else changed the spec"):
        tool("brief_update_spec", brief=number, spec="Red.", base_version=0)
    assert "Red." not in page(f"/briefs/{number}/")
    assert tool("recall_brief", brief=number)["spec"] == "Use green paint."


def test_a_plan_is_proposed_for_a_person_to_decide(tool, page, made):
    number = made("Plan me")
    assert tool("brief_propose_plan", brief=number, plan="First this, then that.")["proposal"]
    shown = page(f"/briefs/{number}/")
    assert "plan proposed" in shown and "First this, then that." in shown and "refining" in shown


def test_a_worker_proposes_a_plan_for_its_own_brief_only(tool, web_process):
    assert tool("brief_propose_plan", scope="run", plan="My plan.")["brief"] == web_process.scene["mine"]
    with pytest.raises(Refused, match="There is no brief"):
        tool("brief_propose_plan", scope="run", plan="x", brief=web_process.scene["other"])


def test_questions_are_asked_listed_and_answered(tool, page, made):
    number = made("Ask me")
    asked = tool("brief_ask", brief=number, question="Which one?", options=["left", "right"], blocking=True)
    open_ = tool("brief_open_questions", brief=number)["questions"]
    assert [(one["question"], one["options"]) for one in open_] == [(asked["question"], ["left", "right"])]
    shown = page(f"/briefs/{number}/")
    assert "Open questions" in shown and "Which one?" in shown and "right" in shown and "blocked" in shown
    tool("brief_answer", question=asked["question"], answer="right")
    shown = page(f"/briefs/{number}/")
    assert "Open questions" not in shown and "1 answered question" in shown
    assert tool("brief_open_questions", brief=number)["questions"] == []
    with pytest.raises(Refused, match="was answered already"):
        tool("brief_answer", question=asked["question"], answer="left")


def test_links_are_on_the_page_with_their_relation(tool, page, made):
    number = made("Link me")
    tool("brief_link", brief=number, kind="file", target="src/app.py", relation="result")
    shown = page(f"/briefs/{number}/")
    assert re.search(r"src/app\.py [^×]*result", shown)
    with pytest.raises(Refused, match="must begin with http"):
        tool("brief_link", brief=number, kind="url", target="javascript:alert(1)")


def test_epics_and_dependencies(tool, page, made):
    epic, one, two = made("The epic"), made("Part one"), made("Part two")
    for part in (one, two):
        assert tool("brief_set_parent", brief=part, parent=epic)["parent"] == epic
        assert tool("brief_set_parent", brief=part, parent=None)["parent"] is None
        assert tool("brief_set_parent", brief=part, parent=epic)["parent"] == epic
    tool("brief_add_dependency", brief=two, depends_on=one)
    assert "Blocked — dispatch is gated" in page(f"/briefs/{two}/")
    shown = page(f"/briefs/{epic}/")
    assert "0 of 2 complete" in shown and "Part one" in shown
    assert [row["brief"] for row in tool("recall_briefs", epic=epic)["briefs"]] == [two, one]
    assert [row["brief"] for row in tool("recall_briefs", epic=epic, dispatchable=True)["briefs"]] == [one]
    with pytest.raises(Refused, match=f"circle: #{one} -> #{two} -> #{one}"):
        tool("brief_add_dependency", brief=one, depends_on=two)
    with pytest.raises(Refused):
        tool("brief_start_without", brief=two, depends_on=one)  # its work is only not there yet
    tool("brief_update_status", brief=one, status="cancelled")
    assert tool("brief_start_without", brief=two, depends_on=one)["blocked"] == []
    tool("brief_remove_dependency", brief=two, depends_on=one)
    assert "No dependencies — dispatchable once planned." in page(f"/briefs/{two}/")


def test_two_become_one(tool, page, made):
    twice, once = made("The same again"), made("The same")
    assert tool("brief_merge", brief=twice, into=once)["into"] == once
    assert "cancelled" in page(f"/briefs/{twice}/") and "The same again" in page(f"/briefs/{once}/")


def test_work_is_handed_over_reported_and_given_up(tool, page, made):
    number = made("Do the work")
    sent = tool("brief_dispatch", brief=number, kind="direct")
    assert "to be claimed" in page(f"/briefs/{number}/") and "packet" in page(f"/briefs/{number}/")
    claimed = tool("brief_claim", brief=number)
    assert [row["dispatch"] for row in tool("recall_dispatch_queue")["dispatches"]] == [sent["dispatch"]]
    told = tool("dispatch_explain", brief=number)
    assert (told["next"][0]["code"], told["obstacle"]["code"], told["moves"]) == ("prepare", "active", [])
    assert claimed["packet"].startswith("You are being dispatched") and claimed["dispatch"] == sent["dispatch"]
    fence = claimed["fence"]
    tool("brief_dispatch_progress", dispatch=sent["dispatch"], note="Half of it is done.", fence=fence)
    shown = page(f"/briefs/{number}/")
    assert "Half of it is done." in shown and "in progress" in shown
    tool("brief_dispatch_fail", dispatch=sent["dispatch"], why="The paint is gone.", fence=fence)
    assert "The paint is gone." in page(f"/briefs/{number}/")
    again = tool("brief_dispatch", brief=number)
    assert tool("brief_dispatch_cancel", dispatch=again["dispatch"], why="not now")["status"] == "cancelled"
    assert "not now" in page(f"/briefs/{number}/")


def test_work_without_changes_is_completed(tool, page, made):
    number = made("Nothing to do")
    sent = tool("brief_dispatch", brief=number)
    fence = tool("brief_claim", dispatch=sent["dispatch"])["fence"]
    done = tool("brief_dispatch_complete", dispatch=sent["dispatch"], summary="Was so.", no_changes=True, fence=fence)
    assert done["status"] in {"finished", "done"}
    assert "Was so." in page(f"/briefs/{number}/")


def test_scratchpads_are_pages(tool, page):
    pad = tool("scratchpad_write", name="What I found", content="# Here\n\nsome **thing**")["scratchpad"]
    tool("scratchpad_append", scratchpad=pad, content="and more")
    assert tool("scratchpad_read", scratchpad=pad, section="Here")["content"].endswith("and more\n")
    assert pad in [row["scratchpad"] for row in tool("scratchpad_list", query="found")["scratchpads"]]
    shown = page(f"/scratchpads/{pad}/")
    assert "What I found" in shown and "some thing" in shown and "and more" in shown and "r2" in shown
    with pytest.raises(Refused, match="is at revision 2"):
        tool("scratchpad_write", name="What I found", content="over", scratchpad=pad, revision=1)


@pytest.mark.parametrize("budget", [MIN_BUDGET, 5_000, None, 60_000])
def test_a_long_brief_is_cut_to_the_budget_and_says_so(tool, made, budget):
    number = made("Long", spec="A line of the plan.\n" * 2_000)
    for count in range(12):
        tool("brief_append", brief=number, body=f"note {count} " + "word " * 600)
    arguments = {} if budget is None else {"budget": budget}
    answer = tool("recall_brief", brief=number, **arguments)
    text = json.dumps(answer, ensure_ascii=False, separators=(",", ":"))
    assert len(text.encode()) <= (budget or ANSWER_BUDGET)
    if budget is None or budget < 60_000:
        assert any(said.startswith("spec:") for said in answer["truncated"])


def test_lists_go_on_where_they_ended(tool, made):
    wanted = {made(f"Counted {count}") for count in range(5)}
    found: list[int] = []
    cursor = None
    while True:
        answer = tool("recall_briefs", query="Counted", limit=2, **({"cursor": cursor} if cursor else {}))
        found += [row["brief"] for row in answer["briefs"]]
        cursor = answer["cursor"]
        if cursor is None:
            break
        assert len(answer["briefs"]) == 2
    assert found == sorted(found, reverse=True) and wanted <= set(found)


def test_every_tool_of_the_brief_was_called():
    """Runs last: a new tool of these rooms needs its test above."""
    ours = {
        name
        for name, served in catalogue().items()
        if served.tool.run.__module__ in {"briefs.tools", "dispatch.tools", "daemons.tools"}
        and name.startswith(("brief_", "whoami", "recall_brief", "recall_dispatch", "dispatch_explain", "scratchpad_"))
    }
    if len(_called) < 5:
        pytest.skip("needs the whole file")
    assert ours - _called == set()
