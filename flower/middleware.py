"""What every page gets: its security headers, who is asking, and refusals shown where the hand was."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render, resolve_url
from django.template.loader import render_to_string
from django.utils.deprecation import MiddlewareMixin
from django.utils.functional import SimpleLazyObject
from django_htmx.http import HttpResponseClientRedirect

from briefs.identity import Identity, Scope
from briefs.services import actors
from core import metrics, trouble
from core.errors import Forbidden, Invalid, NotFound, Refusal, TooLarge, Unauthenticated, WrongMethod

GetResponse = Callable[[HttpRequest], HttpResponseBase]
View = Callable[..., HttpResponseBase]
PAGE_SCOPES: Final = frozenset({Scope.OPERATOR, Scope.READONLY})
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class ContentSecurityPolicy:
    """The policy of settings.SECURE_CSP (Django 6's name and shape), and no browser feature that we do not use."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        policy: dict[str, list[str]] = settings.SECURE_CSP
        self.policy = "; ".join(f"{name} {' '.join(sources)}" for name, sources in policy.items())

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", self.policy)
        response.headers.setdefault(
            "Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()"
        )
        return response


# --- who is asking ----------------------------------------------------------------------------------------------------


class Identify:
    """``request.identity``: a token's bearer, else the operator whose browser is logged in (worked out when asked).

    A token is sent by a program on purpose and never by a browser on its own, so a request with one needs no CSRF token
    (CsrfViewMiddleware looks when all middleware has been entered). Such a request is never also a session's.

    Pages are for operators, and read-only tokens may read them: agents have tools. A view for agents' tokens (a hook's
    receiver) has the attribute ``token_scopes``, a set of those it takes for any method, and checks the rest itself.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponseBase:
        request.bearer = None
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            try:
                request.bearer = actors.authenticate(secret.strip())
            except Unauthenticated as refusal:
                return _asking_for_a_token(show_refusal(request, refusal))
            request.identity = request.bearer
            request._dont_enforce_csrf_checks = True
            _note_actor(request, request.bearer)
        else:
            request.identity = SimpleLazyObject(lambda: _of_session(request))
        response = self.get_response(request)
        user = getattr(request, "_cached_user", None)  # only where somebody looked: the log costs no query
        if request.bearer is None and user is not None and user.is_authenticated:
            _scope(request).setdefault("flower.actor", f"operator:{user.get_username()}")
        return response

    def process_view(self, request: Any, view: View, args: Any, kwargs: Any) -> HttpResponseBase | None:
        match = request.resolver_match
        _scope(request)["flower.route"] = match.route and f"/{match.route}"
        if request.bearer is None:
            return None
        try:
            _check_scope(request, view)
        except Forbidden as refusal:
            return show_refusal(request, refusal)
        return None


def _of_session(request: Any) -> Identity:
    if not request.user.is_authenticated:
        raise Unauthenticated("This needs a login or a token.")
    identity = Identity(actors.of_user(request.user), Scope.OPERATOR)
    _note_actor(request, identity)
    return identity


def _check_scope(request: Any, view: View) -> None:
    scope = request.bearer.scope
    if (own := getattr(view, "token_scopes", None)) is not None:
        if scope not in own:
            raise Forbidden(f"A token of scope {scope} is not for this address.")
    elif scope not in PAGE_SCOPES:
        raise Forbidden("Pages are for operators; an agent's token is for the tools at /mcp.")
    elif scope == Scope.READONLY and request.method not in SAFE_METHODS:
        raise Forbidden("This token may read and not change anything.")


def _scope(request: Any) -> dict[str, Any]:
    """The ASGI scope, in which flower/asgi.py looks for what to log; tests with Django's own client have none."""
    scope: dict[str, Any] = getattr(request, "scope", None) or {}
    return scope


def _note_actor(request: Any, identity: Identity) -> None:
    _scope(request)["flower.actor"] = identity.actor.ref


class LoginRequired(LoginRequiredMiddleware):
    """Django's, for all that comes without a token: a page asks for a login, a fragment takes its page there."""

    def process_view(self, request: Any, view_func: Any, view_args: Any, view_kwargs: Any) -> Any:
        if request.bearer is not None:
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)

    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> Any:
        if request.headers.get("HX-Request"):
            page = urlsplit(request.headers.get("HX-Current-URL", ""))
            back = f"{page.path}?{page.query}" if page.query else page.path or "/"
            return HttpResponseClientRedirect(redirect_to_login(back, resolve_url(settings.LOGIN_URL)).url)
        if _wants_json(request):
            return _asking_for_a_token(show_refusal(request, Unauthenticated("This needs a login or a token.")))
        return super().handle_no_permission(request, view_func)


def _asking_for_a_token(response: HttpResponse) -> HttpResponse:
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


# --- refusals ---------------------------------------------------------------------------------------------------------


