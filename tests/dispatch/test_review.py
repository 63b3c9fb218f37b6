"""The review moment: changes first; after a red gate the rework, and the merge again only when it can differ."""

from __future__ import annotations

import pytest

from briefs.models import Token
from dispatch import changes, claims, review, services
from dispatch import merge as merging
from dispatch.models import DispatchRequest
from tests.dispatch.test_rework import conflict, finished, redden  # noqa: F401  (fixture)
from tests.factories import agent, git, identity, make_brief, operator
from worktrees import services as worktrees

pytestmark = pytest.mark.django_db(transaction=True)


def by_operator(request: DispatchRequest) -> review.Review:
    request.refresh_from_db()
    found = review.of(request, identity(operator(), Token.Scope.OPERATOR))
    assert found is not None
    return found


def test_finished_work_keeps_what_it_changes(finished):  # noqa: F811
    found = by_operator(finished)
    assert found.changes is not None
    assert [(file.path, file.status, file.added, file.deleted) for file in found.changes.files] == [
        ("README.md", "M", 1, 1)
    ]
    assert (found.changes.total, found.changes.added, found.changes.deleted, found.changes.unnamed) == (1, 1, 1, 0)
    assert (found.may_merge, found.merge_again, found.may_rework, found.rework_first) == (True, False, False, False)


def test_what_came_from_main_is_not_the_agents(project, drive):
    """The agent brings a newer main in: only its own file is to be reviewed."""
    request = services.dispatch(make_brief("Work", project), actor=operator())
    git(project.path, "commit", "-qm", "Elsewhere", "--allow-empty")
    (project.path / "theirs.txt").write_text("theirs\n")
    git(project.path, "add", ".")
    git(project.path, "commit", "-qm", "Theirs")
    me = identity(agent("worker"))
    claims.claim(request, actor=me.actor)
    drive(request, "running")
    (request.worktree.checkout / "mine.bin").write_bytes(b"\0\1")
    git(request.worktree.checkout, "add", ".")
    git(request.worktree.checkout, "commit", "-qm", "Mine")
    git(request.worktree.checkout, "merge", "-q", "main")
    services.complete(request, identity=me)
    found = changes.read(request.changes)
    assert found is not None
    assert [(file.path, file.status, file.added) for file in found.files] == [("mine.bin", "A", None)]
    assert found.base == git(project.path, "rev-parse", "main")


def test_more_files_than_are_named_are_counted(project, monkeypatch):
    monkeypatch.setattr(changes, "MOST_FILES", 1)
    repository = project.path
    git(repository, "checkout", "-q", "-b", "side")
    for name in ("a", "b", "c"):
        (repository / name).write_text(f"{name}\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "Three")
    found = changes.summarize(worktrees.repository(project), "main", "side", "main")
    assert (len(found.files), found.total, found.unnamed, found.added) == (1, 3, 2, 3)


def test_after_a_red_gate_the_rework_comes_first_until_something_changed(project, finished, drive):  # noqa: F811
    redden(project, finished, drive)
    found = by_operator(finished)
    assert (found.may_merge, found.may_run_again, found.may_rework, found.rework_first) == (False, True, True, True)
    gates = project.gates
    project.gates = ["true"]
    project.save()
    assert by_operator(DispatchRequest.objects.get(pk=finished.pk)).may_merge, "the gates were edited"
    project.gates = gates
    project.save()
    assert not by_operator(DispatchRequest.objects.get(pk=finished.pk)).may_merge
    git(project.path, "commit", "-qm", "Mended", "--allow-empty")
    found = by_operator(DispatchRequest.objects.get(pk=finished.pk))
    assert (found.may_merge, found.merge_again, found.may_run_again, found.rework_first) == (True, True, False, False)


def test_after_a_conflict_only_a_rework_helps(project, finished, drive):  # noqa: F811
    conflict(project, finished, drive)
    found = by_operator(finished)
    assert (found.may_merge, found.may_run_again, found.may_rework, found.rework_first) == (False, False, True, True)


def test_who_may_not_merge_is_offered_the_changes_alone(finished):  # noqa: F811
    found = review.of(finished, identity(agent("reader"), Token.Scope.READONLY))
    assert found is not None
    assert (found.may_merge, found.may_run_again, found.may_rework, found.rework_first) == (False, False, False, False)


def test_the_briefs_page_leads_to_the_changes_and_names_the_files(finished, browser):  # noqa: F811
    page = browser.get(f"/briefs/{finished.brief_id}/").content.decode()
    head = page[page.index('id="head"') : page.index('id="review"')]
    assert f'class="btn go" href="/dispatches/{finished.pk}/#work"' in head
    assert f'action="/dispatches/{finished.pk}/merge/"' in head
    assert f'href="/dispatches/{finished.pk}/#file-1"><code>README.md</code>' in page


def test_the_dispatch_page_has_summary_changes_gates_packet_in_this_order(finished, browser):  # noqa: F811
    page = browser.get(f"/dispatches/{finished.pk}/").content.decode()
    places = [page.index(f'id="{part}"') for part in ("live", "outcome", "work", "gates", "packet-fold")]
    assert places == sorted(places)
    fold = page[page.index('id="packet-fold"') :]
    assert " open" not in fold[: fold.index(">")]
    parts = browser.get(f"/dispatches/{finished.pk}/", headers={"hx-request": "true"}).content.decode()
    assert parts.count('hx-swap-oob="true"') == 4
    assert 'id="work"' not in parts, "what one reads is not taken away"


def test_gates_that_answer_differently_can_be_run_again(project, finished, drive, browser, tmp_path):  # noqa: F811
    """A flaky gate: nothing changed, so the offer is small, and it works."""
    flag = tmp_path / "flag"
    project.gates = [f"test -e {flag}"]
    project.save()
    merging.ask(finished, actor=operator())
    drive(finished, "finished")
    flag.write_text("")
    page = browser.get(f"/dispatches/{finished.pk}/").content.decode()
    assert page.count(f'action="/dispatches/{finished.pk}/merge/"') == 1
    browser.post(f"/dispatches/{finished.pk}/merge/")
    assert drive(finished, "done").merge_sha


def test_when_main_itself_is_red_neither_rework_nor_merge_comes_first(project, finished, drive):  # noqa: F811
    """The work is not to blame; once the main branch moved, the merge is offered again."""
    project.gates = ["test -e green"]
    project.save()
    merging.ask(finished, actor=operator())
    drive(finished, "finished")
    found = by_operator(finished)
    assert finished.failure_class == "main_red"
    assert (found.may_merge, found.may_run_again, found.rework_first) == (False, True, False)
    git(project.path, "commit", "-q", "--allow-empty", "-m", "Moved on")
    assert by_operator(finished).may_merge
