"""Every address. Each app's pages are in its own urls.py; MCP and the websockets are in flower/asgi.py."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, URLResolver, include, path, re_path

from flower import health, login

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.prometheus, name="metrics"),
    path("login/", login.Login.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    re_path(r"^enter/(?P<code>[A-Za-z0-9_-]{1,200})/?$", login.enter, name="enter"),
    path("admin/login/", login.admin_login),
    path("admin/", admin.site.urls),
    path("", include("briefs.urls")),
    path("", include("dispatch.urls")),
    path("", include("daemons.urls")),
    path("", include("worktrees.urls")),
    path("", include("transcripts.urls")),
]

handler400 = "flower.middleware.bad_request"
handler403 = "flower.middleware.permission_denied"
handler404 = "flower.middleware.not_found"
handler500 = "flower.middleware.server_error"
