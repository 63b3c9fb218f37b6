"""What is kept of agents' logs: sessions with their events, and the outline of each."""

from transcripts.models.outline import Aside, Segment, SegmentComment, SegmentUse, Wording
from transcripts.models.session import (
    Block,
    ExpectedSession,
    LogFile,
    Session,
    SessionCommit,
    Taking,
    TouchedFile,
)

__all__ = [
    "Aside",
    "Block",
    "ExpectedSession",
    "LogFile",
    "Segment",
    "SegmentComment",
    "SegmentUse",
    "Session",
    "SessionCommit",
    "Taking",
    "TouchedFile",
    "Wording",
]
