"""What happened in a session, whatever program wrote it down.

An adapter turns the records of one program's log into these; storage, segmenter and pages know nothing else. Pure: no
Django, no files. Events are numbered from 1 in the order of the file (``e14`` on the pages).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple


class Kind(StrEnum):
    PROMPT = "prompt"  # typed by a person, or handed over as the packet
    COMMAND = "command"  # a slash command, or a shell command typed with "!"
    ANSWER = "answer"  # what the model said
    THINKING = "thinking"
    CALL = "call"  # of a tool
    RESULT = "result"  # of a call, joined by ``call``
    COMPACTION = "compaction"  # the context was summarised; ``text`` is the digest where the log holds one
    INTERRUPTION = "interruption"
    SYSTEM = "system"  # errors of the service, hooks, notices, text that the program injected
    TITLE = "title"  # the program's own name for the session, the last one counts


class Verb(StrEnum):
    READ = "read"
    EDITED = "edited"  # existed before, or not known to be new
    WRITTEN = "written"  # new, or replaced whole
    DELETED = "deleted"


class Status(StrEnum):
    """Of one item of the agent's own list of things to do."""

    PENDING = "pending"
    ACTIVE = "active"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Touch:
    path: str  # as the log has it: absolute, or relative to ``cwd``
    verb: Verb


@dataclass(frozen=True, slots=True)
class Commit:
    """Read from what git printed ("[main 1a2b3c4] Subject"), never from the command alone."""

    sha: str
    subject: str
    amends: bool = False  # the command put it in the place of the one before


@dataclass(frozen=True, slots=True)
class Todo:
    text: str
    status: Status


class Usage(NamedTuple):
    """Tokens of one model message, each counted once in a session, on the last event of that message.

    A tuple: every second record of a log makes one, and a frozen dataclass takes twice as long to make.
    """

    input: int = 0  # neither written to nor read from a cache
    cache_written: int = 0
    cache_read: int = 0
    output: int = 0
    cache_hour: int = 0  # of those written: to a cache that is kept for an hour, which costs more

    @property
    def context(self) -> int:
        """Tokens that the model saw."""
        return self.input + self.cache_written + self.cache_read


TURNED_DOWN: Final = "The user doesn't want to "  # how Claude Code begins the result of such a call


@dataclass(slots=True)
class Event:
    """One thing that happened. Fields that a kind does not have are empty."""

    line: int  # physical, from 1, split at \n only; of the first record when several tell of the same
    kind: Kind
    key: str  # the same for the same thing in any copy of the log; never empty
    text: str = ""  # whole, lone surrogates and NULs replaced; a call's is its arguments as JSON
    at: int | None = None  # milliseconds since 1970
    agent: str = ""  # the sub-agent's id; empty on the main chain
    message: str = ""  # groups the events of one model message
    model: str = ""
    tool: str = ""  # of a call and of its result
    call: str = ""  # joins a result to its call
    command: str = ""  # the shell command of a call
    is_error: bool = False
    exit_code: int | None = None  # of a shell command, where the log tells
    touches: tuple[Touch, ...] = ()
    commits: tuple[Commit, ...] = ()
    todos: tuple[Todo, ...] = ()  # the whole list as it stands after this call
    plan_accepted: bool = False
    usage: Usage | None = None
    window: int | None = None  # the model's context window in tokens, where the log tells
    data: dict[str, Any] = field(default_factory=dict)  # small extras for the page: description, images, trigger

    @property
    def is_failure(self) -> bool:
        """Did something go wrong? That a person turned a call down is an error to the program, and no failure."""
        return self.is_error and not (self.kind is Kind.RESULT and self.text.startswith(TURNED_DOWN))


@dataclass(slots=True)
class Facts:
    """What a log tells of its whole session; the last word counts where records disagree."""

    program: str  # claude, codex
    session_id: str = ""
    parent_id: str = ""  # the session that this one was forked or resumed from
    agent_id: str = ""  # set where the whole file is a sub-agent's: no session of its own
    cwd: str = ""  # the first
    branch: str = ""  # the last
    version: str = ""  # of the program, the last
    model: str = ""  # the last
    title: str = ""
    pull_requests: list[str] = field(default_factory=list)
