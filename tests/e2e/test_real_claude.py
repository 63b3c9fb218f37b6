"""The real Claude Code, offline, against a scripted model, while a browser looks at its outline.

An extra test: it needs Claude Code, in ``FLOWER_CLAUDE`` or on PATH, and the scripted model server that lies beside
the checkout in some places. Where either is missing it is left out.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.factories import make_repository
from tests.system.running import Flower, until

ROOT = Path(__file__).resolve().parents[2]
CLAUDE = os.environ.get("FLOWER_CLAUDE") or shutil.which("claude") or ""
TOPICS = ("tulips", "roses", "orchids")
MODEL = ROOT.parent / "shared" / "fake_models" / "fake_models.py"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(not CLAUDE, reason="needs Claude Code on PATH or in FLOWER_CLAUDE"),
    pytest.mark.skipif(not MODEL.exists(), reason="needs the scripted model server beside this checkout"),
]


def work(topic: str) -> list[dict[str, Any]]:
    """Turns of the model that write a file about a topic, check it and commit it."""
    path = f"${{worktree}}/{topic}.md"
    return [
        {"text": f"Now the page about {topic}.", "tools": [{"write": {"path": path, "content": f"# {topic}\n"}}]},
        {"text": f"Reading the {topic} page again.", "tools": [{"shell": f"cat {path} && grep -c '#' {path}"}]},
        {
            "text": f"The {topic} page is right. Committing.",
            "tools": [{"shell": f"cd ${{worktree}} && git add -A && git commit -m 'Write the page about {topic}'"}],
        },
    ]


def script(worktree: str) -> dict[str, Any]:
    recall = {"tool": "recall_brief", "input": {}}
    turns: list[dict[str, Any]] = [{"text": "I will recall my brief.", "tools": [recall], "gate": "begin"}]
    for topic in TOPICS:
        first, *rest = work(topic)
        turns += [{**first, "gate": topic}, *rest]
    done = {"tool": "brief_dispatch_complete", "input": {"summary": "Three pages about flowers."}}
    turns.append({"text": "All three pages are written.", "tools": [done], "gate": "end"})
    turns.append({"text": "The work is complete."})
    return {
        "vars": {"worktree": worktree},
        "conversations": [{"name": "agent", "match": {"tools": "recall_brief"}, "turns": turns}],
    }


def loading(worktree: str, *, always_load: bool) -> dict[str, Any]:
    """One page about tulips. Newer Claude Code offers the tools of MCP by name alone, until its tool search loads them.

    ``always_load``: they are there at once, and nothing is searched.
    """
    names = ",".join(f"mcp__flower__{name}" for name in ("recall_brief", "brief_dispatch_complete"))
    search = {"text": "I load the tools.", "tools": [{"tool": "ToolSearch", "input": {"query": f"select:{names}"}}]}
    turns: list[dict[str, Any]] = [
        {"text": "I will recall my brief.", "tools": [{"tool": "recall_brief", "input": {}}]},
        *work("tulips"),
        {"text": "Done.", "tools": [{"tool": "brief_dispatch_complete", "input": {"summary": "A page about tulips."}}]},
        {"text": "The work is complete."},
    ]
    ways = [("recall_brief", turns)] if always_load else [("ToolSearch", [search, *turns]), ("recall_brief", turns)]
    for _, way in ways:
        way[0] |= {"gate": "begin"}
    conversations = [{"name": "agent", "match": {"tools": tool}, "turns": way} for tool, way in ways]
    return {"vars": {"worktree": worktree}, "conversations": conversations}


class Model:
    """The scripted model server. A turn with a gate waits until it is opened."""

    def __init__(self, url: str) -> None:
        self.url = url

    def open(self, gate: str) -> None:
        self._send("POST", f"gate/{gate}", b"")

    def learn(self, plan: dict[str, Any]) -> None:
        self._send("PUT", "script", json.dumps(plan).encode())

    def offered(self) -> list[list[str]]:
        """The names of the tools of each request of the agent's, in the order of the requests."""
        with urllib.request.urlopen(f"{self.url}/_fake/requests?since=0", timeout=10) as answer:
            requests = json.load(answer)
        mine = [one["body"] for one in requests if one.get("conversation") == "agent"]
        return [[tool.get("name", "") for tool in body.get("tools", [])] for body in mine]

    def _send(self, method: str, path: str, body: bytes) -> None:
        request = urllib.request.Request(f"{self.url}/_fake/{path}", body, method=method)
        urllib.request.urlopen(request, timeout=10).close()


@contextmanager
def scripted(folder: Path) -> Iterator[Model]:
    plan, port = folder / "script.json", folder / "port"
    plan.write_text(json.dumps(script("")))
    argv = [sys.executable, str(MODEL), str(plan), "--port-file", str(port), "--log", str(folder / "model.log")]
    with (folder / "model.out").open("wb") as out:
        server = subprocess.Popen(argv, stdout=out, stderr=out)
        try:
            until(lambda: port.exists() and port.read_text().strip(), "the model serves")
            yield Model(f"http://127.0.0.1:{port.read_text().strip()}")
        finally:
            server.terminate()
            server.wait()