class ShowRefusals(MiddlewareMixin):
    """A Refusal that a view lets through is an answer, not a fault; so is a body that flower/asgi.py did not read.

    Trouble that passes (core/trouble.py) is answered too: by 503.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        if "flower.too_large" in _scope(request):
            return show_refusal(request, _too_large(), "413.html")
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, Refusal):
            return show_refusal(request, error)
        if isinstance(error, RequestDataTooBig):
            return show_refusal(request, _too_large(), "413.html")
        if (unavailable := trouble.as_unavailable(error)) is not None:
            return show_unavailable(request, unavailable)
        return None

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Django answers another method than a view takes with an empty page; a browser comes there by "back"."""
        if response.status_code != WrongMethod.status_code or response.content or request.method == "HEAD":
            return response
        page = show_refusal(request, WrongMethod(_wrong_method(request, response.headers["Allow"])))
        page.headers["Allow"] = response.headers["Allow"]
        return page


def _wrong_method(request: HttpRequest, allowed: str) -> str:
    if request.method == "GET":
        return "A form is sent to this address; there is no page to look at. Begin on the page that has the form."
    return f"This address takes {allowed}, not {request.method}."


def show_refusal(request: HttpRequest, refusal: Refusal, page: str = "refusal.html") -> HttpResponse:
    """The refusal as the asker can take it: JSON, a fragment beside the element that asked (htmx), or a page."""
    metrics.note_refusal("page", refusal)
    status = refusal.status_code
    if _wants_json(request):
        body = {"error": refusal.sentence} | ({"detail": refusal.detail} if refusal.detail else {})
        return JsonResponse(body, status=status)
    if request.headers.get("HX-Request"):
        response = render(request, "_refusal.html", {"refusal": refusal, "status": status}, status=status)
        # "this" is the form or button that asked: the sentence stands right after it, and the page is left as it was.
        for name, value in {"HX-Retarget": "this", "HX-Reswap": "afterend", "HX-Push-Url": "false"}.items():
            response.headers[name] = value
        return response
    return render(request, page, {"refusal": refusal, "status": status}, status=status)


def show_unavailable(request: HttpRequest, unavailable: trouble.Unavailable) -> HttpResponse:
    """503 as the asker can take it: JSON, a fragment where a refusal's would be (htmx), or a page without a query."""
    metrics.note_refusal("page", unavailable)
    status, sentence = unavailable.status_code, unavailable.sentence_for_people
    context = {"refusal": {"sentence": sentence}, "retry_after": unavailable.retry_after}
    if _wants_json(request):
        response: HttpResponse = JsonResponse({"error": sentence, "code": unavailable.code}, status=status)
    elif request.headers.get("HX-Request"):
        response = HttpResponse(render_to_string("_refusal.html", context), status=status)
        response.headers["HX-Push-Url"] = "false"
    else:
        response = HttpResponse(render_to_string("503.html", context), status=status)
    response.headers["Retry-After"] = str(unavailable.retry_after)
    response.headers["Cache-Control"] = "no-store"
    response._has_been_logged = True  # type: ignore[attr-defined]  # as an error of ours, which it is not
    return response


def _wants_json(request: HttpRequest) -> bool:
    accepts = request.headers.get("Accept", "")
    return "application/json" in accepts and "text/html" not in accepts


def _too_large() -> TooLarge:
    return TooLarge(f"What was sent is larger than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE:,} bytes, which is the most.")


# --- Django's own errors, shown the same way (named in flower/urls.py) ------------------------------------------------


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        return show_refusal(request, _too_large(), "413.html")
    return show_refusal(request, Invalid("This request cannot be understood."))


def permission_denied(request: HttpRequest, exception: PermissionDenied) -> HttpResponse:
    return show_refusal(request, Forbidden(str(exception) or "You may not do this."), "403.html")


def not_found(request: HttpRequest, exception: Http404) -> HttpResponse:
    return show_refusal(request, NotFound("There is nothing at this address."), "404.html")


def server_error(request: HttpRequest) -> HttpResponse:
    """The last resort: no context and no query, as any of them may be what failed; without its template if need be.

    Trouble that passes comes here when it met a middleware: who asks cannot be looked up in a locked database.
    """
    error = sys.exc_info()[1]
    if error is not None and (unavailable := trouble.as_unavailable(error)) is not None:
        return show_unavailable(request, unavailable)
    sentence = "flower had an internal error; it was logged."
    if _wants_json(request):
        return JsonResponse({"error": sentence}, status=500)
    try:
        page: str = render_to_string("500.html")
    except Exception:
        page = f'<!doctype html><html lang="en"><title>Internal error</title><p>{sentence}</p></html>'
    return HttpResponse(page, status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """settings.CSRF_FAILURE_VIEW."""
    sentence = "This form is too old or comes from another site; load the page again and repeat it."
    return show_refusal(request, Forbidden(sentence), "403_csrf.html")
