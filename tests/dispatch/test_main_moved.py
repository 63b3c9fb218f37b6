"""Whoever moves the main branch besides flower is noticed: on the project, on the briefs, in MAIN's files; and the
gates run on it. Nothing that came without them is called merged."""

from __future__ import annotations

import time

import pytest

from daemons.models import Process
from daemons.services import processes
from dispatch import claims, machine, outlook, services
from dispatch import merge as merging
from dispatch.merge import mainline
from dispatch.models import DispatchRequest, MainCheck, MainMove, MainState
from tests.factories import agent, git, identity, make_brief, operator
from worktrees import git as plumbing

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def begun(project, drive):
    """``begun({"name": "text"})``: a request whose agent has committed that in its worktree and goes on."""

    def make(files: dict[str, str], title: str = "Work") -> DispatchRequest:
        request = services.dispatch(make_brief(title, project), actor=operator())
        claims.claim(request, actor=agent(f"agent-{request.brief_id}"))
        drive(request, "running")
        commit(request, files)
        return request

    return make


def commit(request: DispatchRequest, files: dict[str, str]) -> str:
    checkout = request.worktree.checkout
    for name, text in files.items():
        (checkout / name).write_text(text)
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "Work")
    return git(checkout, "rev-parse", "HEAD")


def complete(request: DispatchRequest) -> DispatchRequest:
    return services.complete(request, identity=identity(agent(f"agent-{request.brief_id}")), summary="Done.")


def settle(project) -> MainMove | None:
    """Look at the main branch until nothing is left to do; returns the newest move."""
    deadline = time.monotonic() + 20
    mainline.look(project.pk)
    while MainMove.objects.filter(project=project, gates="running").exists():
        assert time.monotonic() < deadline
        mainline.look(project.pk)
    return MainMove.objects.filter(project=project).first()


def with_gate(project, gate: str = "test ! -e bad", *, auto_merge: bool = True):
    project.gates, project.auto_merge = [gate], auto_merge
    project.save()


def clean(project) -> bool:
    return git(project.path, "status", "--porcelain") == ""


def told(request: DispatchRequest) -> list[str]:
    return list(request.brief.trace.filter(kind="main_moved").values_list("body", flat=True))


# --- an agent moves main ----------------------------------------------------------------------------------------------


def test_an_agent_that_moves_main_by_update_ref_is_noticed_and_not_merged(project, begun, drive, browser):
    with_gate(project)
    request = begun({"bad": "1\n"})
    sha = git(request.worktree.checkout, "rev-parse", "HEAD")
    git(request.worktree.checkout, "update-ref", "refs/heads/main", "HEAD")
    complete(request)
    drive(request, "finished", until=lambda row: row.failure_class)
    assert request.failure_class == "main_red"
    assert (outlook.of_request(request).code, outlook.of_request(request).who) == ("mend_main", "operator")
    assert request.brief.trace.filter(kind="refused").get().data["commit"] == sha
    move = settle(project)
    assert (move.gates, move.new_sha, move.commit_count, move.rewritten, move.authors) == (
        "red",
        sha,
        1,
        False,
        ["Tester"],
    )
    assert move.main_check.gate_runs.get().passed is False, "the gate ran once, for both that want to know"
    assert [body.split(".")[0] for body in told(request)] == ["Main moved outside of flower: 1 commit, by Tester"]
    assert clean(project) and (project.path / "bad").read_text() == "1\n", "MAIN shows what its branch is"
    page = browser.get("/projects/").content.decode()
    assert "main moved outside of flower: 1 commit, by Tester." in page and "test ! -e bad" in page
    # a person's next ordinary commit takes nothing back
    (project.path / "note").write_text("x\n")
    git(project.path, "add", "note")
    git(project.path, "commit", "-qm", "My own note")
    assert git(project.path, "show", "--format=", "--name-only", "HEAD") == "note"
    # and once main is mended it is complete, by itself, and told as what it is
    git(project.path, "rm", "-q", "bad")
    git(project.path, "commit", "-qm", "Mend")
    drive(request, "done")
    request.brief.refresh_from_db()
    assert request.brief.status == "complete"
    assert (request.came_outside, request.merge_sha) == (True, "")
    entry = request.brief.trace.filter(kind="merge").get()
    assert entry.body == "It came to main outside of flower; the gates are green there."
    assert (entry.data["outside"], [gate["passed"] for gate in entry.data["gates"]]) == (True, [True])
    assert len(told(request)) == 1


