"""The admin of dispatch requests, with the merge and the cancel as actions: the same services as everywhere."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from briefs.admin import ReadOnly
from briefs.identity import Identity
from briefs.models import Token
from briefs.services import actors
from core.errors import Refusal
from dispatch import merge as merging
from dispatch import policy, services
from dispatch.models import DispatchRequest, GateRun, MergeLock


@admin.register(DispatchRequest)
class DispatchRequestAdmin(ReadOnly):
    list_display = ("pk", "brief_id", "state", "kind", "program", "branch", "claimed_by", "failure_class", "created_at")
    list_filter = ("state", "kind", "project", "program")
    actions = ("merge", "cancel")

    @admin.action(description="Merge the selected requests to MAIN", permissions=["merge"])
    def merge(self, request: HttpRequest, queryset: QuerySet[DispatchRequest]) -> None:
        self._each(request, queryset, self._merge_one, "is merging")

    @admin.action(description="Cancel the selected requests", permissions=["merge"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[DispatchRequest]) -> None:
        self._each(request, queryset, self._cancel_one, "is cancelled")

    @staticmethod
    def _merge_one(row: DispatchRequest, identity: Identity) -> None:
        policy.check_merge(identity, row)
        merging.ask(row, actor=identity.actor)

    @staticmethod
    def _cancel_one(row: DispatchRequest, identity: Identity) -> None:
        services.give_up(row, "cancelled in the admin", identity=identity, called_off=True)

    def has_merge_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("dispatch.change_dispatchrequest")

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[DispatchRequest],
        act: Callable[[DispatchRequest, Identity], None],
        done: str,
    ) -> None:
        assert request.user.is_authenticated
        identity = Identity(actors.of_user(request.user), Token.Scope.OPERATOR)
        for row in queryset.order_by("pk"):
            try:
                act(row, identity)
                self.message_user(request, f"Dispatch {row.pk} {done}.")
            except Refusal as refusal:
                self.message_user(request, refusal.sentence, messages.ERROR)


admin.site.register([GateRun, MergeLock], ReadOnly)
