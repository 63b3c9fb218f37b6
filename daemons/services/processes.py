"""Processes: programs in holders. Facts come from the holder's folder; rows repeat them for pages and queries.

The holder's folder follows from the row's number, and a holder starts at most once per folder. So a launch may be
repeated after any crash: it finds the running agent, or the finished one, and never starts a second.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.dispatch import Signal
from django.utils import timezone

from briefs.models import Actor, Brief, Participant, Project, Token
from briefs.services import actors
from core import live
from core.environment import clean_environment
from core.logs import redact
from daemons import holder, leftovers, terminal
from daemons.leftovers import Leftover
from daemons.models import AgentProgram, Process

log = structlog.stdlib.get_logger(__name__)
Phase = Process.Phase
STARTS_WITHIN: Final = timedelta(seconds=30)  # of a launch; terminal.spawn waits 10 s and then takes its order back
ended: Final = Signal()  # sent once per process, after the commit: process=Process


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

    A program that cannot be started becomes an ended process with its error; nothing is raised for it. HolderError when
    the holder itself cannot be started: the reason is kept, and whoever asked for the process is done with it.
    """
    running = Process.objects.filter(pk=process.pk).exclude(phase__in=Process.ENDED)
    if not running.update(seen_at=timezone.now()):  # see ``_never_started``
        process.refresh_from_db()
        return process
    # An agent logs in to its model with the operator's key; what a repository says has no use for one.
    clean = clean_environment(model_keys=process.purpose == Process.Purpose.AGENT)
    environment = {**clean, "TERM": "xterm-256color", **(env or {})}
    spec = terminal.RunSpec(argv=list(argv), cwd=Path(process.cwd), env=environment, time_limit=time_limit)
    try:
        process.run_dir.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        process.socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        terminal.spawn(process.run_dir, spec, socket_path=process.socket)
    except (terminal.HolderError, OSError) as error:
        why = str(error) if isinstance(error, terminal.HolderError) else f"The holder cannot be started: {error}."
        running.update(error=why)
        raise terminal.HolderError(why) from error
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


def observe(process: Process) -> Process:
    """Read the facts from the holder's folder into the row. The first to see an end revokes the token and tells."""
    if process.has_ended:
        return process
    facts = terminal.facts(process.run_dir)
    if facts.phase == "absent":
        if process.phase == Phase.RUNNING:
            return _folder_gone(process)
        return _never_started(process) if process.error else process
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
    return _record(process, Q(), values)


def _record(process: Process, condition: Q, values: Mapping[str, Any]) -> Process:
    before = process.phase
    with transaction.atomic():
        rows = Process.objects.filter(condition, pk=process.pk).exclude(phase__in=Process.ENDED)
        changed = rows.update(**values)
        process.refresh_from_db()
        if changed and process.has_ended:
            _end(process)
    if changed and process.phase != before:
        live.publish(live.process_group(process.pk), "process.changed", process=process.pk)
    return process


def _folder_gone(process: Process) -> Process:
    """Somebody deleted the folder of a running process: nobody will know its end. While it lives, it runs.

    When the folder of all processes is missing, too, a disk may come back: nothing is said then.
    """
    if not process.run_dir.parent.is_dir() or (process.pid and _is_alive(process.pid)):
        return process
    error = "The folder with its output and its exit code was deleted."
    return _record(process, Q(), {"phase": Phase.LOST, "ended_at": timezone.now(), "error": error})


def call_lost(process: Process, why: str) -> Process:
    """Note that nobody will know this process's end, whatever its folder says: it ran on another machine, say.

    Whoever waits for it is told as with any end. One that has ended stays as it is. ``why`` is a sentence.
    """
    return _record(process, Q(), {"phase": Phase.LOST, "ended_at": timezone.now(), "error": why})


def _is_alive(pid: int) -> bool:
    try:
        return holder.process_stat(pid)[0] not in "ZX"
    except (OSError, IndexError):
        return False


def _never_started(process: Process) -> Process:
    """Call a process ended whose holder is not there and that nobody will start any more.

    Not in the moments after a launch: its holder may only just be coming. ``launch`` notes the time in the row first,
    and starts nothing when the row says that it has ended.
    """
    before = timezone.now() - STARTS_WITHIN
    stale = Q(phase=Phase.STARTING, created_at__lt=before) & (Q(seen_at=None) | Q(seen_at__lt=before))
    error = process.error or "It was called off before it was started."
    ending = {"phase": Phase.EXITED, "ended_at": timezone.now(), "reason": "spawn error", "error": error}
    return _record(process, stale, ending)


def _end(process: Process) -> None:
    if process.token_id:
        actors.revoke(Token.objects.filter(pk=process.token_id))
    if process.purpose == Process.Purpose.AGENT and process.brief_id:
        Participant.objects.filter(brief=process.brief_id, actor=process.actor_id).update(left_at=timezone.now())
    transaction.on_commit(lambda: ended.send_robust(sender=Process, process=process), robust=True)


def _time(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def stop(process: Process, *, actor: Actor | None = None, why: str = "") -> bool:
    """Ask the holder to end the program: first politely, then not. Its output and exit code are kept as ever.

    ``actor`` is who wants that (None: flower itself), ``why`` the reason; the first who asked stands in the row, and
    True is returned to that one. A holder that is only just starting cannot be asked yet; whoever wants it gone asks
    again (the sweep does). One that was never started has ended with that.
    """
    rows = Process.objects.filter(pk=process.pk, stopped_by=None).exclude(phase__in=Process.ENDED)
    # Before the signal: whoever sees the end must see whose it was.
    is_first = rows.update(stopped_by=actor or actors.system(), stop_why=why[:300]) == 1
    if is_first:
        process.refresh_from_db(fields=["stopped_by", "stop_why"])
    give_up(process)
    with contextlib.suppress(terminal.HolderError):
        terminal.stop(process.run_dir)
    return is_first


def orphans(process: Process) -> list[Leftover]:
    """The program of a process whose holder was killed, where it goes on: a hang-up does not end every program."""
    if process.phase != Phase.LOST or process.pid is None:
        return []
    return [one for one in leftovers.find([process.cwd]) if (one.pid, one.process) == (process.pid, process.pk)]


def end_orphans(found: list[Leftover]) -> bool:
    """End them; this takes a few seconds. False when one stays."""
    return len(leftovers.end(found)) == len(found)


def give_up(process: Process) -> Process:
    """Observe a process that nobody will start any more, if it was not started yet: that is its end."""
    observe(process)
    if process.phase == Phase.STARTING and terminal.facts(process.run_dir).phase == "absent":
        _never_started(process)
    return process


def tail(process: Process, limit: int = 16_384) -> str:
    """The end of the output as readable text, without secrets of a known shape: at most ``limit`` bytes of it."""
    return redact(terminal.clean_text(terminal.tail(process.run_dir, limit)))


def sweep() -> int:
    """Observe every process that has not ended; returns how many there were."""
    count = 0
    for process in Process.objects.exclude(phase__in=Process.ENDED).order_by("pk"):
        count += 1
        try:
            observe(process)
        except Exception:  # a folder that cannot be read must not hide what the others did
            log.exception("a process was not observed", process=process.pk)
    return count
