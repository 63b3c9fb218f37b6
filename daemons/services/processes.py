"""Processes: programs in holders. Facts come from the holder's folder; rows repeat them for pages and queries.

The holder's folder follows from the row's number, and a holder starts at most once per folder. So a launch may be
repeated after any crash: it finds the running agent, or the finished one, and never starts a second.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.dispatch import Signal
from django.utils import timezone

from briefs.models import Actor, Brief, Participant, Project, Token
from briefs.services import actors
from daemons import terminal
from daemons.models import AgentProgram, Process
from flower import live
from flower.logs import redact

Phase = Process.Phase
ended: Final = Signal()  # sent once per process, after the commit: process=Process

# What flower itself is configured with, and no agent may read: database and broker addresses, keys.
_OWN_VARIABLES: Final = (
    *("DATABASE_URL", "REDIS_URL", "MEILI_", "DJANGO_", "CELERY_", "PYTHONPATH", "VIRTUAL_ENV"),
    *("PYTHONUNBUFFERED", "MALLOC_ARENA_MAX", "_MP_FORK"),  # how our own processes run
)


def create(
    purpose: str,
    *,
    command: str,
    cwd: Path,
    program: AgentProgram | None = None,
    actor: Actor | None = None,
    project: Project | None = None,
    brief: Brief | None = None,
    run: int | None = None,
) -> Process:
    """Make the row of a process that is about to start; ``launch`` starts it."""
    return Process.objects.create(
        purpose=purpose,
        command=command[:500],
        cwd=str(cwd),
        program=program,
        actor=actor,
        project=project,
        brief=brief,
        run=run,
    )


def session_id(process: Process) -> str:
    """The id that the program's session gets, where it can be told one: a UUID that follows from the row, so that a
    repeated launch names the same."""
    message = f"session:{process.pk}:{process.created_at.isoformat()}".encode()
    digest = hmac.new(settings.SECRET_KEY.encode(), message, hashlib.sha256).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def run_token(process: Process) -> str:
    """The bearer token of one run. It follows from the secret key and the row, so that a repeated launch hands the
    same one to the agent, and it is kept nowhere. Its row (made here at first use) is revoked when the process ends."""
    assert process.actor is not None and process.brief is not None and process.run is not None
    message = f"run-token:{process.pk}:{process.created_at.isoformat()}".encode()
    secret = actors.PREFIX + hmac.new(settings.SECRET_KEY.encode(), message, hashlib.sha256).hexdigest()
    token = actors.keep_token(
        secret,
        process.actor,
        Token.Scope.RUN,
        project=process.project,
        brief=process.brief,
        run=process.run,
        label=f"process {process.pk}",
    )
    Process.objects.filter(pk=process.pk, token=None).update(token=token)
    return secret


def launch(
    process: Process, argv: Sequence[str], *, env: Mapping[str, str] | None = None, time_limit: float | None = None
) -> Process:
    """Start the process in a holder, once. ``env`` is added to the clean environment; ``time_limit`` in seconds.

    A program that cannot be started becomes an ended process with its error; nothing is raised for it.
    """
    spec = terminal.RunSpec(
        argv=list(argv), cwd=Path(process.cwd), env={**clean_environment(), **(env or {})}, time_limit=time_limit
    )
    process.run_dir.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    process.socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    terminal.spawn(process.run_dir, spec, socket_path=process.socket)
    return observe(process)


# For commands that nobody watches: no pager may wait for a key, no program may ask, no colours in the kept output.
UNATTENDED: Final = {
    "CI": "1",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "GIT_TERMINAL_PROMPT": "0",
    "TERM": "dumb",
    "NO_COLOR": "1",
}


def clean_environment() -> dict[str, str]:
    """The worker's environment without flower's own settings: no worktree holds database credentials."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLOWER_", *_OWN_VARIABLES))}
    return {**kept, "TERM": "xterm-256color"}


def observe(process: Process) -> Process:
    """Read the facts from the holder's folder into the row. The first to see an end revokes the token and tells."""
    facts = terminal.facts(process.run_dir)
    if facts.phase == "absent" or process.has_ended:
        return process
    values: dict[str, Any] = {
        "pid": facts.pid,
        "started_at": _time(facts.started_at),
        "output_bytes": facts.output_bytes,
        "seen_at": timezone.now(),
    }
    if facts.phase in {"exited", "lost"}:
        values |= {
            "phase": facts.phase,
            "ended_at": _time(facts.ended_at) or timezone.now(),
            "exit_code": facts.exit_code,
            "exit_signal": facts.exit_signal,
            "error": facts.error or "",
            "reason": facts.reason or "",
        }
    elif facts.phase == "running":
        values["phase"] = Phase.RUNNING
    before = process.phase
    with transaction.atomic():
        changed = Process.objects.filter(pk=process.pk).exclude(phase__in=Process.ENDED).update(**values)
        process.refresh_from_db()
        if changed and process.has_ended:
            _end(process)
    if changed and process.phase != before:
        live.publish(live.process_group(process.pk), "process.changed", process=process.pk)
    return process


def _end(process: Process) -> None:
    if process.token_id:
        actors.revoke(Token.objects.filter(pk=process.token_id))
    if process.purpose == Process.Purpose.AGENT and process.brief_id:
        Participant.objects.filter(brief=process.brief_id, actor=process.actor_id).update(left_at=timezone.now())
    transaction.on_commit(lambda: ended.send_robust(sender=Process, process=process), robust=True)


def _time(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def stop(process: Process) -> None:
    """Ask the holder to end the program: first politely, then not. Its output and exit code are kept as ever.

    A holder that is only just starting cannot be asked yet; whoever wants it gone asks again (the sweep does).
    """
    with contextlib.suppress(terminal.HolderError):
        terminal.stop(process.run_dir)


def tail(process: Process, limit: int = 16_384) -> str:
    """The end of the output as readable text, without secrets of a known shape: at most ``limit`` bytes of it."""
    return redact(terminal.clean_text(terminal.tail(process.run_dir, limit)))


def sweep() -> int:
    """Observe every process that has not ended; returns how many there were."""
    count = 0
    for process in Process.objects.exclude(phase__in=Process.ENDED).order_by("pk"):
        observe(process)
        count += 1
    return count
