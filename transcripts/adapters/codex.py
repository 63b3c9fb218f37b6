"""Codex's rollouts: ``{"timestamp", "type", "payload"}`` a line; in the oldest ones the payload alone.

The same text stands in them twice: as an item of the conversation and as an event for the screen. The conversation is
read from the items; the events tell which of the user items a person typed, the tokens, what was stopped, and whether a
patch held.
"""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from transcripts.adapters.adapter import Adapter
from transcripts.adapters.records import (
    Keys,
    Record,
    as_json,
    born_at,
    commits_in,
    digest,
    flat,
    images,
    items,
    mapping,
    milliseconds,
    number,
    text,
)
from transcripts.events import Event, Kind, Status, Todo, Touch, Usage, Verb

ENVELOPES: Final = frozenset(
    {"session_meta", "turn_context", "response_item", "event_msg", "compacted", "inter_agent_communication"}
)
ITEMS: Final = frozenset(
    {"message", "reasoning", "function_call", "function_call_output", "custom_tool_call", "local_shell_call"}
)
# Told by an item as well, or of no interest to a reader of the session.
QUIET_ITEMS: Final = frozenset({"compaction", "context_compaction", "additional_tools", "ghost_snapshot"})
QUIET_EVENTS: Final = frozenset(
    {
        "agent_message", "agent_message_delta", "agent_reasoning", "agent_reasoning_delta",
        "agent_reasoning_raw_content", "agent_reasoning_section_break", "task_complete", "turn_complete",
        "context_compacted", "mcp_tool_call_begin", "mcp_tool_call_end", "web_search_begin", "web_search_end",
        "entered_review_mode", "exited_review_mode", "thread_goal_updated", "image_generation_end",
        "sub_agent_activity", "item_completed", "item_started", "exec_command_begin", "exec_command_end",
        "exec_command_output_delta", "patch_apply_begin", "plan_update", "turn_diff", "exec_approval_request",
        "apply_patch_approval_request", "session_configured", "background_event", "thread_name_updated",
        "raw_response_item", "view_image_tool_call", "shutdown_complete",
    }
)  # fmt: skip
TURNS: Final = frozenset({"task_started", "turn_started"})  # events that begin one, and tell its id
FAILED_PATCHES: Final = 64
REPEATS: Final = 200  # equal texts in one session that are told apart

_INJECTED: Final = re.compile(
    r"\s*(?:# AGENTS\.md instructions|<(?:environment_context|user_instructions|skill|turn_aborted"
    r"|subagent_notification|permissions instructions|collaboration_mode|model_switch|INSTRUCTIONS)\b)"
)
_SHELL_COMMAND: Final = re.compile(r"\s*<user_shell_command>")
_REQUEST: Final = "## My request for Codex:"
_PATCH: Final = "*** Begin Patch"
_PATCHED: Final = re.compile(r"^\*\*\* (Add|Update|Delete) File: (.+)$(?:\n\*\*\* Move to: (.+)$)?", re.M)
_VERBS: Final = {"Add": Verb.WRITTEN, "Update": Verb.EDITED, "Delete": Verb.DELETED}
_EXITED: Final = re.compile(r"(?:Process exited with code|Exit code:) (-?\d{1,6})\b")
_SHELLS: Final = frozenset({"exec_command", "shell", "container.exec", "local_shell", "shell_command"})
_STATES: Final = {"pending": Status.PENDING, "in_progress": Status.ACTIVE, "completed": Status.DONE}
_NAMED: Final = re.compile(r"rollout-(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)-([0-9a-f-]{36})")
_MODEL_SPOKE: Final = (Kind.ANSWER, Kind.THINKING, Kind.CALL)


def is_record(record: Record) -> bool:
    """Is this a line that Codex writes, now or in its oldest versions?"""
    if "payload" in record:
        return record.get("type") in ENVELOPES and isinstance(record["payload"], dict)
    if record.get("record_type") == "state":
        return True
    if record.get("type") == "message":  # the other items of the oldest versions are those of other programs too
        return "role" in record and isinstance(record.get("content"), list)
    return (
        "type" not in record and {"id", "timestamp"} <= record.keys() and bool({"instructions", "git"} & record.keys())
    )


