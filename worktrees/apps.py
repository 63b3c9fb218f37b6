from django.apps import AppConfig


class WorktreesConfig(AppConfig):
    name = "worktrees"
    verbose_name = "worktrees"

    def ready(self) -> None:
        from briefs.services import projects
        from worktrees import list_versions, services, sessions, tools  # noqa: F401  some declare what they hold

        projects.check_repository(services.check_repository)
        projects.check_prefix(services.check_prefix)
        projects.warn(services.warnings)
        projects.program_source(services.configured_programs)
