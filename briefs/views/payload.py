"""The Agent's-eye view: what ``recall_brief`` answers to a token of a scope, byte for byte, since it is that tool.

Closed, the panel only tells the sizes. It is open where the address says so (``?payload=run&as=json``, which works
without a script) or where the page says that it has it open (a header, so that fresh panels keep it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from briefs import tools
from briefs.identity import Identity, Scope
from briefs.models import Brief
from briefs.views.door import Request, show
from core import toolbox
from core.toolbox import as_text

SCOPES: Final = (Scope.RUN.value, Scope.AGENT.value, Scope.ORCHESTRATOR.value)
FORMS: Final = ("readable", "json")
BYTES_PER_TOKEN: Final = 4  # near enough for English and code; no model's own counter is asked
HEADER: Final = "Flower-Payload"


@dataclass(frozen=True)
class Section:
    """A key of the answer: its size, and itself in readable lines."""

    name: str
    bytes: int
    text: str

    @property
    def tokens(self) -> int:
        return _tokens(self.bytes)


@dataclass(frozen=True)
class Seen:
    """The answer as the panel shows it."""

    scope: str
    form: str
    is_open: bool
    text: str
    sections: list[Section]
    truncated: list[str]
    tools: int

    @property
    def bytes(self) -> int:
        return len(self.text.encode())

    @property
    def tokens(self) -> int:
        return _tokens(self.bytes)

    scopes = SCOPES


@require_safe
def payload(request: Request, number: int) -> HttpResponse:
    """The panel alone, for htmx; without it the page of the brief, which has the panel open."""
    found = request.identity.find_brief(number)
    return show(request, "briefs/_payload.html", {"brief": found, "seen": panel(request, found)})


def panel(request: Request, found: Brief) -> Seen:
    asked = {name: values[0] for name, values in parse_qs(request.headers.get(HEADER, "")[:200]).items()}
    asked |= {name: request.GET[name] for name in ("payload", "as") if name in request.GET}
    scope, form = asked.get("payload", ""), asked.get("as", "")
    is_open = scope in SCOPES
    scope = scope if is_open else Scope.AGENT.value
    result = answer(request.identity, found, scope)
    return Seen(
        scope=scope,
        form=form if form in FORMS else FORMS[0],
        is_open=is_open,
        text=as_text(result),
        sections=[
            Section(name, len(as_text({name: value}).encode()) - 2, readable(value) if is_open else "")
            for name, value in result.items()
        ],
        truncated=result["truncated"],
        tools=sum(tool.is_offered_to(scope) for tool in toolbox.tools()),
    )


def answer(identity: Identity, found: Brief, scope: str) -> dict[str, Any]:
    """The tool's answer to a caller of that scope who asks for this brief."""
    caller = Identity(identity.actor, scope, brief=found.pk if scope == Scope.RUN else None)
    return tools.recall_brief(caller, brief=found.pk)


def readable(value: Any, indent: str = "") -> str:
    """JSON as lines for people: no braces, no quotes, long texts as they are."""
    if isinstance(value, dict):
        return "\n".join(_pair(key, part, indent) for key, part in value.items()) or f"{indent}—"
    if isinstance(value, list):
        items = (readable(part, f"{indent}  ") for part in value)
        return "\n".join(f"{indent}- {item.removeprefix(f'{indent}  ')}" for item in items) or f"{indent}—"
    if isinstance(value, str):
        return "\n".join(f"{indent}{line}" for line in value.splitlines()) or f"{indent}—"
    words = {None: "—", True: "yes", False: "no"}
    return f"{indent}{words.get(value, value) if value is None or isinstance(value, bool) else value}"


def _pair(key: str, value: Any, indent: str) -> str:
    if (isinstance(value, dict | list) and value) or (isinstance(value, str) and "\n" in value):
        return f"{indent}{key}:\n{readable(value, f'{indent}  ')}"
    return f"{indent}{key}: {readable(value)}"


def _tokens(size: int) -> int:
    return max(1, round(size / BYTES_PER_TOKEN))