class Codex(Adapter):
    program = "codex"
    has_ids = False

    def __init__(self, name: str = "", state: dict[str, Any] | None = None, keys: Keys | None = None) -> None:
        super().__init__(name, state, keys)
        if (found := _NAMED.match(name)) and not self.facts.session_id:
            self.facts.session_id = found[5]
        self._named_at = milliseconds(f"{found[1]}T{found[2]}:{found[3]}:{found[4]}") if found else None
        more = self.more
        # A user item that the next record may call a person's: line, key, text, time, images.
        self.asked: list[Any] | None = more.get("asked")
        self.failed: list[str] = more.setdefault("failed", [])  # patches that did not hold, by call
        self._parents: Keys | None = None

    def state(self) -> dict[str, Any]:
        self.more["asked"] = self.asked
        return super().state()

    def take(self, line: int, record: Record) -> None:
        payload = record.get("payload")
        kind = record.get("type")
        when = milliseconds(stamp) if isinstance(stamp := record.get("timestamp"), str) else None
        if not isinstance(payload, dict):
            self._bare(line, record)
            return
        what = payload.get("type")
        turn = text(payload.get("turn_id")) if kind == "turn_context" or what in TURNS else ""
        is_copied = bool(self.facts.agent_id) and self._is_copied(kind, turn, payload, record)
        if turn:
            self.keys.add(f"turn {turn}")  # a copied one too: a sub-agent of this one copies it again
        if is_copied:
            self.counts.left_out += 1
            if what == "token_count":  # the copy's last total may be told once more by a refresh in the own part
                self._note_total(mapping(mapping(payload.get("info")).get("total_token_usage")))
            return
        if self.asked and not (kind == "event_msg" and what == "user_message"):
            self._settle(is_typed=not self.more.get("typed"))
        if kind == "response_item":
            self._item(line, payload, when, text(record.get("timestamp")))
        elif kind == "event_msg":
            self._event(line, payload, when)
        elif kind == "turn_context":
            self.facts.model = text(payload.get("model")) or self.facts.model
            self.facts.cwd = self.facts.cwd or text(payload.get("cwd"))
        elif kind == "session_meta":
            self._meta(payload)
        elif kind == "compacted":
            told = {"tokens_before": self.counts.context}
            self._give(Event(line, Kind.COMPACTION, "", text(payload.get("message")), when, data=told), record)
        elif kind == "inter_agent_communication":
            said = flat(payload.get("content")) or text(payload.get("message"))
            self._give(Event(line, Kind.SYSTEM, "", said, when, data={"injected": True}), record)
        else:
            self.counts.unknown += 1

    # --- a sub-agent's log begins with a copy of its parent's

    def _is_copied(self, kind: Any, turn: str, payload: Record, record: Record) -> bool:
        """Was this record copied from the parent's log, whose times and texts it may have anew?

        What tells is the turn that it stands in. Before the first turn it is the header of the parent, which a copy may
        have below its own, or the place from which on the log says that it is its own.
        """
        more = self.more
        if kind == "session_meta":
            if more.get("meta") and text(payload.get("id")) != self.facts.agent_id:
                more["copying"] = True
            return False  # a second one is counted as repeated
        if turn:
            more["copying"], more["turned"] = self._is_parents(turn), True
        elif kind == "turn_context":  # of a turn without a name
            more["copying"] = False
        elif not more.get("turned") and more.get("own_from") and isinstance(ordinal := record.get("ordinal"), int):
            more["copying"] = ordinal < more["own_from"]
        return bool(more.get("copying"))

    def _is_parents(self, turn: str) -> bool:
        """Is this turn the parent's? Its id says when it began, or the parent's log has it.

        Where neither tells, it is taken for the sub-agent's own: to show too much is better than to lose work.
        """
        began, born = born_at(turn), self.more.get("born")
        if began is not None and born is not None:
            return bool(began < born)
        if self._parents is None and self.find_parent is not None:
            self._parents = self.find_parent()
        return self._parents is not None and f"turn {turn}" in self._parents

    def _bare(self, line: int, record: Record) -> None:
        """The oldest format: no envelope, no times but in the file's name, nothing that marks a person's prompt."""
        if record.get("record_type") == "state":
            return
        if "type" not in record:
            if not self.more.get("meta") and "id" in record:
                self._meta(record)
            else:
                self.counts.unknown += 1
            return
        self._item(line, record, self._named_at, "")
        if self.asked:
            self._settle(is_typed=True)

    def _meta(self, payload: Record) -> None:
        """The first one is the file's own; a fork repeats its parent's."""
        if self.more.get("meta"):
            self.counts.repeated += 1
            return
        self.more["meta"] = True
        facts = self.facts
        own = text(payload.get("id"))
        source = mapping(payload.get("source")).get("subagent")
        spawned = mapping(mapping(source).get("thread_spawn"))
        parent = text(payload.get("parent_thread_id")) or text(spawned.get("parent_thread_id"))
        is_agent = bool(source) or payload.get("thread_source") == "subagent"
        facts.session_id = own or facts.session_id
        if parent and is_agent:
            root = text(payload.get("session_id"))
            facts.agent_id = own or "agent"
            facts.session_id = root if root and root != own else parent
            facts.parent_id = parent
            self.more["born"] = born_at(own)
            self.more["own_from"] = number(payload.get("subagent_history_start_ordinal"))
        else:  # a person's fork names its parent too
            facts.parent_id = text(payload.get("forked_from_id")) or parent
        facts.cwd = text(payload.get("cwd")) or facts.cwd
        facts.version = text(payload.get("cli_version")) or facts.version
        facts.branch = text(mapping(payload.get("git")).get("branch")) or facts.branch

    # --- giving out

    def _give(self, event: Event, record: Record | None = None, name: str = "") -> int:
        """Give out once. What has an id is known by it; a text by itself and by how often it came before, so that the
        key is the same in a copy with new times. ``record`` tells a line that stands in this file twice."""
        event.agent = self.facts.agent_id
        if record is not None and not self.keys.add(digest("line", as_json(record))):
            self.counts.repeated += 1
            return 0
        if name:
            event.key = name
            if not self.keys.add(name):
                self.counts.repeated += 1
                return 0
        else:
            for times in range(REPEATS):
                event.key = digest(event.kind, event.text, str(times))
                if self.keys.add(event.key):
                    break
            else:
                event.key = digest(event.kind, event.text, str(event.line))
                self.keys.add(event.key)
        given = self.give(event)
        if event.kind in _MODEL_SPOKE:
            event.message = f"r{self.more.get('replies', 0)}"
            event.model = self.facts.model
            self.more["spoke"] = given
        self.more["last"] = given
        return given

    def _settle(self, *, is_typed: bool) -> None:
        """The user item that was held back is not a person's; or, in a log that marks none, it may be one."""
        assert self.asked
        (line, stamp, said, when, pictures), self.asked = self.asked, None
        event = Event(line, Kind.PROMPT if is_typed else Kind.SYSTEM, "", said, when)
        if is_typed:
            self.more["prompt"] = digest(said)
        else:
            event.data["injected"] = True
        if pictures:
            event.data["images"] = pictures
        self._give(event, {"asked": said, "at": stamp or line})

    # --- items of the conversation

    def _item(self, line: int, item: Record, when: int | None, stamp: str) -> None:
        what = item.get("type")
        if what == "message":
            self._message(line, item, when, stamp)
        elif what == "reasoning":
            said = flat(item.get("summary")) or flat(item.get("content"))
            if said:
                self._give(Event(line, Kind.THINKING, "", said, when), {"at": stamp or line} | item)
        elif what in ("function_call", "custom_tool_call", "local_shell_call"):
            self._call(line, item, when)
        elif what in ("function_call_output", "custom_tool_call_output"):
            self._output(line, item, when)
        elif what in ("web_search_call", "tool_search_call", "image_generation_call"):
            call = text(item.get("call_id")) or text(item.get("id"))
            given = item.get("action") if what == "web_search_call" else item.get("arguments")
            event = Event(line, Kind.CALL, "", as_json(given), when, tool=text(what).removesuffix("_call"), call=call)
            if call:
                self.called(call, event.tool, "")
            self._give(event, {"at": stamp or line} | item if not call else None, f"call {call}" if call else "")
        elif what == "tool_search_output":
            self._output(line, {"output": as_json(item.get("tools"))} | item, when)
        elif what == "agent_message":
            said = flat(item.get("content")) or text(item.get("message"))
            event = Event(line, Kind.SYSTEM, "", said, when, data={"injected": True})
            self._give(event, {"at": stamp or line} | item)
        elif what not in QUIET_ITEMS:
            self.counts.unknown += 1

    def _message(self, line: int, item: Record, when: int | None, stamp: str) -> None:
        role, content = item.get("role"), item.get("content")
        said = flat(content)
        record = {"at": stamp or line, "role": role, "said": said}
        if role == "assistant":
            event = Event(line, Kind.ANSWER, "", said, when)
            if phase := text(item.get("phase")):
                event.data["phase"] = phase
            if said:
                self._give(event, record)
        elif role == "user" and (shell := _typed_command(said)) is not None:
            self._give(Event(line, Kind.COMMAND, "", f"!{shell}", when, command=shell), record)
        elif role == "user" and not _INJECTED.match(said):
            self.asked = [line, stamp, said, when, images(content)]
        elif said:
            self._give(Event(line, Kind.SYSTEM, "", said, when, data={"injected": True}), record)

    def _call(self, line: int, item: Record, when: int | None) -> None:
        tool, call = text(item.get("name")), text(item.get("call_id")) or text(item.get("id"))
        given: Any = item.get("arguments", item.get("input", item.get("action")))
        parsed = _parsed(given)
        if item.get("type") == "local_shell_call":
            tool = "local_shell"
        command = _command(parsed) if tool in _SHELLS else ""
        shown = given if isinstance(given, str) else as_json(given)
        event = Event(line, Kind.CALL, "", shown, when, tool=tool, call=call, command=command)
        if item.get("type") == "custom_tool_call":
            event.text = as_json({"input": given}) if isinstance(given, str) else shown
        patch = text(given) if tool == "apply_patch" else command
        if _PATCH in patch or (_PATCH in (patch := text(parsed.get("input")))):
            event.touches = _touches(patch)
        if tool == "update_plan":
            rows = [mapping(row) for row in items(parsed.get("plan"))]
            event.todos = tuple(
                Todo(text(row.get("step")), _STATES.get(text(row.get("status")), Status.PENDING)) for row in rows
            )
        if space := text(item.get("namespace")):
            event.data["namespace"] = space
        if self._give(event, None, f"call {call}" if call else ""):
            self.called(call, tool, command)

    def _output(self, line: int, item: Record, when: int | None) -> None:
        call = text(item.get("call_id"))
        tool, command = self.calls.get(call, ["", ""])
        given = item.get("output")
        said = flat(given) if not isinstance(given, dict) else text(given.get("content")) or as_json(given)
        event = Event(line, Kind.RESULT, "", said, when, tool=tool, call=call)
        success: Any = given.get("success") if isinstance(given, dict) else None
        head = said[:400]
        if found := _EXITED.search(head):
            event.exit_code = int(found[1])
        elif head.startswith("{") and '"metadata"' in said:
            old = _parsed(said)
            code = mapping(old.get("metadata")).get("exit_code")
            event.exit_code = code if isinstance(code, int) and abs(code) < 2**31 else None
            event.text = said = text(old.get("output")) or said
        event.is_error = bool(event.exit_code) or success is False or call in self.failed
        if tool in _SHELLS or tool == "write_stdin" or not tool:
            event.commits = commits_in(said, command if tool in _SHELLS else None)
        if pictures := images(given):
            event.data["images"] = pictures
        if self._give(event, None, f"result {call}" if call else ""):
            self.calls.pop(call, None)

    # --- events of the screen

    def _event(self, line: int, payload: Record, when: int | None) -> None:
        what = payload.get("type")
        if what == "user_message":
            self._typed(line, payload, when)
        elif what == "token_count":
            self._tokens(mapping(payload.get("info")))
        elif what in ("task_started", "turn_started"):
            self.counts.window = number(payload.get("model_context_window")) or self.counts.window
        elif what == "turn_aborted":
            reason = text(payload.get("reason")) or "interrupted"
            self._give(Event(line, Kind.INTERRUPTION, "", reason, when), {"at": when, "turn": payload.get("turn_id")})
        elif what == "thread_rolled_back":
            turns = number(payload.get("num_turns"))
            said = f"The last {turns} turns were taken back." if turns != 1 else "The last turn was taken back."
            event = Event(line, Kind.SYSTEM, "", said, when, data={"rolled_back": turns})
            if self._give(event, {"at": when, "back": turns}):
                self.counts.forks += 1
        elif what == "patch_apply_end":
            if payload.get("success") is False:
                self.failed.append(text(payload.get("call_id")))
                del self.failed[:-FAILED_PATCHES]
        elif what in ("error", "stream_error", "warning"):
            said = text(payload.get("message"))
            event = Event(line, Kind.SYSTEM, "", said, when, is_error=what != "warning")
            self._give(event, {"at": when, "said": said})
        elif what not in QUIET_EVENTS:
            self.counts.unknown += 1

    def _typed(self, line: int, payload: Record, when: int | None) -> None:
        """A person's prompt: one event with the user item before it, whose line it has."""
        said = text(payload.get("message"))
        pictures = len(items(payload.get("images"))) + len(items(payload.get("local_images")))
        first, stamp = line, f"event {when}"
        if self.asked:
            first, stamp, item, at_item, shown = self.asked
            self.asked = None
            pictures = max(pictures, shown)
            when = at_item if at_item is not None else when
            said = said or item
        elif self.more.get("prompt") == digest(said):  # taken for a prompt before anything marked one
            self.more["typed"], self.more["prompt"] = True, ""
            return
        self.more["typed"] = True
        context, marked, request = said.partition(_REQUEST)
        event = Event(first, Kind.PROMPT, "", (request if marked else said).strip(), when)
        if marked and context.strip():
            event.data["context"] = context.strip()[:4000]  # what the editor put before the request
        if pictures:
            event.data["images"] = pictures
        if event.text or pictures:
            self._give(event, {"asked": said, "at": stamp})

    def _tokens(self, info: Record) -> None:
        """One answer of the model is spent when the total has changed; equal totals are a refresh of the screen."""
        total = mapping(info.get("total_token_usage"))
        last = mapping(info.get("last_token_usage"))
        counts = self.counts
        counts.window = number(info.get("model_context_window")) or counts.window
        counts.context = number(last.get("total_tokens")) or counts.context
        if not self._note_total(total):
            return
        cached = number(last.get("cached_input_tokens"))
        written = number(last.get("cache_write_input_tokens"))
        fresh = max(0, number(last.get("input_tokens")) - cached - written)
        usage = Usage(fresh, written, cached, number(last.get("output_tokens")))
        replies = self.more.get("replies", 0)
        shown = self.more.pop("spoke", 0) or self.more.get("last", 0)
        if shown:
            self.spend(f"r{replies}", shown, usage, None, self.facts.model)
            if counts.window:
                self.amend(shown, window=counts.window)
        self.more["replies"] = replies + 1

    def _note_total(self, total: Record) -> bool:
        """Has it changed?"""
        now = [number(total.get(name)) for name in ("input_tokens", "output_tokens", "total_tokens")]
        if not total or now == self.more.get("total"):
            return False
        self.more["total"] = now
        return True


