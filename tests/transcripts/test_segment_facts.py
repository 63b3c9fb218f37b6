"""What was really done: edits, commits, pushes and checks, by their results and not by what was announced."""

from __future__ import annotations

import time

import pytest

from tests.transcripts.building import Log, only, outcome, texts
from transcripts.commands.git import subject_of
from transcripts.commands.shell import checks_of
from transcripts.events import Commit, Kind, Touch, Verb
from transcripts.segmentation import Status, segment

REFUSED = "The user doesn't want to proceed with this tool use. The tool use was rejected."


# --- edits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [REFUSED, "String to replace not found in file."])
def test_an_announced_edit_that_failed_is_no_deed(answer):
    log = Log().ask("Cache the harbour map").say("I'll add a cache to the harbour map:")
    log.call("Edit", touches=(Touch("map.py", Verb.EDITED),), error=True, result=answer)
    one = only(log.say("Then not."))
    assert not one.files
    assert "Added a cache" not in one.summary + (one.outcome.text if one.outcome else "")


def test_an_announced_edit_that_nobody_answered_is_no_deed():
    log = Log().ask("Cache the harbour map").say("I'll add a cache to the harbour map:")
    log.call("Edit", touches=(Touch("map.py", Verb.EDITED),), result=None)
    assert "Added a cache" not in only(log).summary


# --- commits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("git commit -qam 'Draw the harbour map'", ""),
        ('rtk git add map.py && rtk git commit -m "Draw the harbour map"', "ok ✓"),
        ("git commit -q -F - <<'EOF'\nDraw the harbour map\n\nWith markers.\nEOF", ""),
        ("git commit -m 'Draw the harbour map' 2>&1 | tail -1", " 2 files changed, 3 insertions(+)"),
    ],
)
def test_a_quiet_commit_counts_without_an_id(command, answer):
    log = Log().ask("Draw the map").say("I draw.").edit("map.py").run(command, result=answer)
    one = only(log.say("There it is."))
    assert [(commit.sha, commit.subject, commit.event) for commit in one.commits] == [("", "Draw the harbour map", 6)]
    assert one.outcome is not None
    assert "Committed “Draw the harbour map”" in one.outcome.text


@pytest.mark.parametrize(
    ("command", "answer", "code"),
    [
        ("git commit -m 'Draw the harbour map'", "ok\nFAILED: git commit", 0),
        ("git commit -m 'Draw the harbour map'", "nothing to commit, working tree clean", 0),
        ("git commit -m 'Draw the harbour map'", "hook says no", 1),
        ("git commit -m 'Draw the harbour map' | tail -3", "3 problems", 0),
        ("git commit -m 'Draw the harbour map' || true", "", 0),
        ("git commit --dry-run -m 'Draw the harbour map'", "", 0),
        ("echo git commit -m 'Draw the harbour map'", "", 0),
    ],
)
def test_a_commit_that_may_have_failed_does_not_count(command, answer, code):
    log = Log().ask("Draw the map").say("I draw.").edit("map.py").run(command, result=answer, code=code)
    assert not only(log.say("There it is.")).commits


def test_a_subject_is_read_from_its_command():
    assert subject_of('git commit -am "Quote \\"names\\""') == 'Quote "names"'
    assert subject_of('git commit -m "$(cat message)"') == subject_of("git commit -F message") == ""


def test_an_amended_commit_is_one_under_its_new_id():
    log = Log().ask("Draw the map").say("I draw.").edit("map.py").commit("Draw the harbour map", sha="aaaaaaa1")
    log.say("I forgot a file.").run(
        "git commit --amend --no-edit",
        result="[main bbbbbbb2] Draw the harbour map",
        commits=(Commit("bbbbbbb2", "Draw the harbour map"),),
    )
    assert [(one.sha, one.event) for one in only(log.say("Now it is whole.")).commits] == [("bbbbbbb2", 9)]


def test_an_amended_commit_is_called_so_and_counts_once():
    log = Log().ask("Draw the map").say("I draw.").edit("map.py").commit("Draw the harbour map", sha="aaaaaaa1")
    log.run(
        "git add -A && git commit --amend --no-edit",
        result="[main bbbbbbb2] Draw the harbour map\n 1 file changed",
        commits=(Commit("bbbbbbb2", "Draw the harbour map"),),
    )
    assert outcome(log.say("There.")) == "There. Committed bbbbbbb2 “Draw the harbour map”."
    assert len(only(log).commits) == 1


