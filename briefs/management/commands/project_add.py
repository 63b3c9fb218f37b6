from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from briefs.services import projects
from core.errors import Refusal


class Command(BaseCommand):
    help = "Add a git repository as a project; prints its slug."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path")
        parser.add_argument("--slug", default="")
        parser.add_argument("--main", default="", metavar="BRANCH", help="default: the branch that is checked out")
        parser.add_argument("--setup", default="", metavar="CMD", help="run in each new worktree before its agent")
        parser.add_argument("--gate", action="append", default=[], metavar="CMD", help="must exit 0 before a merge")
        parser.add_argument(
            "--branch-prefix", default="", metavar="P", help="of agents' branches; default: flower, if it can be used"
        )
        parser.add_argument("--no-submodules", action="store_true", help="leave submodules empty in worktrees")
        parser.add_argument(
            "--keep", action="append", default=[], metavar="PATTERN", help="ignored files to keep when a worktree goes"
        )
        parser.add_argument(
            "--git-program", action="append", default=[], metavar="NAME", help="a filter or merge driver git may run"
        )
        parser.add_argument("--auto-merge", action="store_true", help="merge finished work without being asked")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["path"].strip():  # an unset variable of a script, which would mean this folder
            raise CommandError("The path is empty; name the folder of a git repository.")
        if not all(gate.strip() for gate in options["gate"]):
            raise CommandError("A gate is empty; write the command that must exit 0 before a merge.")
        try:
            project = projects.add(
                str(Path(options["path"]).expanduser().absolute()),
                slug=options["slug"],
                main_branch=options["main"],
                setup_command=options["setup"],
                gates=options["gate"],
                auto_merge=options["auto_merge"],
                branch_prefix=options["branch_prefix"],
                submodules=not options["no_submodules"],
                keep_paths=options["keep"],
                git_programs=options["git_program"],
            )
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        self.stdout.write(project.slug)
        for warning in projects.warnings(project):
            self.stderr.write(f"Note: {warning}")
