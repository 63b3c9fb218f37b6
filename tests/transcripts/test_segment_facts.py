"""What was really done: edits, commits, pushes and checks, by their results and not by what was announced."""

from __future__ import annotations

import time

import pytest

from tests.transcripts.building import Log, only, outcome, texts
from transcripts.events import Commit, Kind, Touch, Verb
from transcripts.segment import Status, segment
from transcripts.segment.messages import subject_of

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
    assert outcome(log.say("There.")) == "Committed bbbbbbb2 “Draw the harbour map” (amended)."
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
    assert one.outcome is not None
    assert "rebased" in one.outcome.text


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
    told = "Tests passed; committed “Draw the harbour map”, rebased and opened draft PR #7."
    assert outcome(log.say("There it is.")) == told


def test_a_pull_request_that_is_no_draft_is_not_called_one():
    log = Log().ask("Open it").say("I do.").run("gh pr create", result="https://host.example/x/y/pull/7")
    assert outcome(log.say("There it is.")) == "Opened PR #7."


def test_a_push_over_what_was_there_is_called_so():
    log = Log().ask("Draw the map").say("I draw.").edit("map.py").commit("Draw the harbour map")
    log.run("git push --force-with-lease", result=" + aaaaaaa1...bbbbbbb2 map -> map (forced update)")
    assert outcome(log.say("There.")) == "Committed 1a2b3c4d “Draw the harbour map” and force-pushed."


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
    assert one.outcome.text.endswith("The push of main was rejected.")
    assert texts(one.next_steps) == ["Push main again, which was rejected: Cannot force-push to this branch."]


def test_a_push_that_goes_through_in_the_end_is_done():
    log = Log().ask("Draw the map and push it").say("I draw.").edit("map.py").commit("Draw the harbour map")
    log.run("git push", code=1, result=REJECTED).say("I fetch first.")
    log.run("git pull --rebase && git push", result="   1111111..2222222  main -> main")
    one = only(log.say("I drew the harbour map."))
    assert one.status is Status.DONE
    assert "pushed to main" in outcome(log)


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
    assert ("Get tests to pass again." in texts(one.next_steps)) is (status is Status.PARTIAL)
    assert one.summary.endswith("failing.") is (status is Status.PARTIAL)


@pytest.mark.parametrize(
    ("command", "result", "known"),
    [
        ("pytest 2>&1 | wc -l", "254", False),
        ("go test ./... | grep -E '^--- (PASS|FAIL)' | wc", "     254", False),
        ("go test ./... | grep -- '--- PASS' | sort -rn | head", "--- PASS: TestMap (9.1s)", False),
        ("go test ./... | grep '^ok'", "ok  \thost/map\t0.2s", True),
        ("pytest 2>&1 | tail -3", "map ready", True),  # its end: what failed would be told there
        ("ruff check . | grep map", "", False),
    ],
)
def test_output_that_was_picked_from_may_not_tell_how_a_check_ended(command, result, known):
    one = only(checked((command, 0, result)))
    assert ("passing" in one.summary) is known
    assert ("passed" in outcome(checked((command, 0, result)))) is known


@pytest.mark.parametrize(
    ("shown", "told", "status"),
    [
        ("<bash-stdout>ok  \thost/map\t0.2s</bash-stdout>", "Tests passed.", Status.DONE),
        ("<bash-stdout>--- FAIL: TestMap</bash-stdout>", "Tests failed.", Status.PARTIAL),
        ("<bash-stdout>see the log</bash-stdout>", "", Status.DONE),  # nobody knows
        ("go test ./... was started", "", Status.DONE),
    ],
)
def test_a_check_that_the_person_ran_counts(shown, told, status):
    log = Log().ask("Draw the map").say("I draw.").edit("map.py").say("There.").ask("!mise run test:ci")
    log.add(Kind.SYSTEM, shown)
    assert only(log).status is status
    assert ("Tests" in outcome(log)) is bool(told)
    assert told in outcome(log)


def struggled(*after: str, end: str = "ok") -> Log:
    log = Log().ask("Draw the map").say("I draw.").edit("map.py").run("pytest", code=1, result="1 failed")
    for text in after:
        log.say(text).read("map.py")
    log.say("I fix the order.").edit("map.py").run("pytest", code=int(end != "ok"), result=end)
    return log.say("I've drawn the map of the harbour.")


CAUSE = "The problem is that ships are drawn before the coast of the harbour."


@pytest.mark.parametrize(
    "said",
    [CAUSE, f"Hm. {CAUSE} Let me see.", f"I see. {CAUSE}", f"Root cause: {CAUSE[0].lower()}{CAUSE[1:]}"],
)
def test_why_a_check_failed_on_the_way_is_told_in_the_models_words(said):
    summary = only(struggled(said)).summary
    assert "Checks failed on the way: “" in summary and "ships are drawn before the coast of the harbour.”" in summary
    assert summary.endswith("Changed map.py in 2 edits and ran pytest 2 times, 1 failing, at last passing.")


