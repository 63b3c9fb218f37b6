from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.errors import Refusal
from flower.backup import making


class Command(BaseCommand):
    help = "Write flower's state to FILE while flower works: rows, pictures and kept files, as they are at one moment."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="where it is written; must not be there yet")
        parser.add_argument(
            "--with-outputs", action="store_true", help="also what agents, setups and gates have printed"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path.cwd() / options["file"]
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was begun is removed
        try:
            report = making.make(path, with_outputs=options["with_outputs"])
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        except KeyboardInterrupt:
            raise CommandError("Interrupted; nothing was kept.", returncode=130) from None
        finally:
            signal.signal(signal.SIGTERM, before)
        for name in report.absent[:10]:
            self.stderr.write(f"not whole in the backup: {name!r} is gone, cut, or no plain file")
        if len(report.absent) > 10:
            self.stderr.write(f"and {len(report.absent) - 10:,} more")
        size = f"{report.size / 1e6:,.1f} MB"
        self.stdout.write(f"{options['file']}: {report.rows:,} rows and {report.files:,} files, {size}")
