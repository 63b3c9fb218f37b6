"""Markdown to safe HTML, once per text.

Text from agents is data: raw HTML is off in the parser, and nh3 (ammonia) filters what comes out all the same, so
that a fault in one of them is not a hole. Rendering is kept by the text, in this process only.

Pictures are shown from this site's attachments alone; any other becomes a link, so that no text can make a reader's
browser call somewhere. ``#12`` and ``@name`` are found here (never in code or in links) and made links by the caller,
who knows which briefs and actors its reader may see: ``render(text, names)``.
"""

from __future__ import annotations

import html
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from threading import Lock
from typing import Any, Final

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

MAX_CHARACTERS: Final = 400_000  # longer text is shown as plain text: rendering time must stay bounded
MAX_LINE: Final = 20_000  # inline parsing of one huge line is the slow part of any markdown parser
MAX_PARAGRAPH: Final = 60_000  # the same of many lines without an empty one between them (225,000 brackets: 12 s)
MAX_NESTING: Final = 20
MAX_HIGHLIGHTED: Final = 30_000  # characters of one block of code: a lexer's expressions may be slow
KEPT_CHARACTERS: Final = 16_000_000  # of rendered texts, in this process

_TAGS: Final = {
    "a", "blockquote", "br", "code", "del", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "img", "input", "li",
    "ol", "p", "pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES: Final = {
    "a": {"href", "title"},
    "code": {"class"},
    "div": {"class"},
    "img": {"src", "alt", "title"},
    "input": {"checked", "disabled", "class"},
    "li": {"class"},
    "ol": {"class", "start"},
    "pre": {"class"},
    "span": {"class"},
    "td": {"align"},
    "th": {"align"},
    "ul": {"class"},
    **{f"h{level}": {"id"} for level in range(1, 7)},
}
_PICTURE: Final = re.compile(r"/briefs/[0-9]{1,18}/attachments/[0-9a-f]{64}")
_REFERENCE: Final = re.compile(
    r"(?<![\w/&#@.-])(?:#([0-9]{1,9})\b|@([A-Za-z0-9][A-Za-z0-9:._@/-]{0,119})|(https?://[^\s<>\"`|\\]{3,2000}))"
)
_OTHER_NUMBERS: Final = re.compile(  # "Scratchpad #399" is no brief
    r"\b(scratchpads?|dispatch(es)?|process(es)?|questions?|sessions?|worktrees?|prs?|pull requests?|issues?)\s*$", re.I
)
_BEFORE: Final = 24  # characters before a number that may hold one of those words
_TASK: Final = re.compile(r"\[[ xX]\][ \t\n]+")
_MARKER: Final = re.compile(r'<span class="(?:ref|mention)">([#@])([^<]+)</span>')
_ANCHOR: Final = re.compile(r'(<h[1-6]) id="[^"]*"')
_FENCED: Final = re.compile(r"^(`{3,}|~{3,})[^\n]*\n.*?^\1", re.M | re.S)  # code has no inline parsing
_CHECKBOX: Final = re.compile(r"<input [^>]*>")
_SIGN: Final = re.compile(r"[\\`*_\[\]<&~|]")
_LINE_START: Final = re.compile(r"^([ \t]*[0-9]*)([#>+=.)])", re.M)
_formatter = HtmlFormatter(nowrap=True)


# --- what a text is, rendered -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heading:
    """A heading: its depth (1 is the largest), the id of its element, and its words."""

    level: int
    anchor: str
    words: str


@dataclass(frozen=True)
class Rendered:
    """A text as HTML with its references still marked, and what is in it."""

    marked: str
    headings: tuple[Heading, ...] = ()
    numbers: frozenset[int] = frozenset()
    names: frozenset[str] = frozenset()
    done: int = 0
    tasks: int = 0


@dataclass(frozen=True)
class Names:
    """What references lead to, for one reader: the titles of briefs, and the address and full name of actors."""

    briefs: dict[int, str] = field(default_factory=dict)
    actors: dict[str, tuple[str, str]] = field(default_factory=dict)


