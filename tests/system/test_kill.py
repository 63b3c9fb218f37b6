"""kill -9 of each process in the middle of each step: every request ends right, once, and soon."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from daemons import terminal
from tests.factories import git
from tests.system.agent import EXIT_CODE
from tests.system.running import CHILDREN, Bench, assert_main_is_whole, is_alive, merges_of, until

pytestmark = pytest.mark.slow

REPAIR = 30.0  # seconds from the crash until a step goes on. Promised are 10, on a machine that has nothing else to do
BROKER_IS_DEAD = "q.sock"  # the broker's name, in what the others say when they miss it
STEPS = ("prepare", "run", "merge")


@pytest.fixture(scope="module")
def projects(bench: Bench) -> dict[str, Path]:
    """A project for each step to be interrupted; what happens in it waits for the test's signal.

    In ``slow`` git takes as long to write a file named ``*.slow`` as the test wants.
    """
    here, setup, gate = bench.signals, "n=${PWD##*-d}", "n=${PWD##*/}; n=${n%-*}"

    def until_(name: str) -> str:
        return f"until [ -e {here}/{name} ]; do sleep 0.02; done"

    gates = [
        f"{gate}; echo $n >> {here}/first-gates",
        f"{gate}; echo $n >> {here}/second-gates; {until_('gate-$n')}",
    ]
    files = {f"{number}.txt": f"{number}\n" for number in range(99)}
    files |= {".gitattributes": "*.slow filter=wait\n", "first.slow": "first\n"}
    slow = bench.project("slow", "--auto-merge", "--git-program", "wait", files=files)
    smudge = f"echo $$ >> {here}/writing; {until_('write')}; exec cat"
    git(bench.folder / "slow", "config", "filter.wait.smudge", smudge)  # what an operator allows is as it is then
    bench.begin(
        bench.project("prepare", "--auto-merge", "--setup", f"{setup}; echo $n >> {here}/setups; {until_('setup-$n')}"),
        bench.project("run", "--auto-merge"),
        bench.project("merge", "--auto-merge", "--gate", gates[0], "--gate", gates[1]),
        slow,
        bench.agent("slow", "--env", "SUFFIX=.slow"),
    )
    return {slug: bench.folder / slug for slug in (*STEPS, "slow")}


@dataclass
class Struck:
    """Three requests that were each in the middle of another step when a process was killed."""

    bench: Bench
    dispatches: dict[str, int]
    seconds: dict[str, float] = field(default_factory=dict)  # from the crash until the step had gone on


@pytest.fixture(scope="module", params=CHILDREN)
def struck(bench: Bench, projects, request):
    flower, victim = bench.flower, request.param
    found = Struck(bench, {step: bench.dispatch(step, title=f"Kill the {victim}") for step in STEPS})
    numbers = found.dispatches
    for step in ("prepare", "merge"):  # these need not wait for the test in their agents
        bench.signal(f"work-{numbers[step]}", f"end-{numbers[step]}")
    until(lambda: bench.lines("setups", str(numbers["prepare"])), "the setup command runs")
    until(lambda: bench.lines("second-gates", str(numbers["merge"])), "the second gate runs")
    bench.await_signal(f"token-{numbers['run']}")
    assert {step: flower.state(number) for step, number in numbers.items()} == {
        "prepare": "preparing",
        "run": "running",
        "merge": "merging",
    }
    whole = flower.is_whole()
    assert whole

    flower.kill(victim)
    begun = time.monotonic()
    bench.signal(*(name.format(**numbers) for name in ("setup-{prepare}", "work-{run}", "end-{run}", "gate-{merge}")))
    beyond = {"prepare": {"claimed", "preparing"}, "run": {"running"}, "merge": {"merging"}}

    def all_went_on() -> bool:
        for step, number in numbers.items():
            if step not in found.seconds and flower.state(number) not in beyond[step]:
                found.seconds[step] = round(time.monotonic() - begun, 1)
        return len(found.seconds) == len(STEPS)

    until(all_went_on, f"all three go on after the {victim} was killed; so far {found.seconds}", 4 * REPAIR)
    until(flower.is_whole, f"the {victim} is back")
    for number in numbers.values():
        flower.await_state(number, "done")
    print(f"{victim}: {found.seconds}")
    return found


@pytest.mark.parametrize("step", STEPS)
def test_every_request_ends_right_once_and_soon(struck, projects, step):
    bench, number = struck.bench, struck.dispatches[step]
    flower = bench.flower
    assert struck.seconds[step] < REPAIR
    brief, state, fence = flower.rows(
        "select brief_id, state, fence from dispatch_dispatchrequest where id = ?", number
    )[0]
    assert (state, fence) == ("done", 1)
    trace = flower.rows("select kind from briefs_traceentry where brief_id = ? order by seq", brief)
    kinds = [kind for (kind,) in trace]
    for once in ("dispatched", "claimed", "process", "completed", "merge", "link_added"):
        assert kinds.count(once) == 1, kinds
    assert not {"failed", "gate", "refused"} & set(kinds)
    assert flower.value("select status from briefs_brief where id = ?", brief) == "complete"

    merged = merges_of(projects[step], number)
    assert len(merged) == 1
    assert flower.rows("select target from briefs_link where brief_id = ? and kind = 'commit'", brief) == [(merged[0],)]
    assert_main_is_whole(projects[step])
    assert (projects[step] / f"work-{number}.txt").read_text() == "done\n"
    assert_output_is_whole(bench, number)

    setups, first, second = (bench.lines(name, str(number)) for name in ("setups", "first-gates", "second-gates"))
    assert (setups, first, second) == {"prepare": (1, 0, 0), "run": (0, 0, 0), "merge": (0, 1, 1)}[step]


def assert_output_is_whole(bench: Bench, dispatch: int) -> None:
    """Each line of the agent is there once, in order, to the last; its exit code is on the disk and in the row."""
    flower = bench.flower
    run_dir = flower.run_dir(dispatch)
    until((run_dir / "exit.json").exists, f"the agent of dispatch {dispatch} ended")
    lines = (run_dir / "output.log").read_bytes().decode().splitlines()
    assert lines[-1] == f"{len(lines) - 1} lines"
    assert lines[:-1] == [f"line {number:06}" for number in range(1, len(lines))]
    assert json.loads((run_dir / "exit.json").read_text())["code"] == EXIT_CODE
    row = "select phase, exit_code, output_bytes from daemons_process where id = ?"
    until(lambda: flower.rows(row, run_dir.name)[0][0] == "exited", "flower sees the agent's end", REPAIR)
    assert flower.rows(row, run_dir.name) == [("exited", EXIT_CODE, (run_dir / "output.log").stat().st_size)]


# --- in the middle of git ---------------------------------------------------------------------------------------------


def let_git_wait(bench: Bench) -> None:
    for name in ("write", "writing"):
        (bench.signals / name).unlink(missing_ok=True)


def kill_the_worker_while_git_waits(bench: Bench, *, git_too: bool) -> None:
    """Returns when the worker is dead, and its git is dead or an orphan; from then on git does not wait any more."""
    until(lambda: bench.size("writing"), "git writes")
    smudge = int((bench.signals / "writing").read_text().split()[0])
    writer = psutil.Process(smudge).parent()
    assert writer.name() == "git"
    bench.flower.kill("worker")
    if git_too:
        for pid in (writer.pid, smudge):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not is_alive(writer.pid), "git is dead", 10)
    assert is_alive(writer.pid) != git_too
    bench.signal("write")


@pytest.mark.parametrize("git_too", [False, True], ids=["git lives on", "git is killed too"])
@pytest.mark.parametrize("step", ["prepare", "merge"])
def test_a_worker_that_dies_while_its_git_writes_files(bench: Bench, projects, step, git_too):
    flower, main = bench.flower, projects["slow"]
    until(flower.is_whole, "flower is whole")
    if step == "prepare":
        let_git_wait(bench)
        number = bench.dispatch("slow", "slow", title="Kill in the fill")
    else:
        bench.signal("write")
        number = bench.dispatch("slow", "slow", title="Kill in the refresh of MAIN")
        bench.await_signal(f"token-{number}")
        let_git_wait(bench)
        bench.signal(f"work-{number}", f"end-{number}")
    kill_the_worker_while_git_waits(bench, git_too=git_too)
    begun = time.monotonic()
    flower.await_state(number, "running" if step == "prepare" else "done", seconds=4 * REPAIR)
    seconds = time.monotonic() - begun
    bench.signal(f"work-{number}", f"end-{number}")
    print(f"{step}, git {'dead' if git_too else 'alive'}: {seconds:.1f}")
    assert seconds < REPAIR
    flower.await_state(number, "done")
    assert len(merges_of(main, number)) == 1
    assert (main / f"work-{number}.slow").read_text() == "done\n"
    assert_main_is_whole(main)
    assert_output_is_whole(bench, number)


# --- the holder, and the end ------------------------------------------------------------------------------------------


def test_a_killed_holder_is_a_lost_agent(bench: Bench, projects):
    flower = bench.flower
    until(flower.is_whole, "flower is whole")
    number = bench.dispatch("run", title="Kill the holder")
    bench.await_signal(f"token-{number}")
    flower.await_state(number, "running")
    facts = terminal.facts(flower.run_dir(number))
    assert facts.phase == "running"
    os.kill(facts.holder_pid, signal.SIGKILL)
    flower.await_state(number, "failed", seconds=REPAIR)
    brief, failure, failure_class = flower.rows(
        "select brief_id, failure, failure_class from dispatch_dispatchrequest where id = ?", number
    )[0]
    assert failure_class == "lost"
    assert failure.startswith("The agent is lost: its holder was killed, and its exit code with it. It last said:")
    assert "    line 0000" in failure
    entry = "select body from briefs_traceentry where brief_id = ? and kind = 'failed'"
    assert flower.rows(entry, brief) == [(failure,)]
    assert flower.value("select status from briefs_brief where id = ?", brief) == "planned"
    until(lambda: not is_alive(facts.pid), "the agent is hung up", 10)
    token = (bench.signals / f"token-{number}").read_text()
    until(lambda: flower.rpc(token, "tools/list")[0] == 401, "its token is refused", 20)


def test_at_the_end_nothing_is_left_over_and_the_trace_is_sound(bench: Bench, projects):
    flower = bench.flower
    left = """select w.name, w.state, w.failure from worktrees_worktree w
        join dispatch_dispatchrequest d on d.worktree_id = w.id where d.state = 'done' and w.state != 'removed'"""
    until(lambda: not flower.rows(left), f"the worktrees of merged work are removed: {flower.rows(left)}")
    assert flower.manage(["trace_verify"])[0].startswith("ok ")
    assert list((flower.home / "scratch").iterdir()) == []
    for path in projects.values():
        assert len(git(path, "worktree", "list").splitlines()) <= 2  # MAIN; and of the lost agent, its work
    flower.assert_no_secrets_were_logged()
    troubles = [entry for entry in flower.troubles() if BROKER_IS_DEAD not in entry]
    assert not troubles, troubles[0][:5000]
