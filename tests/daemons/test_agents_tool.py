"""The list of agent programs, for whoever dispatches by tool."""

from __future__ import annotations

import sys

import pytest

from briefs.models import Token
from daemons import tools
from daemons.models import AgentProgram
from daemons.services import programs
from flower.mcp import registry
from tests.factories import agent, identity

pytestmark = pytest.mark.django_db


def test_the_enabled_programs_are_listed_with_whether_they_are_there():
    programs.register("here", [sys.executable, "{packet}"], env={"SECRET": "x"})
    programs.register("gone", ["/no/such/program"])
    programs.register("off", [sys.executable])
    AgentProgram.objects.filter(name="off").update(enabled=False)
    assert tools.recall_agents(identity(agent(), Token.Scope.ORCHESTRATOR)) == {
        "agents": [
            {"agent": "gone", "command": "/no/such/program", "installed": False},
            {"agent": "here", "command": sys.executable, "installed": True},
        ]
    }
    assert registry.catalogue()["recall_agents"].tool.scopes == "o"
