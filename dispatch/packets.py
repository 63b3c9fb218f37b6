"""The packet: the exact prompt that an agent gets, rendered once when the request is made and kept with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.template.loader import render_to_string
from django.utils.text import slugify

from briefs.models import Brief, Project, TraceEntry
from dispatch.leftovers import RunLeftovers
from dispatch.models import DispatchRequest, GateRun
from worktrees import git

PROMPT: Final = "You work on flower brief #{brief}. Read the file {packet} and do what it says."
_TELLING: Final = [
    TraceEntry.Kind.CAPTURED,
    TraceEntry.Kind.NOTE,
    TraceEntry.Kind.COMMENT,
    TraceEntry.Kind.ANSWER,
    TraceEntry.Kind.FAILED,
    TraceEntry.Kind.COMPLETED,
    TraceEntry.Kind.GATE,
    TraceEntry.Kind.MERGE,
    TraceEntry.Kind.MAIN_MOVED,
    TraceEntry.Kind.REFUSED,
]
COMMITS: Final = 20  # that a packet names
_FILES: Final = 100  # files in conflict that a packet names
_TAIL: Final = 4_000  # characters of a gate's output


@dataclass(frozen=True)
class Earlier:
    """The request whose work is to be reworked, or gone on with. ``head`` is empty when it left no commit on its base.

    ``left`` is what else lies there; ``commits`` its newest commits; ``goes_on``: in its worktree and on its branch.
    """

    request: DispatchRequest
    head: str
    left: RunLeftovers
    commits: tuple[git.Commit, ...] = ()
    goes_on: bool = False

    @property
    def conflicts(self) -> list[str]:
        """The files that its last merge could not merge."""
        merges = TraceEntry.objects.filter(brief=self.request.brief_id, kind=TraceEntry.Kind.MERGE).order_by("-seq")
        rows = (data for data in merges.values_list("data", flat=True)[:20] if data.get("dispatch") == self.request.pk)
        return next((list(data.get("conflicts", []))[:_FILES] for data in rows), [])

    @property
    def dropped(self) -> str:
        """The newest commit below the work that the main branch dropped, where that is why it was not merged."""
        refused = TraceEntry.objects.filter(brief=self.request.brief_id, kind=TraceEntry.Kind.REFUSED).order_by("-seq")
        rows = (data for data in refused.values_list("data", flat=True)[:20] if data.get("dispatch") == self.request.pk)
        return str(next((data.get("dropped", "") for data in rows), ""))

    @property
    def gate(self) -> GateRun | None:
        """The gate that was red in its last attempt to merge."""
        runs = GateRun.objects.filter(request=self.request, attempt=self.request.merge_attempt, passed=False)
        return runs.first()

    @property
    def gate_said(self) -> str:
        """The end of that gate's output, as it may stand in a fenced block."""
        return self.gate.tail.strip()[-_TAIL:].replace("```", "` ` `") if self.gate else ""


def render(
    brief: Brief,
    project: Project,
    *,
    kind: str,
    branch: str,
    base: str,
    base_sha: str,
    worktree: Path,
    earlier: Earlier | None = None,
) -> str:
    """The packet's text for one request on ``brief``; with ``earlier``, what is to be reworked."""
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
        "earlier": earlier,
    }
    template = "prompts/design_packet.md" if kind == "design" else "prompts/packet.md"
    return render_to_string(template, context).strip() + "\n"


def design_document(brief: Brief) -> str:
    """Where a design pass writes what it found, in the repository."""
    return f"docs/design/{brief.pk}-{slugify(brief.title)[:50].strip('-') or 'design'}.md"


def is_prompt(text: str, brief: int) -> bool:
    """Is this text, as a whole, a ``prompt`` of this brief, wherever its packet lay?"""
    before, after = PROMPT.format(brief=brief, packet="\0").split("\0")
    text = text.strip()
    return text.startswith(before) and text.endswith(after) and len(text.splitlines()) == 1


def prompt(brief: int, packet: Path) -> str:
    """The one line that goes on the command line; the rest is in the file (launch arguments stay under 1 KB)."""
    return PROMPT.format(brief=brief, packet=packet)
