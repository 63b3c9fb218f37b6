from briefs.models.actor import Actor, EntryCode, Token
from briefs.models.attachment import Attachment
from briefs.models.brief import Brief
from briefs.models.keyed_call import KeyedCall
from briefs.models.link import Link
from briefs.models.participant import Participant
from briefs.models.project import Project
from briefs.models.proposal import Proposal
from briefs.models.question import Question
from briefs.models.refinement import Refinement
from briefs.models.relation import Dependency, GraphLock
from briefs.models.search_text import SearchText
from briefs.models.throttle import LoginThrottle
from briefs.models.trace import TraceEntry
from briefs.models.view import SavedView

__all__ = [
    "Actor",
    "Attachment",
    "Brief",
    "Dependency",
    "EntryCode",
    "GraphLock",
    "KeyedCall",
    "Link",
    "LoginThrottle",
    "Participant",
    "Project",
    "Proposal",
    "Question",
    "Refinement",
    "SavedView",
    "SearchText",
    "Token",
    "TraceEntry",
]