NOBODY: Final = Names()


def render(text: str, names: Names | None = None) -> SafeString:
    """Render ``text`` as sanitised HTML. Never raises on any text; over-long text comes back as plain text.

    References become links where ``names`` knows them, and are plain words elsewhere.
    """
    return resolved(look(text).marked, names)


def literal(text: str) -> str:
    """Markdown for plain text of which only paragraphs, lists with "- " and bare addresses shall be more than text.

    Without it the name ``__init__.py`` would lose its underscores.
    """
    return _LINE_START.sub(r"\1\\\2", _SIGN.sub(r"\\\g<0>", text))


def resolved(marked: str, names: Names | None) -> SafeString:
    known = names or NOBODY

    def link(found: re.Match[str]) -> str:
        sign, name = found.groups()
        if sign == "#":
            title = known.briefs.get(int(name))
            return f"#{name}" if title is None else _link("ref", f"/briefs/{int(name)}/", title, f"#{name}")
        actor = known.actors.get(name)
        return f"@{name}" if actor is None else _link("mention", actor[0], actor[1], f"@{name}")

    return mark_safe(_MARKER.sub(link, marked) if "<span class=" in marked else marked)  # noqa: S308


def _link(kind: str, address: str, title: str, words: str) -> str:
    return f'<a class="{kind}" href="{html.escape(address)}" title="{html.escape(title)}">{words}</a>'


def without_anchors(rendered: str) -> SafeString:
    """For a text that stands on a page beside others: no two elements may have one id."""
    return mark_safe(_ANCHOR.sub(r"\1", rendered))  # noqa: S308


_REFERRING: Final = re.compile(r'<a class="(?:ref|mention)"[^>]*>([^<]*)</a>')


def without_references(rendered: str) -> str:
    """The same HTML for a reader who may not know what the references lead to."""
    return _REFERRING.sub(r"\1", rendered)


def references(texts: Iterable[str]) -> tuple[set[int], set[str]]:
    """The numbers and names that some texts refer to."""
    numbers: set[int] = set()
    names: set[str] = set()
    for text in texts:
        if "#" in text or "@" in text:
            found = look(text)
            numbers |= found.numbers
            names |= found.names
    return numbers, names


# --- kept -------------------------------------------------------------------------------------------------------------

_kept: OrderedDict[str, Rendered] = OrderedDict()
_characters = 0
_keeping = Lock()
_parsing = Lock()  # MarkdownIt keeps its state per call, but its rule tables are shared: one at a time is simplest


def look(text: str) -> Rendered:
    """What ``text`` is, rendered; from memory when it was rendered before."""
    global _characters
    with _keeping:
        found = _kept.get(text)
        if found is not None:
            _kept.move_to_end(text)
            return found
    found = _rendered(text)
    with _keeping:
        if text not in _kept:
            _kept[text] = found
            _characters += len(text) + len(found.marked)
        while _characters > KEPT_CHARACTERS and len(_kept) > 1:
            old, gone = _kept.popitem(last=False)
            _characters -= len(old) + len(gone.marked)
    return found


def _rendered(text: str) -> Rendered:
    if not text.strip():
        return Rendered("")
    if _is_too_much(text):
        return Rendered(f"<pre>{html.escape(text)}</pre>")
    with _parsing:
        tokens = _parser.parse(text)
        raw = str(_parser.renderer.render(tokens, _parser.options, {}))
    inside = [child for token in tokens for child in token.children or []]
    marked = _CHECKBOX.sub(_say_checked, _clean(raw))
    return Rendered(
        marked,
        tuple(_headings(tokens)),
        frozenset(child.meta["number"] for child in inside if child.type == "reference"),
        frozenset(child.meta["name"] for child in inside if child.type == "mention"),
        marked.count('aria-label="done"'),
        marked.count('aria-label="done"') + marked.count('aria-label="to do"'),
    )


