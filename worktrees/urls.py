from django.urls import path

from worktrees import views

urlpatterns = [
    path("projects/<slug:slug>/commits/<str:sha>/", views.commit, name="commit"),
    path("worktrees/", views.worktrees, name="worktrees"),
    path("worktrees/remove-empty/", views.remove_empty, name="worktrees_remove_empty"),
    path("worktrees/<int:number>/", views.worktree, name="worktree"),
    path("worktrees/<int:number>/captures/<int:capture>/restore/", views.restore, name="capture_restore"),
    path("worktrees/<int:number>/remove/", views.remove, name="worktree_remove"),
]
