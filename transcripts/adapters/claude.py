"""Claude Code's session logs: one JSON object a line, one line a content block.

The envelope's ``type`` selects the kind; a model message comes as several records with one ``message.id``, and results
of parallel tools stand between them. File order is the order of the events; the tree of uuids only tells of forks.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Any, Final

from transcripts.adapters.adapter import OPEN_MESSAGES, Adapter, Parsed
from transcripts.adapters.records import (
    Keys,
    Record,
    as_json,
    at,
    commits_in,
    digest,
    exit_code,
    flat,
    images,
    items,
    mapping,
    number,
    plain,
    text,
)
from transcripts.events import Event, Kind, Status, Todo, Touch, Usage, Verb

# Records that tell nothing that a reader of the session would miss. Everything else that gives no event is "unknown".
QUIET: Final = frozenset(
    {
        "progress",
        "file-history-snapshot",
        "summary",  # the title of another, older branch or session
        "last-prompt",
        "mode",
        "permission-mode",
        "agent-setting",
        "bridge-session",
        "agent-name",
    }
)
_ANSWER, _THINKING, _CALL, _RESULT = Kind.ANSWER, Kind.THINKING, Kind.CALL, Kind.RESULT  # an enum's lookup is slow
QUIET_NOTICES: Final = frozenset({"turn_duration", "microcompact_boundary", "bridge_status"})
CHAIN: Final = 32  # records of a message on which its next one may hang
_READ: Final = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
CHAINS: Final = (
    512  # records of running sub-agents whose followers are still recognised, in files that have them inline
)

_INTERRUPTED: Final = "[Request interrupted by user"
_SHELL: Final = re.compile(r"\s*<bash-input>(.*?)</bash-input>", re.S)
_INJECTED: Final = re.compile(
    r"\s*(?:<(?:local-command-(?:stdout|stderr|caveat)|bash-(?:stdout|stderr)|task-notification|user-prompt-submit-hook"
    r"|user-memory-input)\b|Caveat: The messages below were generated|Base directory for this skill:)"
)
_ASIDE: Final = re.compile(r"<(/?)(system-reminder|ide_[a-z_]+)>")
_SHELLS: Final = frozenset({"Bash", "BashOutput"})
_STATES: Final = {"pending": Status.PENDING, "in_progress": Status.ACTIVE, "completed": Status.DONE}
_PATHS: Final = {
    "Read": ("file_path", Verb.READ),
    "NotebookRead": ("notebook_path", Verb.READ),
    "Edit": ("file_path", Verb.EDITED),
    "MultiEdit": ("file_path", Verb.EDITED),
    "NotebookEdit": ("notebook_path", Verb.EDITED),
    "Write": ("file_path", Verb.WRITTEN),
}
Where = tuple[int | None, str, str, str]  # an event's ``at``, ``agent``, ``message``, ``model``
_TICK: Final = b'"type":"progress","data":{"type":"'
_SAYS_NOTHING: Final[Parsed] = ([], True)
_BRACE: Final = _TICK.index(b"{")
_AGENT_FILE: Final = re.compile(r"agent-([A-Za-z0-9_-]+)\.jsonl")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_turn(record: Record) -> bool:
    """Is this what Claude Code writes of a prompt, a result or an answer? Nobody else's records look so."""
    message = record.get("message")
    is_message = isinstance(message, dict) and "content" in message
    return is_message and record.get("type") in ("user", "assistant") and ("uuid" in record or "sessionId" in record)


def is_record(record: Record) -> bool:
    """May this be a line that Claude Code writes? Its relatives write some that look the same."""
    kind = record.get("type")
    if kind in ("user", "assistant"):
        return is_turn(record)
    if kind in ("system", "progress", "attachment"):
        return "sessionId" in record or "parentUuid" in record
    if kind == "summary":
        return "leafUuid" in record
    if kind == "file-history-snapshot":
        return "snapshot" in record
    return "sessionId" in record and isinstance(kind, str)


