"""Any command. The places ``{packet}``, ``{worktree}``, ``{brief}``, ``{prompt}`` and ``{session}`` are filled in."""

from __future__ import annotations

from daemons.agents.base import Job, Launch
from daemons.models import AgentProgram

PLACES = ("packet", "worktree", "brief", "prompt", "session")


def launch(program: AgentProgram, job: Job) -> Launch:
    values = {
        "packet": str(job.packet),
        "worktree": str(job.worktree),
        "brief": str(job.brief),
        "prompt": job.prompt,
        "session": job.session,
    }
    return Launch([_fill(argument, values) for argument in program.argv], dict(program.env))


def names_session(program: AgentProgram) -> bool:
    """Is the program told the id of its session? Then its log is known before it is written."""
    return any("{session}" in argument for argument in program.argv)


def _fill(argument: str, values: dict[str, str]) -> str:
    # one pass over the argument as it was registered: what is filled in is never looked at for places again
    out, rest = "", argument
    while rest:
        place = next((name for name in PLACES if rest.startswith(f"{{{name}}}")), None)
        out += values[place] if place else rest[0]
        rest = rest[len(place) + 2 :] if place else rest[1:]
    return out