def test_an_agent_that_merges_itself_in_main_passes_the_gates_or_is_not_complete(project, begun, drive):
    with_gate(project, "test -e good")
    request = begun({"other": "1\n"})
    git(project.path, "merge", "-q", "--no-ff", "-m", "Mine", request.branch)
    complete(request)
    drive(request, "finished", until=lambda row: row.failure_class)
    assert request.failure_class == "main_red"
    assert clean(project)
    move = settle(project)
    assert (move.commit_count, move.gates) == (2, "red")
    assert len(told(request)) == 1
    # the next one is not blamed
    other = begun({"innocent": "1\n"}, "Innocent")
    complete(other)
    drive(other, "finished", until=lambda row: row.failure_class)
    assert (other.failure_class, other.brief.trace.filter(kind="gate").count()) == ("main_red", 0)
    assert other.brief.trace.filter(kind="refused").get().data["since"] == move.new_sha
    assert told(other) == []
    # one that mends main is merged, and with it the others
    third = begun({"good": "1\n"}, "Mend")
    complete(third)
    for one in (third, other, request):
        drive(one, "done", seconds=60)
    assert (third.came_outside, other.came_outside, request.came_outside) == (False, False, True)
    assert clean(project)


def test_an_agent_that_commits_in_main_is_told_on_the_project_alone(project, begun, drive):
    with_gate(project)
    request = begun({"a": "1\n"})
    (project.path / "stray").write_text("1\n")
    git(project.path, "add", "stray")
    git(project.path, "commit", "-qm", "In MAIN")
    move = settle(project)
    assert (move.gates, move.commits[0][1], told(request)) == ("green", "In MAIN", [])
    complete(request)
    drive(request, "done")
    assert clean(project) and (project.path / "stray").exists() and (project.path / "a").exists()
    assert MainMove.objects.count() == 1, "our own merge is none"
    assert MainState.objects.get().sha == git(project.path, "rev-parse", "main")


def test_a_commit_in_main_before_the_first_look_is_told(project, begun, drive, monkeypatch):
    """The sweep may come for the first time when the agent has moved main and completed already."""
    monkeypatch.setattr(mainline, "sweep", list)
    with_gate(project)
    request = begun({"a": "1\n"})
    (project.path / "stray").write_text("1\n")
    git(project.path, "add", "stray")
    git(project.path, "commit", "-qm", "In MAIN")
    complete(request)
    drive(request, "done")
    move = MainMove.objects.get()
    assert (move.commits[0][1], move.commit_count, move.rewritten) == ("In MAIN", 1, False)