@pytest.mark.parametrize(
    "said",
    [
        "The problem might be that ships are drawn before the coast of the harbour.",  # a guess
        "This is because of the ships that are drawn before the coast.",  # of what?
        "Is the problem that ships are drawn before the coast of the harbour?",
        "Ships are drawn before the coast of the harbour.",
    ],
)
def test_guesses_and_remarks_are_no_causes(said):
    assert "on the way" not in only(struggled(said)).summary


def test_causes_are_told_where_all_was_well_in_the_end_and_the_last_one_of_several():
    assert "on the way" not in only(struggled(CAUSE, end="1 failed")).summary  # the failure itself is told
    log = struggled("The issue is that the tests of the harbour need a chart.", "No.")
    log.run("pytest -k map", code=1, result="1 failed").say(CAUSE).edit("map.py").run("pytest", result="ok")
    summary = only(log.say("I've drawn the map of the harbour.")).summary
    assert CAUSE in summary and "need a chart" not in summary
    clean = Log().ask("Draw the map").say(CAUSE).edit("map.py").run("pytest", result="ok").say("I've drawn the map.")
    assert "on the way" not in only(clean).summary


OWN = "Now with my fix of the coast, the ships are never cleared."


@pytest.mark.parametrize(("after", "told"), [(OWN, True), (f"It draws twice. {OWN}", True), ("It draws twice.", False)])
def test_a_cause_that_lies_in_what_was_done_here_is_told_with_it(after, told):
    assert (f"of the harbour. {OWN}”" in only(struggled(f"{CAUSE} {after}")).summary) is told


def with_a_test_first(said: str) -> Log:
    log = Log().ask("Draw the ships first").say("I write a test.").edit("test_map.py")
    log.run("pytest", code=1, result="1 failed").say(said).edit("map.py").run("pytest", result="ok")
    return log.say("I've drawn the ships before the coast.")


@pytest.mark.parametrize(
    "said",
    [
        "Both tests fail as expected.",
        "Good. It fails as it should. Now the map.",
        "Tests fail as expected (TDD, red phase).",
    ],
)
def test_checks_that_failed_because_they_came_first_are_told_as_such(said):
    summary = only(with_a_test_first(said)).summary
    assert "Tests came first: “" in summary and "fail" in summary.split("Tests came first: “")[1].split("”")[0]


def test_a_failure_that_nobody_expected_is_no_test_that_came_first():
    assert "came first" not in only(with_a_test_first("The test fails because of the coast.")).summary
    clean = Log().ask("Draw the map").say("It fails as expected.").edit("map.py").run("pytest", result="ok")
    assert "came first" not in only(clean.say("I've drawn the map.")).summary


def test_new_files_are_told_apart_from_changed_ones():
    log = Log().ask("Draw the map").say("I draw.").call("Write", touches=(Touch("chart.py", Verb.WRITTEN),))
    log.edit("map.py", "map.py").call("Bash", touches=(Touch("old.py", Verb.DELETED),), command="rm old.py")
    assert only(log.say("I've drawn the map.")).summary.endswith(
        "Wrote chart.py, changed map.py and deleted old.py (4 edits in all)."
    )


def test_a_check_that_the_person_ran_is_told_as_theirs():
    log = Log().ask("Draw the map").say("I draw.").edit("map.py").run("pytest", result="3 passed").say("I've drawn it.")
    log.ask("!mise run test:ci").add(Kind.SYSTEM, "<bash-stdout>ok all 3 passed</bash-stdout>")
    assert only(log).summary.endswith(
        "Changed map.py and ran pytest, passing. The person ran mise run test:ci, passing."
    )


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ("ruff check .", "ruff check"),
        ("ruff format . && ruff check .", "ruff check"),
        ("ruff check . && pytest -q", "the checks"),
    ],
)
def test_a_check_is_named_where_it_was_one(command, named):
    log = Log().ask("Draw the map").say("I draw.").edit("map.py").run(command, result="All checks passed")
    assert f"ran {named}, passing." in only(log.say("I've drawn it.")).summary


PLAN = """Implement the following plan:

# Ships on the map

## Context

Ships are drawn before the coast. Nobody sees them at low tide.

## Steps

Draw the coast first.
"""


def test_the_reason_that_a_plan_gives_is_told():
    log = Log().ask(PLAN).say("I draw.").edit("map.py").say("I've drawn the coast of the harbour first.")
    assert only(log).summary.startswith("Why: “Ships are drawn before the coast. Nobody sees them at low tide.” ")


@pytest.mark.parametrize(
    "plan",
    [
        PLAN.replace("## Context", "## Scope"),
        PLAN.replace("Ships are drawn before the coast.", f"Ships are {'drawn ' * 80}before."),  # too long to be read
    ],
)
def test_without_a_reason_none_is_made_up(plan):
    log = Log().ask(plan).say("I draw.").edit("map.py").say("I've drawn the coast of the harbour first.")
    assert "Why:" not in only(log).summary


# --- who reviewed -----------------------------------------------------------------------------------------------------

