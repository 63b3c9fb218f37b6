from django.urls import path

from dispatch import board, project_views, views  # noqa: F401  board declares what this room adds there

urlpatterns = [
    path("briefs/capture-and-dispatch/", views.capture_and_dispatch, name="capture_and_dispatch"),
    path("briefs/<int:number>/dispatch/", views.dispatch_brief, name="dispatch_brief"),
    path("projects/<slug:slug>/gates/", project_views.check_main, name="check_main"),
    path("dispatches/", views.dispatches, name="dispatches"),
    path("dispatches/<int:number>/", views.dispatch, name="dispatch"),
    path("dispatches/<int:number>/diff/", views.dispatch_diff, name="dispatch_diff"),
    path("dispatches/<int:number>/packet/", views.packet, name="dispatch_packet"),
    path("dispatches/<int:number>/merge/", views.merge, name="dispatch_merge"),
    path("dispatches/<int:number>/cancel/", views.cancel, name="dispatch_cancel"),
    path("dispatches/<int:number>/retry/", views.retry, name="dispatch_retry"),
]
