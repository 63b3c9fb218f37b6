"""The admin of dispatch requests, with the merge and the cancel as actions: the same services as everywhere."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from briefs.admin import ReadOnly
from briefs.models import Actor
from briefs.services import actors
from core.errors import Refusal
from dispatch import merge as merging
from dispatch import services
from dispatch.models import DispatchRequest, GateRun, MergeLock


@admin.register(DispatchRequest)
class DispatchRequestAdmin(ReadOnly):
    list_display = ("pk", "brief_id", "state", "kind", "program", "branch", "claimed_by", "failure_class", "created_at")
    list_filter = ("state", "kind", "project", "program")
    actions = ("merge", "cancel")

    @admin.action(description="Merge the selected requests to MAIN", permissions=["merge"])
    def merge(self, request: HttpRequest, queryset: QuerySet[DispatchRequest]) -> None:
        self._each(request, queryset, lambda row, actor: merging.ask(row, actor=actor), "is merging")

    @admin.action(description="Cancel the selected requests", permissions=["merge"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[DispatchRequest]) -> None:
        why = "cancelled in the admin"
        self._each(request, queryset, lambda row, actor: services.cancel(row, why, actor=actor), "is cancelled")

    def has_merge_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("dispatch.change_dispatchrequest")

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[DispatchRequest],
        act: Callable[[DispatchRequest, Actor], object],
        done: str,
    ) -> None:
        assert request.user.is_authenticated
        actor = actors.of_user(request.user)
        for row in queryset.order_by("pk"):
            try:
                act(row, actor)
                self.message_user(request, f"Dispatch {row.pk} {done}.")
            except Refusal as refusal:
                self.message_user(request, refusal.sentence, messages.ERROR)


admin.site.register([GateRun, MergeLock], ReadOnly)
