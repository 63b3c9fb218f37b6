"""Projects: the repositories that agents work on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from django.db import IntegrityError, transaction

from briefs.models import Actor, Project
from core.errors import Conflict, Forbidden, Invalid

LONGEST_PATTERN: Final = 200  # characters
MOST_PATTERNS: Final = 50

# What a repository must be is known by the room that knows git; it registers its check here (see worktrees/apps.py).
RepositoryCheck = Callable[[Path, str], str]
Warnings = Callable[[Path], list[str]]
_checks: list[RepositoryCheck] = []
_prefix_checks: list[RepositoryCheck] = []
_warnings: list[Warnings] = []
Programs = Callable[[Path], dict[str, str]]
_program_sources: list[Programs] = []


def check_repository(check: RepositoryCheck) -> RepositoryCheck:
    """Register a check ``(path, main branch or "") -> main branch`` that raises Refusal for what is no repository."""
    _checks.append(check)
    return check


def check_prefix(check: RepositoryCheck) -> RepositoryCheck:
    """Register a check ``(path, branch prefix or "") -> branch prefix`` that raises Refusal; "" has one chosen."""
    _prefix_checks.append(check)
    return check


def warn(tell: Warnings) -> Warnings:
    """Register ``(path) -> sentences``: what will be in the way of work in a repository that is added."""
    _warnings.append(tell)
    return tell


def program_source(read: Programs) -> Programs:
    """Register ``(path) -> commands by configuration key``: the filters and merge drivers that git's settings name."""
    _program_sources.append(read)
    return read


def configured_programs(root: Path) -> dict[str, str]:
    """The commands of filters and merge drivers that the configuration of git names in a repository, by key."""
    return {key: value for read in _program_sources for key, value in read(root).items()}


def warnings(project: Project) -> list[str]:
    """What whoever adds a project should know of its repository."""
    return [sentence for tell in _warnings for sentence in tell(project.path)]


def add(
    path: str,
    *,
    slug: str = "",
    main_branch: str = "",
    setup_command: str = "",
    gates: Sequence[str] = (),
    auto_merge: bool = False,
    branch_prefix: str = "",
    submodules: bool | None = None,
    keep_paths: Sequence[str] = (),
    git_programs: Sequence[str] = (),
) -> Project:
    """Add the git repository at ``path``. The slug defaults to the folder's name, the branch to the one checked out.

    ``branch_prefix`` is what the names of agents' branches begin with; "" has one chosen that can be used.
    ``submodules`` (on, unless said otherwise) are checked out in each worktree; ignored files that match a pattern of
    ``keep_paths`` are kept when a worktree is removed.
    ``git_programs`` names the filters and merge drivers that flower's git may run there, see ``allowed_programs``.

    Raises Invalid when the path is no repository that can be worked on, Conflict when it or the slug is there already.
    """
    if not path.strip():
        raise Invalid("Say which folder holds the repository.")
    root = Path(path.strip()).expanduser()
    if not root.is_absolute():
        raise Invalid(f"'{path[:200]}' is not an absolute path; begin with /.")
    root = root.resolve()
    for check in _checks:
        main_branch = check(root, main_branch)
    branch_prefix = _prefix(root, branch_prefix)
    setup_command, gates = commands(setup_command, gates)
    keep_paths = patterns(keep_paths)
    programs = allowed_programs(root, git_programs, {})
    slug = slug or re.sub(r"[^a-z0-9]+", "-", root.name.lower()).strip("-")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,59}", slug):
        raise Invalid(f"'{slug}' is no project name; use up to 60 small letters, digits and dashes.")
    if taken := Project.objects.filter(root=str(root)).first():
        raise Conflict(f"{root} is project '{taken.slug}' already.")
    if Project.objects.filter(slug=slug).exists():
        raise Conflict(f"There is a project '{slug}' already; give this one another name.")
    try:
        with transaction.atomic():
            return Project.objects.create(
                slug=slug,
                root=str(root),
                main_branch=main_branch,
                setup_command=setup_command,
                gates=gates,
                auto_merge=auto_merge,
                branch_prefix=branch_prefix,
                submodules=submodules is not False,
                keep_paths=keep_paths,
                git_programs=programs,
            )
    except IntegrityError:
        raise Conflict(f"Project '{slug}' was added by somebody else a moment ago.") from None


