"""docs/tools.md is held to the tools: every one is in its table, with its arguments, and no other."""

from __future__ import annotations

import os
import re

from briefs.services import actors
from core.toolbox import BODY_LIMIT
from flower.env import BASE_DIR
from flower.mcp import endpoint, registry

DOCUMENT = BASE_DIR / "docs" / "tools.md"
BEGIN, END = "<!-- tools: begin -->\n", "<!-- tools: end -->"


def table() -> str:
    lines = ["| tool | arguments | for | what it does |", "|---|---|---|---|"]
    for name, served in registry.catalogue().items():
        arguments = ", ".join(f"{a.name}{'' if a.required else '?'}" for a in served.arguments.values())
        scopes = " ".join(letter for letter in "rao" if letter in served.tool.scopes)
        says = re.sub(r"\s+", " ", served.entry["description"]).replace("|", "\\|")
        lines.append(f"| `{name}` | {arguments} | {scopes} | {says} |")
    return "\n".join(lines) + "\n"


def test_the_table_of_tools_is_what_the_tools_say():
    text = DOCUMENT.read_text()
    before, rest = text.split(BEGIN)
    found, after = rest.split(END)
    if os.environ.get("FLOWER_WRITE_DOCS"):
        DOCUMENT.write_text(before + BEGIN + table() + END + after)
        found = table()
    assert found == table(), "docs/tools.md is out of date: FLOWER_WRITE_DOCS=1 make test"


def test_what_the_document_says_of_sizes_is_so():
    text = DOCUMENT.read_text()
    assert f"{BODY_LIMIT:,} bytes" in text
    assert registry.ANSWER_LIMIT == 400 * 1024 and "400 KB" in text
    assert endpoint.IDENTITY_SECONDS + actors.CACHE_SECONDS < 5 and "within 5 seconds" in text
    assert f"without it, {endpoint.LATEST_HANDSHAKE_VERSION}" in text
