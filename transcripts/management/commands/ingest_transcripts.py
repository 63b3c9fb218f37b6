from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from briefs.models import Project
from core.errors import Refusal
from transcripts import ingest
from transcripts.models import Session
from transcripts.services import outlining
from transcripts.watch import is_log


class Command(BaseCommand):
    help = "Take the logs of agents into the database; a folder stands for the logs in it. One JSON object a file."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", metavar="PATH", type=Path)
        parser.add_argument("--project", metavar="SLUG", help="whose they are, whatever their folders say")

        parser.add_argument(
            "--again", action="store_true", help="read logs that were taken before from their beginning"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project = None
        if slug := options["project"]:
            project = Project.objects.filter(slug=slug).first()
            if project is None:
                raise CommandError(f"There is no project '{slug}'.")
        refused = 0
        for path in _logs(options["paths"]):
            said = _take(path, project, again=options["again"])
            refused += said["error"] is not None
            self.stdout.write(json.dumps(said, ensure_ascii=False))
        if refused:
            raise SystemExit(1)


def _logs(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(found for found in path.rglob("*") if is_log(found.name) and found.is_file())
        else:
            yield path


def _take(path: Path, project: Project | None, *, again: bool) -> dict[str, Any]:
    try:
        taken = ingest.take(path, project=project, again=again)
    except Refusal as refusal:
        nothing = {"session": None, "agent": None, "events": 0, "new_events": 0, "left_out": 0, "segments": 0}
        return {"file": str(path), **nothing, "error": refusal.sentence}
    outlining.refresh(taken.session)  # the worker would do it a moment later
    session = Session.objects.get(pk=taken.session)
    return {
        "file": str(path),
        "session": taken.session,
        "agent": taken.program,
        "events": taken.events,
        "new_events": taken.new_events,
        "left_out": taken.left_out,
        "segments": session.segments.count(),
        "error": None,
    }
