from __future__ import annotations

from django.contrib import admin

from briefs.admin import ReadOnly, Table
from daemons.models import AgentProgram, Process


@admin.register(AgentProgram)
class AgentProgramAdmin(Table):
    list_display = ("name", "adapter", "argv", "enabled")
    fields = ("name", "argv", "env", "enabled")
    readonly_fields = ("name", "argv", "env")  # agent_add checks them; here a program is switched off and on

    def has_add_permission(self, request: object) -> bool:
        return False


@admin.register(Process)
class ProcessAdmin(ReadOnly):
    list_display = ("pk", "purpose", "command", "phase", "exit_code", "brief_id", "run", "started_at", "ended_at")
    list_filter = ("purpose", "phase")
