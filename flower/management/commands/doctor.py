from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from flower import doctor


class Command(BaseCommand):
    help = (
        "Say of everything that flower needs whether it is right, and the remedy; exit code 1 when something is wrong."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(doctor.run(as_json=options["json"]))
