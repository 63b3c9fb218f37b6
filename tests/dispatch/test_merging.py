"""Merging: what goes wrong leaves all as it was, with a sentence; a killed merger's successor ends it right."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections.abc import Iterator

import pytest

from briefs.models import Token
from briefs.services import projects
from core.errors import Conflict, Forbidden
from daemons.models import Process
from daemons.services import processes
from dispatch import claims, lifecycle, machine, policy, services
from dispatch import merge as merging
from dispatch.merge import gates, landing, record
from dispatch.models import DispatchRequest, MergeLock
from tests.factories import agent, git, identity, make_brief, operator
from tests.system.running import until
from worktrees import git as plumbing

pytestmark = pytest.mark.django_db(transaction=True)
RED = "test ! -e new.txt"  # on the merged tree, and not on main without it


@pytest.fixture
def finished(project, drive):
    """``finished({"name": "text"})``: a request whose work is committed and complete, ready to be merged."""

    def make(files: dict[str, str], title: str = "Work") -> DispatchRequest:
        brief = make_brief(title, project)
        request = services.dispatch(brief, actor=operator())
        me = identity(agent(f"agent-{brief.pk}"))
        claims.claim(request, actor=me.actor)
        drive(request, "running")
        checkout = request.worktree.checkout
        for name, text in files.items():
            (checkout / name).write_text(text)
        git(checkout, "add", ".")
        git(checkout, "commit", "-qm", title)
        return services.complete(request, identity=me, summary=f"{title}, done.")

    return make


def snapshot(project) -> tuple[str, str, dict[str, str]]:
    """What must not change: the branch, MAIN's index and status, MAIN's files."""
    files = {
        str(path.relative_to(project.path)): path.read_text()
        for path in project.path.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }
    return git(project.path, "rev-parse", "main"), git(project.path, "status", "--porcelain"), files


def test_a_conflict_touches_nothing_and_names_the_files(project, finished, drive):
    request = finished({"README.md": "# Theirs\n"})
    (project.path / "README.md").write_text("# Ours\n")
    git(project.path, "commit", "-qam", "Ours")
    before = snapshot(project)
    merging.ask(request, actor=operator())
    drive(request, "conflicted")
    assert "README.md" in request.failure
    assert snapshot(project) == before
    request.brief.refresh_from_db()
    assert request.brief.status == "in_review"
    assert request.brief.trace.filter(kind="merge").last().data["conflicts"] == ["README.md"]
    services.dispatch(request.brief, actor=operator(), kind="rework")  # a rework may follow


def test_uncommitted_work_in_the_way_is_never_overwritten(project, finished, drive):
    request = finished({"README.md": "# Theirs\n"})
    (project.path / "README.md").write_text("# Not committed\n")
    before = snapshot(project)
    merging.ask(request, actor=operator())
    drive(request, "finished")
    assert request.failure.startswith("Uncommitted work in MAIN is in the way: README.md.")
    assert snapshot(project) == before
    assert request.brief.trace.last().kind == "refused"
    git(project.path, "checkout", "README.md")
    merging.ask(request, actor=operator())
    drive(request, "done")
    assert (project.path / "README.md").read_text() == "# Theirs\n"


def test_unrelated_local_edits_survive(project, finished, drive):
    request = finished({"new.txt": "new\n"})
    (project.path / "README.md").write_text("# Not committed\n")
    merging.ask(request, actor=operator())
    drive(request, "done")
    assert (project.path / "README.md").read_text() == "# Not committed\n"
    assert (project.path / "new.txt").read_text() == "new\n"


def test_a_red_gate_changes_nothing_and_says_what_it_said(project, finished, drive):
    red = "test ! -e new.txt || { echo two tests failed; exit 1; }"
    project.gates = ["true", red, "touch never"]
    project.save()
    request = finished({"new.txt": "new\n"})
    before = snapshot(project)
    merging.ask(request, actor=operator())
    drive(request, "finished")
    assert request.failure == f"Gate 2 of 3 is red: `{red}` exited with 1."
    assert "two tests failed" in request.brief.trace.last().body
    assert [run.passed for run in request.gate_runs.all()] == [True, False]
    assert snapshot(project) == before
    assert not list((request.project.path / ".git/worktrees").glob(f"{request.pk}-1"))

    project.gates = ["test -f new.txt"]  # gates see the merged tree
    project.save()
    request.refresh_from_db()
    merging.ask(request, actor=operator())
    drive(request, "done")
    assert request.gate_runs.filter(attempt=request.merge_attempt).get().passed


@pytest.fixture
def undeletable(monkeypatch):
    """Files named "of-root" stay, as those do that a gate's container wrote as another user."""
    real = os.unlink

    def unlink(path, **where):
        if os.fspath(path).endswith("of-root"):
            raise PermissionError(errno.EPERM, "Operation not permitted", path)
        real(path, **where)

    monkeypatch.setattr(os, "unlink", unlink)


