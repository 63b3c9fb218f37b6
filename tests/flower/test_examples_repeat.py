"""The example agents ask again while flower is away, busy or full, and do not ask again what was refused."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from demo import agent
from flower.env import BASE_DIR
from tests.factories import GIT_ENV, make_repository

BUSY = {
    "isError": True,
    "content": [{"type": "text", "text": "flower is busy; nothing was changed; call again."}],
    "_meta": {"flower/code": "busy", "flower/retry_after": 3},
}
REFUSED = {"isError": True, "content": [{"type": "text", "text": "The worktree has changes; commit them."}]}
GOOD = {"structuredContent": {"title": "Count", "status": "finished"}, "content": []}


@contextmanager
def answering(troubles: list[Any]) -> Iterator[tuple[str, list[str]]]:
    """A flower that meets each call with what is left of ``troubles``; its address, and the calls that it heard."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.append(body["params"]["name"])
            answer = troubles.pop(0) if troubles else GOOD
            if answer is None:
                return  # the connection is closed without an answer
            status, result = (answer, {}) if isinstance(answer, int) else (200, answer)
            text = json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mcp", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run_curl_agent(url: str, folder: Path) -> subprocess.CompletedProcess[str]:
    repository = make_repository(folder / "work")
    own = {"FLOWER_MCP_URL": url, "FLOWER_TOKEN": "t", "FLOWER_BRIEF": "7", "FLOWER_FENCE": "1"}
    own |= {"FLOWER_ACTOR": "worker", "FLOWER_DISPATCH": "3", "no_proxy": "127.0.0.1"}
    script = BASE_DIR / "docs" / "examples" / "curl-agent.sh"
    environment = {**os.environ, **GIT_ENV, **own}
    return subprocess.run(
        ["sh", str(script)], cwd=repository, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_shell_agent_repeats_what_passes(tmp_path):
    with answering([503, BUSY]) as (url, heard):
        done = run_curl_agent(url, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert heard == [*["recall_brief"] * 3, *["brief_dispatch_progress"] * 2, "brief_dispatch_complete"]
    assert done.stdout.endswith("dispatch 3 is finished\n")


def test_the_shell_agent_takes_a_refusal_as_an_end(tmp_path):
    with answering([GOOD, REFUSED]) as (url, heard):
        done = run_curl_agent(url, tmp_path)
    assert done.returncode == 1
    assert "The worktree has changes" in done.stderr
    assert heard == ["recall_brief", "brief_dispatch_progress", "brief_dispatch_fail"]


def test_the_demo_agent_repeats_what_passes_and_nothing_else(monkeypatch):
    class Answer:
        def __init__(self, told: dict[str, Any]) -> None:
            self.is_error, self.meta = told.get("isError", False), told.get("_meta")
            self.content, self.structured_content = told["content"], told.get("structuredContent")

    answers: list[Any] = [ConnectionRefusedError(), BUSY, GOOD, REFUSED]

    async def call_once(tool: str, arguments: dict[str, Any]) -> Answer:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer)

    monkeypatch.setattr(agent, "call_once", call_once)
    monkeypatch.setattr(agent, "FIRST_PAUSE", 0.001)
    assert asyncio.run(agent.call("recall_brief")) == GOOD["structuredContent"]
    with pytest.raises(SystemExit, match="was refused"):
        asyncio.run(agent.call("brief_dispatch_complete"))
    assert answers == []
