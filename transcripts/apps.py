from django.apps import AppConfig


class TranscriptsConfig(AppConfig):
    name = "transcripts"
    verbose_name = "transcripts"

    def ready(self) -> None:
        from core import live
        from transcripts import ingest, list_versions, tools  # noqa: F401  declares them

        # The task's name: whoever ingests (watch, a command) sends it without loading what it does.
        ingest.on_events.append(lambda session: live.kick("transcripts.tasks.outline", session))
