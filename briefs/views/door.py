"""What every page's door shares: the request as the middleware leaves it, and a refusal beside its form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django_htmx.middleware import HtmxDetails

from briefs.identity import Identity
from briefs.services.specs import StaleSpec
from core.errors import Refusal


class Request(HttpRequest):
    """A request behind flower.middleware.Identify and HtmxMiddleware."""

    identity: Identity
    htmx: HtmxDetails


@dataclass(frozen=True)
class Refused:
    """A form that was refused: where it stands, why, and what was typed, so that nothing typed is lost."""

    panel: str
    sentence: str
    detail: str = ""
    typed: dict[str, Any] = field(default_factory=dict)
    stale: bool = False  # somebody else saved meanwhile: what differs is shown

    @property
    def question(self) -> int | None:
        """The question whose answer was refused."""
        number = self.panel.removeprefix("question-")
        return int(number) if number.isdigit() else None

    @classmethod
    def of(cls, refusal: Refusal, panel: str, request: HttpRequest) -> Refused:
        stale = isinstance(refusal, StaleSpec)
        return cls(panel, refusal.sentence, refusal.detail, request.POST.dict(), stale)


def show(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """Render a page, or a part of it for htmx. The same address answers both, so caches must tell them apart."""
    response = render(request, template, context, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response