def test_a_rebase_makes_no_commits_and_gives_old_ones_their_new_id():
    log = Log().ask("Draw the map").say("I draw.").edit("map.py").commit("Draw the harbour map", sha="aaaaaaa1")
    log.edit("ship.py").commit("Show the ships on it", sha="aaaaaaa2")
    log.say("Now onto main.").run(
        "git rebase main",
        result="[detached HEAD ccccccc3] Draw the harbour map\nSuccessfully rebased and updated refs/heads/main.",
        commits=(Commit("ccccccc3", "Draw the harbour map"),),
    )
    one = only(log.say("It lies on top."))
    assert [commit.sha for commit in one.commits] == ["ccccccc3", ""]  # the other one's is void, and not known anew
    assert "Finished a rebase." in one.summary


def test_a_push_or_a_list_of_commits_tells_an_id_that_was_not_known():
    log = (
        Log().ask("Draw the map").say("I draw.").edit("map.py").run("git commit -qm 'Draw the harbour map'", result="")
    )
    pushed = Log()
    pushed.events, pushed.at, pushed.calls = list(log.events), log.at, log.calls
    pushed.run("git push", result="To host:x.git\n   1111111..2222222  main -> main").say("Pushed it.")
    assert [one.sha for one in only(pushed).commits] == ["2222222"]
    log.run("git log --oneline -2", result="3333333 (HEAD -> main) Draw the harbour map\n1111111 Begin").say("See?")
    assert [one.sha for one in only(log).commits] == ["3333333"]


NEW = "To host:x.git\n * [new branch]        main -> main"


def test_the_next_push_tells_the_id_that_a_rebase_gave_a_pushed_commit():
    def then(*more: tuple[str, str]) -> list[str]:
        log = Log().ask("Draw the map").say("I draw.").edit("map.py").commit("Draw the harbour map", sha="aaaaaaa1")
        log.run("git rebase trunk", result="Successfully rebased and updated refs/heads/main.")
        log.run("git push -u origin main", result=NEW).say("Pushed.").pause(600)
        log.ask("Show the ships on it").say("I show.").edit("ship.py").commit("Show the ships on it", sha="bbbbbbb2")
        for command, result in more:
            log.run(command, result=result)
        made = segment(log.say("They are shown.").events)
        return [commit.sha for one in made for commit in one.commits]

    assert then() == ["", "bbbbbbb2"]
    assert then(("git push", "   ccccccc1..bbbbbbb2  main -> main")) == ["ccccccc1", "bbbbbbb2"]
    assert then(("git push", "   ccccccc1..bbbbbbb2  other -> other")) == ["", "bbbbbbb2"]
    again = ("git rebase trunk", "Successfully rebased and updated refs/heads/main.")
    assert then(again, ("git push -f", " + ccccccc1...ddddddd2 main -> main (forced update)"))[0] == ""


# --- what came when ---------------------------------------------------------------------------------------------------


def test_facts_are_told_in_the_order_in_which_they_came():
    log = Log().ask("Draw the map, and open a draft").say("I draw.").edit("map.py").run("pytest", result="3 passed")
    log.commit("Draw the harbour map")
    log.run("git rebase trunk", result="Successfully rebased and updated refs/heads/main.")
    log.run("git push -u origin main", result=NEW)
    log.run("gh pr create --draft --title 'The map'", result="https://host.example/x/y/pull/7")
    one = only(log.say("There it is."))
    assert one.summary.split("\n\n")[1] == (
        "Edited map.py. Ran `pytest`: passed. Committed “Draw the harbour map”. Finished a rebase. Pushed to main. "
        "Opened pull request #7."
    )
    assert texts(one.sentences["outcome"]) == [
        "There it is.", "Ran `pytest`: passed.", "Committed “Draw the harbour map”.", "Pushed to main.",
        "Opened pull request #7.",
    ]  # fmt: skip


# --- pushes -----------------------------------------------------------------------------------------------------------

REJECTED = """remote: error: GH013: Repository rule violations found for refs/heads/main.
remote: - Cannot force-push to this branch
 ! [remote rejected] main -> main (push declined)
error: failed to push some refs"""