def claude(flower: Flower, model: Model, folder: Path, *, always_load: bool = True) -> None:
    """Register Claude Code as an agent, with a home of its own whose logs flower watches.

    ``always_load``: as README.md says; without it, newer versions offer the tools only through their tool search.
    """
    home = folder / "home"
    home.mkdir()
    (home / ".claude.json").write_text(json.dumps({"hasCompletedOnboarding": True}))
    server = {"type": "http", "url": "${FLOWER_MCP_URL}", "headers": {"Authorization": "Bearer ${FLOWER_TOKEN}"}}
    server |= {"alwaysLoad": True} if always_load else {}
    (folder / "mcp.json").write_text(json.dumps({"mcpServers": {"flower": server}}))
    environment = {
        "HOME": str(home),
        "CLAUDE_CONFIG_DIR": str(flower.home / "transcripts"),
        "IS_SANDBOX": "1",
        "ANTHROPIC_BASE_URL": model.url,
        "ANTHROPIC_AUTH_TOKEN": "none",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        **{f"GIT_{who}_NAME": "Claude" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "claude@localhost" for who in ("AUTHOR", "COMMITTER")},
    }
    (flower.home / "transcripts").mkdir(exist_ok=True)
    (flower.home / "transcripts" / ".claude.json").write_text(json.dumps({"hasCompletedOnboarding": True}))
    settings = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
    argv = [CLAUDE, "-p", "{prompt}", "--session-id", "{session}", "--strict-mcp-config"]
    argv += ["--mcp-config", str(folder / "mcp.json")]
    flower.manage(["agent_add", "claude", *settings, "--", *argv, "--permission-mode", "bypassPermissions"])


def test_a_browser_watches_the_outline_of_a_real_session_fill(page: Page, flower: Flower, tmp_path: Path):
    (operator,) = flower.manage(["actor_token", "operator:claude-test", "--kind", "operator"])
    flower.tokens.append(operator)
    flower.manage(["project_add", str(make_repository(tmp_path / "garden"))])
    brief = flower.call(operator, "brief_create", body="Write three pages about flowers", project="garden")["brief"]
    with scripted(tmp_path) as model:
        claude(flower, model, tmp_path)
        dispatch = flower.call(operator, "brief_dispatch", brief=brief, agent="claude")["dispatch"]
        flower.await_state(dispatch, "running")
        model.learn(script(flower.value("select path from worktrees_worktree where brief_id = ?", brief)))
        model.open("begin")
        sessions = "select id, brief_id, is_probable from transcripts_session where brief_id = ?"
        session, *owner = until(lambda: next(iter(flower.rows(sessions, brief)), None), "the session is known", 120)
        assert owner == [brief, 0], "its run named the session"
        page.goto(f"/sessions/{session}/segments/")
        page.evaluate("window.stays = true")
        for topic in TOPICS:
            model.open(topic)
            expect(page.locator("main")).to_contain_text(f"Write the page about {topic}", timeout=90_000)
        model.open("end")
        flower.await_state(dispatch, "finished", "merging", "done")
        assert page.evaluate("window.stays") is True, "the page was not loaded again"
        page.goto(f"/sessions/{session}/")
        expect(page.locator("main")).to_contain_text("Now the page about orchids.")


@pytest.mark.parametrize("always_load", [True, False])
def test_the_tools_are_found_at_once_or_by_the_tool_search(flower: Flower, tmp_path: Path, always_load: bool):
    """With README's setting they are in the first request; without it the packet sends the agent to the tool search."""
    (operator,) = flower.manage(["actor_token", "operator:claude-test", "--kind", "operator"])
    flower.tokens.append(operator)
    name = "at-once" if always_load else "by-search"
    flower.manage(["project_add", str(make_repository(tmp_path / name))])
    brief = flower.call(operator, "brief_create", body="Write a page about tulips", project=name)["brief"]
    with scripted(tmp_path) as model:
        claude(flower, model, tmp_path, always_load=always_load)
        model.learn(loading("", always_load=always_load))
        dispatch = flower.call(operator, "brief_dispatch", brief=brief, agent="claude")["dispatch"]
        made = "select path from worktrees_worktree where brief_id = ?"
        ((worktree,),) = until(lambda: flower.rows(made, brief), "the worktree is known")
        model.learn(loading(worktree, always_load=always_load))
        model.open("begin")
        flower.await_state(dispatch, "finished", "merging", "done")
        first = model.offered()[0]
    assert ("mcp__flower__recall_brief" in first) == (always_load or "ToolSearch" not in first)
    answer = flower.call(operator, "recall_brief", brief=brief, include=["dispatches"])
    assert answer["dispatches"][0]["summary"] == "A page about tulips."
