"""Text as it is searched: without case, accents and punctuation, a space before each word.

`` rate limit of the importer`` is found by words in any order, each by its beginning: `` imp``. Both databases then
only look for a piece of text, byte by byte; SQLite's own ``LIKE`` folds no letters beyond ASCII, and MariaDB's
collations fold others than it does. Scripts that are written without spaces count each character as a word.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_ASCII_GAP: Final = re.compile(r"[^a-z0-9]+")
# Thai, Lao, Myanmar, Khmer; kana, bopomofo; Chinese characters, with their extensions beyond the first plane.
_UNSPACED: Final = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff])"
)


def fold(text: str) -> str:
    """The words of a text, folded, each with a space before it."""
    if text.isascii():
        words = _ASCII_GAP.sub(" ", text.lower())
    else:
        spread = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
        kept = "".join(letter if letter.isalnum() else " " for letter in spread if not unicodedata.combining(letter))
        words = " ".join(_UNSPACED.sub(r" \1 ", kept).split())
    return f" {words.strip()}"


def words_of(text: str, most: int = 12) -> list[str]:
    """The folded words that somebody looks for, none twice; at most so many, the longest first."""
    return sorted(dict.fromkeys(fold(text).split()), key=len, reverse=True)[:most]
