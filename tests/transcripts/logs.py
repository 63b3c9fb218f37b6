"""Logs as the programs write them, made up: a few records of each kind, with everything that is awkward about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flower.env import BASE_DIR

SAMPLES = BASE_DIR.parent / "shared" / "transcripts"  # real logs; tests that read them are skipped elsewhere
SESSION = "11111111-2222-3333-4444-555555555555"


def dump(*records: Any) -> bytes:
    """One line a record; bytes are taken as they are."""
    lines = [each if isinstance(each, bytes) else json.dumps(each, ensure_ascii=False).encode() for each in records]
    return b"".join(line + b"\n" for line in lines)


class Claude:
    """Makes the records of one session, each with its own uuid and the next second."""

    def __init__(self, session: str = SESSION, cwd: str = "/src/shop") -> None:
        self.session, self.cwd, self.count, self.parent = session, cwd, 0, None
        self.mark = int(session[:8], 16)

    def record(self, kind: str, **fields: Any) -> dict[str, Any]:
        self.count += 1
        uuid = f"{self.count:08x}-0000-4000-8000-{self.mark:012x}"
        made = {
            "parentUuid": self.parent,
            "isSidechain": False,
            "cwd": self.cwd,
            "sessionId": self.session,
            "version": "2.1.40",
            "gitBranch": "main",
            "type": kind,
            "uuid": uuid,
            "timestamp": f"2026-03-01T10:{self.count // 60:02d}:{self.count % 60:02d}.000Z",
        }
        self.parent = uuid
        return made | fields

    def prompt(self, text: str, **fields: Any) -> dict[str, Any]:
        return self.record("user", message={"role": "user", "content": text}, **fields)

    def said(self, *blocks: Any, message: str = "", output: int = 5, **fields: Any) -> dict[str, Any]:
        usage = {
            "input_tokens": 10,
            "cache_creation_input_tokens": 100,
            "cache_read_input_tokens": 1000,
            "output_tokens": output,
        }
        content = [{"type": "text", "text": block} if isinstance(block, str) else block for block in blocks]
        name = message or f"msg_{self.mark:x}_{self.count + 1}"
        body = {"id": name, "role": "assistant", "model": "claude-opus-4-6", "content": content, "usage": usage}
        return self.record("assistant", message=body, requestId=f"req_{name}", **fields)

    def call(self, tool: str, call: str, message: str = "", **given: Any) -> dict[str, Any]:
        return self.said({"type": "tool_use", "id": call, "name": tool, "input": given}, message=message)

    def result(self, call: str, text: Any, *, is_error: bool = False, structured: Any = None) -> dict[str, Any]:
        block = {"type": "tool_result", "tool_use_id": call, "content": text, "is_error": is_error}
        more = {} if structured is None else {"toolUseResult": structured}
        return self.record("user", message={"role": "user", "content": [block]}, **more)

    def tick(self) -> dict[str, Any]:
        return self.record("progress", data={"type": "bash_progress", "output": "…"}, toolUseID="toolu_1")


def claude_log(session: str = SESSION) -> list[Any]:
    """A session of a dozen events that has most of what the format knows."""
    log = Claude(session)
    return [
        {"type": "file-history-snapshot", "messageId": "m", "snapshot": {}, "isSnapshotUpdate": False},
        log.prompt("Add a button to the shop 🛒"),
        log.said({"type": "thinking", "thinking": "A button …"}, message="msg_a", output=1),
        log.said("I look first.", message="msg_a", output=2),
        log.call("Read", "toolu_1", message="msg_a", file_path="/src/shop/app.py"),
        log.tick(),
        log.result("toolu_1", "1→print()"),
        log.call("Edit", "toolu_2", file_path="/src/shop/app.py", old_string="a", new_string="b"),
        log.call("Write", "toolu_3", file_path="/src/shop/new.py", content="x"),
        log.result("toolu_2", "done"),
        log.result("toolu_3", "done", structured={"type": "create", "filePath": "/src/shop/new.py"}),
        log.call("TodoWrite", "toolu_4", todos=[{"content": "test", "status": "in_progress", "activeForm": "testing"}]),
        log.result("toolu_4", "ok"),
        log.call("Bash", "toolu_5", command="git commit -m 'Add a button'"),
        log.result(
            "toolu_5", "[main 1a2b3c4] Add a button\n 2 files changed", structured={"stdout": "…", "interrupted": False}
        ),
        log.record("system", subtype="compact_boundary", compactMetadata={"trigger": "auto", "preTokens": 150000}),
        log.prompt("This session is being continued …", isCompactSummary=True, isVisibleInTranscriptOnly=True),
        log.prompt("[Request interrupted by user]"),
        log.prompt("<command-name>/model</command-name>\n<command-args>opus</command-args>"),
        log.said("Done.", output=7),
        {"type": "custom-title", "customTitle": "The button", "sessionId": session},
        {"type": "from-the-future", "sessionId": session},
    ]


class Codex:
    """Makes the records of one rollout."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0

    def record(self, kind: str, **payload: Any) -> dict[str, Any]:
        self.count += 1
        return {"timestamp": f"2026-06-01T10:00:{self.count:02d}.000Z", "type": kind, "payload": payload}

    def item(self, kind: str, **payload: Any) -> dict[str, Any]:
        return self.record("response_item", type=kind, **payload)

    def event(self, kind: str, **payload: Any) -> dict[str, Any]:
        return self.record("event_msg", type=kind, **payload)

    def message(self, role: str, text: str) -> dict[str, Any]:
        kind = "output_text" if role == "assistant" else "input_text"
        return self.item("message", role=role, content=[{"type": kind, "text": text}])

    def tokens(self, last: int) -> dict[str, Any]:
        self.total += last
        row = {"input_tokens": last, "cached_input_tokens": last // 2, "output_tokens": 3, "total_tokens": last + 3}
        total = {**row, "input_tokens": self.total, "total_tokens": self.total}
        info = {"total_token_usage": total, "last_token_usage": row, "model_context_window": 200_000}
        return self.event("token_count", info=info)


def codex_log() -> list[Any]:
    log = Codex()
    tokens = log.tokens(1000)
    return [
        log.record("session_meta", id=SESSION, cwd="/src/shop", cli_version="0.140.0", git={"branch": "work"}),
        log.event("task_started", turn_id="t1", model_context_window=200_000),
        log.message("user", "# AGENTS.md instructions for /src/shop"),
        log.record("turn_context", turn_id="t1", cwd="/src/shop", model="gpt-5.5"),
        log.message("user", "Fix the total"),
        log.event("user_message", message="Fix the total", images=[]),
        log.event("agent_reasoning", text="Hm."),
        log.item("reasoning", summary=[{"type": "summary_text", "text": "Hm."}]),
        log.event("agent_message", message="I look."),
        log.message("assistant", "I look."),
        log.item("function_call", name="exec_command", arguments='{"cmd": "git commit -m x"}', call_id="c1"),
        log.item("function_call_output", call_id="c1", output="Process exited with code 1\n[main 1a2b3c4] x\n"),
        tokens,
        tokens,
        log.item("custom_tool_call", name="apply_patch", call_id="c2", input="*** Begin Patch\n*** Add File: a.py\n"),
        log.event("patch_apply_end", call_id="c2", success=False, changes={}),
        log.item("custom_tool_call_output", call_id="c2", output="nothing"),
        log.record("compacted", message="So far …", replacement_history=[{"type": "message", "role": "user"}]),
        log.event("turn_aborted", turn_id="t1", reason="interrupted"),
        log.record("world_state", x=1),
    ]  # fmt: skip


def write(folder: Path, content: bytes, name: str = f"{SESSION}.jsonl") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path
