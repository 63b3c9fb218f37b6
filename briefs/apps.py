from django.apps import AppConfig


class BriefsConfig(AppConfig):
    name = "briefs"
    verbose_name = "briefs"

    def ready(self) -> None:
        from briefs import list_versions, tools  # noqa: F401  declares them
