"""flower's addresses and, below /bench/, the baselines."""

from __future__ import annotations

from django.urls import include, path

from bench import views

urlpatterns = [
    path("bench/briefs/<int:number>", views.brief),
    path("bench/hints/<int:number>", views.hint),
    path("", include("flower.urls")),
]
