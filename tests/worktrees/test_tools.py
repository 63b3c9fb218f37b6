"""What tools tell of worktrees: the list, and what the work in one changes, in real repositories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from briefs.models import Token
from core.errors import Conflict, NotFound
from core.toolbox import ANSWER_BUDGET, as_text
from dispatch import claims, services
from tests.dispatch.conftest import drive, home, kicks, looks, project  # noqa: F401  fixtures
from tests.factories import agent, git, identity, make_brief, make_project, operator
from worktrees import recalling, tools
from worktrees.models import Worktree

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def orchestrator(db: None) -> Any:
    return identity(agent("orchestrator"), Token.Scope.ORCHESTRATOR)


@pytest.fixture
def running(project, drive) -> Any:  # noqa: F811
    request = services.dispatch(make_brief("Work", project), actor=operator())
    claims.claim(request, actor=agent("worker"))
    return drive(request, "running")


def commit(worktree: Worktree, files: dict[str, str], message: str = "Work") -> None:
    for name, text in files.items():
        (worktree.checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (worktree.checkout / name).write_text(text)
    git(worktree.checkout, "add", ".")
    git(worktree.checkout, "commit", "-qm", message)


def test_the_list_says_whose_and_what_they_hold(running, orchestrator):
    (running.worktree.checkout / "left.txt").write_text("x")
    (row,) = tools.recall_worktrees(orchestrator)["worktrees"]
    assert row["worktree"] == running.worktree.pk and row["brief"] == running.brief_id
    assert (row["branch"], row["project"], row["state"]) == (running.branch, "sample", "ready")
    assert (row["keep"], row["dispatches"], row["uncommitted"]) == ("ephemeral", [running.pk], 1)
    running.worktree.checkout.rename(running.worktree.checkout.with_name("elsewhere"))
    (row,) = tools.recall_worktrees(orchestrator, project="sample")["worktrees"]
    assert (row["state"], row["uncommitted"]) == ("missing", None)


def test_removed_ones_and_other_projects_are_not_listed(running, orchestrator, tmp_path: Path):
    other = make_project(tmp_path / "other", slug="other")
    limited = identity(agent("limited"), Token.Scope.AGENT, project=other.pk)
    assert tools.recall_worktrees(limited) == {"worktrees": [], "cursor": None}
    with pytest.raises(NotFound):
        tools.worktree_diff(limited, running.worktree.pk)
    Worktree.objects.update(state=Worktree.State.REMOVED)
    assert tools.recall_worktrees(orchestrator)["worktrees"] == []


def test_a_long_list_goes_on_where_it_ended(running, orchestrator, monkeypatch):
    monkeypatch.setattr(recalling, "AT_ONCE", 2)
    row = Worktree.objects.get()
    for number in range(4):
        Worktree.objects.create(
            project=row.project, name=f"w{number}", path=f"/nowhere/{number}", branch="b", base_sha=row.base_sha,
            created_by=row.created_by, state="failed", failure="why " * 200,
        )  # fmt: skip
    seen, cursor = [], None
    while True:
        answer = tools.recall_worktrees(orchestrator, cursor=cursor)
        seen += [found["worktree"] for found in answer["worktrees"]]
        if (cursor := answer["cursor"]) is None:
            break
    assert seen == sorted(Worktree.objects.values_list("pk", flat=True), reverse=True)


def test_the_diff_names_files_and_lines_and_what_is_not_committed(running, orchestrator):
    commit(running.worktree, {"new.txt": "a\nb\n", "src/app.py": "print('other')\n", "pic.bin": "\0\1\0"})
    (running.worktree.checkout / "left.txt").write_text("x")
    found = tools.worktree_diff(orchestrator, running.worktree.pk)
    assert found["files"] == [
        {"path": "new.txt", "status": "A", "added": 2, "deleted": 0},
        {"path": "pic.bin", "status": "A", "added": None, "deleted": None},
        {"path": "src/app.py", "status": "M", "added": 1, "deleted": 1},
    ]
    assert (found["total"], found["added"], found["deleted"]) == (3, 3, 1)
    assert (found["uncommitted"], found["uncommitted_total"]) == (["left.txt"], 1)
    assert (found["base"], found["truncated"], found["cursor"]) == (running.base_sha, None, None)
    assert "patch" not in found
    for path in ("src/app.py", "src", "src/"):
        patch = tools.worktree_diff(orchestrator, running.worktree.pk, path)
        assert patch["total"] == 1 and "+print('other')" in patch["patch"] and "new.txt" not in patch["patch"]
    for wrong in (":(glob)**", "../../etc/passwd", "/etc/passwd", "not-there"):
        with pytest.raises(NotFound) as refused:
            tools.worktree_diff(orchestrator, running.worktree.pk, wrong)
        assert str(running.project.root) not in refused.value.sentence


def test_work_of_others_that_was_merged_in_is_not_counted(running, orchestrator, project):  # noqa: F811
    commit(running.worktree, {"mine.txt": "mine\n"})
    (project.path / "theirs.txt").write_text("theirs\n")
    git(project.path, "add", ".")
    git(project.path, "commit", "-qm", "Theirs")
    git(running.worktree.checkout, "merge", "-q", "main")
    found = tools.worktree_diff(orchestrator, running.worktree.pk)
    assert [file["path"] for file in found["files"]] == ["mine.txt"]


def test_long_answers_are_cut_within_the_budget_and_go_on(running, orchestrator):
    commit(running.worktree, {f"many/{number:04}.txt": f"{number}\n" for number in range(600)})
    commit(running.worktree, {"long.txt": "".join(f"line {number} é\n" for number in range(4_000)) + "x" * 100_000})

    def pages(**arguments: Any) -> list[dict[str, Any]]:
        found, cursor = [], None
        while True:
            answer = tools.worktree_diff(orchestrator, running.worktree.pk, cursor=cursor, **arguments)
            assert len(as_text(answer).encode()) <= ANSWER_BUDGET
            found.append(answer)
            if (cursor := answer["cursor"]) is None:
                return found
            assert answer["truncated"]

    listed = pages()
    assert len({file["path"] for page in listed for file in page["files"]}) == 601 == listed[0]["total"]
    patch = "".join(page["patch"] for page in pages(path="long.txt"))
    assert all(f"+line {number} é\n" in patch for number in (0, 1_999, 3_999)) and "[line cut]" in patch


def test_a_removed_folder_still_shows_its_branch_and_git_speaks_in_sentences(running, orchestrator):
    commit(running.worktree, {"new.txt": "a\n"})
    running.worktree.checkout.rename(running.worktree.checkout.with_name("elsewhere"))
    found = tools.worktree_diff(orchestrator, running.worktree.pk)
    assert [file["path"] for file in found["files"]] == ["new.txt"]
    Worktree.objects.update(branch="nosuch")
    with pytest.raises(Conflict) as refused:
        tools.worktree_diff(orchestrator, running.worktree.pk)
    assert refused.value.sentence.startswith("Git cannot compare worktree ") and refused.value.sentence.endswith(".")
