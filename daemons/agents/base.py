"""What is said about one way of launching an agent program. Each adapter is an equal slice with the same functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """What an agent is started for."""

    brief: int
    worktree: Path
    packet: Path
    prompt: str
    session: str  # an id for the program's session, for those that let themselves be told one


@dataclass(frozen=True)
class Launch:
    """What the holder starts: an argument list (never a shell string) and the adapter's part of the environment."""

    argv: list[str]
    env: Mapping[str, str]
