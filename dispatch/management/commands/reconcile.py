from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from daemons.models import Process
from daemons.services import processes
from dispatch import claims, machine
from dispatch.models import DispatchRequest


class Command(BaseCommand):
    help = "Say what the sweeps would repair; --apply does it now."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--apply", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["apply"]:
            processes.sweep()
            for number in claims.release_expired():
                self.stdout.write(f"dispatch {number}: its lease ran out; queued again")
        numbers = machine.unfinished()
        for request in DispatchRequest.objects.filter(pk__in=numbers).order_by("pk"):
            self.stdout.write(f"dispatch {request.pk} of #{request.brief_id}: {request.state}, can go on")
            if options["apply"]:
                machine.advance(request.pk)
        running = Process.objects.exclude(phase__in=Process.ENDED).count()
        self.stdout.write(f"{len(numbers)} requests to go on with, {running} processes to look after")
