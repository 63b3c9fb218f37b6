"""Agent programs, the folders of their logs, and the services that may be configured: a language model, a search."""

from __future__ import annotations

import ctypes
import errno
import importlib.util
import os
import socket
import sys
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from core.environment import clean_environment
from core.errors import Invalid
from daemons.models import AgentProgram
from daemons.services import programs
from flower.doctor.findings import Finding, fine, warning, wrong
from flower.doctor.running import _get
from flower.env import Environment
from flower.installed import answer_of

# Only of these is it known that they say who they are and do nothing else; another command might begin to work.
ASKED: Final = ("claude", "codex")
VERSION_SECONDS: Final = 10.0
WALK_SECONDS: Final = 3.0
CONNECT_SECONDS: Final = 3.0


def registered(path: str | None = None) -> Iterator[Finding]:
    """The command of each program is on this machine; those that are known start. ``path``: PATH, where not ours."""
    rows = list(AgentProgram.objects.filter(enabled=True))
    if not rows:
        yield fine("agent.none", "no agent program is registered; agent_add adds one")
    for row in rows:
        yield from program(row, path)


def program(row: AgentProgram, path: str | None = None) -> Iterator[Finding]:
    """One of them."""
    command = str(row.argv[0]) if row.argv else ""
    try:
        programs.check_installed(row, path)
    except (Invalid, IndexError):
        words = f"the agent program {row.name} starts '{command}', which is not on this machine"
        remedy = f"install it, or put its folder on the PATH of make up, or manage.py agent_add {row.name} -- ANOTHER"
        yield wrong("agent.missing", words, remedy)
        return
    if Path(command).name not in ASKED:
        yield fine("agent", f"{row.name}: {command}")
        return
    try:
        environment = {**clean_environment(model_keys=True), **({"PATH": path} if path else {}), **row.env}
        code, said = answer_of([command, "--version"], VERSION_SECONDS, env=environment, cwd=Path("/"))
    except TimeoutError:
        words = f"{row.name}: {command} --version does not end within {VERSION_SECONDS:g} s"
        yield warning(
            "agent.slow", words, f"run {command} --version by hand; it may ask something, or its disk be slow"
        )
        return
    except OSError as error:
        code, said = 126, str(error)
    if code:
        words = f"{row.name}: {command} --version ends with exit code {code} and says '{said[:150]}'"
        yield wrong("agent.broken", words, f"install {command} again, then run {command} --version by hand")
    else:
        yield fine("agent", f"{row.name}: {said[:100]}")


# --- their logs -------------------------------------------------------------------------------------------------------


def logs(flower: Environment) -> Iterator[Finding]:
    """The watch can read the folders below which agents log, and be told of changes there."""
    there = []
    for root in flower.transcript_roots:
        if not os.path.lexists(root):
            yield fine("logs.none", f"{root} is not there; it is watched from when it appears")
        elif not root.is_dir():
            words = f"{root}, where agents' logs are to be, is no folder"
            yield wrong("logs.no_folder", words, "correct FLOWER_TRANSCRIPT_ROOTS")
        elif not os.access(root, os.R_OK | os.X_OK):
            yield wrong("logs.unreadable", f"{root} cannot be read", f"chmod u+rx {root}, or let this user in")
        else:
            there.append(root)
            yield fine("logs", f"{root} can be read")
    if there:
        yield from watches(there)


def watches(roots: Sequence[Path], allowed: int | None = None) -> Iterator[Finding]:
    """The kernel has a watch for each of their folders; without, new lines are seen every half minute only."""
    if allowed is None:
        try:
            allowed = int(Path("/proc/sys/fs/inotify/max_user_watches").read_text())
        except (OSError, ValueError):
            return
    folders = _folders(roots, allowed)
    if folders > 0.9 * allowed:
        words = f"agents' logs are in {folders:,} folders or more, and the kernel watches {allowed:,} for one user"
        yield warning("logs.watches", words, "sudo sysctl fs.inotify.max_user_watches=524288")
    if _no_instance_left():
        words = "the kernel has no inotify instance left for this user: new lines are seen every half minute only"
        yield warning("logs.instances", words, "sudo sysctl fs.inotify.max_user_instances=1024")


def _folders(roots: Sequence[Path], most: int) -> int:
    end, count = time.monotonic() + WALK_SECONDS, 0
    for root in roots:
        for _ in os.walk(root):
            count += 1
            if count > most or time.monotonic() > end:
                return count
    return count


def _no_instance_left() -> bool:
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_CLOEXEC)
    if descriptor < 0:
        return ctypes.get_errno() == errno.EMFILE
    os.close(descriptor)
    return False


# --- services that may be configured ----------------------------------------------------------------------------------


def model(flower: Environment) -> Iterator[Finding]:
    """A language model, where one is set: the address, the name, the package, somebody there."""
    if not (flower.llm_base_url or flower.llm_model or flower.llm_api_key):
        yield fine("llm.none", "no language model is set; everything works by rules")
        return
    absent = [
        name
        for name, value in (("FLOWER_LLM_BASE_URL", flower.llm_base_url), ("FLOWER_LLM_MODEL", flower.llm_model))
        if not value
    ]
    if absent:
        yield warning(
            "llm.half", f"the language model is not used: {' and '.join(absent)} is not set", "set it, or none"
        )
        return
    if importlib.util.find_spec("openai") is None:
        remedy = f"{sys.executable} -m pip install openai"
        yield wrong("llm.package", "a language model is set, and the package openai is not installed", remedy)
        return
    host = urllib.parse.urlsplit(flower.llm_base_url)
    if why := _why_nobody(host):
        words = f"nobody answers at {host.hostname} for the language model ({why})"
        yield warning("llm.unreachable", words, "correct FLOWER_LLM_BASE_URL, or start that server")
        return
    key = "with a key" if flower.llm_api_key else "without a key"
    yield fine("llm", f"{flower.llm_model} at {host.hostname}, {key}")


def _why_nobody(address: urllib.parse.SplitResult) -> str:
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "", port), CONNECT_SECONDS).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def search(flower: Environment) -> Iterator[Finding]:
    """Meilisearch, where one is set."""
    if not flower.meili_url:
        return
    status, said = _get(f"{flower.meili_url.rstrip('/')}/health")
    if status == 200:
        yield fine("search", "Meilisearch answers")
    else:
        words = f"Meilisearch does not answer at MEILI_URL ({f'status {status}' if status else said})"
        yield warning("search.unreachable", words, "start it, or take MEILI_URL out")
