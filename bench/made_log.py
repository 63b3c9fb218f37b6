"""A Claude log for machines that have no real ones: made up, in the proportions of real ones.

They were measured on 15 logs of five projects (16 MB, 6,500 records) and on the 25 MB that the benchmark makes of them:
the kinds of records, how many of each stand beside a call (every second one is a tick), the median and the spread of
what each tool is given and gives back (sizes are log-normal), and how often text comes again. A result is told twice
in its record, an edited file is in its record whole, and one file is read and edited many times: hence such logs shrink
to less than a fifth, where words drawn anew for each text shrink to a third.
"""

from __future__ import annotations

import base64
import json
import math
import random
from collections.abc import Iterator
from typing import Any, Final

STEPS: Final = 150  # calls in one round: 2 MB
FILES: Final = 14
LINE: Final = 33  # characters of a file's line, on average
CALLS: Final = {"Bash": 50, "Read": 24, "Edit": 16, "Grep": 13, "Write": 5, "TodoWrite": 4}
SIGNS: Final = ["(", ")", " = ", ".", ", ", ": ", " == ", " + ", '"', '")', " {", "}", ";", " -> "]
PROSE: Final = "the a of to in is and for if not return from import const this self def with await as it that"
COMMON: Final = PROSE.split()


def made_up(session: str, number: int) -> Iterator[bytes]:
    """One round of a session, in its order; every round has another project, and ids of its own."""
    return _Round(session, number).records()


