"""What an entry of the trace says beside its kind, in one line: made from its data, which is text from anybody.

A kind that has nothing to add has no function here. Whatever an entry's data is, its line is made without an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from briefs.models import TraceEntry
from core.format import flat_pill, is_web_address, sha, words

Kind = TraceEntry.Kind
NOTHING: Final = SafeString("")
_FLAGS: Final = {"auto_dispatch": "auto-dispatch", "design_loop": "design-loop"}


def line(entry: TraceEntry) -> SafeString:
    """The entry's line; empty when its kind says it all."""
    data: dict[str, Any] = entry.data if isinstance(entry.data, dict) else {}
    tell = _LINES.get(entry.kind, _dispatch)
    return tell(entry, data) if data else NOTHING


def _joined(parts: list[SafeString]) -> SafeString:
    return format_html_join(" · ", "{}", ((part,) for part in parts if part))


def _text(value: Any) -> SafeString:
    return format_html("{}", "" if value is None else value)


def _code(value: Any) -> SafeString:
    return format_html("<code>{}</code>", value) if value else NOTHING


def _number(value: Any) -> int | None:
    text = str(value).lstrip("#")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _to(name: str, number: Any, said: Any) -> SafeString:
    """A link to the page of a numbered thing; its words alone where the number is none."""
    known = _number(number)
    return _text(said) if known is None else format_html('<a href="{}">{}</a>', reverse(name, args=[known]), said)


def _brief(number: Any, title: Any) -> SafeString:
    return _to("brief", number, f"#{str(number).lstrip('#')} {title or ''}".rstrip())


def _status_change(_: TraceEntry, data: dict[str, Any]) -> SafeString:
    if not data.get("to"):
        return NOTHING
    return format_html(
        '{} <span aria-label="to">→</span> {}', flat_pill(str(data.get("from", ""))), flat_pill(str(data["to"]))
    )


def target(kind: str, where: Any, label: Any) -> SafeString:
    """What a link leads to, named: a number alone says nothing."""
    where, label = str(where or ""), str(label or "")
    if kind == "url" and is_web_address(where):
        return format_html('<a href="{}" rel="noopener noreferrer nofollow">{}</a>', where, label or where)
    if kind == "brief":
        return _brief(where, label)
    if kind == "commit":
        return format_html("<code>{}</code> {}", sha(where), label)
    if kind == "scratchpad":
        return _text(f"Scratchpad #{where.lstrip('#')}" + (f" {label}" if label else ""))
    if kind in {"branch", "file"}:
        return format_html("<code>{}</code> {}", where, label)
    return _text(f"{kind} {where}" + (f" · {label}" if label else ""))


def _link(_: TraceEntry, data: dict[str, Any]) -> SafeString:
    return _joined(
        [target(str(data.get("kind", "")), data.get("target"), data.get("label")), _text(data.get("relation"))]
    )


def _dependency(_: TraceEntry, data: dict[str, Any]) -> SafeString:
    depends_on = data.get("depends_on")
    return format_html("depends on {}", _brief(depends_on, data.get("title"))) if depends_on else NOTHING


def _parent(_: TraceEntry, data: dict[str, Any]) -> SafeString:
    parent = data.get("parent")
    return format_html("part of {}", _brief(parent, data.get("title")) if parent else "nothing")


def _merged(_: TraceEntry, data: dict[str, Any]) -> SafeString:
    if data.get("into"):
        return format_html("into {}", _brief(data["into"], data.get("title")))
    return format_html("from {}", _brief(data["from"], data.get("title"))) if data.get("from") else NOTHING


def _unblocked(_: TraceEntry, data: dict[str, Any]) -> SafeString:
    if data.get("question"):
        return _text(f"question {data['question']} is answered")
    if data.get("by") == "approval":
        return _text("it is approved")
    return format_html("{} is finished", _brief(data["by"], data.get("title"))) if data.get("by") else NOTHING


def _refinement(_: TraceEntry, data: dict[str, Any]) -> SafeString:
    if data.get("version"):
        return _text(f"spec v{data['version']}")
    if "title" in data and "was" in data:
        return _text(f"title was “{data['was']}”")
    if "project" in data:
        return _text(f"project {data['project'] or 'none'}" + (f", was {data['was']}" if data.get("was") else ""))
    if "other_project" in data:
        return _text(f"{'concerns' if data.get('concerned') else 'no longer concerns'} {data['other_project']}")
    if number := data.get("starts_without"):
        return format_html("starts without the work of {}", _brief(number, data.get("title")))
    if data.get("approved"):
        return _text("approved")
    flags = [
        f"{_FLAGS.get(name, words(name))} {'on' if on else 'off'}" for name, on in data.items() if on in (True, False)
    ]
    return _text(", ".join(flags))


def _snapshot(_: TraceEntry, data: dict[str, Any]) -> SafeString:
    return _text(f"the spec as it was: v{data['version']}") if data.get("version") else NOTHING


def _refused(entry: TraceEntry, data: dict[str, Any]) -> SafeString:
    if data.get("by") and data.get("refused"):
        return _text(f"the plan of {data['by']} in entry {data['refused']}")
    return _dispatch(entry, data)