@pytest.mark.parametrize(("gate", "end"), [("true", "done"), ("test ! -e new.txt", "finished")])
def test_a_scratch_folder_that_cannot_be_deleted_costs_no_verdict_and_no_sweep(
    project, finished, drive, undeletable, gate, end
):
    project.gates = [f"mkdir -p cache/deep && touch cache/of-root cache/deep/mine && {gate}"]
    project.save()
    request = finished({"new.txt": "new\n"})
    merging.ask(request, actor=operator())
    drive(request, end)
    assert (project.path / "new.txt").exists() == (end == "done")
    scratch = gates.scratch_folder(request)
    for _ in range(2):
        merging.sweep_scratch()
    assert [path.name for path in scratch.rglob("*") if path.name != ".git"] == ["cache", "of-root"]
    (scratch / "cache/of-root").replace(project.path.parent / "by hand")
    merging.sweep_scratch()
    assert not scratch.exists()


def test_a_gate_that_hangs_is_stopped_at_its_limit(project, finished, drive):
    project.gates, project.gate_seconds = ["test ! -e new.txt || sleep 600"], 1
    project.save()
    request = finished({"new.txt": "new\n"})
    merging.ask(request, actor=operator())
    drive(request, "finished")
    assert "ran longer than its limit of 1 s" in request.failure


def test_commits_that_land_meanwhile_are_merged_on_top_of(project, finished, drive):
    once = project.path.parent / "once"
    project.gates = [f"test -f {once} || git -C {project.path} commit -q --allow-empty -m Meanwhile; touch {once}"]
    project.save()
    request = finished({"new.txt": "new\n"})
    merging.ask(request, actor=operator())
    drive(request, "done")
    subjects = git(project.path, "log", "--format=%s", "--first-parent").splitlines()
    assert subjects[0].startswith("Merge #")
    assert "Meanwhile" in subjects
    assert git(project.path, "status", "--porcelain") == ""


def test_main_on_another_branch_is_left_alone(project, finished, drive):
    request = finished({"new.txt": "new\n"})
    git(project.path, "switch", "-qc", "elsewhere")
    merging.ask(request, actor=operator())
    drive(request, "done")
    assert "another branch checked out: elsewhere" in request.main_behind
    assert not (project.path / "new.txt").exists()
    assert git(project.path, "status", "--porcelain") == ""
    git(project.path, "switch", "-q", "main")
    assert (project.path / "new.txt").exists()


def test_a_branch_that_a_person_rebases_in_main_is_left_to_them(project, finished, drive):
    request = finished({"new.txt": "new\n"})
    git(project.path, "switch", "-qc", "upstream")
    (project.path / "README.md").write_text("# Theirs\n")
    git(project.path, "commit", "-qam", "Theirs")
    git(project.path, "switch", "-q", "main")
    (project.path / "README.md").write_text("# Mine\n")
    git(project.path, "commit", "-qam", "Mine")
    with pytest.raises(subprocess.CalledProcessError):
        git(project.path, "rebase", "upstream")
    merging.ask(request, actor=operator())
    drive(request, "finished")
    assert "rebase on main is under way in" in request.failure
    (project.path / "README.md").write_text("# Both\n")
    git(project.path, "add", "README.md")
    git(project.path, "-c", "core.editor=true", "rebase", "--continue")
    merging.ask(request, actor=operator())
    drive(request, "done")
    assert git(project.path, "status", "--porcelain") == ""
    assert (project.path / "new.txt").exists()


@pytest.mark.parametrize("edited", [[RED, "sleep 0.1"], ["sleep 30", RED], [RED]])
def test_gates_that_are_edited_during_a_merge_all_run(project, finished, drive, edited):
    project.gates = ["true", "sleep 30"]
    project.save()
    request = finished({"new.txt": "new\n"})
    merging.ask(request, actor=operator())
    machine.advance(request.pk)
    assert [run.passed for run in request.gate_runs.all()] == [True, None]
    project.gates = [gate.replace("sleep 30", "true") for gate in edited]
    project.save()
    drive(request, "finished")
    assert f"of {len(edited)} is red: `{RED}` exited with 1" in request.failure
    assert not (project.path / "new.txt").exists()
    machine.sweep()
    last = Process.objects.get(pk=request.gate_runs.get(command="sleep 30").process_id)
    until(lambda: processes.observe(last).has_ended, "the gate of before is stopped")


