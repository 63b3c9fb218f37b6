from django.apps import AppConfig


class DaemonsConfig(AppConfig):
    name = "daemons"
    verbose_name = "daemons"

    def ready(self) -> None:
        from daemons import list_versions, tools  # noqa: F401  declares them
        from daemons.services import sessions  # noqa: F401  tells whose sessions are
