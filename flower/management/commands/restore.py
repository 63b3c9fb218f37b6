from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.errors import Refusal
from flower import up
from flower.backup import marker, restoring


class Command(BaseCommand):
    help = "Bring the backup in FILE back, into an empty FLOWER_HOME and an empty database; then verify its traces."
    requires_system_checks = []
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="what `backup` has written")

    def handle(self, *args: Any, **options: Any) -> None:
        home: Path = settings.FLOWER.home
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            with up.alone(home):
                outcome = restoring.restore(Path.cwd() / options["file"])
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        except up.CannotStart as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            raise CommandError(marker.refusal(home) or "Interrupted; nothing was changed.", returncode=130) from None
        except OSError as error:
            raise CommandError(f"{home} cannot be written ({error.strerror}).") from error
        self.stdout.write(f"restored {outcome.backup}: {outcome.rows:,} rows and {outcome.files:,} files")
        if outcome.lost:
            self.stdout.write(f"{outcome.lost:,} processes ran then; they count as lost")
        self.stdout.write(outcome.verdict)
        if not outcome.verified:
            sys.exit(1)
