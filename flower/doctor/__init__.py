"""``manage.py doctor``: everything that makes flower not work, each with its remedy. It changes nothing.

Three stages, each standing on the one before: the machine, which needs nothing; the state folder, which needs the
settings; what needs Django and the database. Where a stage does not hold, the next is said to be not looked at.

A check is a generator of findings (findings.py) in the module of its subject, and a line in ``_examine`` here. Its
codes, and what each means, are in docs/doctor.md, which a test holds to them.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Final, TextIO

from core.logs import redact
from flower import env
from flower.doctor import configuration, home, machine
from flower.doctor.findings import Check, Finding, Level, examine, skipped, wrong

if TYPE_CHECKING:
    from briefs.models import Project

HIDDEN: Final = "[hidden]"
PROJECTS_SECONDS: Final = 60.0  # for all of them; one whose disk hangs takes a quarter of that


def run(*, as_json: bool = False, out: TextIO | None = None) -> int:
    """Look at everything and print what was found, line by line; returns the exit code: 1 when something is wrong."""
    out = out or sys.stdout
    told: list[Finding] = []
    for finding in findings():
        told.append(finding)
        if not as_json:
            out.write(f"{line(finding)}\n")
            out.flush()
    bad = sum(finding.level == Level.WRONG for finding in told)
    if as_json:
        json.dump({"ok": not bad, "findings": [asdict(finding) for finding in told]}, out, ensure_ascii=False, indent=1)
        out.write("\n")
        out.flush()
    return 1 if bad else 0


def line(finding: Finding) -> str:
    """``wrong    git.old: what is wrong -> the remedy``"""
    remedy = f" -> {finding.remedy}" if finding.remedy else ""
    return f"{finding.level:8} {finding.code}: {finding.what}{remedy}"


def findings() -> Iterator[Finding]:
    """All findings, as they come. Secrets are taken out of them, whoever wrote these into his complaint."""
    secrets: list[str] = []
    for finding in _examine(secrets):
        yield replace(finding, what=_clean(finding.what, secrets), remedy=_clean(finding.remedy, secrets))


def _clean(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return " ".join(redact(text).split())


def _examine(secrets: list[str]) -> Iterator[Finding]:
    for name in ("system", "python", "packages", "limits"):
        yield from examine(name, getattr(machine, name))
    git = examine("git", machine.git)
    yield from git
    flower = None
    try:
        values = configuration.values()
    except env.BadSetting as error:
        yield wrong("settings.file", str(error), f"make {env.BASE_DIR / '.env'} a readable text file")
    else:
        configuration.stand_in(values)  # at once: Django reads them at the end of a command, bad ones too
        yield from examine("settings", partial(configuration.settings, values))
        try:
            flower = env.read(values)
        except env.BadSetting:
            pass  # the check has told it
        else:
            secrets += configuration.hidden(flower)
    if flower is None:
        yield skipped("settings.unread", "nothing else was looked at: put the settings right, then ask again")
        return
    for name in ("folder", "unfinished", "owners", "modes", "locks", "space"):
        yield from examine(name, partial(getattr(home, name), flower))
    yield from _with_django(flower, has_git=all(finding.level == Level.OK for finding in git))


def _with_django(flower: env.Environment, *, has_git: bool) -> Iterator[Finding]:
    if fault := _set_up_django():
        yield fault
        return
    from flower.doctor import agents, database, running

    database.make_harmless()
    now = running.look(flower)
    yield from examine("up", partial(running.supervisor, now))
    yield from examine("broker", partial(running.broker, flower, now))
    found = examine("database", database.reachable)
    yield from found
    later: list[tuple[str, Check]] = [("parts", partial(running.parts, flower, now))]
    later += [("port", partial(running.port, flower, now)), ("url", partial(running.addresses, flower, now))]
    later += [("logs", partial(agents.logs, flower)), ("model", partial(agents.model, flower))]
    later += [("search", partial(agents.search, flower))]
    if unasked := database.after(found):
        yield unasked
    else:
        yield from _of_rows(now.path, has_git=has_git)
    for name, check in later:
        yield from examine(name, check)


def _of_rows(path: str | None, *, has_git: bool) -> Iterator[Finding]:
    """What the rows of a database that answers say; those of another version cannot be read. ``path``: the worker's."""
    from flower.doctor import agents, database, projects

    yield from examine("database settings", database.set_up)
    found = examine("migrations", database.migrated)
    yield from found
    if any(finding.level == Level.WRONG for finding in found):
        yield skipped("database.unread", "triggers, agents, projects and worktrees were not looked at")
        return
    yield from examine("triggers", database.guarded)
    yield from examine("agents", partial(agents.registered, path))
    if not has_git:
        yield skipped("project.unasked", "projects and worktrees were not looked at: git does not work")
        return
    listed: list[Project] = []
    yield from examine("projects", partial(projects.list_into, listed))
    end = time.monotonic() + PROJECTS_SECONDS
    for at, project in enumerate(listed):
        if time.monotonic() > end:
            yield skipped(
                "project.unreached", f"{len(listed) - at} projects were not looked at: the others took too long"
            )
            break
        yield from examine(f"project {project.slug}", partial(projects.repository, project, path))
    yield from examine("worktrees", projects.worktrees)


def _set_up_django() -> Finding | None:
    """Django with these settings; what keeps it from starting is a finding."""
    import django
    from django.core.exceptions import ImproperlyConfigured

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flower.settings")
    # GitPython asks git for its version when it is imported, without a limit; a git that hangs would hang the doctor.
    # flower runs git by itself (worktrees/git/command.py), so what GitPython takes for it does not matter.
    os.environ |= {"GIT_PYTHON_GIT_EXECUTABLE": "/nonexistent", "GIT_PYTHON_REFRESH": "quiet"}
    try:
        django.setup()
    except ImproperlyConfigured as error:
        lock = env.BASE_DIR / "requirements-mysql.lock"
        remedy = f"{sys.executable} -m pip install --require-hashes -r {lock}"
        return wrong("database.driver", f"the driver of DATABASE_URL is not there ({error})", remedy)
    except ImportError as error:
        remedy = f"{sys.executable} -m pip install --require-hashes -r {env.BASE_DIR / 'requirements.lock'}"
        return wrong("packages.broken", f"flower cannot be loaded ({error})", remedy)
    return None
