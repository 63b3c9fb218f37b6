"""From what a model writes (Markdown, with code and tables) to whole sentences in plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

SHORTENING: Final = 12  # characters before a full stop that tell whether it ends a sentence
LEAD: Final = 8  # words of a lead-in that names what follows
LIMIT: Final = 20_000  # characters of one text that are read
_FENCE: Final = re.compile(r"^\s*(```|~~~)")
_ITEM: Final = re.compile(r"^\s*(?:[-*+•]|\**\d{1,2}[.)]|[☀-➿⬀-⯿\U0001F300-\U0001FAFF]️?)\s+(?:\[[ xX]\]\s+)?")
_HEADING: Final = re.compile(r"^\s*(?:#{1,6}\s+(?P<hash>.+?)\s*#*|\*\*(?P<bold>[^*]{3,80})\*\*:?)\s*$")
_SKIP: Final = re.compile(r"^\s*(?:\||>|[-=*_─]{3,}\s*$|`?★|</?[a-z][\w-]*)")
_RULE: Final = re.compile(r"\|(?:\s*:?-{2,}:?\s*\|)+\s*")
_LINK: Final = re.compile(r"!?\[([^\]]{0,200})\]\(([^)]{0,400})\)")
_NUMBERED: Final = re.compile(r"^(\**)\d{1,2}[.)]\s+(?=\S)")
_BOLD: Final = re.compile(r"(\*\*|__)(?=\S)(.{1,200}?)(?<=\S)\1")
_ITALIC: Final = re.compile(r"(?<![\w*])\*(?=\S)([^*]+?)(?<=\S)\*(?![\w*])")
_SYMBOLS: Final = re.compile(r"[\U0001F000-\U0001FAFF☀-➿⬀-⯿️‍]|:[a-z_]{3,}:(?=\s|$)|(?<=\s)[:;]-?[()DP](?=\s|$)")
_ARROWS: Final = re.compile(r"\s*(?:→|=>|⇒)\s*")
_END: Final = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+(?![a-zß-ÿа-я])")
_SHORTENED: Final = re.compile(
    r"(?:\b(?:e\.g|i\.e|vs|cf|etc|approx|incl|resp|no|fig|dr|mr|mrs|st|[A-Za-z])|^\d+)\.$", re.I
)
_URL: Final = re.compile(r"<?https?://[^\s<>)\]]*[^\s<>)\].,;:!?]>?")
_GITHUB: Final = re.compile(r"github\.com/[\w.-]+/[\w.-]+/(pull|issues|commit|actions/runs)/([0-9a-f]+)")
_DANGLING_WORDS: Final = (
    "a an the of to and or but in on at for with without from by as that which is are was were be it its this "
    "these our your"
    " their if when has have had already can will would should could may must not own each all other any some more "
    "another especially specifically also just only very we i you they like "
    "while so than then "
    "into via not no do does about because since me us them him her what who whose get gets"
)
_DANGLING: Final = frozenset(_DANGLING_WORDS.split())
_PROGRAMS: Final = frozenset(
    {"git", "npm", "npx", "bun", "gh", "pip", "uv", "cargo", "pytest", "ruff", "mypy", "eslint"}
)


@dataclass(frozen=True, slots=True)
class Sentence:
    text: str  # plain, no line breaks
    section: str = ""  # the heading above it
    is_item: bool = False
    leads: bool = False  # ends with a colon: the beginning of something that was left out
    heading: bool = False


def sentences(text: str) -> list[Sentence]:
    """Whole sentences and list items, in order; code, tables, quotes and lead-ins ("The changes:") are left out."""
    return [sentence for sentence in statements(text) if not sentence.leads]


def statements(text: str) -> list[Sentence]:
    """The same with the lead-ins, some of which tell what was done ("I've fixed both bugs:")."""
    found: list[Sentence] = []
    section = lead = ""
    for kind, block in _blocks(text[:LIMIT]):
        if kind == "heading":
            section, lead = plain(block).rstrip(":."), ""
            found.append(Sentence(section, section, is_item=True, leads=True, heading=True))
            continue
        for part in _split(plain(block)):
            leads = part.endswith((":", "："))
            if kind == "text":  # "Next steps would be:" is a heading to the items below it
                lead = part.rstrip(":： ") if leads and len(part.split()) <= LEAD else ""
            if len(part) > 2:
                found.append(Sentence(part, lead or section if kind == "item" else section, kind == "item", leads))
    return found


def tables(text: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """The head and the rows of each table."""
    lines = [line.strip() for line in text[:LIMIT].splitlines()]
    for at, line in enumerate(lines):
        if at and lines[at - 1].startswith("|") and _RULE.fullmatch(line):
            rows = list(takewhile(lambda line: line.startswith("|"), lines[at + 1 :]))
            yield _cells(lines[at - 1]), [_cells(row) for row in rows]


def _cells(row: str) -> list[str]:
    return [plain(cell) for cell in row.strip("|").split("|")]


def plain(text: str) -> str:
    """One line without marks of Markdown; addresses of pages are shortened to what they name."""
    text = _NUMBERED.sub(r"\1", text)
    if "](" in text:
        text = _LINK.sub(lambda m: m[1] or m[2], text)
    if "://" in text:
        text = _URL.sub(lambda m: _named(m[0]), text)
    if "*" in text or "__" in text:
        text = _ITALIC.sub(r"\1", _BOLD.sub(r"\2", text))
    text = _SYMBOLS.sub("", text.replace("**", ""))
    text = _ARROWS.sub(" → ", text.replace("’", "'"))
    text = re.sub(r"\s+([,;:!?])(?=\s|$)", r"\1", " ".join(text.split()))  # a dot may be code: `git checkout .`
    return text.replace("`", "").strip(" -–—*")


def clipped(text: str, limit: int, words: int = 1000) -> str:
    """The text if it is short enough; else cut where a thought ends, without a dangling word at the end."""
    if len(text) <= limit and len(text.split()) <= words:
        return text
    cut = " ".join(text[: limit + 1].split()[:words])
    if len(cut) > limit or (len(cut) < len(text) and text[len(cut)] != " " and len(text.split()) > len(cut.split())):
        cut = cut[:limit].rsplit(" ", 1)[0]
    breaks = [
        m.start()
        for m in re.finditer(
            r"[,;:.!?](?=\s)|\s[–—-]\s|\s\(|\s(?:because|since|so|but|which|where|when|while|and)\b", cut
        )
    ]
    if breaks and breaks[-1] >= 0.4 * len(cut):
        cut = cut[: breaks[-1]]
    parts = cut.rstrip(" ,;:–—-(").split()
    while len(parts) > 3 and (parts[-1].strip(",;:").lower() in _DANGLING or parts[-1].endswith("'s")):
        parts.pop()
    cut = " ".join(parts).rstrip(" ,;:–—-(")
    if cut.count("(") > cut.count(")") and cut.rfind("(") > 0.4 * len(cut):
        cut = cut[: cut.rfind("(")].rstrip(" ,;:–—-")
    return cut


def sentence_case(text: str) -> str:
    """Capital first, unless the first word is a name such as ``iPhone`` or ``go.mod``."""
    first = text.split(" ", 1)[0]
    if first in _PROGRAMS or any(c.isupper() for c in first[1:]) or re.search(r"[._/()\d]", first.rstrip(".,:;")):
        return text
    return text[:1].upper() + text[1:]


def decapitalised(text: str) -> str:
    """For the middle of a sentence, unless the first word is a name, "I" or an abbreviation."""
    first = text.split(" ", 1)[0]
    return text[:1].lower() + text[1:] if first[1:].isalpha() and first[1:].islower() else text


def ended(text: str) -> str:
    """With a full stop where there is no mark at its end."""
    text = text.rstrip(" ,;:–—-")
    return text if text.endswith((".", "!", "?", "…", ".”", "?”")) else f"{text}."


def _named(address: str) -> str:
    if match := _GITHUB.search(address):
        what = {"pull": "PR #", "issues": "issue #", "commit": "commit ", "actions/runs": "run "}[match[1]]
        return what + (match[2][:8] if match[1] == "commit" else match[2])
    return re.sub(r"^<?https?://(?:www\.)?", "", address).rstrip(">").split("/", 1)[0].split("?", 1)[0]


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """("heading" | "item" | "text", content) with the lines of a paragraph or an item joined."""
    kind, lines, fenced, aside = "text", list[str](), False, False
    for raw in text.splitlines():
        if _FENCE.match(raw):
            fenced = not fenced
        aside = (aside or "★" in raw) and not re.match(r"^`?─{5,}`?\s*$", raw)  # a remark in a box, for teaching
        heading, item = _HEADING.match(raw), _ITEM.match(raw)
        ends = fenced or aside or not raw.strip() or heading or item or _FENCE.match(raw) or _SKIP.match(raw)
        if ends and lines:
            yield kind, " ".join(lines)
            kind, lines = "text", []
        if fenced or aside or _FENCE.match(raw) or (_SKIP.match(raw) and not item):
            continue
        if heading and not item and not (heading["bold"] or "").rstrip().endswith((".", "!", "?")):
            yield "heading", heading["hash"] or heading["bold"]
        elif item:
            kind, lines = "item", [raw[item.end() :]]
        elif raw.strip():
            lines.append(raw.strip())
    if lines:
        yield kind, " ".join(lines)


def _split(text: str) -> Iterator[str]:
    start = 0
    for match in _END.finditer(text):
        tail = max(start, match.end() - SHORTENING)
        if _SHORTENED.search(text[tail : match.end()].strip()):
            continue
        part = text[start : match.end()].strip()
        start = match.end()
        if part:
            yield part
    if rest := text[start:].strip():
        yield rest