def test_a_push_that_was_rejected_last_leaves_it_partial():
    log = Log().ask("Draw the map and push it").say("I draw.").edit("map.py").commit("Draw the harbour map")
    log.run("git push", result="   1111111..2222222  main -> main").say("Once more.")
    log.run("git push --force origin main", code=1, result=REJECTED)
    one = only(log.say("I drew the harbour map."))
    assert one.status is Status.PARTIAL
    assert one.outcome is not None
    assert one.outcome.text.endswith("The push to main was rejected.")
    assert texts(one.next_steps) == ["The push to main was rejected: “Cannot force-push to this branch”"]


def test_a_push_that_goes_through_in_the_end_is_done():
    log = Log().ask("Draw the map and push it").say("I draw.").edit("map.py").commit("Draw the harbour map")
    log.run("git push", code=1, result=REJECTED).say("I fetch first.")
    log.run("git pull --rebase && git push", result="   1111111..2222222  main -> main")
    one = only(log.say("I drew the harbour map."))
    assert one.status is Status.DONE
    assert "Pushed to main." in outcome(log)


def test_a_push_is_seen_in_the_terminal_where_it_ends():
    log = Log().ask("Push it").say("I push.")
    log.call("exec_command", command="git push", result="Process running with session ID 7")
    log.call("write_stdin", '{"session_id": 7}', result="Process exited with code 1\nOutput:\n" + REJECTED, error=True)
    assert only(log.say("There we are.")).status is Status.PARTIAL


# --- checks -----------------------------------------------------------------------------------------------------------


def checked(*runs: tuple[str, int, str]) -> Log:
    log = Log().ask("Draw the map").say("I draw.").edit("map.py")
    for command, code, result in runs:
        log.run(command, code=code, result=result)
    return log.say("I drew the harbour map.")


@pytest.mark.parametrize(
    ("runs", "status"),
    [
        ([("pytest", 1, "1 failed"), ("ruff check .", 0, "ok")], Status.PARTIAL),  # another kind shows nothing
        ([("pytest -k map", 1, "1 failed"), ("make lint && make test", 0, "ok")], Status.DONE),
        ([("pytest", 1, "1 failed"), ("git push", 0, "   1111111..2222222  a -> a")], Status.DONE),
        ([("biome check dist/x.js", 1, "These paths were provided but ignored")], Status.DONE),
    ],
)
def test_one_check_stands_for_status_words_and_next_step(runs, status):
    one = only(checked(*runs))
    assert one.status is status
    assert ("failed" in (one.outcome.text if one.outcome else "")) is (status is Status.PARTIAL)
    failing = "Tests failed when last run: `pytest`." in texts(one.next_steps)
    assert failing is (status is Status.PARTIAL)


@pytest.mark.parametrize(
    ("command", "result", "known"),
    [
        ("pytest 2>&1 | wc -l", "254", False),
        ("go test ./... | grep -E '^--- (PASS|FAIL)' | wc", "     254", False),
        ("go test ./... | grep -- '--- PASS' | sort -rn | head", "--- PASS: TestMap (9.1s)", False),
        ("go test ./... | grep '^ok'", "ok  \thost/map\t0.2s", False),  # only what is good was asked for
        ("pytest 2>&1 | tail -3", "map ready", False),  # the exit code is that of tail
        ("pytest 2>&1 | tail -3", "3 passed in 0.1s", True),
        ("bun check 2>&1 | tail -3", "error: unrecognized subcommand 'bun'", False),
        ("ruff check . | grep map", "", False),
    ],
)
def test_output_that_was_picked_from_may_not_tell_how_a_check_ended(command, result, known):
    one = only(checked((command, 0, result)))
    assert ("passed" in one.summary) is known
    assert ("how it ended is not told" in one.summary) is not known
    assert ("passed" in outcome(checked((command, 0, result)))) is known


@pytest.mark.parametrize(
    ("shown", "told", "status"),
    [
        ("<bash-stdout>ok  \thost/map\t0.2s</bash-stdout>", "The person ran `mise run test:ci`: passed.", Status.DONE),
        ("<bash-stdout>--- FAIL: TestMap</bash-stdout>", "The person ran `mise run test:ci`: failed.", Status.PARTIAL),
        ("<bash-stdout>see the log</bash-stdout>", "", Status.DONE),  # nobody knows
        ("go test ./... was started", "", Status.DONE),
    ],
)
def test_a_check_that_the_person_ran_counts(shown, told, status):
    log = Log().ask("Draw the map").say("I draw.").edit("map.py").say("There.").ask("!mise run test:ci")
    log.add(Kind.SYSTEM, shown)
    assert only(log).status is status
    assert ("mise" in outcome(log)) is bool(told)
    assert told in outcome(log)


