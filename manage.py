#!/usr/bin/env python
"""Django's command line for flower; docs/commands.md lists what it can do."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run what was asked for, if this Python has what it needs."""
    try:
        import django  # noqa: F401
        import structlog  # noqa: F401
    except ImportError as error:
        sys.stderr.write(
            f"{sys.executable} does not have flower's packages ({error}). Call it as .venv/bin/python manage.py; "
            "make up installs what is missing.\n"
        )
        sys.exit(1)
    run()


def run() -> None:
    """The command of this process; trouble that is no bug is one sentence on stderr, and ends with exit code 1."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flower.settings")
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    if sys.argv[1:2] == ["doctor"]:  # it reads the settings by itself: they may be what is wrong
        from flower.management.commands.doctor import Command

        Command().run_from_argv(sys.argv)
        return
    try:
        settings.INSTALLED_APPS  # noqa: B018 - reading one loads them all: a bad value is told before anything runs
        if sentence := _half_restored():
            sys.stderr.write(f"{sentence}\n")
            sys.exit(1)
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    except Exception as error:
        sentence = _sentence(error)
        own = sys.argv[: sys.argv.index("--")] if "--" in sys.argv else sys.argv  # the rest is an agent's
        if not sentence or "--traceback" in own:
            raise
        sys.stderr.write(f"{sentence}\n")
        sys.exit(1)


def _half_restored() -> str:
    """Why only a restore may write to this state folder now; empty where none is unfinished, or one is asked for."""
    from django.conf import settings

    from flower.backup import marker

    return "" if sys.argv[1:2] in (["restore"], ["help"], []) else marker.refusal(settings.FLOWER.home)


def _sentence(error: Exception) -> str:
    """Trouble of the database or the disk, which is no bug, as whoever sits here can use it; else empty."""
    from flower import complaints

    complaint = complaints.of(error)
    return complaint.sentence if complaint else ""


if __name__ == "__main__":
    main()
