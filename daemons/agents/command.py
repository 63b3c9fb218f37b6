"""Any command: the places ``{packet}``, ``{worktree}``, ``{brief}`` and ``{prompt}`` of its arguments are filled in."""

from __future__ import annotations

from daemons.agents.base import Job, Launch
from daemons.models import AgentProgram

PLACES = ("packet", "worktree", "brief", "prompt")


def launch(program: AgentProgram, job: Job) -> Launch:
    values = {"packet": str(job.packet), "worktree": str(job.worktree), "brief": str(job.brief), "prompt": job.prompt}
    return Launch([_fill(argument, values) for argument in program.argv], dict(program.env))


def _fill(argument: str, values: dict[str, str]) -> str:
    # one pass over the argument as it was registered: what is filled in is never looked at for places again
    out, rest = "", argument
    while rest:
        place = next((name for name in PLACES if rest.startswith(f"{{{name}}}")), None)
        out += values[place] if place else rest[0]
        rest = rest[len(place) + 2 :] if place else rest[1:]
    return out
