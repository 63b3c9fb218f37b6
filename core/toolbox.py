"""The toolbox: what an app's ``tools.py`` declares and flower/mcp/ serves.

A tool is a plain function ``(caller, …arguments) -> result`` with a docstring for the model; each argument says what it
means: ``Annotated[str, Arg("…")]``. It runs in one hop on a database thread. It raises Refusal for the reader. Scopes
are letters of contract.md: r (a worker bound to one run), a (agent), o (orchestrator and other daemons); operators see
every tool. This module is floor: it imports no app.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

import pydantic_core

BODY_LIMIT: Final = 1_000_000  # bytes of one request, on every door
ANSWER_BUDGET: Final = 24_000  # bytes of one answer, unless the caller asks for less or more
_LETTERS: Final = {"run": "r", "agent": "a", "orchestrator": "o"}

Run = TypeVar("Run", bound=Callable[..., dict[str, Any]])


@dataclass(frozen=True)
class Arg:
    """What the model is told of an argument besides its type; ``choices`` are the only texts that it may be.

    ``refused_by_tool``: which of them it may be depends on more; then the tool refuses the others, with what it may be.
    """

    says: str
    choices: Sequence[str] = ()
    refused_by_tool: bool = False


# What many tools take. Said in few words: the list of tools is in every agent's context.
BriefNumber = Annotated[int, Arg("The brief's number.")]
OwnBrief = Annotated[int | None, Arg("The brief's number; default: the one you work on.")]
OwnDispatch = Annotated[int | None, Arg("The dispatch's number; default: the one you hold.")]
ProjectSlug = Annotated[str | None, Arg("The project's slug; default: your token's, else all.")]
Cursor = Annotated[str | None, Arg("`cursor` of the answer before, to go on from there.")]
Limit = Annotated[int, Arg("How many rows at most, 1 to 200.")]


@dataclass(frozen=True)
class Tool:
    """``run`` takes the caller first (briefs.identity.Identity), then the tool's own arguments by keyword.

    A ``keyed`` tool also takes a ``key``, which ``run`` is not told: a call that repeats one is answered as that was.
    """

    name: str
    run: Callable[..., dict[str, Any]]
    scopes: str
    read_only: bool
    destructive: bool
    keyed: bool = False

    def is_offered_to(self, scope: str) -> bool:
        """Whether a token of this scope (``run``, ``agent``, …) is shown the tool and may call it."""
        if scope == "operator":
            return True
        if scope == "readonly":
            return self.read_only and "a" in self.scopes
        return _LETTERS[scope] in self.scopes


_tools: dict[str, Tool] = {}


def tool(
    scopes: str, *, read_only: bool = False, destructive: bool = False, keyed: bool = False
) -> Callable[[Run], Run]:
    """Declare a function as the tool of its own name. ``keyed``: it writes something new, and repeats by key."""

    def declare(run: Run) -> Run:
        assert run.__name__ not in _tools, f"two tools are named {run.__name__}"
        _tools[run.__name__] = Tool(run.__name__, run, scopes, read_only, destructive, keyed)
        return run

    return declare


def tools() -> list[Tool]:
    """Every declared tool, by name. Complete once Django's apps are ready (each AppConfig imports its tools)."""
    return [_tools[name] for name in sorted(_tools)]


def as_text(result: dict[str, Any]) -> str:
    """A tool's result as the text that goes out; the Agent's-eye view shows this same text."""
    return pydantic_core.to_json(result).decode()  # a fifth of the time of json.dumps
