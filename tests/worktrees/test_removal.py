"""What goes with a worktree, what is kept of it, and what is told when it cannot go: real git and real processes."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from briefs.models import TraceEntry
from core.errors import Conflict, Invalid
from daemons import leftovers
from dispatch import claims, services
from tests.dispatch.conftest import drive, home, kicks, looks, project  # noqa: F401  fixtures
from tests.factories import agent, git, make_brief, operator
from tests.system.running import until
from worktrees import captures
from worktrees import services as worktrees
from worktrees.models import Worktree

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def tree(project, drive) -> Worktree:  # noqa: F811
    """The worktree of a request that has failed."""
    request = services.dispatch(make_brief("Work", project), actor=operator())
    claims.claim(request, actor=agent("worker"))
    drive(request, "running")
    services.fail(request, "No.", actor=operator())
    return request.worktree


def told(tree: Worktree, state: str) -> list[TraceEntry]:
    return list(TraceEntry.objects.filter(brief=tree.brief, data__state=state))


def remove(tree: Worktree) -> Worktree:
    try:
        return worktrees.remove(tree, actor=operator())
    finally:
        tree.refresh_from_db()


# -- stuck -------------------------------------------------------------------------------------------------------------


def test_a_removal_that_cannot_be_done_says_why_once_and_is_tried_again(tree, browser, project):  # noqa: F811
    git(project.path, "worktree", "unlock", str(tree.checkout))
    git(project.path, "worktree", "lock", "--reason", "mine", str(tree.checkout))
    for _ in range(2):
        with pytest.raises(Conflict, match="was locked by somebody: mine"):
            remove(tree)
    assert (tree.state, len(told(tree, "stuck"))) == ("removing", 1)
    assert "was locked by somebody: mine" in browser.get(f"/worktrees/{tree.pk}/").content.decode()
    assert "was locked by somebody: mine" in browser.get("/worktrees/").content.decode()
    git(project.path, "worktree", "unlock", str(tree.checkout))
    assert browser.post(f"/worktrees/{tree.pk}/remove/").status_code == 302
    remove(tree)
    assert (tree.state, tree.failure) == ("removed", "")


def test_a_bug_in_a_removal_is_told_too(tree, monkeypatch):
    from worktrees import tasks

    worktrees.ask_removal(tree, actor=operator())
    monkeypatch.setattr(worktrees, "_save", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tasks.remove(tree.pk)
    tree.refresh_from_db()
    assert "ZeroDivisionError" in tree.failure
    assert len(told(tree, "stuck")) == 1


# -- ignored files -----------------------------------------------------------------------------------------------------


@pytest.fixture
def ignored(tree) -> Worktree:
    (tree.checkout / ".gitignore").write_text(".env\n*.log\ncache/\n")
    git(tree.checkout, "add", ".")
    git(tree.checkout, "commit", "-qm", "ignore")
    (tree.checkout / ".env").write_text("KEY=1\n")
    (tree.checkout / "a.log").write_text("log\n")
    (tree.checkout / "cache/deep").mkdir(parents=True)
    (tree.checkout / "cache/deep/x").write_text("x")
    (tree.checkout / "cache/out").symlink_to("/etc")
    return tree


def test_ignored_files_are_counted_and_named_before_and_after(ignored, browser):
    found = worktrees.look(ignored).ignored
    assert (found.files, found.shown) == (4, (".env", "a.log", "cache/"))
    page = browser.get(f"/worktrees/{ignored.pk}/").content.decode()
    assert "4 files, 15" in page and "<code>cache/</code>" in page
    remove(ignored)
    (entry,) = told(ignored, "removed")
    assert (entry.data["ignored"], entry.data["ignored_names"], entry.data["kept"]) == (
        4,
        [".env", "a.log", "cache/"],
        0,
    )


def test_the_projects_paths_are_kept(ignored, home):  # noqa: F811
    ignored.project.keep_paths = [".env", "cache", "README.md", "cache/out/hosts", "nothing/**"]
    ignored.project.save()
    remove(ignored)
    folder = home / "kept" / f"{ignored.pk}-{ignored.name}"
    assert (ignored.kept_folder, ignored.kept_files) == (str(folder), 3)
    assert (folder / ".env").read_text() == "KEY=1\n"
    assert (folder / "cache/deep/x").read_text() == "x"
    assert (folder / "cache/out").is_symlink(), "a link is kept as one, and not followed"
    assert not (folder / "README.md").exists(), "git has that"


def test_too_much_to_keep_stops_the_removal(ignored, monkeypatch):
    ignored.project.keep_paths = ["cache"]
    ignored.project.save()
    monkeypatch.setattr("worktrees.ignored.MOST_BYTES", 0)
    with pytest.raises(Conflict, match="paths to keep match 2 files"):
        remove(ignored)
    assert (ignored.checkout / ".env").exists()


@pytest.mark.parametrize("pattern", ["/etc/passwd", "../x", "a/../../b", "x" * 201])
def test_paths_to_keep_lie_below_the_worktree(project, pattern):  # noqa: F811
    from briefs.services import projects

    with pytest.raises(Invalid):
        projects.configure(project, keep_paths=[pattern], actor=operator())


# -- brought back ------------------------------------------------------------------------------------------------------


def test_captured_work_comes_back_by_its_command_and_by_its_button(tree, project, browser):  # noqa: F811
    (tree.checkout / "new.txt").write_text("new\n")
    remove(tree)
    capture = tree.captures.get()
    page = browser.get(f"/worktrees/{tree.pk}/").content.decode()
    assert capture.command in page
    subprocess.run(["/bin/sh", "-c", capture.command], check=True)
    assert git(project.path, "show", f"{capture.branch}:new.txt") == "new"
    git(project.path, "branch", "-D", capture.branch)

    assert browser.post(f"/worktrees/{tree.pk}/captures/{capture.pk}/restore/").status_code == 302
    capture.refresh_from_db()
    assert capture.restored_branch == capture.branch
    assert git(project.path, "show", f"{capture.branch}:new.txt") == "new"
    assert len(told(tree, "restored")) == 1
    captures.restore(capture, actor=operator())
    assert capture.restored_branch == capture.branch, "the same branch, while it leads there"
    git(project.path, "branch", "-f", capture.branch, "main")
    captures.restore(capture, actor=operator())
    assert capture.restored_branch == f"{capture.branch}-2", "somebody's branch is left alone"


def test_nobody_restores_without_being_allowed(tree, client):
    (tree.checkout / "new.txt").write_text("new\n")
    remove(tree)
    answer = client.post(f"/worktrees/{tree.pk}/captures/{tree.captures.get().pk}/restore/")
    assert answer.status_code in {302, 401, 403}
    assert tree.captures.get().restored_branch == ""


# -- what is left running ----------------------------------------------------------------------------------------------


def start(folder: Path, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sleep", "300"], cwd=folder, env={"PATH": os.environ["PATH"], **environment}, start_new_session=True
    )


def test_what_an_agent_left_running_is_shown_and_ended_with_its_worktree(tree, tmp_path, browser):
    mark = {"FLOWER_WORKTREE": tree.path, "FLOWER_PROCESS": "7"}
    there, elsewhere = start(tree.checkout), start(tmp_path, **mark)
    foreign = start(tmp_path, **{**mark, "FLOWER_WORKTREE": "/another/flower"})
    try:
        found = {one.pid: one.process for one in worktrees.leftovers_of(tree)}
        assert found == {there.pid: None, elsewhere.pid: 7}
        for page in (f"/worktrees/{tree.pk}/", "/worktrees/", f"/dispatches/{tree.dispatch_requests.get().pk}/"):
            assert "/bin/sleep 300" in browser.get(page).content.decode()
        remove(tree)
        assert (there.wait(5), elsewhere.wait(5)) == (-signal.SIGTERM, -signal.SIGTERM)
        assert foreign.poll() is None, "of another system"
        (entry,) = told(tree, "leftovers")
        assert {row["pid"] for row in entry.data["ended"]} == {there.pid, elsewhere.pid}
    finally:
        for process in (there, elsewhere, foreign):
            process.kill()
            process.wait()


def test_what_does_not_hear_is_killed(tmp_path):
    stubborn = subprocess.Popen(
        ["/bin/sh", "-c", "trap '' TERM; echo up > up; while :; do sleep 0.1; done"], cwd=tmp_path
    )
    try:
        until(lambda: (tmp_path / "up").exists(), "the trap is set")
        (found,) = [one for one in leftovers.find([tmp_path]) if one.pid == stubborn.pid]
        assert leftovers.end([found], patience=0.3) == [found]
        assert stubborn.wait(5) == -signal.SIGKILL
    finally:
        stubborn.kill()
        stubborn.wait()


def test_a_number_that_another_process_has_by_now_is_left_alone(tmp_path):
    import dataclasses

    process = start(tmp_path)
    try:
        (found,) = leftovers.find([tmp_path])
        earlier = dataclasses.replace(found, started=found.started - 1)
        assert leftovers.end([earlier], patience=0.2) == [earlier]
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_a_persons_shell_is_left_alone(tmp_path):
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execve("/bin/sleep", ["sleep", "300"], {})
    try:
        until(lambda: leftovers.find([tmp_path]), "it runs there")
        (found,) = leftovers.find([tmp_path])
        assert (found.pid, found.is_persons) == (pid, True)
        assert leftovers.end([found]) == []
        os.kill(pid, 0)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
