from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from briefs.models import Actor, Project, Token
from briefs.services import actors
from core.errors import Refusal

_SCOPES = [scope for scope in Token.Scope.values if scope != Token.Scope.RUN]  # runs get theirs from flower itself


class Command(BaseCommand):
    help = "Make a bearer token for an actor; prints the token, alone. It is shown this once and kept nowhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ref", help="for example operator:mike or flower-orchestrator")
        parser.add_argument("--kind", choices=[Actor.Kind.OPERATOR.value, Actor.Kind.AGENT.value])
        parser.add_argument("--scope", choices=_SCOPES)
        parser.add_argument("--project", default="", metavar="SLUG", help="limit it to one project")

    def handle(self, *args: Any, **options: Any) -> None:
        ref: str = options["ref"]
        kind = options["kind"] or (Actor.Kind.OPERATOR if ref.startswith("operator:") else Actor.Kind.AGENT)
        scope = options["scope"] or (Token.Scope.OPERATOR if kind == Actor.Kind.OPERATOR else Token.Scope.AGENT)
        project = None
        if options["project"]:
            project = Project.objects.filter(slug=options["project"]).first()
            if project is None:
                raise CommandError(f"There is no project '{options['project']}'.")
        try:
            with transaction.atomic():  # a token that is refused leaves no actor behind
                secret, _ = actors.issue_token(actors.named(ref, kind), scope, project=project, label="actor_token")
        except Refusal as refusal:
            raise CommandError(refusal.sentence) from refusal
        self.stdout.write(secret)