COMMENTS = "gh api repos/o/r/pulls/7/comments --paginate"
REPLY = "gh api repos/o/r/pulls/7/comments/1/replies -f body='Fixed.'"


def reviewed(shown: str, *, command: str = COMMENTS, reply: str = REPLY, own: str = "{}") -> str:
    log = Log().ask("more review comments").say("I look.").run(command, result=shown)
    log.say("I guard the lexer.").edit("lexer.py").run(reply, result=own)
    return outcome(log.say("I've guarded the lexer against empty input."))


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        ('[{"user": {"login": "cursor[bot]"}}]', "of cursor[bot]."),
        ('[{"last_author": "Copilot"}, {"last_author": "ann"}]', "of Copilot and ann."),
        ('[{"author":{"login":"a"}},{"author":{"login":"b"}},{"author":{"login":"c"}},{"author":{"login":"d"}}]',
         "of a, b and 2 others."),
        ("[]", "comments."),
    ],
)  # fmt: skip
def test_it_is_told_whose_comments_were_answered(shown, told):
    assert reviewed(shown).endswith(
        f"eplied to the review comments{' ' * told.startswith('of')}{told.removeprefix('comments')}"
    )


TAKEN_UP = """Two points to address:

1. **Thread 1 (Copilot)**: Guard the lexer against empty input — good point.
2. **Threads 2 & 3 (ann)**: The parser may loop on a lone quote. It should stop there.
"""


def taken_up(said: str, command: str = COMMENTS) -> str:
    log = Log().ask("more review comments").say("I look.").run(command, result='[{"last_author": "ann"}]')
    log.say(said).edit("lexer.py").run(REPLY, result="{}")
    return only(log.say("I've guarded the lexer against empty input.")).summary


def test_what_reviewers_asked_for_is_listed_as_the_model_took_it_up():
    assert taken_up(TAKEN_UP).split("\n\n")[1] == (
        "- Thread 1 (Copilot): Guard the lexer against empty input — good point.\n"
        "- Threads 2 & 3 (ann): The parser may loop on a lone quote."
    )
    many = "\n".join(f"{n}. **Comment {n}**: Guard the lexer number {n} against input." for n in range(1, 10))
    listed = taken_up(many)
    assert "- Comment 6: Guard" in listed and "- and 3 more\n" in listed and "Comment 7" not in listed


def test_other_lists_are_no_comments():
    assert "Thread 1" not in taken_up(TAKEN_UP, command="gh pr view 7")  # nobody's comments were read
    assert "- " not in taken_up("1. **Thread 1**: Guard the lexer against empty input.")  # one is told by what was done
    assert "- " not in taken_up("Thread pools 1 and 2 are full. Threads 1 and 2 wait for them.")


def test_those_in_whose_name_the_agent_writes_are_no_reviewers():
    said = reviewed('[{"last_author": "mike"}, {"last_author": "ann"}]', own='{"user": {"login": "mike"}}')
    assert said.endswith("eplied to the review comments of ann.")


def test_to_ask_for_comments_is_no_reply():
    query = "gh api graphql -f query='query { pullRequest(number: 7) { comments { nodes { author { login } } } } }'"
    assert "eplied" not in reviewed("{}", reply=query)
    assert "eplied" in reviewed("{}", reply=query.replace("comments {", "addPullRequestReviewThreadReply {"))
    assert "ann" not in reviewed('{"author": "ann"}', command="cat comments.json")  # anybody's file


@pytest.mark.parametrize("command", ["gh api graphql " * 20_000, "gh api x -f " * 20_000, "gh pr view " * 20_000])
def test_a_huge_command_is_looked_at_in_no_time(command):
    begun = time.monotonic()
    reviewed("[]", command=command, reply=command)
    assert time.monotonic() - begun < 10  # a hang, not a speed


def test_a_call_that_was_tried_before_is_refused_once_more():
    def refused(first: str) -> list[str]:
        log = Log().ask("Draw the map").say("I draw.").edit("map.py").run(first, result="3 passed").say("Again.")
        words = "The user doesn't want to proceed with this tool use. The user said:\nenough of it"
        log.call(
            "Bash", command="go test ./... | wc -l", data={"description": "Count the tests"}, result=words, error=True
        )
        return texts(only(log.say("I've drawn the map of the harbour.")).key_decisions)

    assert refused("go test ./... | tail -5") == [
        "Did not allow “go test ./... | wc -l” once more (count the tests): “enough of it”."
    ]
    assert refused("go vet ./...") == ["Did not allow “go test ./... | wc -l” (count the tests): “enough of it”."]


# --- endings ----------------------------------------------------------------------------------------------------------


def test_a_stop_after_the_closing_words_stops_nothing():
    log = Log().ask("Draw the map").say("I draw.").edit("map.py").say("I've drawn the harbour map.").interrupt()
    assert only(log).status is Status.DONE
    cut = Log().ask("Draw the map").say("I draw.").edit("map.py").say("I've drawn the harbour and").interrupt()
    assert only(cut).status is Status.PARTIAL
