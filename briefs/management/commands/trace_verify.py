from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from briefs import trace
from briefs.models import Brief, TraceEntry


class Command(BaseCommand):
    help = "Check that nobody changed the trace: prints 'ok N entries', or the first broken entry and exits with 1."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--brief", type=int, metavar="N", help="only this brief")

    def handle(self, *args: Any, **options: Any) -> None:
        briefs = Brief.objects.order_by("pk")
        if options["brief"] is not None:
            briefs = briefs.filter(pk=options["brief"])
            if not briefs.exists():
                raise CommandError(f"There is no brief #{options['brief']}.")
        total = 0
        for brief in briefs.iterator():
            count, broken = trace.verify(brief)
            total += count
            if broken:
                self.stdout.write(str(broken))
                sys.exit(1)
        orphan = TraceEntry.objects.exclude(brief__in=Brief.objects.all()).order_by("pk").first()
        if orphan is not None and options["brief"] is None:
            self.stdout.write(f"broken: #{orphan.brief_id}, entry {orphan.seq}: its brief is gone")
            sys.exit(1)
        self.stdout.write(f"ok {total} entries")