def _parsed(given: Any) -> Record:
    """The arguments of a call: a JSON string, or an object."""
    if isinstance(given, dict):
        return given
    if not isinstance(given, str) or not given.lstrip().startswith("{"):
        return {}
    try:
        return mapping(orjson.loads(given))
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return {}


def _command(given: Record) -> str:
    """As a person would type it. An argv of a shell with -c is its script."""
    command = given.get("cmd", given.get("command"))
    if isinstance(command, str):
        return command
    words = [word for word in items(command) if isinstance(word, str)]
    if len(words) == 3 and words[1] in ("-c", "-lc", "-ic"):
        return words[2]
    return " ".join(words)


def _touches(patch: str) -> tuple[Touch, ...]:
    found = []
    for what, path, moved in _PATCHED.findall(patch):
        path, moved = path.rstrip(), moved.rstrip()
        if moved:
            found += [Touch(path, Verb.DELETED), Touch(moved, Verb.WRITTEN)]
        else:
            found.append(Touch(path, _VERBS[what]))
    return tuple(found)


def _typed_command(said: str) -> str | None:
    """The shell command that a person typed; None for anything else."""
    opened = _SHELL_COMMAND.match(said)
    begin = said.find("<command>", opened.end()) if opened else -1
    end = said.find("</command>", begin) if begin >= 0 else -1
    return said[begin + len("<command>") : end].strip() if end >= 0 else None