class _Round:
    def __init__(self, session: str, number: int) -> None:
        self.session, self.number = session, number
        self.chance = chance = random.Random(number)
        self.count = 0
        self.words = ["".join(chance.choices("aeiourstnlmdcp", k=chance.randint(3, 9))) for _ in range(500)]
        self.weights = [1 / (rank + 1) ** 1.2 for rank in range(len(self.words))]
        self.phrases = [" ".join(chance.choices(COMMON + self.words, k=5)) for _ in range(300)]
        self.phrase_weights = [1 / (rank + 4) for rank in range(len(self.phrases))]
        self.lines: list[str] = []
        self.files = [self._file(self._size(13_500, 1.0, 100_000)) for _ in range(FILES)]

    def records(self) -> Iterator[bytes]:
        chance = self.chance
        tools = chance.choices(list(CALLS), list(CALLS.values()), k=STEPS)
        for step, tool in enumerate(tools):
            side = {"isSidechain": True, "agentId": f"{self.number:08x}"} if step % 8 == 5 else {}
            if step % 11 == 0:
                yield self._record("user", message={"role": "user", "content": self._said(250, 1.3)})
                yield self._record("system", subtype="turn_duration", durationMs=1000 * step, isMeta=False)
            if step % 9 == 4:
                yield self._snapshot(step)
            if step == 70 and self.number % 4 == 2:
                yield self._picture()
            yield from self._step(step, tool, side)
            if step % 23 == 7:
                yield self._record(
                    "progress", data={"message": {"content": self._said(7000, 0.6)}, "type": "agent_progress"}
                )

    def _step(self, step: int, tool: str, side: dict[str, Any]) -> Iterator[bytes]:
        """What the model says and thinks before a call, the call, its ticks, its result."""
        chance = self.chance
        call = f"toolu_{self.number:04d}{step:020d}"
        given, shown, result = getattr(self, f"_{tool.lower()}")()
        said: list[dict[str, Any]] = []
        if chance.random() < 0.25:
            signature = base64.b64encode(chance.randbytes(self._size(400, 1.2, 8000))).decode()
            said.append({"type": "thinking", "thinking": self._said(233, 1.4), "signature": signature})
        if chance.random() < 0.52:
            said.append({"type": "text", "text": self._said(106, 1.4)})
        usage = {"input_tokens": 3, "cache_creation_input_tokens": chance.randrange(3000), "output_tokens": step + 9}
        usage |= {"cache_read_input_tokens": 40_000 + 300 * step, "service_tier": "standard"}
        usage |= {"cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 900}}
        body = {"model": "claude-opus-4-6", "id": f"msg_{self.number:04d}{step:020d}", "type": "message"}
        body |= {"role": "assistant", "stop_reason": None, "stop_sequence": None, "usage": usage}
        for block in [*said, {"type": "tool_use", "id": call, "name": tool, "input": given}]:
            yield self._record("assistant", side, message={**body, "content": [block]}, requestId=f"req_{step:024d}")
        for _ in range(chance.choice((0, 1, 1, 3, 4, 5, 6))):
            yield self._tick(step, call)
        answer = [{"tool_use_id": call, "type": "tool_result", "content": shown, "is_error": False}]
        yield self._record("user", side, message={"role": "user", "content": answer}, toolUseResult=result)

    # --- what a tool is given, what the model sees of its result, what the program notes of it

    def _bash(self) -> tuple[Any, str, Any]:
        output = self._part(self._size(360, 1.9, 30_000))
        given = {"command": f"make {self.chance.choice(self.words)} && {self._said(90, 0.7)}", "description": "Try it"}
        return given, output, {"stdout": output, "stderr": "", "interrupted": False, "isImage": False}

    def _read(self) -> tuple[Any, str, Any]:
        path, lines = self._any_file()
        first = self.chance.randrange(max(1, len(lines) // 2))
        part = lines[first : first + 1 + self._size(3000, 1.6, 72_000) // LINE]
        shown = "\n".join([f"{place:6}→{line}" for place, line in enumerate(part, first + 1)])
        file = {"filePath": path, "content": "\n".join(part), "numLines": len(part), "startLine": first + 1}
        return {"file_path": path}, shown, {"type": "text", "file": {**file, "totalLines": len(lines)}}

    def _edit(self) -> tuple[Any, str, Any]:
        path, lines = self._any_file()
        first, whole = self.chance.randrange(len(lines)), "\n".join(lines)
        old = lines[first : first + 1 + self._size(400, 0.9, 9000) // LINE]
        new = [*old, self._line()]
        lines[first : first + len(old)] = new
        given = {"file_path": path, "old_string": "\n".join(old), "new_string": "\n".join(new), "replace_all": False}
        shown = f"The file {path} has been updated successfully."
        patch = {"oldStart": first, "oldLines": len(old), "lines": [*(f" {line}" for line in old), f"+{new[-1]}"]}
        result = {"filePath": path, "oldString": given["old_string"], "newString": given["new_string"]}
        return given, shown, {**result, "originalFile": whole, "structuredPatch": [patch], "userModified": False}

    def _grep(self) -> tuple[Any, str, Any]:
        path, lines = self._any_file()
        found = self.chance.sample(lines, min(len(lines), self._size(150, 2.0, 9000) // 60))
        shown = "\n".join([f"{path}:{place}:{line}" for place, line in enumerate(found, 3)]) or "No matches found"
        given = {"pattern": self.chance.choice(self.words), "path": "/src/shop", "output_mode": "content", "-n": True}
        return given, shown, {"mode": "content", "numFiles": 0, "filenames": [], "content": shown}

    def _write(self) -> tuple[Any, str, Any]:
        path, content = f"/src/shop/new{self.count}.py", self._part(self._size(1500, 1.3, 16_000))
        result = {"type": "create", "filePath": path, "content": content, "structuredPatch": [], "originalFile": None}
        return {"file_path": path, "content": content}, f"File created successfully at: {path}", result

    def _todowrite(self) -> tuple[Any, str, Any]:
        rows = [{"content": line, "status": "pending", "activeForm": line} for line in self.lines[:6]]
        shown = "Todos have been modified successfully. Ensure that you continue to use the todo list."
        return {"todos": rows}, shown, {"oldTodos": rows, "newTodos": rows}

    # --- records

    def _record(self, kind: str, more: dict[str, Any] | None = None, **values: Any) -> bytes:
        self.count += 1
        made = {"parentUuid": self._uuid(self.count - 1), "isSidechain": False, "userType": "external"}
        made |= {"cwd": "/src/shop", "sessionId": self.session, "version": "2.1.62", "gitBranch": "main"}
        made |= {"slug": "quick-brown-fox", **(more or {}), "type": kind, **values, "uuid": self._uuid(self.count)}
        second = self.count * 3
        made["timestamp"] = (
            f"2026-03-{1 + self.number % 28:02d}T{second // 3600 % 24:02d}:{second // 60 % 60:02d}"
            f":{second % 60:02d}.{second * 7 % 1000:03d}Z"
        )
        return json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    def _tick(self, step: int, call: str) -> bytes:
        output = self._said(90, 1.0) if step % 5 == 0 else ""
        data = {"type": "bash_progress", "output": output, "fullOutput": output, "elapsedTimeSeconds": step}
        data |= {"totalLines": 0, "totalBytes": 0, "taskId": f"b{step:08d}"}
        return self._record("progress", data=data, toolUseID=f"bash-progress-{step}", parentToolUseID=call)

    def _snapshot(self, step: int) -> bytes:
        backups = {path: {"backupFileName": f"{step:016x}@v1", "version": 1} for path in ("a.py", "b.py", "c.py")}
        made = {"type": "file-history-snapshot", "messageId": self._uuid(self.count), "isSnapshotUpdate": False}
        return json.dumps({**made, "snapshot": {"trackedFileBackups": backups}}).encode() + b"\n"

    def _picture(self) -> bytes:
        source = {
            "type": "base64",
            "media_type": "image/png",
            "data": base64.b64encode(self.chance.randbytes(260_000)).decode(),
        }
        return self._record("user", message={"role": "user", "content": [{"type": "image", "source": source}]})

    def _uuid(self, count: int) -> str:
        """No two begin alike, as with real ones: they are what does not shrink in a tick."""
        mixed = f"{(count * 0x9E3779B97F4A7C15 + self.number * 0xD1B54A32D192ED03) % 2**64:016x}"
        return f"{mixed[:8]}-{mixed[8:12]}-4{mixed[12:15]}-8{mixed[13:16]}-{self.number:04x}{count:08x}"

    # --- texts

    def _size(self, median: int, spread: float, most: int) -> int:
        return min(most, int(self.chance.lognormvariate(math.log(median), spread)))

    def _said(self, median: int, spread: float) -> str:
        size = self._size(median, spread, 20_000)
        parts = self.chance.choices(self.phrases, self.phrase_weights, k=1 + size // 24)
        return " ".join(parts)[: max(1, size)]

    def _part(self, size: int) -> str:
        """So many characters of a file, as a program shows them."""
        _, lines = self._any_file()
        first = self.chance.randrange(len(lines))
        return "\n".join(lines[first : first + 1 + size // LINE])[:size]

    def _any_file(self) -> tuple[str, list[str]]:
        """The first ones more often: people work on a few files at a time."""
        place = int(FILES * self.chance.random() ** 2)
        return f"/src/shop/{self.words[place]}.py", self.files[place]

    def _file(self, size: int) -> list[str]:
        made = [self._line() for _ in range(3 + size // LINE)]
        self.lines = made
        return made

    def _line(self) -> str:
        chance = self.chance
        if self.lines and chance.random() < 0.68:  # code repeats itself
            return chance.choice(self.lines)
        names = chance.choices(self.words + COMMON, self.weights + [0.1] * len(COMMON), k=chance.randint(1, 6))
        return " " * 4 * chance.randrange(4) + "".join([name + chance.choice(SIGNS) for name in names])