def done(log: Log) -> str:
    """The paragraph of facts."""
    one = only(log)
    return " ".join(line.text for line in one.sentences["summary"] if line.source == "fact")


def test_new_files_are_told_apart_from_changed_ones():
    log = Log().ask("Draw the map").say("I draw.").call("Write", touches=(Touch("chart.py", Verb.WRITTEN),))
    log.edit("map.py", "map.py").call("Bash", touches=(Touch("old.py", Verb.DELETED),), command="rm old.py")
    assert done(log.say("I've drawn the map.")) == "Wrote chart.py. Edited map.py. Deleted old.py."


def test_files_are_read_where_none_was_changed_and_many_are_counted():
    log = Log().ask("What is on the map?").say("I look.").read(*(f"src/{name}.py" for name in "abcdef"))
    assert done(log.say("A harbour.")) == "Read a.py, b.py, c.py, d.py and 2 more."
    assert done(log.edit("src/a.py").say("I draw.")) == "Edited a.py."


def test_checks_are_counted_by_their_names_and_ends():
    log = Log().ask("Draw the map").say("I draw.").edit("map.py").run("pytest", code=1, result="1 failed")
    log.edit("map.py").run("pytest -q tests/x.py", result="3 passed").run("cd web && npm run lint", result="ok")
    assert done(log.say("There.")) == (
        "Edited map.py. Ran `pytest` twice, 1 failing; the last one: passed. Ran `npm run lint`: passed."
    )


def test_a_check_that_the_person_ran_is_told_as_theirs():
    log = Log().ask("Draw the map").say("I draw.").edit("map.py").run("pytest", result="3 passed").say("I've drawn it.")
    log.ask("!mise run test:ci").add(Kind.SYSTEM, "<bash-stdout>ok all 3 passed</bash-stdout>")
    assert done(log) == "Edited map.py. Ran `pytest`: passed. The person ran `mise run test:ci`: passed."


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("ruff check .", "ruff check"),
        ("ruff format . && ruff check .", "ruff format + ruff check"),
        ("CI=1 timeout 60 uv run pytest -q tests > out.txt 2>&1", "pytest"),
        ("go test ./internal/... | tail -3", "go test"),
        ("npx tsc --noEmit", "tsc"),
        ("./scripts/check-all.sh", "check-all.sh"),
        ("cat pytest.ini; ls tests", ""),
        ("echo make test", ""),
        ("go build.go", ""),
        ("bun agentv eval --test-id=x evals/test.yaml", ""),
        ("go test ./internal/test", "go test"),
        ("make -C web lint", "make web lint"),
    ],
)
def test_what_counts_as_a_check_is_data(command, named):
    assert " + ".join(check.name for check in checks_of(command)) == named


def test_refusals_compactions_interruptions_and_helpers_are_counted():
    log = Log().ask("Draw the map").say("I send two.").call("Task").call("Agent")
    log.call("Bash", command="rm -r /", result=REFUSED, error=True)
    log.add(Kind.COMPACTION, "What was said so far.")
    log.say("I go on.").edit("map.py").interrupt()
    assert done(log) == (
        "Started 2 sub-agents. A person refused 1 call. The context was compacted once. Edited map.py. "
        "A person interrupted the model once."
    )


@pytest.mark.parametrize("command", ["gh pr merge " * 20_000, "gh pr create " * 20_000, "git -c a commit -m " * 9_000])
def test_a_huge_command_is_looked_at_in_no_time(command):
    begun = time.monotonic()
    only(Log().ask("Draw the map").say("I draw.").run(command, result=command).say("There."))
    assert time.monotonic() - begun < 10  # a hang, not a speed


# --- endings ----------------------------------------------------------------------------------------------------------


def test_a_stop_after_the_closing_words_stops_nothing():
    log = Log().ask("Draw the map").say("I draw.").edit("map.py").say("I've drawn the harbour map.").interrupt()
    assert only(log).status is Status.DONE
    cut = Log().ask("Draw the map").say("I draw.").edit("map.py").say("I've drawn the harbour and").interrupt()
    assert only(cut).status is Status.PARTIAL
