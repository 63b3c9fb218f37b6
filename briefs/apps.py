from django.apps import AppConfig


class BriefsConfig(AppConfig):
    name = "briefs"
    verbose_name = "briefs"

    def ready(self) -> None:
        from django.db.models.signals import post_save

        from briefs import list_versions, tools  # noqa: F401  declares them
        from briefs.models import Brief
        from briefs.services import searching

        post_save.connect(searching.on_save, sender=Brief, dispatch_uid="search text")
