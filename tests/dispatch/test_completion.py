"""Work that git does not carry is not done: what completion looks for, with real repositories and commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from briefs.models import TraceEntry
from dispatch import claims, services
from dispatch import merge as merging
from dispatch.completion import Code, Unfinished
from dispatch.models import DispatchRequest
from tests.factories import agent, git, identity, make_brief, make_project, make_repository, operator

pytestmark = pytest.mark.django_db(transaction=True)


class Work:
    """One dispatched brief, claimed by an agent that works in its worktree with plain git."""

    def __init__(self, project, drive) -> None:
        self.me = identity(agent("worker"))
        self.request = services.dispatch(make_brief("Work", project), actor=operator())
        claims.claim(self.request, actor=self.me.actor)
        drive(self.request, "running")
        self.tree: Path = self.request.worktree.checkout

    def git(self, *arguments: str, cwd: str = "") -> str:
        return git(self.tree / cwd, *arguments)

    def complete(self, **arguments) -> DispatchRequest:
        return services.complete(self.request, identity=self.me, **arguments)

    def refused(self, **arguments) -> Unfinished:
        with pytest.raises(Unfinished) as refused:
            self.complete(**arguments)
        self.request.refresh_from_db()
        assert self.request.state == "running", "nothing was changed"
        return refused.value


@pytest.fixture
def work(project, drive) -> Work:
    return Work(project, drive)


def begin_inner(work: Work) -> None:
    """What `create-next-app`, `cargo init` and the like leave."""
    (work.tree / "inner").mkdir()
    work.git("init", "-q", cwd="inner")
    (work.tree / "inner/f").write_text("1\n")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    path = make_repository(tmp_path / "library", {"s.txt": "one\n"})
    git(path, "config", "receive.denyCurrentBranch", "ignore")
    return path


@pytest.fixture
def super_project(db, home, kicks, tmp_path: Path, library: Path):
    """A project whose repository has the submodule libs/sub."""
    root = make_repository(tmp_path / "super")
    git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(library), "libs/sub")
    git(root, "commit", "-qm", "With sub")
    from briefs.services import projects

    return projects.add(str(root))


# -- repositories inside -----------------------------------------------------------------------------------------------


def test_a_committed_inner_repository_is_refused_until_its_files_are_in(work, drive, project):
    begin_inner(work)
    work.git("add", "f", cwd="inner")
    work.git("commit", "-qm", "i", cwd="inner")
    work.git("add", "-A")
    work.git("commit", "-qm", "embed")
    refused = work.refused()
    assert (refused.reason.code, refused.reason.names) == (Code.INNER_COMMITTED, ("inner",))
    assert refused.sentence.startswith(
        "inner is a repository of its own; its files would not be merged. "
        "Remove inner/.git and add the files, or make it a submodule."
    )
    import shutil

    shutil.rmtree(work.tree / "inner/.git")  # what the sentence says
    work.git("rm", "-q", "--cached", "inner")
    work.git("add", "-A")
    work.git("commit", "-qm", "really")
    work.complete()
    merging.ask(work.request, actor=operator())
    drive(work.request, "done")
    assert (project.path / "inner/f").read_text() == "1\n"


@pytest.mark.parametrize("committed", [True, False])
def test_an_untracked_inner_repository_is_named_as_what_it_is(work, committed):
    begin_inner(work)
    if committed:
        work.git("add", "f", cwd="inner")
        work.git("commit", "-qm", "i", cwd="inner")
    (work.tree / "new.txt").write_text("new\n")
    work.git("add", "new.txt")
    work.git("commit", "-qm", "new")
    refused = work.refused()
    assert (refused.reason.code, refused.reason.names) == (Code.INNER_REPOSITORY, ("inner",))


def test_an_inner_repository_goes_with_its_worktree_and_is_kept(work, project):
    from worktrees import services as worktrees

    begin_inner(work)
    services.fail(work.request, "No.", actor=operator())
    worktrees.remove(work.request.worktree, actor=operator())
    work.request.worktree.refresh_from_db()
    assert work.request.worktree.state == "removed"
    capture = work.request.worktree.captures.get()
    assert capture.path == "inner"
    assert git(project.path, "show", f"{capture.ref}:f") == "1"


# -- submodules --------------------------------------------------------------------------------------------------------


def test_a_submodule_is_there_when_the_agent_begins(super_project, drive):
    work = Work(super_project, drive)
    assert (work.tree / "libs/sub/s.txt").read_text() == "one\n"


def test_a_submodule_stays_empty_where_the_project_says_so(super_project, drive):
    super_project.submodules = False
    super_project.save()
    assert not any((Work(super_project, drive).tree / "libs/sub").iterdir())


def test_a_submodule_that_cannot_be_had_fails_the_preparation(super_project, drive, library):
    import shutil

    library.rename(library.parent / "gone")
    shutil.rmtree(super_project.path / ".git/modules")
    request = services.dispatch(make_brief("Work", super_project), actor=operator())
    claims.claim(request, actor=agent("worker"))
    drive(request, "failed")
    assert request.failure_class == "worktree"
    assert request.failure.startswith("The submodule libs/sub could not be made ready: git submodule: ")


def move_sub(work: Work) -> str:
    (work.tree / "libs/sub/s.txt").write_text("two\n")
    work.git("commit", "-qam", "two", cwd="libs/sub")
    work.git("add", "libs/sub")
    work.git("commit", "-qm", "move sub")
    return work.git("rev-parse", "HEAD", cwd="libs/sub")


def test_a_submodule_commit_that_only_the_worktree_has_is_refused_until_it_is_pushed(super_project, drive, library):
    work = Work(super_project, drive)
    sub = move_sub(work)
    refused = work.refused()
    assert (refused.reason.code, refused.reason.names) == (Code.SUBMODULE_LOST, ("libs/sub",))
    assert "Push libs/sub first" in refused.sentence

    work.git("push", "-q", "origin", "HEAD:main", cwd="libs/sub")
    work.complete()
    super_project.gates = ["grep -q two libs/sub/s.txt"]  # the gates' tree has the submodule, too
    super_project.save()
    git(super_project.path / "libs/sub", "checkout", "-q", "--detach")  # as `submodule update` leaves it
    library.rename(library.parent / "gone")  # from here on nothing needs its remote
    merging.ask(work.request, actor=operator())
    drive(work.request, "done")
    assert git(super_project.path, "rev-parse", "main:libs/sub") == sub
    assert (super_project.path / "libs/sub/s.txt").read_text() == "two\n", "MAIN's own checkout has come along"
    assert git(super_project.path, "status", "--porcelain") == ""
    later = Work(super_project, drive)
    assert (later.tree / "libs/sub/s.txt").read_text() == "two\n"


def test_uncommitted_work_in_a_submodule_is_named_as_that(super_project, drive):
    work = Work(super_project, drive)
    (work.tree / "libs/sub/s.txt").write_text("two\n")
    refused = work.refused(no_changes=True)
    assert (refused.reason.code, refused.reason.names) == (Code.SUBMODULE_CHANGED, ("libs/sub",))


def test_the_worktree_of_merged_work_goes_with_its_submodule(super_project, drive):
    from dispatch import machine

    work = Work(super_project, drive)
    (work.tree / "new.txt").write_text("new\n")
    work.git("add", ".")
    work.git("commit", "-qm", "new")
    work.complete()
    merging.ask(work.request, actor=operator())
    drive(work.request, "done")
    machine.advance(work.request.pk)
    work.request.worktree.refresh_from_db()
    assert (work.request.worktree.state, work.request.worktree.failure) == ("removed", "")
    assert not work.tree.exists()
    assert not work.request.worktree.captures.exists()


# -- commits that change nothing ---------------------------------------------------------------------------------------


def test_empty_commits_are_no_work_and_no_changes_takes_them(work):
    work.git("commit", "-q", "--allow-empty", "-m", "nothing")
    refused = work.refused()
    assert (refused.reason.code, refused.reason.count) == (Code.EMPTY_COMMITS, 1)
    assert work.complete(no_changes=True).state == "finished"


def test_no_changes_is_refused_when_there_are_some(work):
    (work.tree / "new.txt").write_text("new\n")
    work.git("add", ".")
    work.git("commit", "-qm", "new")
    assert work.refused(no_changes=True).reason.code == Code.HAS_COMMITS


# -- what the setup command leaves -------------------------------------------------------------------------------------


def test_files_that_the_setup_command_changed_are_named_as_such(db, home, kicks, tmp_path, drive):
    project = make_project(tmp_path / "sample", setup_command="echo changed >> README.md; echo junk > junk.tmp")
    work = Work(project, drive)
    work.request.worktree.refresh_from_db()
    assert work.request.worktree.setup_changes == ["README.md", "junk.tmp"]
    told = TraceEntry.objects.filter(brief=work.request.brief, data__state="setup_changes")
    assert [entry.data["files"] for entry in told] == [["README.md", "junk.tmp"]]
    project.refresh_from_db()
    assert project.setup_changes == ["README.md", "junk.tmp"]

    (work.tree / "new.txt").write_text("new\n")
    refused = work.refused()
    assert (refused.reason.code, refused.reason.names) == (Code.NOT_CLEAN, ("new.txt",))
    assert refused.reason.setup == ("README.md", "junk.tmp")
    work.git("add", "new.txt")
    work.git("commit", "-qm", "new")
    refused = work.refused()
    assert (refused.reason.code, refused.reason.setup) == (Code.SETUP_CHANGES, ("README.md", "junk.tmp"))
    assert refused.sentence.startswith("README.md, junk.tmp were changed by the setup command: ")
    work.git("restore", "README.md")
    (work.tree / "junk.tmp").unlink()
    assert work.complete().state == "finished"


def test_a_setup_command_that_leaves_the_tree_clean_is_told_nothing_of(db, home, kicks, tmp_path, drive):
    project = make_project(tmp_path / "sample", setup_command="true")
    project.setup_changes = ["old.txt"]
    project.save()
    work = Work(project, drive)
    project.refresh_from_db()
    assert project.setup_changes == []
    assert not TraceEntry.objects.filter(brief=work.request.brief, data__state="setup_changes").exists()


# -- a submodule as a project ------------------------------------------------------------------------------------------


def test_a_submodules_checkout_is_no_project(super_project):
    from briefs.services import projects
    from core.errors import Invalid

    root = super_project.path
    with pytest.raises(Invalid) as refused:
        projects.add(str(root / "libs/sub"))
    assert refused.value.sentence == (
        f"{root}/libs/sub is a submodule of {root}: give that one, or a clone of its own."
    )
