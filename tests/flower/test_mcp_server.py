"""The endpoint in a real daphne, spoken to by the official client in both eras, and by curl."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from tests.web import WebProcess

pytestmark = pytest.mark.slow
ERAS = ["legacy", "2026-07-28", "auto"]


@pytest.fixture
def connected(web_process: WebProcess) -> Callable[..., Any]:
    """``connected(scope, era, use)``: what ``await use(client)`` answers."""

    def connect(scope: str, era: str, use: Callable[[Client], Any]) -> Any:
        async def talk() -> Any:
            headers = {"Authorization": f"Bearer {web_process.token(scope)}"}
            async with create_mcp_http_client(headers=headers) as http:
                transport = streamable_http_client(f"{web_process.url}/mcp", http_client=http)
                async with Client(transport, mode=era) as client:
                    return await use(client)

        return async_to_sync(talk)()

    return connect


@pytest.mark.parametrize("era", ERAS)
def test_the_official_client_lists_and_calls(web_process, connected, era):
    async def use(client: Client) -> Any:
        listed = await client.list_tools()
        called = await client.call_tool("recall_brief", {"brief": web_process.scene["mine"]})
        created = await client.call_tool("brief_create", {"body": f"Made by {era}"})
        return listed, called, created

    listed, called, created = connected("agent", era, use)
    names = {tool.name: tool for tool in listed.tools}
    assert {"whoami", "recall_brief", "brief_create"} <= set(names)
    assert names["recall_brief"].annotations.read_only_hint is True
    assert names["brief_create"].annotations.read_only_hint is False
    assert called.is_error in {False, None}
    assert called.structured_content["title"] == "Mine to do"
    assert json.loads(called.content[0].text) == called.structured_content
    assert len(called.structured_content["trace"]) >= 10
    assert created.structured_content["status"] == "idea"


@pytest.mark.parametrize("era", ERAS)
def test_what_is_shown_depends_on_the_scope(web_process, connected, era):
    async def names(client: Client) -> set[str]:
        return {tool.name for tool in (await client.list_tools()).tools}

    run, agent, orchestrator, operator, readonly = (
        connected(scope, era, names) for scope in ("run", "agent", "orchestrator", "operator", "readonly")
    )
    assert "brief_create" not in run and "brief_create" in agent and "brief_create" not in readonly
    assert agent | orchestrator <= operator
    assert "brief_dispatch" in orchestrator - agent


@pytest.mark.parametrize("era", ERAS)
def test_errors_read_the_same_in_every_era(web_process, connected, era):
    async def use(client: Client) -> list[Any]:
        return [
            await client.call_tool("recall_brief", {"brief": "x"}),
            await client.call_tool("no_such_tool", {}),
            await client.call_tool("brief_create", {"body": "not for me"}),
            await client.call_tool("recall_brief", {"brief": web_process.scene["other"]}),
        ]

    answers = connected("run", era, use)
    assert all(answer.is_error for answer in answers)
    assert [answer.content[0].text for answer in answers] == [
        "The argument 'brief' of recall_brief must be a whole number, not 'x'.",
        "There is no tool 'no_such_tool' for you; tools/list shows those that there are.",
        "There is no tool 'brief_create' for you; tools/list shows those that there are.",
        f"There is no brief #{web_process.scene['other']} for you.",
    ]


def test_a_runs_token_knows_its_brief(web_process, connected):
    async def use(client: Client) -> Any:
        return (await client.call_tool("recall_brief", {})).structured_content["brief"]

    assert connected("run", "auto", use) == web_process.scene["mine"]
    assert connected("other run", "auto", use) == web_process.scene["other"]


def ping(web: WebProcess, secret: str) -> int:
    body = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
    return web.request("/mcp", body, Authorization=f"Bearer {secret}", Content_Type="application/json")[0]


def test_no_wrong_expired_or_revoked_token_gets_anything(web_process):
    assert web_process.request("/mcp", b"{}", Content_Type="application/json")[0] == 401
    assert ping(web_process, "flower_nonsense") == 401
    assert ping(web_process, web_process.token("expired")) == 401
    secret = web_process.token("to be revoked")
    assert ping(web_process, secret) == 200
    web_process.revoke(secret)
    limit = time.monotonic() + 5
    while ping(web_process, secret) != 401:
        assert time.monotonic() < limit, "a revoked token still works after 5 s"
        time.sleep(0.1)


def test_bodies_over_1_mb_are_refused_with_their_length_told_or_not(web_process):
    secret = web_process.token("agent")
    headers = {"Authorization": f"Bearer {secret}", "Content_Type": "application/json"}
    status, _, body = web_process.request("/mcp", b" " * 1_000_001, **headers)
    assert status == 413 and "1,000,000 bytes" in json.loads(body)["error"]
    chunked = iter([b"x" * 100_000] * 11)
    status, _, body = web_process.request("/mcp", chunked, **headers)  # type: ignore[arg-type]
    assert status == 413 and "1,000,000 bytes" in json.loads(body)["error"]


def test_get_and_a_foreign_host_are_answered_at_once(web_process):
    started = time.monotonic()
    status, headers, _ = web_process.request("/mcp", Accept="text/event-stream")
    assert (status, headers["Allow"]) == (405, "POST")
    assert web_process.request("/mcp", b"{}", Host="evil.example", Content_Type="application/json")[0] == 421
    assert web_process.request("/.well-known/oauth-protected-resource/mcp")[0] == 404
    assert time.monotonic() - started < 1


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_a_shell_script_needs_curl_and_nothing_else(web_process):
    """The request that docs/tools.md shows."""
    message = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "recall_brief", "arguments": {"brief": web_process.scene["mine"]}},
    }
    argv = ["curl", "-sS", "-m", "10", f"{web_process.url}/mcp"]
    argv += ["-H", f"Authorization: Bearer {web_process.token('agent')}", "-H", "Content-Type: application/json"]
    for more in ([], ["-H", "Accept: application/json"], ["-H", "Accept: application/json, text/event-stream"]):
        done = subprocess.run([*argv, *more, "-d", json.dumps(message)], capture_output=True, check=True)
        assert json.loads(done.stdout)["result"]["structuredContent"]["title"] == "Mine to do"


def test_no_secret_is_in_the_log(web_process):
    web_process.request(f"/enter/{web_process.scene['codes'][2]}/", method="HEAD")
    ping(web_process, web_process.token("agent"))
    log = web_process.log.read_text()
    assert "/mcp" in log
    for secret in [*web_process.scene["tokens"].values(), *web_process.scene["codes"]]:
        assert secret not in log
