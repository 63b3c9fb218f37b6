"""What the benchmarks put on the board: a repository, a project, a brief; and how long a full board takes."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path

from bench.http import Link, burst, request
from bench.pairs import Spread, in_turns
from bench.report import Row
from bench.system import System, running

SPEC_LENGTH = 10_000
LINES = "value = 1  # a line of some length\n" * 60
_LINE = "Step {}: read the module, write the test that fails, make it pass, and say on the trace what changed.\n"
NOTE = "Step {} is done: the test passes, the old way is gone, and what is left over is written down in the plan."


def repository(path: Path, files: int) -> Path:
    """A git repository with one commit of that many small files, a hundred in a folder."""
    path.mkdir(parents=True)
    for number in range(files):
        folder = path / f"part-{number // 100:03}"
        folder.mkdir(exist_ok=True)
        (folder / f"module_{number}.py").write_text(f"# module {number}\n" + LINES)
    (path / "README.md").write_text("# A repository\n")
    who = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], [*who, "commit", "-q", "-m", "Begin"]):
        subprocess.run(["git", *arguments], cwd=path, check=True)
    return path


def brief(system: System, token: str, *, entries: int) -> int:
    """A brief of a project, with a spec of 10 KB and exactly so many trace entries; returns its number."""
    system.command("project_add", str(repository(system.home / "repo", 1)), "--slug", "bench")
    spec = "".join(_LINE.format(number) for number in range(200))[:SPEC_LENGTH]
    link = Link(system.address)
    number: int = link.call(token, "brief_create", body="Make the recall quick", spec=spec, project="bench")["brief"]
    while (seq := link.call(token, "brief_append", brief=number, body=NOTE.format(1))["seq"]) < entries:
        pass
    assert seq == entries
    link.close()
    return number


# --- the board's own page ---------------------------------------------------------------------------------------------

FEW, MANY = 100, 10_000
ENTRIES = 20  # of each brief's trace: 200,000 in all
ROUNDS = 24
CALLS = 12  # of one burst, one after another
LIMIT = 2.0

# Run by `manage.py shell` in the system's own environment: briefs in every status, epics with parts, dependencies,
# questions, requests that run. Rows are made in bulk: what is measured is how they are read.
FILL = """
import datetime, itertools
from django.utils import timezone
from briefs.models import Actor, Brief, Dependency, Project, Question, TraceEntry
from briefs.services import searching
from dispatch.models import DispatchRequest

count, entries = {count}, {entries}
project, actor, now = Project.objects.get(), Actor.objects.get(ref="operator:bench"), timezone.now()
statuses = (
    "idea planned refining in_progress in_review complete deferred dispatched complete cancelled".split()
)
states = dict(in_progress="running", in_review="finished", complete="done")
spec = "Step: read the module, write the test that fails, make it pass. " * 30
numbers = range(1, count + 1)
out = [number for number in numbers if statuses[number % 10] not in ("idea", "refining")]

def brief(number):
    epic = number - number % 50
    return Brief(
        pk=number, title=f"Thought number {{number}} about the worktrees and what they are for", project=project,
        status=statuses[number % 10], spec=spec, spec_version=1, created_by=actor, auto_dispatch=number % 4 == 0,
        updated_at=now - datetime.timedelta(minutes=number), trace_seq=entries,
        parent_id=epic if epic and 0 < number % 50 < 5 else None,
    )

def entry(number, seq):
    return TraceEntry(
        brief_id=number, seq=seq, kind="progress" if seq % 4 == 0 else "note", source="agent", actor=actor,
        actor_ref=actor.ref, body="The test passes, the old way is gone. " * 4, at=now, hash="",
    )

def request(number):
    state = states.get(statuses[number % 10], "cancelled")
    active = number if state in ("running", "finished") else None
    return DispatchRequest(
        brief_id=number, project=project, branch=f"flower/{{number}}", created_by=actor, state=state, only_active=active
    )

made = Brief.objects.bulk_create(map(brief, numbers), batch_size=200)
searching.keep_all(made)
rows = (entry(number, seq) for number in numbers for seq in range(1, entries + 1))
while batch := list(itertools.islice(rows, 2000)):
    TraceEntry.objects.bulk_create(batch)
Dependency.objects.bulk_create(Dependency(brief_id=number, depends_on_id=number - 1) for number in range(2, count, 10))
Question.objects.bulk_create(
    Question(brief_id=number, body="Which?", blocking=True, asked_by=actor, answered_at=None if number < 500 else now)
    for number in range(2, count, 25)
)
DispatchRequest.objects.bulk_create(map(request, out), batch_size=200)
"""


def fill(system: System, count: int) -> str:
    """Put that many briefs on a system's board; returns a token for its pages."""
    system.command("project_add", str(repository(system.home / "repo", 1)), "--slug", "bench")
    token = system.token()
    system.command("shell", "-v", "0", "-c", FILL.format(count=count, entries=ENTRIES))
    return token


def measure(rounds: int = ROUNDS, calls: int = CALLS) -> list[Row]:
    """The board's first page with very many briefs, to the same with few: two systems, in turns."""
    with running() as few, running() as many:
        sides = []
        for system, count in ((few, FEW), (many, MANY)):
            token = fill(system, count)
            sides.append((Link(system.address), token))
        return [
            _compare(name, what, address, sides, rounds, calls, limit)
            for name, what, address, limit in (
                ("board", f"the board's first page with {MANY:,} briefs, to {FEW}", "/briefs/", LIMIT),
                ("board-columns", "the same in columns", "/briefs/?view=columns", LIMIT),
                ("board-needs", "the same for “needs me”", "/briefs/?needs=me", None),
            )
        ]


def _compare(
    name: str, what: str, address: str, sides: list[tuple[Link, str]], rounds: int, calls: int, limit: float | None
) -> Row:
    def timed(link: Link, token: str) -> Callable[[], float]:
        data = request("GET", address, Authorization=f"Bearer {token}")
        return lambda: burst([link], data, calls).median_latency

    few, many = (timed(*side) for side in sides)
    pairs = list(in_turns(rounds, many, few))
    ours, theirs = (1000 * statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = Spread.of([one / other for one, other in pairs])
    return Row(name, what, f"{ours:.1f} ms", f"{theirs:.1f} ms", ratio, limit, details={"seconds": pairs})
