"""`make demo`: against a running `make up`, dispatch the demo agent on a sample repository and follow the trace.

Everything goes through the doors that people use: management commands for setting up, MCP for the rest.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from flower import env

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 120.0  # seconds until the demo gives up waiting for the work to be merged


def main() -> int:
    settings = env.read({**_dotenv(), **os.environ})
    if not _answers(settings.public_url):
        print(f"flower does not answer at {settings.public_url}; start it with 'make up' first.", file=sys.stderr)
        return 1
    sample = _sample_repository(settings.home / "demo" / "sample")
    _command("agent_add", "demo", "--", sys.executable, str(ROOT / "demo" / "agent.py"))
    known = subprocess.run(
        [
            sys.executable,
            "manage.py",
            "project_add",
            str(sample),
            "--slug",
            "sample",
            "--gate",
            "test -s NOTES.md",
            "--auto-merge",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if known.returncode and "already" not in known.stderr:
        print(known.stderr.strip(), file=sys.stderr)
        return 1
    token = _command("actor_token", "operator:demo", "--project", "sample")
    return asyncio.run(_follow(settings.public_url, token))


async def _follow(url: str, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http)) as flower,
    ):
        brief = await _call(
            flower,
            "brief_create",
            body="Write down what this repository is for",
            spec="Add a NOTES.md.\n\nIt says what was asked for.\nIt is committed in small steps.",
            project="sample",
        )
        number = brief["brief"]
        print(f"brief #{number} captured: {url}{brief['url']}")
        asked = await _call(flower, "brief_dispatch", brief=number, agent="demo")
        print(f"dispatch {asked['dispatch']} on branch {asked['branch']}: {url}/dispatches/{asked['dispatch']}/")
        return await _tell(flower, number, f"{url}{brief['url']}")


async def _tell(flower: Client, number: int, link: str) -> int:
    told, deadline = 0, time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        answer = await _call(flower, "recall_brief", brief=number, include=["trace", "dispatches", "links"])
        for entry in sorted(answer["trace"], key=lambda entry: entry["seq"]):
            if entry["seq"] > told:
                told = entry["seq"]
                print(_line(entry))
        state = answer["dispatches"][0]["status"]
        if answer["status"] == "complete":
            commit = next(row["target"] for row in answer["links"] if row["kind"] == "commit")
            print(f"complete: merged as {commit[:12]}\n{link}")
            return 0
        if state in {"failed", "cancelled", "conflicted"}:
            print(f"the dispatch is {state}: {answer['dispatches'][0]['failure']}\n{link}", file=sys.stderr)
            return 1
        await asyncio.sleep(0.3)
    print(f"still {answer['status']} after {TIMEOUT:.0f} s; see {link}", file=sys.stderr)
    return 1


def _line(entry: dict[str, Any]) -> str:
    data = entry.get("data", {})
    told = entry["body"] or " ".join(f"{key}={value}" for key, value in data.items() if isinstance(value, str | int))
    first = told.splitlines()[0] if told else ""
    return f"  {entry['seq']:>3}  {entry['kind'].replace('_', ' '):<18} {entry['actor']:<22} {first[:90]}"


async def _call(flower: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = await flower.call_tool(tool, arguments)
    if answer.is_error:
        raise SystemExit(f"{tool} was refused: {getattr(answer.content[0], 'text', answer.content)}")
    return dict(answer.structured_content or {})


def _command(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr.strip())
    return done.stdout.strip()


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz", timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False


def _sample_repository(path: Path) -> Path:
    if not (path / ".git").is_dir():
        path.mkdir(parents=True, exist_ok=True)
        (path / "README.md").write_text("# A sample repository\n\nflower's demo works here.\n")
        who = ["-c", "user.name=flower demo", "-c", "user.email=demo@localhost"]
        for arguments in (["init", "--quiet", "-b", "main"], ["add", "."], [*who, "commit", "--quiet", "-m", "Begin"]):
            subprocess.run(["git", *arguments], cwd=path, check=True)
    return path


def _dotenv() -> dict[str, str]:
    from dotenv import dotenv_values

    return {name: value for name, value in dotenv_values(ROOT / ".env").items() if value}


if __name__ == "__main__":
    sys.exit(main())
