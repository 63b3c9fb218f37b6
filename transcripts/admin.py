from __future__ import annotations

from django.contrib import admin

from briefs.admin import ReadOnly
from transcripts.models import ExpectedSession, LogFile, Segment, Session, SessionCommit, Taking, TouchedFile


@admin.register(Session)
class SessionAdmin(ReadOnly):
    list_display = ("pk", "program", "title", "project", "brief", "branch", "events", "active_at")
    list_filter = ("program", "project")
    search_fields = ("title", "branch", "session_id", "cwd")
    list_select_related = ("project", "brief")


@admin.register(LogFile)
class LogFileAdmin(ReadOnly):
    list_display = ("pk", "session_id", "agent", "path", "size", "offset", "events", "read_at")
    exclude = ("state",)


@admin.register(Segment)
class SegmentAdmin(ReadOnly):
    list_display = ("session_id", "position", "title", "status", "first", "last", "how", "is_settled")
    list_filter = ("status", "how", "phase")
    search_fields = ("title",)


@admin.register(TouchedFile)
class TouchedFileAdmin(ReadOnly):
    list_display = ("session_id", "verb", "path", "times", "at")
    list_filter = ("verb",)
    search_fields = ("path",)


@admin.register(SessionCommit)
class SessionCommitAdmin(ReadOnly):
    list_display = ("session_id", "sha", "subject", "event", "at")
    search_fields = ("sha", "subject")


@admin.register(Taking)
class TakingAdmin(ReadOnly):
    list_display = ("project", "is_on", "days")


admin.site.register(ExpectedSession, ReadOnly)
