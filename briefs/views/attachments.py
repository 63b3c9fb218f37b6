"""Pictures of a brief: sent from the note box, served only to those who may see the brief; and what is completed while
one types there.

The address that takes pictures is the only one that takes more than 1 MB (flower/asgi.py), and only from somebody who
is known already.
"""

from __future__ import annotations

import re
from typing import Any, Final

from django.http import HttpResponse, JsonResponse
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_POST, require_safe

from briefs.forms import NoteForm, read
from briefs.identity import Scope
from briefs.models import Attachment
from briefs.services import attachments, briefs, references
from briefs.views.brief import act
from briefs.views.door import Request, show
from core.errors import Invalid

_IN_WORDS: Final = re.compile(r"[\[\]()\\`*_<>!\n\r]+")
EXTENSIONS: Final = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/gif": "gif"}


@require_POST
def attach(request: Request, number: int) -> HttpResponse:
    """Keep a picture. A script gets JSON with the markdown that shows it; a form without one becomes a note."""
    found = request.identity.find_brief(number)
    actor = request.identity.actor

    def keep() -> Attachment:
        sent = request.FILES.get("picture")
        if sent is None:
            raise Invalid("Choose a picture first.")
        # one byte more than is allowed is enough to know that it is too large
        return attachments.attach(found, sent.read(attachments.MAX_BYTES + 1), actor=actor, name=sent.name or "")

    if "application/json" in request.headers.get("Accept", ""):
        made = keep()
        return JsonResponse({"markdown": markdown(made), "url": made.get_absolute_url(), "name": words(made)})

    def keep_and_note() -> None:
        body = read(NoteForm(request.POST))["body"].rstrip()
        briefs.note(found, f"{body}\n\n{markdown(keep())}".lstrip(), actor=actor)

    return act(request, found, "note", keep_and_note)


def words(made: Attachment) -> str:
    """The picture's name as it can stand in markdown."""
    return " ".join(_IN_WORDS.sub(" ", made.name).split()) or "picture"


def markdown(made: Attachment) -> str:
    return f"![{words(made)}]({made.get_absolute_url()})"


@require_safe
def attachment(request: Request, number: int, digest: str) -> HttpResponse:
    """The picture itself. It never changes, it is nobody's but the reader's, and it can act on nothing."""
    made = attachments.find(request.identity.find_brief(number), digest)
    name = f"{words(made).rsplit('.', 1)[0][:80]}.{EXTENSIONS[made.media_type]}"
    headers: dict[str, Any] = {
        "Content-Disposition": content_disposition_header(False, name),
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, max-age=31536000, immutable",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    return HttpResponse(made.path.read_bytes(), content_type=made.media_type, headers=headers)


attachment.token_scopes = frozenset(Scope.values)  # type: ignore[attr-defined] # agents see what their brief shows


@require_safe
def completions(request: Request, number: int) -> HttpResponse:
    """``?q=%23wor``: what the reference that is being typed may become."""
    found = request.identity.find_brief(number)
    offers = references.offers(request.identity, found, request.GET.get("q", ""))
    return show(request, "briefs/_completions.html", {"offers": offers})
