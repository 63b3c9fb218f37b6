"""Quoting: whole sentences as they stand in a text, in any script.

A text is blocks (paragraphs, list items, headings), a block is sentences. Only markup is taken off. Code, tables, what
is quoted in turn, and what looks like the output of a program is not quoted at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

QUESTIONS: Final = ("?", "？", "؟")
TEXT: Final = 20_000  # characters of a text that are read
WRAPPED: Final = 50  # columns from which on a line that ends without a stop may go on in the next one
PROSE: Final = 0.66  # share of letters of what is prose and no output
LITTLE: Final = 3  # a third of the characters that may be quoted: until then a long sentence may go beyond them
SAYS: Final = 6.0  # words from which on a quote says something
PASTED: Final = 6  # lines of a prompt from which on it may hold pasted output
CUT: Final = " …"  # behind a quote whose paragraph goes on
_MARK: Final = re.compile(r"(#{1,6})\s+|(?:[-*+•]|\d{1,3}[.)])\s+(?:\[([ xX])\]\s+)?")
_LINK: Final = re.compile(r"!?\[([^\[\]\n]{1,300})\]\([^()\s]{1,600}\)")
_STRONG: Final = re.compile(r"(?<![\w*])(\*{1,3})(?=[^\s*])([^*`\n]{1,400}?)(?<=[^\s*])\1(?![\w*])")
_END: Final = re.compile(r"(?<![.!?…])[.!?…]++[\"'”’»)\]*]*+(?=\s|$)|[。！？｡؟।॥።։۔]+[」』）”’\"'\])]*")
_SHORT: Final = re.compile(r"(?:^|[\s(])(?:[\w.]{1,3}|[\w.]*\.\w+|\d+)$")  # behind which a small letter goes on
_CLAUSE: Final = re.compile(r"[,;:)](?=\s)|[，、；：]")
_ABBREVIATED: Final = re.compile(r"(?:^|[\s(])(?:\w|\w{1,3}(?:\.\w{1,3})+|\d+)$")


@dataclass(frozen=True, slots=True)
class Block:
    sentences: tuple[str, ...]  # each is followed by the next one in the text, with a blank between them or without
    text: str  # all of it
    level: int = 0  # of a heading
    is_item: bool = False
    is_open: bool = False  # an item with an empty box


def weight(text: str) -> float:
    """How much a text says, in words; in scripts without blanks two signs count as one."""
    wide = sum(1 for sign in text if sign >= "\u2e80")
    return wide / 2 + sum(1 for word in text.split() if word[0] < "\u2e80" and any(map(str.isalnum, word)))


def width(text: str) -> int:
    """Columns of a text: signs of scripts without blanks take two."""
    return len(text) + sum(1 for sign in text if sign >= "\u2e80")


def own_words(text: str) -> str:
    """What a person wrote around a pasted output: the prose before it, and that after it behind an empty line."""
    lines = text[:TEXT].split("\n")
    made = [at for at, line in enumerate(lines) if line.strip() and _is_made(line)]
    if len(lines) < PASTED or len(made) < PASTED / 2 or any(_MARK.match(line.strip()) for line in lines[:PASTED]):
        return text
    if sum(_stops(line.strip()) for line in lines) > len(lines) / 3 or "```" in text:
        return text
    behind = next((at for at in range(made[-1] + 1, len(lines)) if not lines[at].strip()), len(lines))
    return "\n".join([*lines[: made[0]], "", *lines[behind:]])


def _is_made(line: str) -> bool:
    """Does a line look like a program's: indented, without words enough, ending as code does, or of few letters?"""
    said = line.strip()
    return line.startswith(("  ", "\t")) or said[-1] in "{}[](;=|\\" or weight(said) < SAYS / 2 or not _is_prose(said)


def _stops(line: str) -> bool:
    return _END.search(line[-3:]) is not None or is_lead(line)


@lru_cache(maxsize=256)
def blocks(text: str) -> tuple[Block, ...]:
    """The blocks of a text that can be quoted, in order."""
    found: list[Block] = []
    lines: list[str] = []
    mark: re.Match[str] | None = None
    fence = ""

    def close() -> None:
        nonlocal lines, mark
        said = unmarked(" ".join(lines))
        if said and (mark is not None or _is_prose(said)):
            level = len(mark[1] or "") if mark else 0
            parts = (said,) if level else tuple(sentences(said))
            found.append(Block(parts, said, level, mark is not None and not level, bool(mark and mark[2] == " ")))
        lines, mark = [], None

    for raw in text[:TEXT].split("\n"):
        line = raw.strip()
        if line.startswith(("```", "~~~")):
            close()
            fence = "" if fence else line[:3]
        elif fence or not line or line[0] in "|><" or not any(map(str.isalnum, line)):
            close()
        elif begun := _MARK.match(line):
            close()
            lines, mark = [line[begun.end() :]], begun
            if begun[1]:
                close()
        else:
            if lines and not _goes_on(lines[-1]):
                close()
            lines.append(line)
    close()
    return tuple(found)