def test_two_merges_take_turns(project, finished, drive):
    project.gates = ["sleep 0.2"]
    project.save()
    first, second = finished({"a.txt": "a\n"}, "A"), finished({"b.txt": "b\n"}, "B")
    merging.ask(first, actor=operator())
    merging.ask(second, actor=operator())
    drive(second, "done")
    drive(first, "done")
    assert (project.path / "a.txt").exists()
    assert (project.path / "b.txt").exists()
    assert git(project.path, "status", "--porcelain") == ""
    assert MergeLock.objects.get().request is None


def test_only_finished_work_is_merged_and_only_by_those_who_may(project, finished, drive):
    request = services.dispatch(make_brief("A", project), actor=operator())
    with pytest.raises(Conflict, match="only finished work"):
        merging.ask(request, actor=operator())
    with pytest.raises(Forbidden):
        policy.check_merge(identity(agent(), Token.Scope.AGENT), request)


def test_an_open_question_keeps_the_brief_from_completing(project, finished, drive):
    from briefs.services import questions

    request = finished({"new.txt": "new\n"})
    questions.ask(request.brief, "Which colour?", actor=agent())
    merging.ask(request, actor=operator())
    drive(request, "done")
    request.brief.refresh_from_db()
    assert request.brief.status == "in_review"


class Killed(BaseException):
    """Stands for kill -9 between two steps: nothing catches it, nothing is cleaned up."""


