from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.errors import Refusal
from daemons.services import programs


class Command(BaseCommand):
    help = (
        "Register an agent program: agent_add NAME [--env K=V]… -- ARGV…; "
        "{packet}, {worktree}, {brief}, {prompt} and {session} are filled in when it starts."
    )
    words: list[str] = []

    def run_from_argv(self, argv: list[str]) -> None:
        """What follows ``--`` is the agent's. argparse would take that list for complete, and empty, before --env."""
        at = argv.index("--") if "--" in argv else len(argv)
        self.words = argv[at + 1 :]
        super().run_from_argv(argv[:at])

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--env", action="append", default=[], metavar="K=V")
        parser.add_argument("argv", nargs="*", metavar="-- ARGV")

    def handle(self, *args: Any, **options: Any) -> None:
        env = {}
        for pair in options["env"]:
            name, equals, value = pair.partition("=")
            if not equals:
                raise CommandError(f"--env takes NAME=VALUE, not '{pair}'.")
            env[name] = value
        try:
            program = programs.register(options["name"], [*options["argv"], *self.words], env=env)
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        self.stdout.write(program.name)