def _goes_on(line: str) -> bool:
    """May the sentence of this line go on in the next one? Short lines without a stop are lines of a list."""
    return _END.search(line[-3:]) is not None or width(line) >= WRAPPED


def _is_prose(text: str) -> bool:
    signs = [sign for sign in text if not sign.isspace()]
    return sum(1 for sign in signs if sign.isalpha()) >= PROSE * len(signs)


def unmarked(text: str) -> str:
    """Without the marks of Markdown for strong words and links; blanks in a row are one. Backticks stay."""
    parts = " ".join(text.split()).split("`")
    for at in range(0, len(parts), 2):
        if at + 2 < len(parts) and parts[at].endswith("**") and parts[at + 2].startswith("**"):  # around code
            parts[at], parts[at + 2] = parts[at][:-2], parts[at + 2][2:]
        parts[at] = _STRONG.sub(r"\2", _LINK.sub(r"\1", parts[at]))
    return "`".join(parts).strip()


def sentences(text: str) -> list[str]:
    """A paragraph's sentences, whole; joined they are the paragraph again, but for blanks between them."""
    found: list[str] = []
    begin = ticks = at = 0
    for end in _END.finditer(text):
        ticks, at = ticks + text.count("`", at, end.start()), end.start()
        is_lower = text[end.end() : end.end() + 2].strip()[:1].islower()  # people begin sentences so, too
        short = _SHORT if is_lower else _ABBREVIATED
        goes_on = end[0][0] in ".…" and (short.search(text[max(0, at - 12) : at]) or (is_lower and len(end[0]) > 1))
        if ticks % 2 or goes_on:
            continue
        found.append(text[begin : end.end()].strip())
        begin = end.end()
    rest = text[begin:].strip()
    return [*found, rest] if rest else found


def clipped(sentence: str, limit: int) -> str:
    """The beginning of a sentence that is longer than ``limit`` columns, to the end of a clause or a word, and CUT."""
    if width(sentence) <= limit:
        return sentence
    most = next(at for at in range(limit, -1, -1) if width(sentence[:at]) <= limit)
    ends = [end.end() for end in _CLAUSE.finditer(sentence[: most + 1]) if end.end() <= most]
    end = ends[-1] if ends and ends[-1] > most / 2 else sentence.rfind(" ", 0, most + 1)
    begin = sentence[: end if end > most / 3 else most].rstrip()
    return begin + CUT if end > most / 3 or begin[-1:] >= "\u2e80" else ""


def is_question(sentence: str) -> bool:
    return sentence.rstrip("\"'”’»)]*」』）` ").endswith(QUESTIONS)


def is_lead(sentence: str) -> bool:
    """Does it only lead to what is left out behind it: a list, code, a table?"""
    return sentence.rstrip("*_ ").endswith((":", "："))


def quoted(text: str, limit: int, paragraphs: int = 1, *, items: bool = False) -> list[str]:
    """The first sentences of a text, about ``limit`` characters, a string for each paragraph.

    A paragraph that goes on behind them ends with CUT. Only prose is quoted where there is any, unless ``items``. More
    paragraphs are taken than asked for while what was taken says next to nothing: "Done!".
    """
    own = [block for block in blocks(text) if not block.level]
    found: list[str] = []
    left = limit
    for block in own if items else [block for block in own if not block.is_item] or own:
        taken: list[str] = []
        for sentence in block.sentences:
            if width(sentence) > (left if limit - left > limit // LITTLE else limit):
                break
            taken.append(sentence)
            left -= width(sentence)
        is_cut = len(taken) < len(block.sentences)
        if taken and is_lead(taken[-1]):
            taken.pop()
        elif not (taken or found) and not is_question(block.sentences[0]) and (own_part := clipped(sentence, limit)):
            found.append(own_part)
        if taken:
            end = 0
            for sentence in taken:  # with what stands between them
                end = block.text.find(sentence, end) + len(sentence)
            found.append(block.text[:end] + (CUT if len(taken) < len(block.sentences) else ""))
        if left <= 0 or (is_cut and found) or (len(found) >= paragraphs and weight(" ".join(found)) >= SAYS):
            break
    return found


def heading(text: str) -> str:
    """The first heading of a text, where it is of the first level and says something; empty where there is none."""
    found = next((block for block in blocks(text) if block.level), None)
    return found.text if found and found.level == 1 and weight(found.text) >= SAYS / 2 else ""