@pytest.mark.parametrize("how", ["update-ref", "reset", "soft"])
def test_a_main_that_was_rewritten_below_the_work_stops_its_merge(project, begun, drive, how):
    (project.path / "two").write_text("secret\n")
    git(project.path, "add", ".")
    git(project.path, "commit", "-qm", "Two")
    two = git(project.path, "rev-parse", "HEAD")
    request = begun({"mine": "1\n"})
    mainline.look(project.pk)
    if how == "update-ref":
        git(project.path, "update-ref", "refs/heads/main", "HEAD~1")
    else:
        git(project.path, "reset", "-q", "--hard" if how == "reset" else "--soft", "HEAD~1")
    move = settle(project)
    assert (move.rewritten, move.dropped_count, move.dropped[0][0], move.gates) == (True, 1, two, "none")
    assert (project.path / "two").exists() == (how == "soft"), "a person's reset is theirs; else MAIN shows its branch"
    assert clean(project) == (how != "soft")
    if how == "soft":
        git(project.path, "reset", "-q", "--hard")
    complete(request)
    merging.ask(request, actor=operator())
    drive(request, "finished")
    assert request.failure_class == "main_rewritten"
    assert request.brief.trace.filter(kind="refused").get().data["dropped"] == two
    # the rework takes over the work alone, as its packet says
    made = services.retry(request, actor=operator())
    assert (
        f"git rev-list --reverse --no-merges {two[:12]}..{request.head_sha[:12]} | xargs git cherry-pick" in made.packet
    )
    assert "git merge" not in made.packet
    claims.claim(made, actor=agent(f"agent-{made.brief_id}"))
    drive(made, "running")
    for sha in git(
        made.worktree.checkout, "rev-list", "--reverse", "--no-merges", f"{two}..{request.head_sha}"
    ).split():
        git(made.worktree.checkout, "cherry-pick", sha)
    complete(made)
    merging.ask(made, actor=operator())
    drive(made, "done")
    assert (project.path / "mine").exists() and not (project.path / "two").exists()
    assert two not in git(project.path, "rev-list", "main")


def test_a_dropped_commit_that_the_agent_took_over_later_does_not_come_back_either(project, begun, drive):
    request = begun({"mine": "1\n"})
    (project.path / "two").write_text("secret\n")
    git(project.path, "add", ".")
    git(project.path, "commit", "-qm", "Two")
    mainline.look(project.pk)
    git(request.worktree.checkout, "merge", "-q", "main")
    git(project.path, "reset", "-q", "--hard", "HEAD~1")
    complete(request)
    merging.ask(request, actor=operator())
    drive(request, "finished")
    assert request.failure_class == "main_rewritten"


def test_work_that_its_agent_put_on_main_and_somebody_took_off_may_be_merged(project, begun, drive):
    request = begun({"mine": "1\n"})
    mainline.look(project.pk)
    git(project.path, "update-ref", "refs/heads/main", request.branch)
    assert settle(project).commit_count == 1
    git(project.path, "reset", "-q", "--hard", "HEAD~1")
    settle(project)
    assert [("not on main any more" in body) for body in told(request)] == [False, True]
    complete(request)
    merging.ask(request, actor=operator())
    drive(request, "done")
    assert not request.came_outside and (project.path / "mine").exists()


# --- MAIN's files -----------------------------------------------------------------------------------------------------


def test_files_that_would_be_overwritten_stay_and_the_reason_is_kept_until_they_are_gone(
    project, begun, drive, browser, monkeypatch
):
    request, other = begun({"README.md": "# Theirs\n"}), begun({"other": "1\n"}, "Other")
    mainline.look(project.pk)
    old = git(project.path, "rev-parse", "main")
    (project.path / "README.md").write_text("# A person's\n")
    git(request.worktree.checkout, "update-ref", "refs/heads/main", "HEAD")
    settle(project)
    state = MainState.objects.get()
    assert "README.md" in state.behind and state.files_sha == old
    assert (project.path / "README.md").read_text() == "# A person's\n"
    assert state.behind in browser.get("/projects/").content.decode().replace("&#x27;", "'")
    complete(other)  # a merge on top would leave that reversed in MAIN's index
    merging.ask(other, actor=operator())
    drive(other, "finished")
    assert other.failure_class == "in the way"
    git(project.path, "checkout", "-q", old, "--", "README.md")
    monkeypatch.setattr(mainline, "TRY_FILES_EVERY", -mainline.TRY_FILES_EVERY)
    settle(project)
    assert MainState.objects.get().behind == "" and clean(project)
    assert (project.path / "README.md").read_text() == "# Theirs\n"
    merging.ask(other, actor=operator())
    drive(other, "done")
    assert clean(project)


