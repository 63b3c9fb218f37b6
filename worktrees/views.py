"""The worktrees page: which isolated checkouts there are, whose, and in what state."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from briefs.identity import Identity
from briefs.models import Link, Project
from briefs.services.recall import visible
from briefs.views import rooms
from briefs.views.door import Refused, Request, show
from core.errors import NotFound, Refusal
from worktrees import captures, diffs, git, services
from worktrees.models import Worktree
from worktrees.recalling import find, seen_by

ON_A_PAGE: Final = 50


@require_safe
def worktrees(request: Request) -> HttpResponse:
    return show_worktrees(request)


def show_worktrees(request: Request, *, refused: Refused | None = None, status: int = 200) -> HttpResponse:
    rows = seen_by(request.identity)
    tidies = request.identity.may_orchestrate and any(map(services.is_idle, services.idle_among(rows)[:ON_A_PAGE]))
    removed = request.GET.get("removed") == "1"
    if not removed:
        rows = rows.exclude(state=Worktree.State.REMOVED)
    page = Paginator(rows, ON_A_PAGE).get_page(request.GET.get("page"))
    template = "worktrees/_list.html" if request.htmx and refused is None else "worktrees/worktrees.html"
    running = services.leftovers_among(list(page))
    context = {"page": page, "removed": removed, "refused": refused, "tidies": tidies}
    context["rows"] = [(row, running.get(row.pk, [])) for row in page]
    return show(request, template, context, status)


@require_safe
def worktree(request: Request, number: int) -> HttpResponse:
    return show_worktree(request, find(request.identity, number))


def show_worktree(
    request: Request, found: Worktree, *, refused: Refused | None = None, status: int = 200
) -> HttpResponse:
    """One worktree: what it holds, what would go with it, and what is kept of it."""
    context = {
        "found": found,
        "refused": refused,
        "holds": services.look(found),
        "captures": list(found.captures.select_related("worktree")),
        "running": services.leftovers_of(found),
        "may_act": request.identity.may_orchestrate,
    }
    template = "worktrees/_worktree.html" if request.htmx and refused is None else "worktrees/worktree.html"
    return show(request, template, context, status)


@require_POST
def restore(request: Request, number: int, capture: int) -> HttpResponse:
    """Bring captured work back as a branch."""
    found = find(request.identity, number)
    one = found.captures.select_related("worktree__brief", "worktree__project").filter(pk=capture).first()
    if one is None:
        raise NotFound(f"Worktree {found.name} has no capture {capture}.")
    try:
        request.identity.require_orchestrator()
        captures.restore(one, actor=request.identity.actor)
    except Refusal as refusal:
        refused = Refused.of(refusal, f"capture-{capture}", request)
        return show_worktree(request, found, refused=refused, status=refusal.status_code)
    messages.success(request, f"The work is back on the branch {one.restored_branch}.")
    return redirect("worktree", found.pk)


@require_POST
def remove(request: Request, number: int) -> HttpResponse:
    found = find(request.identity, number)
    try:
        request.identity.require_orchestrator()
        services.ask_removal(found, actor=request.identity.actor)
    except Refusal as refusal:
        refused = Refused.of(refusal, "remove", request)
        return show_worktree(request, found, refused=refused, status=refusal.status_code)
    messages.success(request, f"Worktree {found.name} is being removed; its branch stays.")
    return redirect("worktrees")


@require_POST
def remove_empty(request: Request) -> HttpResponse:
    """All that hold nothing, in one act."""
    try:
        request.identity.require_orchestrator()
    except Refusal as refusal:
        return show_worktrees(request, refused=Refused.of(refusal, "empty", request), status=refusal.status_code)
    tidied = services.remove_empty(seen_by(request.identity), actor=request.identity.actor)
    messages.success(request, " ".join(_told(tidied)))
    return redirect("worktrees")


def _told(tidied: services.Tidied) -> Iterator[str]:
    if tidied.going:
        what = "1 worktree that held" if tidied.going == 1 else f"{tidied.going} worktrees that held"
        yield f"{what} nothing {'is' if tidied.going == 1 else 'are'} removed; the branches stay."
    else:
        yield "No worktree was removed."
    if tidied.kept:
        yield f"{tidied.kept} {'holds' if tidied.kept == 1 else 'hold'} work and stay{'s' if tidied.kept == 1 else ''}."
    if tidied.unseen:
        yield f"{tidied.unseen} could not be looked at in this time; ask again."


# --- commits ----------------------------------------------------------------------------------------------------------

SUBJECTS_AT_ONCE: Final = 20  # commits without a kept name that one page asks git for
_SHA: Final = re.compile(r"[0-9a-f]{4,64}")


@require_safe
def commit(request: Request, slug: str, sha: str) -> HttpResponse:
    """One commit: what it says, who made it, its files and its diff."""
    project = request.identity.find_project(slug)
    if project is None or not _SHA.fullmatch(sha):
        raise NotFound(f"There is no commit {sha[:64]} for you.")
    try:
        repository = services.repository(project)
        one = repository.commit(sha)
        if one is None:
            raise NotFound(f"{slug} has no commit {sha}.")
        parsed = diffs.parse(repository.commit_diff(one, limit_bytes=400_000), max_lines=5_000)
    except git.GitError as error:
        raise NotFound(f"git cannot show {sha}: {error}") from error
    links = Link.objects.filter(kind=Link.Kind.COMMIT, target__startswith=one.sha[:7], brief__project=project)
    numbers = [link.brief_id for link in links if one.sha.startswith(link.target)]
    context = {"project": project, "commit": one, "work": {"diff": parsed, "commits": []}}
    context["briefs"] = list(visible(request.identity).filter(pk__in=numbers).only("title", "status"))
    return show(request, "worktrees/commit.html", context)


@rooms.names(Link.Kind.COMMIT)
def commit_names(identity: Identity, targets: list[str]) -> dict[str, rooms.Named]:
    """Subject and page of commits, looked for in the repositories that the caller may see. A commit never changes."""
    found: dict[str, rooms.Named] = {}
    projects = list(Project.objects.all() if identity.project is None else Project.objects.filter(pk=identity.project))
    for target in [target for target in targets if _SHA.fullmatch(target)][:SUBJECTS_AT_ONCE]:
        named = rooms.Named(gone=bool(projects))
        for project in projects[:20]:
            try:
                subject = _subject(project.root, target)
            except git.GitError:
                named = rooms.Named()  # it may be in this one: nothing is said
                continue
            if subject is not None:
                named = rooms.Named(subject, reverse("commit", args=[project.slug, target]))
                break
        found[target] = named
    return found


_known: dict[tuple[str, str], str] = {}


def _subject(root: str, sha: str) -> str | None:
    """Kept once it was found; what is not there yet may come. GitError where the repository cannot say."""
    if (root, sha) not in _known:
        one = git.Repository(Path(root)).commit(sha)
        if one is None:
            return None
        if len(_known) > 5_000:
            _known.clear()
        _known[root, sha] = one.subject
    return _known[root, sha]


@rooms.names(Link.Kind.WORKTREE)
def worktree_names(identity: Identity, targets: list[str]) -> dict[str, rooms.Named]:
    rows = Worktree.objects.filter(name__in=targets)
    if identity.project is not None:
        rows = rows.filter(project=identity.project)
    found = {row.name: rooms.Named(row.branch, _row_of(row)) for row in rows}
    return {target: found.get(target, rooms.Named(gone=True)) for target in targets}


def _row_of(row: Worktree) -> str:
    return f"{reverse('worktrees')}?removed=1#worktree-{row.pk}"


@rooms.names_in(Link.Kind.BRANCH)
def branch_names(project: Project, targets: list[str]) -> dict[str, rooms.Named]:
    """The repository of each branch, and its worktree where it has or had one."""
    rows = Worktree.objects.filter(project=project, branch__in=targets).order_by("pk")
    pages = {row.branch: _row_of(row) for row in rows}
    try:
        known = set(services.repository(project).branches())
    except git.GitError:
        known = set(targets)
    return {
        target: rooms.Named(project.slug, pages.get(target, ""), gone=target not in known and target not in pages)
        for target in targets
    }


_AT_LINE: Final = re.compile(r":[0-9]")  # src/app.py:12, src/app.py:12-30


def _without_line(target: str) -> str:
    """A path without the lines that are named behind it."""
    found = _AT_LINE.search(target, len(target.rstrip("0123456789:-")))
    return target[: found.start()] if found else target


@rooms.names_in(Link.Kind.FILE)
def file_names(project: Project, targets: list[str]) -> dict[str, rooms.Named]:
    """The repository of each file, as its main branch has them."""
    root = f"{project.root.rstrip('/')}/"
    paths = {target: _without_line(target.removeprefix(root)).removeprefix("./").rstrip("/") for target in targets}
    try:
        known = services.repository(project).has_paths(project.main_branch, list(paths.values()))
    except git.GitError:
        known = set(paths.values())
    return {target: rooms.Named(project.slug, gone=path not in known) for target, path in paths.items()}
