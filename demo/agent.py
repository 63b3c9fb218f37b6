"""The demo agent: a real MCP client that does a small, real piece of work, so that the whole path can be seen.

It recalls its brief, adds a line per acceptance word to NOTES.md, commits in two steps, reports progress, completes.
Started by flower like any agent program; it knows nothing but its environment (docs/agents.md).
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

PAUSE = float(os.environ.get("DEMO_PAUSE", "0.4"))  # seconds between steps, so that a person can watch
FIRST_PAUSE = 1.0
PATIENCE = 300.0  # seconds for which a call is repeated while flower is busy, is started again, or has no disk


async def work() -> None:
    brief = await call("recall_brief")
    say(f"brief #{brief['brief']}: {brief['title']}")
    await progress("Read the brief; writing NOTES.md.")
    await asyncio.sleep(PAUSE)
    write(f"## {brief['title']}", "Written by flower's demo agent.")
    commit("Begin the notes")
    await progress("First commit made.")
    await asyncio.sleep(PAUSE)
    write(*[f"- {line.strip()}" for line in brief["spec"].splitlines() if line.strip()][:20] or ["- no spec yet"])
    commit("Note the plan")
    done = await call("brief_dispatch_complete", summary="NOTES.md tells what was asked for.")
    say(f"dispatch {done['dispatch']} is {done['status']}")


async def progress(note: str) -> None:
    say(note)
    await call("brief_dispatch_progress", note=note, fence=int(os.environ["FLOWER_FENCE"]))


async def call(tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool; trouble that passes is waited for. Everything that is called here may be repeated."""
    pause, deadline = FIRST_PAUSE, time.monotonic() + PATIENCE
    while True:
        late = time.monotonic() > deadline
        try:
            answer = await call_once(tool, arguments)
        except Exception as error:  # nobody answered, or with an HTTP error: the SDK wraps these in groups
            if late:
                raise SystemExit(f"{tool}: flower does not answer ({error!r})") from error
        else:
            if not answer.is_error:
                return dict(answer.structured_content or {})
            if late or "flower/retry_after" not in (answer.meta or {}):
                raise SystemExit(f"{tool} was refused: {getattr(answer.content[0], 'text', answer.content)}")
        await asyncio.sleep(pause)
        pause = min(2 * pause, 20.0)


async def call_once(tool: str, arguments: dict[str, Any]) -> Any:
    headers = {"Authorization": f"Bearer {os.environ['FLOWER_TOKEN']}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(os.environ["FLOWER_MCP_URL"], http_client=http)) as flower,
    ):
        return await flower.call_tool(tool, arguments)


def write(*lines: str) -> None:
    with Path("NOTES.md").open("a") as file:
        file.write("\n".join(lines) + "\n\n")


def commit(subject: str) -> None:
    who = ["-c", "user.name=demo agent", "-c", "user.email=demo@localhost"]
    subprocess.run(["git", "add", "NOTES.md"], check=True)
    subprocess.run(["git", *who, "commit", "--quiet", "-m", subject], check=True)
    say(f"committed: {subject}")


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    asyncio.run(work())
