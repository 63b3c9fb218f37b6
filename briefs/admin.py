"""The admin of the board's rows. The trace and the tokens can be looked at, never edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from briefs.models import Actor, Brief, Dependency, Link, Participant, Project, Question, Token, TraceEntry
from briefs.services import actors, projects
from core.errors import Refusal

if TYPE_CHECKING:
    Table = admin.ModelAdmin[Any]
    ModelForm = forms.ModelForm[Project]
else:
    Table = admin.ModelAdmin
    ModelForm = forms.ModelForm


class ReadOnly(Table):
    """A table that the admin shows and never changes: its rows change by services only."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ProjectForm(ModelForm):
    """What the projects page would refuse is refused here, too: gates are run as they are written."""

    def clean_gates(self) -> list[str]:
        gates = self.cleaned_data["gates"]
        if not isinstance(gates, list) or not all(isinstance(gate, str) and gate.strip() for gate in gates):
            raise forms.ValidationError('Gates are a list of commands, as ["make test"]; [] for none.')
        return self._checked("", gates)[1]

    def clean_setup_command(self) -> str:
        return self._checked(self.cleaned_data["setup_command"] or "", [])[0]

    def clean_gate_seconds(self) -> int:
        seconds: int = self.cleaned_data["gate_seconds"]
        if seconds < 1:
            raise forms.ValidationError("A gate needs a second at least.")
        return seconds

    @staticmethod
    def _checked(setup: str, gates: list[str]) -> tuple[str, list[str]]:
        try:
            return projects.commands(setup, gates)
        except Refusal as refusal:
            raise forms.ValidationError(refusal.sentence) from refusal


@admin.register(Project)
class ProjectAdmin(Table):
    form = ProjectForm
    list_display = ("slug", "root", "main_branch", "auto_merge")
    # what needs a look at the repository is changed on the projects page
    readonly_fields = ("slug", "root", "main_branch", "branch_prefix", "submodules", "keep_paths", "git_programs")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # adding needs the repository's checks: the projects page and project_add do it


@admin.register(Brief)
class BriefAdmin(ReadOnly):
    list_display = ("pk", "title", "status", "project", "updated_at")
    list_filter = ("status", "project", "origin")
    search_fields = ("title", "spec")


@admin.register(TraceEntry)
class TraceEntryAdmin(ReadOnly):
    list_display = ("brief_id", "seq", "kind", "actor_ref", "at")
    list_filter = ("kind", "source")


@admin.register(Token)
class TokenAdmin(ReadOnly):
    list_display = ("pk", "actor", "scope", "project", "brief_id", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("scope",)
    actions = ("revoke",)

    @admin.action(description="Revoke the selected tokens", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Token]) -> None:
        self.message_user(request, f"{actors.revoke(queryset)} tokens revoked.")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Looking is not revoking. (``has_change_permission`` is no measure: nobody may edit a token.)"""
        return bool(request.user.has_perm("briefs.change_token"))


admin.site.register([Actor, Dependency, Link, Participant, Question], ReadOnly)
