"""From brief_dispatch to the first instruction of the agent, less what git itself takes for the same checkout.

Both sides run in the same repository in turns. git's side is one ``git worktree add`` with flower's options (its
configuration, a lock with a reason, a new branch, one writer per core) on the same disk. Everything else (the check of
the brief, the trace, the worker's wake-up, the claim, flower's checks of the checkout, the holder, the start of the
agent's interpreter) counts as overhead.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench import board
from bench.http import Link
from bench.pairs import Spread, in_turns
from bench.report import Row
from bench.system import ROOT, System, running
from worktrees.git import command

LIMIT = 1.0  # seconds
ROUNDS = 7
SIZES = {"small": 20, "large": 4000}  # files
PATIENCE = 120.0
OVER = {"failed", "done", "cancelled"}  # the agent ends without completing, so "failed" is what becomes of it


def measure(rounds: int = ROUNDS, sizes: dict[str, int] = SIZES) -> list[Row]:
    with running() as system:
        token = system.token()
        (system.home / "stamps").mkdir()
        agent = [sys.executable, "-I", "-S", str(ROOT / "bench" / "agent.py")]
        system.command("agent_add", "stamp", "--env", f"BENCH_STAMPS={system.home / 'stamps'}", "--", *agent)
        return [measure_one(system, token, name, files, rounds) for name, files in sizes.items()]


def measure_one(system: System, token: str, name: str, files: int, rounds: int) -> Row:
    path = board.repository(system.home / name, files)
    system.command("project_add", str(path), "--slug", name)
    link = Link(system.address)
    pairs = list(in_turns(rounds, lambda: dispatched(system, link, token, name), lambda: checked_out(system, path)))
    link.close()
    ours, theirs = zip(*pairs, strict=True)
    return Row(
        f"dispatch-{name}",
        f"dispatch to the agent's first instruction, less git's checkout of {files:,} files",
        f"{1000 * Spread.of(ours).median:,.0f} ms",
        f"git {1000 * Spread.of(theirs).median:,.0f} ms",
        Spread.of([one - other for one, other in pairs]),
        LIMIT,
        unit="s more",
        details={"flower_seconds": ours, "git_seconds": theirs},
    )


def dispatched(system: System, link: Link, token: str, project: str) -> float:
    number = link.call(token, "brief_create", body="Look at the clock", project=project)["brief"]
    begun = time.time()
    run = link.call(token, "brief_dispatch", brief=number, agent="stamp")["dispatch"]
    stamp = system.home / "stamps" / str(run)
    _await(stamp.exists, f"the agent of dispatch {run}")
    taken = float(stamp.read_text()) - begun

    def is_over() -> bool:  # what follows is not to disturb the next measurement
        return link.call(token, "recall_brief", brief=number, include=["dispatches"])["dispatches"][0]["status"] in OVER

    _await(is_over, f"the end of dispatch {run}")
    time.sleep(0.2)
    return taken


def checked_out(system: System, repository: Path) -> float:
    path = system.home / "baseline" / f"{repository.name}-{time.monotonic_ns()}"
    path.parent.mkdir(exist_ok=True)
    base = command.run(["rev-parse", "HEAD"], cwd=repository).text
    options = ["--no-guess-remote", "--lock", "--reason", "flower bench", "-b", f"bench/{path.name}"]
    begun = time.perf_counter()
    command.run(
        ["worktree", "add", *options, "--", str(path), base],
        cwd=repository,
        config=("checkout.workers=0",),
        timeout=600,
    )
    taken = time.perf_counter() - begun
    command.run(["worktree", "remove", "-f", "-f", "--", str(path)], cwd=repository)
    return taken


def _await(come: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not come():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not come in {PATIENCE:g} s")
        time.sleep(0.02)
