from django.apps import AppConfig


class WorktreesConfig(AppConfig):
    name = "worktrees"
    verbose_name = "worktrees"

    def ready(self) -> None:
        from briefs.services import projects
        from worktrees import services, sessions  # noqa: F401  the latter tells whose sessions are

        projects.check_repository(services.check_repository)
        projects.check_prefix(services.check_prefix)
        projects.warn(services.warnings)
