"""What templates need to say things the way flower says them. Built in: no {% load %} (see settings)."""

from __future__ import annotations

import re
from typing import Any, Final

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from briefs import telling
from briefs.views.board_filters import waiting_for_a_person
from core import format as formats
from core import markdown

register = template.Library()

for _filter in (
    formats.ago,
    formats.clock,
    formats.css,
    formats.day,
    formats.is_number,
    formats.is_web_address,
    formats.lasted,
    formats.plain,
    formats.sha,
    formats.size,
    formats.tokens,
    formats.until,
    formats.words,
):
    register.filter(_filter)
for _tag in (formats.flat_pill, formats.pill):
    register.simple_tag(_tag)

_CITED: Final = re.compile(r"(?<![Bb]rief )#([0-9]{1,11})\b|(?<=an answer to )question ([0-9]{1,11})\b", re.ASCII)


@register.filter(name="markdown")
def render_markdown(text: str, names: markdown.Names | str | None = None) -> SafeString:
    """``{{ body|markdown:names }}``: with the references that ``names`` knows as links; they are words without it."""
    known = names if isinstance(names, markdown.Names) else None
    return markdown.without_anchors(markdown.render(text, known))


@register.filter
def document(text: str, names: markdown.Names | str | None = None) -> SafeString:
    """The same for the one text of a page whose headings can be linked to."""
    return markdown.render(text, names if isinstance(names, markdown.Names) else None)


@register.filter
def line(entry: Any) -> SafeString:
    """What a trace entry says beside its kind, in one line."""
    return telling.line(entry)


@register.filter
def with_links(words: str) -> SafeString:
    """What a brief waits for, with links: ``#12 Title`` to that brief, ``… question 2`` to its card on this page.

    In a sentence the number alone is the link; the brief that the sentence is about (``Brief #7 …``) is none.
    """
    number, _, rest = words.removeprefix("#").partition(" ")
    if words.startswith("#") and number.isascii() and number.isdigit():
        return format_html('<a href="/briefs/{}/">#{} {}</a>', number, number, rest)
    parts: list[tuple[str, str, str]] = []
    at = 0
    for found in _CITED.finditer(words):
        where = f"/briefs/{found[1]}/" if found[1] else f"#question-{found[2]}"
        parts += [(words[at : found.start()], where, found[0])]
        at = found.end()
    return format_html("{}{}", format_html_join("", '{}<a href="{}">{}</a>', parts), words[at:])


@register.simple_tag(takes_context=True)
def query(context: template.Context, **changes: Any) -> str:
    """The page's own query string with some values changed; None or empty takes one out."""
    params = context["request"].GET.copy()
    for name, value in changes.items():
        if value in (None, ""):
            params.pop(name, None)
        else:
            params[name] = str(value)
    return f"?{params.urlencode()}" if params else "?"


@register.simple_tag(takes_context=True)
def needs_you(context: template.Context) -> int:
    """How many open briefs wait for a person, for the bar; 0 where nobody is logged in."""
    identity = getattr(context.get("request"), "identity", None)
    return waiting_for_a_person(identity).count() if identity else 0