def _is_too_much(text: str) -> bool:
    if len(text) > MAX_CHARACTERS or max(map(len, text.splitlines())) > MAX_LINE:
        return True
    return len(text) > MAX_PARAGRAPH and max(map(len, re.split(r"\n[ \t>]*\n", _FENCED.sub("", text)))) > MAX_PARAGRAPH


def _clean(raw: str) -> str:
    return nh3.clean(
        raw,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        allowed_classes={"a": {"picture"}},
        attribute_filter=_own_pictures_only,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
        tag_attribute_values={"input": {"type": {"checkbox"}}, "img": {"loading": {"lazy"}}},
        generic_attribute_prefixes=None,
    )


def _own_pictures_only(tag: str, name: str, value: str) -> str | None:
    return None if (tag, name) == ("img", "src") and not _PICTURE.fullmatch(value) else value


def _say_checked(found: re.Match[str]) -> str:
    box = found[0]
    return f'{box[:-1]} aria-label="{"done" if " checked" in box else "to do"}">'


def _headings(tokens: Sequence[Token]) -> Iterable[Heading]:
    for token, inside in pairwise(tokens):
        anchor = token.attrGet("id") if token.type == "heading_open" and token.level == 0 else None
        if anchor:
            words = "".join(child.content for child in inside.children or [] if child.type != "image")
            yield Heading(int(token.tag[1]), str(anchor), words)


# --- the parser -------------------------------------------------------------------------------------------------------


def _code(code: str, language: str, _attributes: str) -> str:
    try:
        lexer = get_lexer_by_name(language or "text", stripnl=False)
    except ClassNotFound:
        return html.escape(code)
    return html.escape(code) if len(code) > MAX_HIGHLIGHTED else str(highlight(code, lexer, _formatter))


def _refer(state: StateCore) -> None:
    """Find ``#12``, ``@name`` and bare addresses in the words of a text, and say which pictures stand in a link."""
    for block in state.tokens:
        if block.type == "inline" and block.children and any(sign in block.content for sign in ("#", "@", "://", "![")):
            found: list[Token] = []
            links = 0
            for child in block.children:
                links += {"link_open": 1, "link_close": -1}.get(child.type, 0)
                if child.type == "image":
                    child.meta["linked"] = links > 0
                found += [child] if links or child.type != "text" else _split(child)
            block.children = found


def _split(text: Token) -> list[Token]:
    parts: list[Token] = []
    end = 0
    for found in _REFERENCE.finditer(text.content):
        number, name, address = found.groups()
        if number and _OTHER_NUMBERS.search(text.content, max(end, found.start() - _BEFORE), found.start()):
            continue
        parts.append(_words(text, text.content[end : found.start()]))
        if address:
            address = _without_the_sentence(address)
            parts += _address(text, address)
            end = found.start() + len(address)
            continue
        name = name and name.rstrip(".:-/@_")
        kind, meta = ("reference", {"number": int(number)}) if number else ("mention", {"name": name})
        parts.append(Token(kind, "", 0, content=f"#{number}" if number else f"@{name}", meta=meta, level=text.level))
        end = found.start() + len(parts[-1].content)
    return [*parts, _words(text, text.content[end:])] if parts else [text]


def _address(text: Token, address: str) -> list[Token]:
    """A bare address as a link. (linkify-it, the usual way, took 5 s for one text of 120 KB that was made for it.)"""
    opening = Token("link_open", "a", 1, attrs={"href": _parser.normalizeLink(address)}, level=text.level)
    return [opening, _words(text, address), Token("link_close", "a", -1, level=text.level)]


def _without_the_sentence(address: str) -> str:
    """What follows an address in a sentence is not part of it: a full stop, or a bracket that opened before it."""
    while address and (address[-1] in ".,;:!?'*_~" or (address[-1] == ")" and address.count(")") > address.count("("))):
        address = address[:-1]
    return address


def _words(token: Token, words: str) -> Token:
    return Token("text", "", 0, content=words, level=token.level)


