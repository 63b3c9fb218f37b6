"""The packet: the exact prompt that an agent gets, rendered once when the request is made and kept with it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from django.template.loader import render_to_string
from django.utils.text import slugify

from briefs.models import Brief, Project, TraceEntry

PROMPT: Final = "You work on flower brief #{brief}. Read the file {packet} and do what it says."
_TELLING: Final = [
    TraceEntry.Kind.CAPTURED,
    TraceEntry.Kind.NOTE,
    TraceEntry.Kind.COMMENT,
    TraceEntry.Kind.ANSWER,
    TraceEntry.Kind.FAILED,
    TraceEntry.Kind.COMPLETED,
]


def render(brief: Brief, project: Project, *, kind: str, branch: str, base: str, base_sha: str, worktree: Path) -> str:
    """The packet's text for one request on ``brief``."""
    newest = TraceEntry.objects.filter(brief=brief, kind__in=_TELLING).order_by("-seq")[:12]
    context = {
        "brief": brief,
        "project": project,
        "kind": kind,
        "branch": branch,
        "base": base,
        "base_sha": base_sha,
        "worktree": worktree,
        "entries": reversed(newest),
        "document": design_document(brief),
    }
    template = "prompts/design_packet.md" if kind == "design" else "prompts/packet.md"
    return render_to_string(template, context).strip() + "\n"


def design_document(brief: Brief) -> str:
    """Where a design pass writes what it found, in the repository."""
    return f"docs/design/{brief.pk}-{slugify(brief.title)[:50].strip('-') or 'design'}.md"


def prompt(brief: int, packet: Path) -> str:
    """The one line that goes on the command line; the rest is in the file (launch arguments stay under 1 KB)."""
    return PROMPT.format(brief=brief, packet=packet)
