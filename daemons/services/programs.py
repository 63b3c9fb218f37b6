"""Agent programs: what can be started for a brief."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from core.errors import Invalid, NotFound
from daemons.agents.command import PLACES
from daemons.models import AgentProgram

LISTED: Final = 100
_ENV_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def register(name: str, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> AgentProgram:
    """Register (or replace) an agent program. Raises Invalid for a bad name, an empty command, a reserved variable."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,59}", name):
        raise Invalid(f"'{name}' is no agent name; use up to 60 small letters, digits and dashes.")
    if not argv or not argv[0].strip():
        raise Invalid("Say which command the agent is, after --.")
    for argument in argv:
        for place in re.findall(r"\{([a-z_]+)\}", argument):
            if place not in PLACES:
                raise Invalid(f"'{{{place}}}' cannot be filled in; the places are {{{'}, {'.join(PLACES)}}}.")
    for variable in env or {}:
        if not _ENV_NAME.fullmatch(variable) or variable.startswith("FLOWER_"):
            raise Invalid(f"'{variable}' cannot be set for an agent; FLOWER_ names are flower's own.")
    program, _ = AgentProgram.objects.update_or_create(
        name=name, defaults={"argv": list(argv), "env": dict(env or {}), "adapter": "command", "enabled": True}
    )
    return program


def find(name: str) -> AgentProgram:
    """The enabled program of that name. Raises NotFound, naming those that there are."""
    program = AgentProgram.objects.filter(name=name, enabled=True).first()
    if program is None:
        names = ", ".join(AgentProgram.objects.filter(enabled=True).values_list("name", flat=True))
        raise NotFound(
            f"There is no agent program '{name}'; {'there is ' + names if names else 'add one with agent_add'}."
        )
    return program


def payload() -> dict[str, Any]:
    """The answer of ``recall_agents``: the programs that can be started, by name."""
    rows = AgentProgram.objects.filter(enabled=True).order_by("name")[:LISTED]
    return {
        "agents": [
            {"agent": row.name, "command": str(row.argv[0])[:200], "installed": is_installed(row)} for row in rows
        ]
    }


def is_installed(program: AgentProgram) -> bool:
    """Whether its command is on this machine, as far as that can be told before its places are filled in."""
    try:
        check_installed(program)
    except Invalid:
        return False
    return True


def check_installed(program: AgentProgram, path: str | None = None) -> None:
    """Refuse a program whose command is not on this machine: better now than in a doomed worktree.

    ``path``: where to look for it, as PATH has it; None: on the PATH of this process.
    """
    command = str(program.argv[0])
    if "{" in command:
        return
    if shutil.which(str(Path(command).expanduser()) if "/" in command else command, path=path) is None:
        raise Invalid(f"The agent program '{program.name}' starts {command}, which is not installed on this machine.")