def configure(
    project: Project,
    *,
    setup_command: str | None = None,
    gates: Sequence[str] | None = None,
    auto_merge: bool | None = None,
    branch_prefix: str | None = None,
    submodules: bool | None = None,
    keep_paths: Sequence[str] | None = None,
    git_programs: Sequence[str] | None = None,
    actor: Actor,
) -> Project:
    """Change how a project's work is set up and checked; None leaves as it is. For operators: gates are shell text.

    An empty ``branch_prefix`` has one chosen. Raises Forbidden and Invalid.
    """
    if actor.kind != Actor.Kind.OPERATOR:
        raise Forbidden("Only an operator changes the commands of a project.")
    setup, wanted = commands(
        project.setup_command if setup_command is None else setup_command, project.gates if gates is None else gates
    )
    if branch_prefix is not None and branch_prefix != project.branch_prefix:
        project.branch_prefix = _prefix(project.path, branch_prefix)
    kept = patterns(project.keep_paths if keep_paths is None else keep_paths)
    if setup != project.setup_command:
        project.setup_changes = []  # another command: what the last one left says nothing of it
    project.setup_command, project.gates, project.keep_paths = setup, wanted, kept
    if auto_merge is not None:
        project.auto_merge = auto_merge
    if git_programs is not None:
        project.git_programs = allowed_programs(project.path, git_programs, project.git_programs)
    if submodules is not None:
        project.submodules = submodules
    fields = ["setup_command", "gates", "auto_merge", "branch_prefix", "submodules", "keep_paths", "setup_changes"]
    project.save(update_fields=[*fields, "git_programs"])
    return project


def allowed_programs(root: Path, names: Sequence[str], before: Mapping[str, str]) -> dict[str, str]:
    """The commands of the named filters and merge drivers, as git's configuration has them now, by key.

    They are kept with the project, and these are what runs: who writes another command into the configuration
    changes nothing. What was allowed ``before`` keeps its commands; to allow newer ones, take the name out and name
    it again. Raises Invalid for a name that the configuration does not have.
    """
    wanted = {name.strip() for name in names if name.strip()}
    kept = {key: command for key, command in before.items() if _program_name(key) in wanted}
    missing = wanted - {_program_name(key) for key in kept}
    if not missing:
        return kept
    found = configured_programs(root)
    for name in sorted(missing):
        commands = {key: command for key, command in found.items() if _program_name(key) == name}
        if not commands:
            there = ", ".join(sorted({_program_name(key) for key in found})) or "none"
            raise Invalid(f"Git's configuration in {root} has no filter or merge driver '{name}' (there: {there}).")
        kept |= commands
    return kept


def _program_name(key: str) -> str:
    return key.partition(".")[2].rpartition(".")[0]


def _prefix(root: Path, wanted: str) -> str:
    prefix = wanted.strip().removesuffix("/")
    if len(prefix) > 60:
        raise Invalid("A prefix of branches has at most 60 characters.")
    for check in _prefix_checks:
        prefix = check(root, prefix)
    return prefix


def commands(setup_command: str, gates: Sequence[str]) -> tuple[str, list[str]]:
    """Both as they are kept. Raises Invalid."""
    wanted = [gate.strip() for gate in gates if gate.strip()]
    if any(len(command) > 4000 or "\0" in command for command in [setup_command, *wanted]):
        raise Invalid("A command is at most 4,000 characters of text; put longer ones into a script of the repository.")
    return setup_command.strip(), wanted


def patterns(paths: Sequence[str]) -> list[str]:
    """Patterns of paths below a worktree, as they are kept: ``.env``, ``**/*.local``, ``data/*.db``. Raises Invalid."""
    wanted = [path.strip().removeprefix("./") for path in paths if path.strip()]
    for path in wanted:
        if path.startswith("/") or ".." in path.split("/") or "\0" in path or len(path) > LONGEST_PATTERN:
            raise Invalid(f"'{path[:100]}' is no path to keep; name it below the worktree, such as .env or data/*.db.")
    if len(wanted) > MOST_PATTERNS:
        raise Invalid(f"There are {len(wanted)} paths to keep; {MOST_PATTERNS} are possible. Use patterns.")
    return list(dict.fromkeys(wanted))