def _reference(_self: Any, tokens: Sequence[Token], at: int, _options: Any, _env: Any) -> str:
    kind = "ref" if tokens[at].type == "reference" else "mention"
    return f'<span class="{kind}">{html.escape(tokens[at].content)}</span>'


def _image(self: Any, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    """A picture of this site is shown, and leads to itself; any other is a link, or words where there is a link."""
    source = str(tokens[at].attrGet("src") or "")
    words = self.renderInlineAsText(tokens[at].children, options, env)
    opened = tokens[at].meta.get("linked")
    if _PICTURE.fullmatch(source):
        shown = f'<img src="{source}" alt="{html.escape(words)}" loading="lazy">'
        return shown if opened else f'<a class="picture" href="{source}">{shown}</a>'
    if opened or not source.lower().startswith(("http://", "https://")):
        return html.escape(words or "picture")
    return f'<a href="{html.escape(source)}">{html.escape(words or source)}</a>'


def _make_parser() -> MarkdownIt:
    parser = MarkdownIt(
        "commonmark",
        {"html": False, "linkify": False, "typographer": False, "highlight": _code, "maxNesting": MAX_NESTING},
    )
    parser.enable(["table", "strikethrough"])
    parser.core.ruler.push("tasks", _tasks)
    parser.core.ruler.push("anchors", _anchor)
    parser.core.ruler.push("alignment", _align)
    parser.core.ruler.push("references", _refer)
    rules: dict[str, Callable[..., str]] = {"reference": _reference, "mention": _reference, "image": _image}
    for name, rule in rules.items():
        parser.add_render_rule(name, rule)
    return parser


def _tasks(state: StateCore) -> None:
    """Items that begin with ``[ ]`` or ``[x]`` get a box. (The usual plugin looks for each item's list by going back
    through the text: 5 s for 7,400 items.)"""
    lists: list[Token] = []
    for item, paragraph, inside in zip(state.tokens, state.tokens[1:], state.tokens[2:], strict=False):
        if item.type in {"bullet_list_open", "ordered_list_open"}:
            lists.append(item)
        elif item.type in {"bullet_list_close", "ordered_list_close"}:
            lists.pop()
        is_item = item.type == "list_item_open" and paragraph.type == "paragraph_open"
        children = inside.children if is_item else None
        if children and (box := _TASK.match(inside.content)) and children[0].type == "text":
            children[0].content = children[0].content[3:]
            checked = ' checked="checked"' if box[0][1] in "xX" else ""
            made = f'<input class="task-list-item-checkbox"{checked} disabled="disabled" type="checkbox">'
            children.insert(0, Token("html_inline", "", 0, content=made))
            item.attrSet("class", "task-list-item")
            lists[-1].attrSet("class", "contains-task-list")


def _align(state: StateCore) -> None:
    """A column's alignment as an attribute: styles are not let through."""
    for token in state.tokens:
        if token.type in {"th_open", "td_open"} and (style := token.attrs.pop("style", None)):
            token.attrSet("align", str(style).removeprefix("text-align:"))


def _anchor(state: StateCore) -> None:
    """Give the larger headings ids, each once. (The usual plugin looks for a free one by trying: 30 s for 30,000.)"""
    taken: dict[str, int] = {}
    for token, inside in pairwise(state.tokens):
        if token.type == "heading_open" and token.tag in {"h1", "h2", "h3", "h4"}:
            words = "".join(child.content for child in inside.children or [] if child.type in _SAID)
            slug = _slug(words)
            taken[slug] = taken.get(slug, -1) + 1
            token.attrSet("id", f"{slug}-{taken[slug]}" if taken[slug] else slug)


def _slug(title: str) -> str:
    """Anchors are prefixed so that no heading can take the id of a part of the page."""
    kept = "".join(char if char.isalnum() else "-" for char in title.lower())
    return "h-" + "-".join(filter(None, kept.split("-")))[:80]


_SAID: Final = frozenset({"text", "code_inline", "reference", "mention"})
_parser = _make_parser()