def test_files_that_a_killed_look_left_half_done_are_brought_along_by_the_next(project, begun, monkeypatch):
    class Killed(BaseException):
        pass

    request = begun({"new": "new\n", "README.md": "# New\n"})
    mainline.look(project.pk)
    git(project.path, "update-ref", "refs/heads/main", request.branch)
    real = plumbing.Repository._git

    def killed(self, *arguments, **options):
        if arguments[0] == "read-tree" and "-n" not in arguments:
            (project.path / "new").write_text("ne")  # half written
            raise Killed
        return real(self, *arguments, **options)

    monkeypatch.setattr(plumbing.Repository, "_git", killed)
    with pytest.raises(Killed):
        mainline.look(project.pk)
    monkeypatch.setattr(plumbing.Repository, "_git", real)
    settle(project)
    assert clean(project) and (project.path / "new").read_text() == "new\n"
    assert MainMove.objects.count() == 1


# --- looking ----------------------------------------------------------------------------------------------------------


def test_an_unchanged_project_costs_one_question_to_git(project, monkeypatch):
    mainline.look(project.pk)
    asked: list[str] = []
    real = plumbing.command.run
    monkeypatch.setattr(
        plumbing.command, "run", lambda arguments, **options: asked.append(arguments[0]) or real(arguments, **options)
    )
    assert mainline.sweep() == []
    assert asked == ["show-ref"]


def test_a_merge_that_was_killed_before_it_could_note_itself_is_no_move(project, begun, drive, monkeypatch):
    request = complete(begun({"new": "1\n"}))
    mainline.look(project.pk)

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    monkeypatch.setattr(mainline, "note", killed)
    merging.ask(request, actor=operator())
    with pytest.raises(Killed):
        machine.advance(request.pk)
    monkeypatch.undo()
    (project.path / "mine").write_text("1\n")
    git(project.path, "add", "mine")
    git(project.path, "commit", "-qm", "On top")
    move = settle(project)
    assert [row[1] for row in move.commits] == ["On top"]


def test_gates_on_main_go_on_after_a_kill_and_stop_when_main_moves_on(project, begun, drive):
    with_gate(project, "sleep 30")
    mainline.look(project.pk)
    git(project.path, "commit", "-q", "--allow-empty", "-m", "One")
    mainline.look(project.pk)
    mainline.look(project.pk)
    first = MainCheck.objects.get().gate_runs.get()
    assert first.passed is None, "looked at again, it is the same run"
    git(project.path, "commit", "-q", "--allow-empty", "-m", "Two")
    project.gates = ["true"]
    project.save()
    move = settle(project)
    assert move.gates == "green"
    assert MainMove.objects.last().gates == "passed_over"
    deadline = time.monotonic() + 15
    while not processes.observe(Process.objects.get(pk=first.process_id)).has_ended:
        assert time.monotonic() < deadline
        merging.sweep_scratch()
    merging.sweep_scratch()
    assert not list((project.path / ".git/worktrees").glob("main-*"))


def test_the_gates_on_main_run_again_when_somebody_asks(project, begun, browser, tmp_path):
    with_gate(project, f"test -e {tmp_path}/network")
    mainline.look(project.pk)
    git(project.path, "commit", "-q", "--allow-empty", "-m", "One")
    move = settle(project)
    assert move.gates == "red"
    (tmp_path / "network").touch()
    assert browser.post(f"/projects/{project.slug}/gates/").status_code == 302
    assert settle(project).gates == "green"


def test_a_merge_that_made_the_tip_has_run_its_gates(project, begun, drive):
    with_gate(project, "test ! -e bad", auto_merge=False)
    good = complete(begun({"good": "1\n"}))
    merging.ask(good, actor=operator())
    drive(good, "done")
    bad = complete(begun({"bad": "1\n"}, "Bad"))
    merging.ask(bad, actor=operator())
    drive(bad, "finished")
    assert bad.failure_class == "gate"
    assert not MainCheck.objects.exists()
