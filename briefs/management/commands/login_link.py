from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from briefs.models import Actor
from briefs.services import actors


class Command(BaseCommand):
    help = "Make a link that logs one browser in, once; prints it, alone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ref", nargs="?", default="", help="an operator; default: the first one there was")

    def handle(self, *args: Any, **options: Any) -> None:
        ref: str = options["ref"]
        operators = Actor.objects.filter(kind=Actor.Kind.OPERATOR).order_by("pk")
        operator = operators.filter(ref=ref).first() if ref else operators.first()
        if operator is None:
            raise CommandError(f"There is no operator '{ref}'." if ref else "There is no operator yet; run `make up`.")
        self.stdout.write(f"{settings.FLOWER.public_url}/enter/{actors.issue_entry_code(operator)}")
