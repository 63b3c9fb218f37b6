"""flower is stopped, and flower is killed whole: the next one goes on where it was. Agents notice next to nothing."""

from __future__ import annotations

import json
import signal
import time

import pytest

from tests.system.agent import EXIT_CODE
from tests.system.running import Bench, Flower, assert_main_is_whole, is_alive, merges_of, until

pytestmark = pytest.mark.slow

# A link that was issued before the next start, and that nobody has used
SPARE_CODE = """
from briefs.models import Actor
from briefs.services import actors
print(actors.issue_entry_code(Actor.objects.filter(kind="operator").order_by("pk").first()))
"""


@pytest.fixture(scope="module")
def bench(flower: Flower, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = Bench(flower, tmp_path_factory.mktemp("bench"))
    spare = ["shell", "--verbosity", "0", "-c", SPARE_CODE]
    _, bench.spare_code = bench.begin(bench.project("sample", "--auto-merge", "--gate", "true"), spare)
    flower.codes.append(bench.spare_code)
    return bench


def enter(flower: Flower, code: str) -> str:
    """The session cookie that an entry code gives; empty when it gives none."""
    status, headers = flower.post(f"/enter/{code}")
    assert status in {302, 401}
    cookies = [cookie.partition(";")[0] for cookie in headers.get_all("Set-Cookie", [])]
    return next((cookie for cookie in cookies if cookie.startswith(f"flower_session_{flower.port}=")), "")


def output(bench: Bench, dispatch: int) -> list[str]:
    return (bench.flower.run_dir(dispatch) / "output.log").read_text().splitlines()


def assert_ended_right(bench: Bench, dispatch: int) -> None:
    flower = bench.flower
    flower.await_state(dispatch, "done")
    assert len(merges_of(bench.folder / "sample", dispatch)) == 1
    assert_main_is_whole(bench.folder / "sample")
    exit_file = flower.run_dir(dispatch) / "exit.json"
    until(exit_file.exists, "the agent ended")
    assert json.loads(exit_file.read_text())["code"] == EXIT_CODE
    lines = output(bench, dispatch)
    assert lines == [*(f"line {number:06}" for number in range(1, len(lines))), f"{len(lines) - 1} lines"]
    brief = flower.value("select brief_id from dispatch_dispatchrequest where id = ?", dispatch)
    kinds = [entry["kind"] for entry in bench.call("recall_brief", brief=brief)["trace"]]
    for once in ("claimed", "process", "completed", "merge"):
        assert kinds.count(once) == 1, kinds


def test_after_a_stop_everything_is_as_it_was(bench: Bench):
    flower = bench.flower
    merged, running = (bench.dispatch("sample", title=title) for title in ("Merged before", "Running meanwhile"))
    bench.signal(f"work-{merged}", f"end-{merged}")
    assert_ended_right(bench, merged)
    bench.await_signal(f"token-{running}")
    flower.await_state(running, "running")
    worktrees = "select count(*) from worktrees_worktree where state = 'removed'"
    until(lambda: flower.value(worktrees) == 1, "the merged work's worktree goes")
    first = flower.code
    cookie = enter(flower, first)
    assert flower.get("/briefs/", Cookie=cookie)[0] == 200
    briefs = [brief for (brief,) in flower.rows("select id from briefs_brief order by id")]
    before = [bench.call("recall_brief", brief=brief) for brief in briefs]
    children, lines = flower.pids(), len(output(bench, running))

    flower.stop()
    assert not any(map(is_alive, children.values()))
    assert flower.pids() == dict.fromkeys(children, 0)
    until(lambda: len(output(bench, running)) > lines + 20, "the agent goes on")

    flower.start()
    assert [bench.call("recall_brief", brief=brief) for brief in briefs] == before
    assert flower.state(merged) == "done"
    assert flower.get("/briefs/", Cookie=cookie)[0] == 200, "who was logged in still is"
    assert flower.code != first
    assert enter(flower, first) == "", "it was used"
    assert enter(flower, bench.spare_code) == "", "it is of an earlier start"
    again = enter(flower, flower.code)
    assert flower.get("/briefs/", Cookie=again)[0] == 200
    assert enter(flower, flower.code) == "", "it works once"
    assert flower.get("/briefs/")[0] == 302, "and nobody else is in"

    bench.signal(f"work-{running}", f"end-{running}")
    assert_ended_right(bench, running)
    assert flower.troubles() == []
    assert flower.complained() == []


def test_after_kill_9_of_the_supervisor_the_next_one_goes_on(bench: Bench):
    flower = bench.flower
    number = bench.dispatch("sample", title="Kill everything")
    bench.await_signal(f"token-{number}")
    flower.await_state(number, "running")
    children = flower.pids()
    assert all(map(is_alive, children.values()))
    flower.process.send_signal(signal.SIGKILL)
    flower.process.wait()
    until(lambda: not any(map(is_alive, children.values())), "the children die with it", 10)

    agent = json.loads((flower.run_dir(number) / "pid.json").read_text())
    assert is_alive(agent["pid"])
    lines = len(output(bench, number))
    bench.signal(f"work-{number}", f"end-{number}")  # it completes as soon as there is somebody to take it
    until(lambda: len(output(bench, number)) > lines + 20, "the agent goes on")

    flower.start()
    begun = time.monotonic()
    assert_ended_right(bench, number)
    print(f"{time.monotonic() - begun:.1f} s after it was ready")
    assert not is_alive(agent["pid"])
    assert flower.manage(["trace_verify"])[0].startswith("ok ")
    flower.assert_no_secrets_were_logged()
    until(lambda: not is_alive(agent["holder_pid"]), "the holder ends", 10)