def is_tick(raw: bytes) -> bool:
    """A progress record of the main chain, seen without parsing it: every third record is one, in some logs four of
    five. Anything unusual about the line (it could hold a second record) leaves it to the parser."""
    place = raw.find(b"{", 1)
    return (
        place > _BRACE
        and raw.startswith(_TICK, place - _BRACE)
        and raw.startswith(b'{"parentUuid":')
        and raw.find(b'"isSidechain":false', 0, 100) > 0
        and raw.endswith(b"}")
        and (raw.rfind(b"{") == place or (raw.find(b'{"parentUuid"', place) < 0 and raw.count(b'{"type"', place) == 1))
    )


class Claude(Adapter):
    program = "claude"

    def __init__(self, name: str = "", state: dict[str, Any] | None = None, keys: Keys | None = None) -> None:
        super().__init__(name, state, keys)
        if found := _AGENT_FILE.match(name):
            self.facts.agent_id = found[1]
        elif found := _UUID.match(name):
            self.facts.session_id = found[0]
        self._envelope: tuple[Any, ...] = ()
        self._own_id = self.facts.session_id if _UUID.match(name) else ""
        more = self.more
        self.chains: dict[str, str] = more.setdefault("chains", {})  # uuid -> the sub-agent that wrote it
        self.errands: dict[str, str] = more.setdefault("errands", {})  # digest of a sub-agent's orders -> the call
        self.todos: list[list[str]] = more.setdefault("todos", [])  # id, text, status
        self.asks: dict[str, int] = more.setdefault("asks", {})  # prompts and results so far, by sub-agent
        # Of ids that come without a request's: the message's name, asks before it, its records, what they count.
        self.nameless: dict[str, list[Any]] = more.setdefault("nameless", {})

    def parse(self, raw: bytes) -> Parsed:
        return _SAYS_NOTHING if is_tick(raw) else super().parse(raw)

    def take(self, line: int, record: Record) -> None:
        kind = record.get("type")
        if kind == "assistant":
            self._assistant(line, record)
        elif kind == "user":
            self._user(line, record)
        elif kind in QUIET:
            if kind == "progress" and record.get("isSidechain"):
                self._agent(record)
        elif kind == "system":
            self._system(line, record)
        else:
            self._aside(line, record)

    def _is_new(self, record: Record) -> bool:
        if self.keys.add(record["key"]):
            return True
        self.counts.repeated += 1
        return False

    def _open(self, record: Record) -> str:
        """Read the envelope; the sub-agent that the record is of. The record gets a ``key`` if it has no uuid."""
        facts = self.facts
        uuid = record.get("uuid")
        record["key"] = uuid if uuid and isinstance(uuid, str) else digest(as_json(record))
        envelope = (record.get("sessionId"), record.get("cwd"), record.get("gitBranch"), record.get("version"))
        if envelope != self._envelope:  # the same in most records
            self._envelope = envelope
            self._read_envelope(*map(text, envelope))
        if facts.agent_id or record.get("isSidechain"):
            return self._agent(record)
        return ""

    def _read_envelope(self, session: str, cwd: str, branch: str, version: str) -> None:
        facts = self.facts
        if session and session != self._own_id:
            if not self._own_id:
                if facts.session_id and session != facts.session_id and not facts.agent_id:
                    facts.parent_id = facts.session_id  # the first lines are the parent's, the last word is the own
                facts.session_id = session
            elif not facts.agent_id:
                facts.parent_id = session
        facts.cwd = facts.cwd or cwd
        facts.branch = branch or facts.branch
        facts.version = version or facts.version

    def _agent(self, record: Record) -> str:
        if self.facts.agent_id:
            return self.facts.agent_id
        if not record.get("isSidechain"):
            return ""
        uuid, parent = text(record.get("uuid")), text(record.get("parentUuid"))
        agent = text(record.get("agentId")) or self.chains.get(parent) or uuid[:8] or "side"
        if uuid:
            self.chains[uuid] = agent
            if len(self.chains) > CHAINS:
                del self.chains[next(iter(self.chains))]
        return agent

    def _give(self, record: Record, event: Event) -> int:
        """Give out; the first event of a record has the record's key, the others a number after it."""
        part = record["part"] = record.get("part", -1) + 1
        if part:
            event.key = f"{record['key']}:{part}"
            self.keys.add(event.key)
        else:
            event.key = record["key"]  # known since ``_is_new``
        return self.give(event)

    # --- the model

    def _assistant(self, line: int, record: Record) -> None:
        agent = self._open(record)
        if not self._is_new(record):
            return
        message = mapping(record.get("message"))
        when = at(record)
        model = text(message.get("model"))
        content = message.get("content")
        if record.get("isApiErrorMessage") or model == "<synthetic>":  # the client's words, not the model's
            is_error = bool(record.get("isApiErrorMessage"))
            said = flat(content)
            if said:
                self._give(record, Event(line, Kind.SYSTEM, "-", said, when, agent, is_error=is_error))
            return
        if model and not agent:
            self.facts.model = model
        name = text(message.get("id")) or record["key"]
        if not record.get("requestId"):
            name = self._name_of(name, record, message, agent)
        last: Event | None = None
        given = 0
        where = (when, agent, name, model)
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else items(content):
            event = self._block(line, block, where) if isinstance(block, dict) else None
            if event is not None:
                given = self._give(record, event)
                last = event
        self._count(record, message, name, agent, given, last)

    def _name_of(self, name: str, record: Record, message: Record, agent: str) -> str:
        """A name for the message that is its own. Some relays give all messages the same id, and no request's.

        A record goes on with the message of its id where it hangs on one of its records, or beside the first of them;
        where nothing was asked since (a prompt, a result); or where time and tokens are the same. Else it begins one.
        """
        name = f"{agent}/{name}" if agent else name
        uuid, parent = record["key"], text(record.get("parentUuid"))
        asks, spent = self.asks.get(agent, 0), mapping(message.get("usage"))
        group = [record.get("timestamp"), *(number(spent.get(each)) for each in _READ)]
        known = self.nameless.pop(name, None)
        if known is not None:
            own, before, times, group_before, records = known
            if parent in records or asks == before or group == group_before:
                self.nameless[name] = [own, asks, times, group, [*records[-CHAIN:], uuid]]
                return str(own)
        times = known[2] + 1 if known else 0
        own = f"{name}#{times}" if times else name
        if len(self.nameless) >= OPEN_MESSAGES:
            del self.nameless[next(iter(self.nameless))]
        self.nameless[name] = [own, asks, times, group, [parent, uuid] if parent else [uuid]]
        return own

    def _count(self, record: Record, message: Record, name: str, agent: str, given: int, last: Event | None) -> None:
        spent = message.get("usage")
        if not isinstance(spent, dict):
            return
        written = number(spent.get("cache_creation_input_tokens"))
        usage = Usage(
            number(spent.get("input_tokens")),
            written,
            number(spent.get("cache_read_input_tokens")),
            number(spent.get("output_tokens")),
            min(written, number(mapping(spent.get("cache_creation")).get("ephemeral_1h_input_tokens"))),
        )
        request = record.get("requestId")
        if request and isinstance(request, str):
            name = f"{name}/{request}"
        if not given:  # a record without a block that is shown
            known = self.messages.get(name)
            given = known.number if known else self.counts.events
        if given:
            self.spend(name, given, usage, last, text(message.get("model")))
        if not agent and (context := usage.context):
            self.counts.context = context

    def _block(self, line: int, block: Record, where: Where) -> Event | None:
        kind = block.get("type")
        if kind == "tool_use" or kind == "server_tool_use":
            return self._call(line, block, where)
        if kind == "text":
            said = text(block.get("text"))
            return Event(line, _ANSWER, "-", said, *where) if said else None
        if kind == "thinking":
            return Event(line, _THINKING, "-", text(block.get("thinking")), *where)
        if kind == "redacted_thinking":
            return Event(line, _THINKING, "-", "", *where, data={"redacted": True})
        if isinstance(kind, str) and kind.endswith("_tool_result"):  # of a tool that ran at the service
            call = text(block.get("tool_use_id"))
            tool = self.calls.pop(call, [""])[0]
            return Event(line, _RESULT, "-", flat(block.get("content")), *where, tool, call)
        self.counts.unknown += 1
        return None

    def _call(self, line: int, block: Record, where: Where) -> Event:
        tool, call, given = text(block.get("name")), text(block.get("id")), mapping(block.get("input"))
        command = text(given.get("command")) if tool == "Bash" else ""
        shown = as_json(block.get("input"))
        event = Event(line, _CALL, "-", shown, *where, tool, call, command)
        self.called(call, tool, command)
        if place := _PATHS.get(tool):
            path = text(given.get(place[0]))
            if path:
                event.touches = (Touch(path, place[1]),)
        elif tool in ("TodoWrite", "TaskCreate", "TaskUpdate"):
            event.todos = self._list(tool, given)
        elif tool in ("Task", "Agent"):
            self.errands[digest(text(given.get("prompt")))] = call
            if len(self.errands) > CHAINS:
                del self.errands[next(iter(self.errands))]
        if described := text(given.get("description")):
            event.data["description"] = described[:500]
        return event

    def _list(self, tool: str, given: Record) -> tuple[Todo, ...]:
        """The agent's list after this call. Tasks are numbered by the program, from 1, in the order of their making."""
        todos = self.todos
        if tool == "TodoWrite":
            rows = [mapping(row) for row in items(given.get("todos"))]
            todos[:] = [["", text(row.get("content")), text(row.get("status"))] for row in rows]
        elif tool == "TaskCreate":
            made = max((int(row[0]) for row in todos if row[0].isdecimal()), default=self.more.get("tasks", 0)) + 1
            self.more["tasks"] = made
            todos.append([str(made), text(given.get("subject")), "pending"])
        else:
            name = str(given.get("taskId", ""))
            for row in todos:
                if row[0] == name:
                    row[1] = text(given.get("subject")) or row[1]
                    row[2] = text(given.get("status")) or row[2]
        todos[:] = [row for row in todos if row[2] != "deleted"]
        return tuple(Todo(row[1], _STATES.get(row[2], Status.PENDING)) for row in todos)

    # --- people, results, injected text

    def _user(self, line: int, record: Record) -> None:
        agent = self._open(record)
        if not self._is_new(record):
            return
        self.asks[agent] = self.asks.get(agent, 0) + 1
        when = at(record)
        content = mapping(record.get("message")).get("content")
        blocks = items(content)
        is_answer = False
        for block in blocks:
            if isinstance(block, dict) and block.get("type") == "tool_result":
                self._result(line, record, block, when, agent)
                is_answer = True
        if is_answer:
            if len(blocks) > 1:
                self._beside(line, record, blocks, when, agent)
            return
        said = flat(content)
        pictures = images(blocks)
        if record.get("isCompactSummary"):
            self._digest(line, record, said, when, agent)
        elif record.get("isMeta"):
            if said or pictures:
                self._give(record, Event(line, Kind.SYSTEM, "-", said, when, agent, data={"injected": True}))
        elif said.startswith(_INTERRUPTED):
            self._give(record, Event(line, Kind.INTERRUPTION, "-", said, when, agent))
        elif not self._typed(line, record, said, when, agent):
            asked = _without_asides(said).strip() if "</" in said else said.strip()
            if asked or pictures:
                self._prompt(line, record, asked, pictures, when, agent)
            elif said.strip():
                self._give(record, Event(line, Kind.SYSTEM, "-", said, when, agent, data={"injected": True}))

    def _result(self, line: int, record: Record, block: Record, when: int | None, agent: str) -> None:
        call = text(block.get("tool_use_id"))
        tool, command = self.calls.pop(call, ["", ""])
        content = block.get("content")
        said = flat(content)
        structured = record.get("toolUseResult")
        is_error = block.get("is_error") is True
        event = Event(line, _RESULT, "-", said, when, agent, "", "", tool, call, "", is_error)
        if tool in _SHELLS:
            if is_error:
                event.exit_code = exit_code(said)
            elif isinstance(structured, dict) and tool == "Bash":
                is_running = structured.get("backgroundTaskId") or structured.get("interrupted")
                event.exit_code = None if is_running or "stdout" not in structured else 0
            event.commits = commits_in(said, command if tool == "Bash" else None)
        elif tool == "ExitPlanMode":
            event.plan_accepted = not is_error
        if isinstance(structured, dict):
            if tool == "Write" and structured.get("type") == "create":
                event.data["created"] = True
            if helper := text(structured.get("agentId")):
                event.data["agent"] = helper
        if isinstance(content, list) and (pictures := images(content)):
            event.data["images"] = pictures
        self._give(record, event)

    def _beside(self, line: int, record: Record, blocks: list[Any], when: int | None, agent: str) -> None:
        """Text in a record of results: mostly that somebody stopped the call."""
        for block in blocks:
            if isinstance(block, dict) and block.get("type") == "text" and (said := text(block.get("text")).strip()):
                kind = Kind.INTERRUPTION if said.startswith(_INTERRUPTED) else Kind.SYSTEM
                self._give(record, Event(line, kind, "-", said, when, agent))

    def _typed(self, line: int, record: Record, said: str, when: int | None, agent: str) -> bool:
        """A command of a person, or what the client answered to one. False: it is a prompt."""
        if "<command-name>" in said[:2000] and (name := _inside(said, "command-name")) is not None:
            shown = f"{name} {_inside(said, 'command-args') or ''}".strip()
            self._give(record, Event(line, Kind.COMMAND, "-", shown, when, agent))
        elif shell := _SHELL.match(said):
            self._give(record, Event(line, Kind.COMMAND, "-", f"!{shell[1]}", when, agent, command=shell[1]))
        elif _INJECTED.match(said):
            self._give(record, Event(line, Kind.SYSTEM, "-", plain(said), when, agent, data={"injected": True}))
        else:
            return False
        return True

    def _prompt(self, line: int, record: Record, said: str, pictures: int, when: int | None, agent: str) -> None:
        event = Event(line, Kind.PROMPT, "-", said, when, agent)
        if pictures:
            event.data["images"] = pictures
        if text(record.get("planContent")):
            event.plan_accepted = True
        parent = text(record.get("parentUuid"))
        if agent:
            if call := self.errands.get(digest(said)):
                event.data["call"] = call  # that started this sub-agent
        elif parent and not self.keys.add(f"asked after {parent}"):
            # Two prompts after one record: the person went back and said it differently. The older branch stays.
            event.data["fork"] = True
            self.counts.forks += 1
        self._give(record, event)

    def _digest(self, line: int, record: Record, said: str, when: int | None, agent: str) -> None:
        """The summary after a compaction belongs to the boundary before it; the oldest versions wrote no boundary."""
        boundary = self.more.pop("boundary", None)
        if boundary:
            self.keys.add(record["key"])
            self.amend(boundary, text=said)
        else:
            self._give(record, Event(line, Kind.COMPACTION, "-", said, when, agent))

    # --- the client

    def _system(self, line: int, record: Record) -> None:
        agent = self._open(record)
        what = record.get("subtype")
        if what in QUIET_NOTICES or not self._is_new(record):
            return
        when, said = at(record), text(record.get("content"))
        if what == "compact_boundary":
            told = mapping(record.get("compactMetadata"))
            data = {"trigger": text(told.get("trigger")), "tokens_before": number(told.get("preTokens"))}
            event = Event(line, Kind.COMPACTION, "-", "", when, agent, data=data)
            self.more["boundary"] = self._give(record, event)
        elif what == "api_error":
            why = mapping(record.get("error"))
            said = said or text(why.get("message")) or text(mapping(why.get("error")).get("message"))
            said = said or "The service answered with an error."
            attempt = number(record.get("retryAttempt"))
            event = Event(line, Kind.SYSTEM, "-", said, when, agent, is_error=True, data={"attempt": attempt})
            self._give(record, event)
        elif what == "stop_hook_summary":
            errors = [text(error) for error in items(record.get("hookErrors"))]
            if any(errors) or record.get("preventedContinuation"):
                said = "\n".join(filter(None, [*errors, text(record.get("stopReason"))]))
                self._give(record, Event(line, Kind.SYSTEM, "-", said, when, agent, is_error=any(errors)))
        elif not self._typed(line, record, said, when, agent) and said:
            is_error = record.get("level") == "error"
            self._give(record, Event(line, Kind.SYSTEM, "-", plain(said), when, agent, is_error=is_error))

    def _aside(self, line: int, record: Record) -> None:
        """Records about the session, and text that was typed while the model was at work."""
        kind = record.get("type")
        if kind in ("custom-title", "ai-title"):
            title = text(record.get("customTitle" if kind == "custom-title" else "aiTitle")).strip()
            is_own = kind == "custom-title"
            if title and (is_own or not self.more.get("titled")):
                self.more["titled"] = is_own
                if title != self.facts.title:
                    self.facts.title = title
                    self._open(record)
                    if self._is_new(record):
                        self._give(record, Event(line, Kind.TITLE, "-", title, at(record)))
        elif kind == "pr-link":
            address = text(record.get("prUrl"))
            if address and address not in self.facts.pull_requests:
                self.facts.pull_requests.append(address)
        elif kind == "queue-operation":
            said = text(record.get("content")).strip()
            if record.get("operation") == "enqueue" and said:
                self._open(record)
                if self._is_new(record):
                    # What comes of it is told by later records (a prompt, mostly), so this is no prompt yet.
                    self._give(record, Event(line, Kind.SYSTEM, "-", said, at(record), data={"queued": True}))
        elif kind == "attachment":
            agent = self._open(record)
            attached = mapping(record.get("attachment"))
            if attached.get("type") == "queued_command" and self._is_new(record):
                said = flat(attached.get("prompt")).strip()
                if said and not self._typed(line, record, said, at(record), agent):
                    self._prompt(line, record, said, 0, at(record), agent)
        else:
            self.counts.unknown += 1


def _inside(said: str, tag: str) -> str | None:
    """What stands between the first ``<tag>`` and the next ``</tag>``. (An expression takes its length squared.)"""
    begin = said.find(f"<{tag}>")
    end = said.find(f"</{tag}>", begin) if begin >= 0 else -1
    return said[begin + len(tag) + 2 : end].strip() if end >= 0 else None


def _without_asides(said: str) -> str:
    """A prompt without what the client put into it, and the blanks before that; each tag is looked at once."""
    tags = list(_ASIDE.finditer(said))
    ends: dict[str, deque[int]] = {}
    for tag in tags:
        if tag[1]:
            ends.setdefault(tag[2], deque()).append(tag.end())
    kept: list[str] = []
    at = 0
    for tag in tags:
        own = ends.get(tag[2])
        if tag[1] or tag.start() < at or own is None:
            continue
        while own and own[0] <= tag.start():
            own.popleft()
        if own:
            kept.append(said[at : tag.start()].rstrip())
            at = own[0]
    return "".join([*kept, said[at:]])