def _plan(_: TraceEntry, data: dict[str, Any]) -> SafeString:
    return _text(f"from v{data['base_version']}") if data.get("base_version") else NOTHING


def _question(_: TraceEntry, data: dict[str, Any]) -> SafeString:
    number = _number(data.get("question"))
    return _joined([_text(f"Q{number}" if number else ""), _text("blocking" if data.get("blocking") else "")])


def _answer(_: TraceEntry, data: dict[str, Any]) -> SafeString:
    return _text(f"to question {data['question']}") if data.get("question") else NOTHING


def _worktree(entry: TraceEntry, data: dict[str, Any]) -> SafeString:
    if data.get("dispatch"):
        return _dispatch(entry, data)
    return _joined([_text(data.get("worktree")), _text(data.get("state")), _code(data.get("branch"))])


def _dispatch(entry: TraceEntry, data: dict[str, Any]) -> SafeString:
    """Whatever happened to a dispatch request."""
    number, process = data.get("dispatch"), data.get("process")
    if not number and not process:
        return NOTHING
    by, failure = data.get("by"), data.get("class")
    parts = [
        _to("dispatch", number, f"dispatch {number}") if number else NOTHING,
        _to("process", process, f"process {process}") if process else NOTHING,
        _text(data.get("agent")),
        _text(by if by != entry.actor_ref else ""),
        _code(data.get("branch")),
        _text(failure if failure != entry.kind else ""),
        _code(data.get("command")),
        _code(sha(str(data.get("commit") or ""))),
        _code(sha(str(data.get("merge_sha") or ""))),
        _text(data.get("state")) if not number else NOTHING,
    ]
    return _joined(parts)


def _joined_in(_: TraceEntry, data: dict[str, Any]) -> SafeString:
    role = data.get("role")
    return _text(f"as {role}" if role and role != "participant" else "")


def _captured(_: TraceEntry, data: dict[str, Any]) -> SafeString:
    return NOTHING


_LINES: Final[dict[str, Callable[[TraceEntry, dict[str, Any]], SafeString]]] = {
    Kind.CAPTURED: _captured,
    Kind.STATUS_CHANGE: _status_change,
    Kind.LINK_ADDED: _link,
    "link_removed": _link,
    Kind.DEPENDENCY_ADDED: _dependency,
    Kind.DEPENDENCY_REMOVED: _dependency,
    Kind.PARENT_SET: _parent,
    Kind.MERGED: _merged,
    Kind.UNBLOCKED: _unblocked,
    Kind.REFINEMENT: _refinement,
    Kind.SPEC_SNAPSHOT: _snapshot,
    Kind.PLAN_PROPOSED: _plan,
    Kind.REFUSED: _refused,
    Kind.QUESTION: _question,
    Kind.ANSWER: _answer,
    Kind.WORKTREE: _worktree,
    Kind.PARTICIPANT_JOINED: _joined_in,
}


# --- several entries of one kind --------------------------------------------------------------------------------------

_MANY: Final[dict[str, str]] = {
    Kind.LINK_ADDED: "{} links added",
    "link_removed": "{} links removed",
    Kind.STATUS_CHANGE: "{} status changes",
    Kind.REFINEMENT: "{} refinements",
    Kind.PARTICIPANT_JOINED: "{} participants joined",
    Kind.DEPENDENCY_ADDED: "{} dependencies added",
    Kind.DEPENDENCY_REMOVED: "{} dependencies removed",
    Kind.WORKTREE: "{} worktree entries",
    Kind.PROCESS: "{} process entries",
    Kind.SPEC_SNAPSHOT: "{} spec snapshots",
}


def many(entries: list[TraceEntry]) -> str:
    """``7 links added``."""
    newest = entries[0]
    return _MANY.get(newest.kind, f"{{}} × {newest.get_kind_display()}").format(len(entries))


def names(entries: list[TraceEntry]) -> str:
    """What a run of entries is about: ``Scratchpads #399, #398 · execution``."""
    data = [entry.data if isinstance(entry.data, dict) else {} for entry in entries]
    if entries[0].kind in {Kind.LINK_ADDED, "link_removed"}:
        pads = all(row.get("kind") == "scratchpad" for row in data)
        things = [_thing(row, pads) for row in data]
        relations = {str(row.get("relation") or "") for row in data}
        end = f" · {relations.pop()}" if len(relations) == 1 else ""
        return f"{'Scratchpads ' if pads else ''}{_some(things)}{end.rstrip(' ·')}"
    if entries[0].kind == Kind.STATUS_CHANGE:
        return " ← ".join([words(str(row.get("to", ""))) for row in data][:6])
    return _some([str(row.get("title") or row.get("worktree") or "")[:40] for row in data])


def _thing(data: dict[str, Any], bare: bool) -> str:
    target_, label = str(data.get("target") or ""), str(data.get("label") or "")
    if data.get("kind") == "scratchpad":
        return f"#{target_.lstrip('#')}" if bare else f"Scratchpad #{target_.lstrip('#')}"
    if data.get("kind") == "commit":
        return f"{sha(target_)} {label}".strip()[:40]
    return (label or target_)[:40]


def _some(things: list[str]) -> str:
    known = [thing for thing in things if thing]
    return ", ".join(known[:8]) + (", …" if len(known) > 8 else "")
