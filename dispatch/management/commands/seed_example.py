"""``seed_example``: one brief as a team would leave it, to look at: by the same services that people and agents use."""

from __future__ import annotations

import subprocess
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import BaseCommand

from briefs import lifecycle
from briefs.models import Actor, Brief, Project
from briefs.services import actors, briefs, links, projects, proposals, specs
from daemons.models import Scratchpad
from daemons.services import scratchpads
from dispatch import claims, services

TITLE: Final = "Worktree-isolated active work (MAIN = stable served/prod); flexible agents-per-worktree"
FIRST_NOTE: Final = (
    "The self-healing ops loop does its work well, but it runs from a checkout that active builds share. Merges, "
    "migrations, restarts and branch churn all disturb it. Give it a stable checkout of its own, away from "
    "development: a worktree, an environment, a project scope. Which one (a worktree, a second clone, or MAIN kept as "
    "served) is still to be decided."
)
FIRST_PLAN: Final = """## Spec: Agent / worktree topology — isolation + a small standing pool + on-demand spawn

**Problem.** Agents that build right in MAIN break what is served. One reserved method name, half-way through a change,
took down every command and the ops loop with it, only because the design work shares MAIN's tree.

**Principle.** MAIN is the stable served environment and only ever receives *merged* code. Every agent that builds works
in its own isolated worktree. The orchestrator is the one place where work is merged.

**Topology** (about three standing lanes, and more on demand):

- **Backend** in `flower-ccparse`: code and tests, nothing served.
- **Design** in `flower-design` with a site of its own, so that it sees its pages live without touching MAIN.
- **Ops** in a worktree that follows the served branch.
- **On demand**: for bursts, a fresh agent in an ephemeral worktree, retired after its brief.

**Why about three.** The work falls into backend, design and ops. Standing agents keep their context warm, but it rots;
each one beyond three adds a lane to merge and to watch, and less comes of it.

**First step.** Give design its worktree and its site, and move it off MAIN. Then ops gets its stable worktree.
"""
PLAN: Final = """## Spec: Worktree-isolated active work (MAIN = stable served/prod)

**Principle.** The unit of isolation is the **worktree**, a stream of active work on a branch, **not the agent**. Active
editing happens in worktrees; **MAIN is the stable served environment** and only ever receives *merged* code. A worktree
may host **one or more agents**.

**Why put it so.** It frees the number of agents from the number of worktrees. Isolation is *between* worktrees: two
features never meet. *Within* one, agents that work together agree on who edits which file.

**Layout**

- **MAIN** is served. The orchestrator merges into it; the ops loop reads it and writes nothing.
- **Worktrees**, one for each stream: `flower-ccparse` (backend), `flower-design` with its own site. Kept for lanes,
  ephemeral for bursts, removed once merged.
- **Agents** are assigned as needed. Standing ones are refreshed when their context rots.

**Mechanics.** Worktrees share MAIN's database, search and queue; a migration from any of them lands for all, so it is
run on purpose. Served worktrees need an environment file; model work stays with MAIN's daemons.

**First step.** A `flower-design` worktree and site; move design's active work off MAIN.
"""
SECOND_NOTE: Final = "This sounds great, so let's get flower-design into its own worktree and set up with a site."
COMMENT: Final = (
    "Worktree isolation has begun: the playbook is linked into the base path and kept out of git; the conventions for "
    "briefs, dispatch and worktrees are written down; the flags for making one are confirmed (shared mode, branch "
    "`design`). Next: the `flower-design` worktree and its site, then design moves off MAIN."
)
PADS: Final = {
    351: "Design lane: what moves first",
    346: "Site for flower-design",
    344: "Playbook: worktrees and lanes",
    381: "Ops loop from a stable checkout",
    386: "Migrations from any worktree",
    398: "Merge notes of the week",
    399: "Hand-off of the isolation work",
}


class Command(BaseCommand):
    help = "Make an example brief with spec, trace, links and participants, to look at."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--planned", action="store_true", help="stop before it is dispatched and claimed")

    def handle(self, *_: Any, **options: Any) -> None:
        brief = make(planned=options["planned"])
        print(brief.pk)


def make(*, planned: bool = False) -> Brief:
    mike = actors.named("operator:mike", Actor.Kind.OPERATOR)
    orchestrator = actors.named("flower-orchestrator", Actor.Kind.AGENT)
    brief = briefs.capture(TITLE, title="Worktree-isolated active work", actor=mike, project=_project())
    briefs.rename(brief, TITLE, actor=mike)
    briefs.note(brief, FIRST_NOTE, actor=mike)
    plan = proposals.propose(brief, FIRST_PLAN, actor=orchestrator)
    proposals.accept(plan, actor=mike, base_version=0)
    specs.update(brief, PLAN, base_version=1, actor=orchestrator, why="The worktree is the unit, not the agent.")
    briefs.note(brief, SECOND_NOTE, actor=mike)
    briefs.note(brief, COMMENT, actor=orchestrator, kind="comment")
    lifecycle.move(brief, "planned", actor=orchestrator)
    if not planned:
        request = services.dispatch(brief, actor=orchestrator, kind="direct")
        claims.claim(request, actor=orchestrator, lease_seconds=claims.LONGEST_LEASE)
    for number, name in PADS.items():
        pad = _pad(number, name, brief, orchestrator)
        links.add(brief, "scratchpad", str(pad.pk), actor=orchestrator, relation="execution")
    brief.refresh_from_db()
    return brief


def _pad(number: int, name: str, brief: Brief, actor: Actor) -> Scratchpad:
    """A scratchpad of that number, or of the next free one where it is taken."""
    content = f"# {name}\n\nNotes for #{brief.pk}.\n\n- what was done\n- what comes next\n"
    pad = scratchpads.create(name, content, actor=actor, project=brief.project)
    if not Scratchpad.objects.filter(pk=number).exists():
        Scratchpad.objects.filter(pk=pad.pk).update(id=number)
        pad = Scratchpad.objects.get(pk=number)
    return pad


def _project() -> Project:
    """The project ``flower``: as it is, else on a small repository in the state folder."""
    found = Project.objects.filter(slug="flower").first()
    if found is not None:
        return found
    path: Path = settings.FLOWER.home / "example" / "flower"
    if not (path / ".git").exists():
        path.mkdir(parents=True, exist_ok=True)
        (path / "README.md").write_text("# An example\n\nA repository for the example brief.\n")
        who = ["-c", "user.name=flower", "-c", "user.email=flower@localhost"]
        for words in (["init", "-q", "-b", "main"], ["add", "."], [*who, "commit", "-q", "-m", "Begin"]):
            subprocess.run(["git", *words], cwd=path, check=True)
    return projects.add(str(path), slug="flower")
