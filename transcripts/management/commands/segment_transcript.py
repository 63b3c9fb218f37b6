from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from core.errors import Refusal
from transcripts.adapters import read
from transcripts.segmentation import Line, Segment, segment


class Command(BaseCommand):
    help = "The outline of each log (Claude Code, Codex), one JSON object a file and line; needs no database."
    requires_system_checks: list[str] = []  # they load every room, and nothing of theirs is used here

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument("--json", action="store_true", help="the only form there is")
        parser.add_argument("--no-llm", action="store_true", help="by rules alone, even where a model is configured")

    def handle(self, *args: Any, **options: Any) -> None:
        failed = False
        for path in options["files"]:
            try:
                answer: dict[str, Any] = {"file": str(path), "segments": segments_of(path)}
            except Refusal as refusal:
                answer = {"file": str(path), "error": refusal.sentence}
            except OSError as error:
                answer = {"file": str(path), "error": f"{path} cannot be read: {error.strerror or error}."}
            failed |= "error" in answer
            self.stdout.write(json.dumps(answer))
        if failed:
            sys.exit(1)


def segments_of(path: Path) -> list[dict[str, Any]]:
    """The segments of one file; their lines are physical, from 1, and the last one reaches to the end of the file."""
    transcript = read(path)
    segments = segment(transcript.events)
    if segments:
        segments[-1].last_line = max(segments[-1].last_line, transcript.counts.lines)
    return [_as_dict(one) for one in segments]


def _as_dict(one: Segment) -> dict[str, Any]:
    return {
        "first_line": one.first_line,
        "last_line": one.last_line,
        "title": one.title,
        "status": one.status,
        "summary": one.summary,
        "outcome": one.outcome.text if one.outcome else "",
        "next_steps": _texts(one.next_steps),
        "key_decisions": _texts(one.key_decisions),
        "open_questions": _texts(one.open_questions),
        "started_at": _time(one.started_at),
        "ended_at": _time(one.ended_at),
        "phase": one.phase,
        "files": [{"path": file.path, "verb": file.verb, "times": file.times} for file in one.files],
        "commits": [{"sha": commit.sha, "subject": commit.subject} for commit in one.commits],
        "tokens": one.tokens,
        "errors": one.errors,
        "prompts": one.prompts,
    }


def _texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()
