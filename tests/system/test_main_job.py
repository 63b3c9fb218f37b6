"""The main job with agents that are not ours: a shell script with curl, and the official MCP client."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from flower.env import BASE_DIR
from tests.factories import git
from tests.system.running import Bench, Flower, Refused, assert_main_is_whole, merges_of, until

pytestmark = pytest.mark.slow

FILES = 5_000
SCRIPT = BASE_DIR / "docs" / "examples" / "curl-agent.sh"
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
IDLE_SWEEPS = 2


@pytest.fixture(scope="module")
def main(bench: Bench) -> Path:
    """MAIN of the project ``big``, of some thousands of files, which merges when it is asked to; and the agents."""
    files = {f"src/part{number % 50:02}/module{number:04}.txt": f"This is file {number}.\n" for number in range(FILES)}
    *_, by_hand, stranger = bench.begin(
        bench.project("big", "--gate", "ls notes/brief-*.md || ls by-hand.txt", files=files),
        bench.project("elsewhere"),
        ["agent_add", "curl", "--", "/bin/sh", str(SCRIPT)],
        *(["actor_token", ref, "--scope", "agent", "--project", "big"] for ref in ("by-hand", "stranger")),
    )
    bench.tokens = {"by-hand": by_hand, "stranger": stranger}
    bench.flower.tokens += [by_hand, stranger]
    return bench.folder / "big"


@needs_curl
def test_a_shell_script_with_curl_does_the_main_job(bench: Bench, main: Path):
    flower, title = bench.flower, 'Count the "files" \\ and say so'
    begun = time.monotonic()
    number = bench.dispatch("big", "curl", title=title)
    flower.await_state(number, "finished")
    worked = time.monotonic()
    answer = bench.call("dispatch_merge", dispatch=number)
    assert (answer["ok"], answer["dispatch"]) == (True, number)
    flower.await_state(number, "done")
    print(f"worked in {worked - begun:.1f} s, merged in {time.monotonic() - worked:.1f} s")

    brief = flower.value("select brief_id from dispatch_dispatchrequest where id = ?", number)
    told = bench.call("recall_brief", brief=brief)
    assert (told["status"], told["title"]) == ("complete", title)
    trace = sorted(told["trace"], key=lambda entry: entry["seq"])
    worker = f"big-{brief}-worker"
    assert [entry["body"] for entry in trace if entry["kind"] == "progress" and entry["actor"] == worker] == [
        f"Begun: {title}",
        f"Committed {git(main, 'rev-parse', '--short', 'main^2')}.",
    ]
    kinds = [entry["kind"] for entry in trace]
    order = ["captured", "dispatched", "claimed", "worktree", "process", "progress", "completed", "merge"]
    assert [kinds.index(kind) for kind in order] == sorted(kinds.index(kind) for kind in order)
    assert kinds.count("merge") == 1

    (merge,) = merges_of(main, number)
    assert [(row["kind"], row["target"], row["relation"]) for row in told["links"]] == [("commit", merge, "result")]
    assert git(main, "rev-parse", "main") == merge
    assert git(main, "log", "-1", "--format=%s%n%an%n%(trailers:key=Brief,valueonly)", "main^2").splitlines() == [
        title,
        worker,
        f"#{brief}",
    ]
    assert (main / f"notes/brief-{brief}.md").read_text() == f"# {title}\n\nThe repository has {FILES} files.\n"
    assert_main_is_whole(main)
    output = (flower.run_dir(number) / "output.log").read_text().splitlines()
    assert output == [f"brief #{brief}: {title}", f"dispatch {number} is finished"]
    worktree = "select w.state, w.path from worktrees_worktree w where w.brief_id = ?"
    until(lambda: flower.rows(worktree, brief)[0][0] == "removed", "the worktree goes")
    assert not Path(flower.rows(worktree, brief)[0][1]).exists()


@needs_curl
def test_the_script_says_why_it_gives_up(bench: Bench, main: Path):
    """git refuses the commit here, as a hook of the repository may."""
    hook = main / ".git" / "hooks" / "pre-commit"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    try:
        number = bench.dispatch("big", "curl", title="Will not be committed")
        bench.flower.await_state(number, "failed")
    finally:
        hook.unlink()
    failure = bench.flower.value("select failure from dispatch_dispatchrequest where id = ?", number)
    assert failure == "curl-agent.sh ended with 1 while committing."


# --- the official client ----------------------------------------------------------------------------------------------


class Session:
    """What a person does at a client, step by step."""

    def __init__(self, portal: BlockingPortal, client: Client) -> None:
        self.portal, self.client = portal, client

    def tools(self) -> set[str]:
        return {tool.name for tool in self.portal.call(self.client.list_tools).tools}

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        answer = self.portal.call(self.client.call_tool, tool, arguments)
        if answer.is_error:
            raise Refused(answer.content[0].text)
        return dict(answer.structured_content)


@contextmanager
def connected(bench: Bench, token: str) -> Iterator[Session]:
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=30)
    client = Client(streamable_http_client(f"{bench.flower.url}/mcp", http_client=http))
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(http),
        portal.wrap_async_context_manager(client),
    ):
        yield Session(portal, client)


def test_the_official_client_claims_works_and_completes(bench: Bench, main: Path):
    flower = bench.flower
    asked = bench.call("brief_dispatch", brief=bench.brief("big", title="By hand"))
    number = asked["dispatch"]
    with connected(bench, bench.tokens["by-hand"]) as agent:
        offered = agent.tools()
        assert {"brief_claim", "brief_dispatch_progress", "brief_dispatch_complete", "recall_brief"} <= offered
        assert not {"dispatch_merge", "brief_dispatch"} & offered

        claim = agent.call("brief_claim")
        assert (claim["dispatch"], claim["fence"]) == (number, 1)
        with pytest.raises(Refused, match="claimed by by-hand; nothing was claimed"):
            agent.call("brief_claim", dispatch=number)
        worktree = Path(re.search(r"worktree: `([^`]+)`", claim["packet"])[1])
        branch = re.search(r"branch: `([^`]+)`", claim["packet"])[1]
        assert branch == asked["branch"]
        flower.await_state(number, "running")
        assert agent.call("brief_dispatch_progress", note="Begun by hand.", fence=1)["ok"]

        with pytest.raises(Refused, match="no commit on top of its base"):
            agent.call("brief_dispatch_complete", dispatch=number, fence=1)
        (worktree / "by-hand.txt").write_text("by hand\n")
        with pytest.raises(Refused, match=r"not clean: by-hand\.txt"):
            agent.call("brief_dispatch_complete", dispatch=number, fence=1)
        git(worktree, "add", ".")
        git(worktree, "commit", "--quiet", "-m", "By hand")
        with pytest.raises(Refused, match="never claimed with fence 9"):
            agent.call("brief_dispatch_complete", dispatch=number, fence=9)
        done = {"dispatch": number, "summary": "By hand.", "fence": 1}
        for _ in range(2):  # the same call again gives the same answer
            assert agent.call("brief_dispatch_complete", **done) == {"dispatch": number, "status": "finished"}
        with pytest.raises(Refused, match="no tool 'dispatch_merge' for you"):
            agent.call("dispatch_merge", dispatch=number)

    with connected(bench, bench.operator) as operator:
        assert operator.call("dispatch_merge", dispatch=number)["ok"]
    flower.await_state(number, "done")
    assert len(merges_of(main, number)) == 1
    assert (main / "by-hand.txt").read_text() == "by hand\n"
    assert_main_is_whole(main)


def test_without_the_right_token_there_is_nothing(bench: Bench, main: Path):
    flower = bench.flower
    mine, other = (bench.dispatch("elsewhere", title=title) for title in ("Mine", "Other"))
    run_token = bench.await_signal(f"token-{mine}").read_text()
    flower.tokens.append(run_token)
    bench.await_signal(f"token-{other}")
    flower.await_state(other, "running")
    brief = flower.value("select brief_id from dispatch_dispatchrequest where id = ?", other)
    before = bench.call("recall_brief", brief=brief)

    for token in (None, "", "wrong", "flower_" + "x" * 43, run_token[:-1], run_token + "x", f"{run_token} x"):
        for method, params in (("tools/list", {}), ("tools/call", {"name": "whoami"}), ("initialize", {})):
            status, message = flower.rpc(token, method, **params)
            assert status == 401, (token and token[:10], method, message)
            assert "result" not in message
    for path in ("/briefs/", f"/briefs/{brief}/", f"/dispatches/{other}/", "/processes/1/", "/metrics", "/admin/"):
        status, headers, _ = flower.get(path)
        assert status in {401, 403} or (status == 302 and "/login/" in headers["Location"]), path
        assert flower.get(path, Authorization="Bearer wrong")[0] == 401

    with connected(bench, run_token) as run:  # a run's token is for that run
        assert run.call("whoami")["dispatch"] == mine
        assert "brief_claim" not in run.tools()
        for tool, arguments in {
            "recall_brief": {"brief": brief},
            "brief_append": {"brief": brief, "body": "mine now"},
            "brief_dispatch_progress": {"dispatch": other, "note": "mine now"},
            "brief_dispatch_complete": {"dispatch": other, "no_changes": True},
            "brief_dispatch_fail": {"dispatch": other, "why": "mine now"},
            "brief_dispatch_cancel": {"dispatch": other, "why": "mine now"},
            "brief_claim": {"dispatch": other},
            "dispatch_merge": {"dispatch": other},
        }.items():
            with pytest.raises(Refused, match=r"^There is no (brief #?|dispatch |tool ')"):
                run.call(tool, **arguments)
    with pytest.raises(Refused, match="There is no brief"):
        flower.call(bench.tokens["stranger"], "recall_brief", brief=brief)
    assert bench.call("recall_brief", brief=brief) == before

    for number in (mine, other):
        assert bench.call("brief_dispatch_cancel", dispatch=number, why="The test is over.")["ok"]
    until(lambda: flower.rpc(run_token, "tools/list")[0] == 401, "the token of an ended run is refused", 20)


def test_a_backup_while_four_agents_work_is_restored_elsewhere(bench: Bench, main: Path, tmp_path: Path):
    flower, archive = bench.flower, tmp_path / "four.zip"
    numbers = [bench.dispatch("elsewhere", title=f"Work {number}") for number in range(4)]
    for number in numbers:
        flower.await_state(number, "running")
        bench.await_signal(f"token-{number}")
    log = flower.run_dir(numbers[0]) / "output.log"
    lines = log.stat().st_size
    (told,) = flower.manage(["backup", str(archive), "--with-outputs"])
    assert re.match(rf"{archive}: [\d,]+ rows and \d+ files, 0\.\d MB$", told)
    until(lambda: log.stat().st_size > lines, "the agents go on")
    for number in numbers:
        assert bench.call("brief_dispatch_cancel", dispatch=number, why="The test is over.")["ok"]

    place = Flower(tmp_path / "restored")
    restored, _, verdict = place.manage(["restore", str(archive)], ["reconcile", "--apply"], ["trace_verify"])
    chain = "select brief_id, seq, hash from briefs_traceentry where brief_id in (select brief_id from"
    chain += f" dispatch_dispatchrequest where id in {tuple(numbers)}) order by brief_id, seq"
    entries = {row[:2]: row[2] for row in flower.rows(chain)}
    there = {row[:2]: row[2] for row in place.rows(chain)}
    before = {key: value for key, value in there.items() if entries.get(key) == value}
    assert re.search(r"4 processes ran then; they count as lost\nok [1-9]\d* entries$", restored), restored
    assert len(before) >= 4 * 6, "captured, dispatched, claimed and so on of each, as they stand in the first"
    for number in numbers:
        why = place.value("select failure from dispatch_dispatchrequest where id = ?", number)
        assert place.state(number) == "failed"
        assert why.startswith(
            "The agent is lost: it ran where the backup was made, from which this flower was restored."
        )
        kept = (place.run_dir(number) / "output.log").read_bytes()
        assert kept and (flower.run_dir(number) / "output.log").read_bytes().startswith(kept)
    assert verdict.startswith("ok "), "also with what the failures have added"


def test_at_the_end_only_the_sweep_goes_on_and_nobody_complained(bench: Bench, main: Path):
    flower = bench.flower
    alive = "select count(*) from daemons_process where phase in ('starting', 'running')"
    until(lambda: flower.value(alive) == 0, "all agents ended")
    unfinished = flower.home / "scratch"
    assert not unfinished.exists() or not any(unfinished.iterdir())
    seq = "select count(*), max(id) from briefs_traceentry"
    entries = flower.rows(seq)
    assert tasks_sent(flower.run / "q.sock", IDLE_SWEEPS) <= {"dispatch.tasks.sweep", "transcripts.tasks.sweep"}
    assert flower.rows(seq) == entries
    assert flower.manage(["trace_verify"])[0] == f"ok {entries[0][0]} entries"
    assert flower.troubles() == []
    assert flower.complained() == []
    flower.assert_no_secrets_were_logged()


def tasks_sent(broker: Path, sweeps: int) -> set[str]:
    """The names of the tasks that are sent until so many sweeps have been."""
    names: list[str] = []
    with redis.Redis(unix_socket_path=str(broker), socket_timeout=60).monitor() as monitor:
        for command in monitor.listen():
            words = command["command"]
            if words.startswith("LPUSH flower:"):
                names += re.findall(r'"task": "([a-z_.]+)"', words.replace("\\", ""))
            if names.count("dispatch.tasks.sweep") == sweeps:
                return set(names)
    raise AssertionError("the broker ended")
