"""The admin of the board's rows. The trace and the tokens can be looked at, never edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from briefs.models import Actor, Brief, Dependency, Link, Participant, Project, Question, Token, TraceEntry
from briefs.services import actors

if TYPE_CHECKING:
    Table = admin.ModelAdmin[Any]
else:
    Table = admin.ModelAdmin


class ReadOnly(Table):
    """A table that the admin shows and never changes: its rows change by services only."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Project)
class ProjectAdmin(Table):
    list_display = ("slug", "root", "main_branch", "auto_merge")
    readonly_fields = ("slug", "root", "main_branch")

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

    @admin.action(description="Revoke the selected tokens", permissions=["view"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Token]) -> None:
        self.message_user(request, f"{actors.revoke(queryset)} tokens revoked.")


admin.site.register([Actor, Dependency, Link, Participant, Question], ReadOnly)
