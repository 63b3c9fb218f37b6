from django.urls import path

from daemons import scratchpad_views, views

urlpatterns = [
    path("scratchpads/", scratchpad_views.listed, name="scratchpads"),
    path("scratchpads/new/", scratchpad_views.create, name="scratchpad_create"),
    path("scratchpads/<int:number>/", scratchpad_views.scratchpad, name="scratchpad"),
    path("scratchpads/<int:number>/write/", scratchpad_views.write, name="scratchpad_write"),
    path("scratchpads/<int:number>/append/", scratchpad_views.append, name="scratchpad_append"),
    path("processes/<int:number>/", views.process, name="process"),
    path("processes/<int:number>/stop/", views.stop, name="process_stop"),
]
