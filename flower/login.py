"""How people come in: by password, or by the one-time link that ``make up`` prints."""

from __future__ import annotations

import re
from typing import Any, cast

from django.conf import settings
from django.contrib.auth import get_user_model, login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.middleware.csrf import CsrfViewMiddleware, RejectRequest, get_token
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from briefs import throttle
from briefs.models import Actor
from briefs.services import actors
from core import metrics
from core.errors import Forbidden, Unauthenticated
from flower.middleware import show_refusal

BACKEND = "django.contrib.auth.backends.ModelBackend"


class Login(LoginView):
    """Django's login with a throttle in front of the password check."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.tried = {"user": request.POST.get("username", "")[:1000].strip(), "address": address_of(request)}
        try:
            throttle.count_attempt(**self.tried)
        except throttle.TooManyAttempts as refusal:
            metrics.note_refusal("page", refusal)
            # An unbound form: nothing of what was sent is checked, so its answer says nothing about the password.
            form = AuthenticationForm(request, initial={"username": self.tried["user"][:150]})
            response = self.render_to_response(self.get_context_data(form=form, refusal=refusal), status=429)
            response.headers["Retry-After"] = str(refusal.seconds)
            return response
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: AuthenticationForm) -> HttpResponseRedirect:
        throttle.forgive(**self.tried)
        return cast(HttpResponseRedirect, super().form_valid(form))


def address_of(request: HttpRequest) -> str:
    """Where a request comes from. Behind a TLS proxy (an https public URL): what that proxy, the last hop, added."""
    if settings.SECURE_PROXY_SSL_HEADER and (forwarded := request.headers.get("X-Forwarded-For")):
        return forwarded.rpartition(",")[2].strip()
    return str(request.META.get("REMOTE_ADDR", ""))


@login_not_required
@never_cache
@csrf_exempt  # the code is the secret; _is_from_here keeps other sites' forms out
@require_http_methods(["GET", "HEAD", "POST"])
def enter(request: HttpRequest, code: str) -> HttpResponseBase:
    """A one-time link. Looking at it shows a button, however often: mail and chat programs open links before their
    readers do. Its POST uses the code up and logs this browser in, in a new session, whatever the browser brought."""
    response = _enter(request, code)
    response.headers["Referrer-Policy"] = "no-referrer"  # the address holds the code
    return response


def _enter(request: HttpRequest, code: str) -> HttpResponseBase:
    try:
        actor = actors.actor_of_entry_code(code)
    except Unauthenticated as refusal:
        return show_refusal(request, refusal)
    if actor.kind != Actor.Kind.OPERATOR:
        return show_refusal(request, Forbidden(f"{actor.ref} is no operator; only people log in."))
    if actor.user is not None and not actor.user.is_active:
        return show_refusal(request, Forbidden(f"The account {actor.user.get_username()} is switched off."))
    if request.method != "POST":
        get_token(request)  # sets the cookie
        return render(request, "registration/enter.html", {"actor": actor})
    if not _is_from_here(request):
        return show_refusal(request, Forbidden("Another site sent this form; open the link and press its button."))
    try:
        user = user_of(actors.redeem_entry_code(code))
    except Unauthenticated as refusal:  # somebody was quicker
        return show_refusal(request, refusal)
    request.session.flush()
    login(request, user, backend=BACKEND)
    return redirect(settings.LOGIN_REDIRECT_URL)


def _is_from_here(request: HttpRequest) -> bool:
    """Whether a form was sent by our own page, or by no page at all (curl).

    Browsers send no referrer from that page, and therefore ``Origin: null``; where they do not say that it was the same
    site (they do over TLS and on this machine), the token of the form has to.
    """
    if site := request.headers.get("Sec-Fetch-Site"):
        return site in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    if origin is None or origin == f"{request.scheme}://{request.get_host()}":
        return True
    try:
        CsrfViewMiddleware(lambda _: HttpResponse())._check_token(request)  # type: ignore[attr-defined]
    except RejectRequest:
        return False
    return origin == "null"


def user_of(actor: Actor) -> User:
    """The operator's Django user, made at first use, without a password. The first one may use the admin."""
    if actor.kind != Actor.Kind.OPERATOR:
        raise Forbidden(f"{actor.ref} is no operator; only people log in.")
    if actor.user is not None:
        return actor.user
    users = get_user_model().objects
    wanted = re.sub(r"[^A-Za-z0-9.@+_-]", "-", actor.ref.removeprefix("operator:"))[:140] or "operator"
    with transaction.atomic():
        first = not users.filter(is_superuser=True).exists()
        # A user of that name who is another actor's is another person.
        user = users.filter(username=wanted, actor=None).first()
        name = wanted if not users.filter(username=wanted).exists() else f"{wanted}-{actor.pk}"
        if user is None:
            try:
                with transaction.atomic():
                    user = users.create_user(name, is_staff=first, is_superuser=first)
            except IntegrityError:  # two codes of one actor, at the same moment
                user = users.get(username=name)
        Actor.objects.filter(pk=actor.pk, user=None).update(user=user)
    return user


@require_safe
@login_not_required
def admin_login(request: HttpRequest) -> HttpResponseBase:
    """The admin's login is ours, so that there is one throttle."""
    back = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        back = reverse("admin:index")
    if request.user.is_authenticated and not request.user.is_staff:
        return show_refusal(request, Forbidden("Your account may not use the admin."))
    if request.user.is_authenticated:
        return redirect(back)
    query = QueryDict(mutable=True)
    query["next"] = back
    return redirect(f"{reverse('login')}?{query.urlencode(safe='/')}")