@pytest.mark.parametrize("step", ["compare_and_swap", "refresh", "merge_tree", "commit_tree", "add_scratch"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_merge_that_is_killed_between_two_steps_ends_right_once(project, finished, drive, monkeypatch, step, when):
    project.gates = ["true"]
    project.save()
    request = finished({"new.txt": "new\n", "README.md": "# Changed\n"})
    real = getattr(plumbing.Repository, step)

    def killed(self, *args, **kwargs):
        if when == "after":
            real(self, *args, **kwargs)
        raise Killed

    monkeypatch.setattr(plumbing.Repository, step, killed)
    merging.ask(request, actor=operator())
    with pytest.raises(Killed):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            machine.advance(request.pk)
    monkeypatch.setattr(plumbing.Repository, step, real)
    drive(request, "done")
    assert (project.path / "new.txt").read_text() == "new\n"
    assert git(project.path, "status", "--porcelain") == ""
    assert git(project.path, "rev-list", "--count", "--first-parent", "main") == "2"
    assert request.brief.trace.filter(kind="merge").count() == 1


def allow(project, name: str) -> None:
    """As an operator does it: git may run the filter, with its commands of now."""
    for names in ([], [name]):
        projects.configure(project, git_programs=names, actor=operator())


@pytest.fixture
def half_landed(project, finished) -> Iterator[DispatchRequest]:
    """A merge whose ref has moved, and then neither could MAIN's files be written nor the ref be taken back."""
    request = finished({".gitattributes": "*.bin filter=broken\n", "new.bin": "new\n", "README.md": "# Changed\n"})
    lock = project.path / ".git/refs/heads/main.lock"
    git(project.path, "config", "filter.broken.smudge", f"touch {lock}; exit 1")
    git(project.path, "config", "filter.broken.clean", "cat")
    git(project.path, "config", "filter.broken.required", "true")
    allow(project, "broken")
    merging.ask(request, actor=operator())
    machine.advance(request.pk)
    request.refresh_from_db()
    yield request
    lock.unlink(missing_ok=True)


def mend(project) -> None:
    git(project.path, "config", "filter.broken.smudge", "cat")
    allow(project, "broken")
    (project.path / ".git/refs/heads/main.lock").unlink()


def test_a_merge_that_has_landed_is_never_refused(project, half_landed, drive):
    assert half_landed.state == "merging"
    assert half_landed.failure.startswith("The merge has landed, but MAIN's files do not show it yet: ")
    assert git(project.path, "rev-parse", "main") == half_landed.merge_sha
    machine.advance(half_landed.pk)
    half_landed.refresh_from_db()
    assert half_landed.state == "merging"
    mend(project)
    drive(half_landed, "done")
    assert half_landed.failure == half_landed.main_behind == ""
    assert (project.path / "new.bin").read_text() == "new\n"
    assert git(project.path, "status", "--porcelain") == ""


def test_a_merge_that_landed_and_was_called_refused_is_finished_when_it_is_asked_for_again(project, half_landed, drive):
    record.refuse(half_landed, record.NotMerged.GIT, "Nobody could tell whether it had landed.")
    mend(project)
    merging.ask(half_landed, actor=operator())
    drive(half_landed, "done")
    assert (project.path / "new.bin").read_text() == "new\n"
    assert git(project.path, "status", "--porcelain") == ""
    assert git(project.path, "rev-parse", "main") == half_landed.merge_sha


def test_work_that_a_person_merged_is_done_without_touching_main(project, finished, drive):
    request = finished({"new.txt": "new\n"})
    git(project.path, "merge", "-q", "--no-ff", request.branch)
    (project.path / "new.txt").write_text("edited since\n")
    before = snapshot(project)
    merging.ask(request, actor=operator())
    drive(request, "done")
    assert snapshot(project) == before
    assert request.brief.trace.filter(kind="merge").get().body == (
        "It came to main outside of flower; the project has no gates."
    )


def test_a_merge_is_recorded_when_git_cannot_count_what_it_brought(project, finished, drive):
    request = finished({"new.txt": "new\n"})
    DispatchRequest.objects.filter(pk=request.pk).update(base_sha="f" * 40)  # a shallow clone has forgotten it
    merging.ask(request, actor=operator())
    drive(request, "done")
    data = request.brief.trace.filter(kind="merge").get().data
    assert "files" not in data
    assert data["commit"] == git(project.path, "rev-parse", "main")


def test_a_merge_that_is_killed_before_its_record_ends_right_once(project, finished, drive, monkeypatch):
    request = finished({"new.txt": "new\n"})
    real = lifecycle.move

    def killed(row, to, **values):
        if to == "done":
            raise Killed
        return real(row, to, **values)

    monkeypatch.setattr(lifecycle, "move", killed)
    merging.ask(request, actor=operator())
    with pytest.raises(Killed):
        machine.advance(request.pk)
    monkeypatch.setattr(lifecycle, "move", real)
    assert (project.path / "new.txt").exists()
    drive(request, "done")
    assert git(project.path, "rev-list", "--count", "--first-parent", "main") == "2"
    assert request.brief.links.filter(kind="commit").count() == 1


# --- what stands in MAIN ----------------------------------------------------------------------------------------------


def test_an_index_lock_that_a_killed_git_left_is_called_left_behind(project, finished, drive, monkeypatch):
    request = finished({"new.txt": "new\n"})
    monkeypatch.setattr(landing, "INDEX_SECONDS", 0.1)
    lock = project.path / ".git/index.lock"
    lock.touch()
    os.utime(lock, (time.time() - 3600,) * 2)
    before = snapshot(project)
    merging.ask(request, actor=operator())
    drive(request, "finished")
    assert request.failure_class == "git"
    assert f"left {lock} behind, and nobody uses it: remove that file, then merge again" in request.failure
    assert snapshot(project) == before
    lock.unlink()
    merging.ask(request, actor=operator())
    drive(request, "done")


def test_an_index_lock_of_a_living_process_names_it(project, finished, drive, monkeypatch):
    request = finished({"new.txt": "new\n"})
    monkeypatch.setattr(landing, "INDEX_SECONDS", 0.1)
    lock = project.path / ".git/index.lock"
    with subprocess.Popen(["/bin/sh", "-c", f"exec 9>{lock}; echo open; read x"], stdin=-1, stdout=-1) as holds:
        assert holds.stdout.readline() == b"open\n"
        os.utime(lock, (time.time() - 3600,) * 2)
        merging.ask(request, actor=operator())
        drive(request, "finished")
        assert f"process {holds.pid} works there" in request.failure
        holds.stdin.close()


def test_a_detached_main_is_called_detached_and_what_shows_the_merge_is_said(project, finished, drive):
    request = finished({"new.txt": "new\n"})
    git(project.path, "switch", "-q", "--detach")
    merging.ask(request, actor=operator())
    drive(request, "done")
    assert "HEAD is detached at" in request.main_behind
    assert "`git switch main` shows the merge" in request.main_behind
    assert git(project.path, "status", "--porcelain") == ""
    git(project.path, "switch", "-q", "main")
    assert (project.path / "new.txt").exists()


def test_a_rebase_of_another_branch_in_main_is_named(project, finished, drive):
    request = finished({"new.txt": "new\n"})
    git(project.path, "switch", "-qc", "theirs")
    (project.path / "README.md").write_text("# Theirs\n")
    git(project.path, "commit", "-qam", "Theirs")
    git(project.path, "switch", "-qc", "side", "main")
    (project.path / "README.md").write_text("# Side\n")
    git(project.path, "commit", "-qam", "Side")
    with pytest.raises(subprocess.CalledProcessError):
        git(project.path, "rebase", "theirs")
    merging.ask(request, actor=operator())
    drive(request, "done")
    assert request.main_behind.startswith("MAIN is in the middle of a rebase; end it")
