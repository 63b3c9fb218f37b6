"""What leaves the machine holds no secrets: the patterns of the logs, and a wider net for text of unknown origin.

A log line that loses a word too many costs nothing; a key that is sent to somebody else's computer cannot be called
back. So where a pattern is in doubt here, it hides.
"""

from __future__ import annotations

import itertools
import re
import string
from typing import Final

from core.logs import HIDDEN, redact

_NAMES: Final = (
    r"(?:pass(?:word|wd|phrase|code)|(?<=[_-])pass|pwd|secret|token|credentials?|api[_-]?key|access[_-]?key(?:[_-]?id)?|"
    r"secret[_-]?key|"
    r"secret[_-]?access[_-]?key|private[_-]?key|encryption[_-]?key|signing[_-]?key|account[_-]?key|"
    r"shared[_-]?access[_-]?key|"
    r"client[_-]?secret|auth[_-]?token|session[_-]?token|refresh[_-]?token|id[_-]?token|connection[_-]?string)"
)
_KEY_END: Final = re.compile(r"-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----")
_KEY_BLOCK: Final = re.compile(
    rf"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:{_KEY_END.pattern}|\Z)", re.DOTALL
)
_KEY_HIDDEN: Final = f"[private key {HIDDEN}]"
_PATTERNS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"(?i)\b((?:set-)?cookie[\"']?\s*:\s*)[^\r\n\"]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b((?:proxy-)?authorization[\"']?\s*[:=]\s*[\"']?)[^\r\n\"']+"), rf"\1{HIDDEN}"),
    (
        re.compile(
            r"(?i)\b(x-(?:api|auth|goog-api|gitlab|vault|amz-security)[a-z-]*[\"']?\s*[:=]\s*[\"']?)[^\s\"',;]+"
        ),
        rf"\1{HIDDEN}",
    ),
    # name = value, "name": "value", name: value; a quoted value goes whole, an unquoted one up to the next space
    (
        re.compile(
            rf"(?i)(\b[\w.-]{{0,60}}{_NAMES}\\?[\"']?\s*(?:=>|:=|[:=])\s*)(\\?[\"'])(?!\[redacted\])(?:(?!\2).){{1,400}}?\2"
        ),
        rf"\1\2{HIDDEN}\2",
    ),
    (
        re.compile(
            rf"(?i)(\b[\w.-]{{0,60}}{_NAMES}\\?[\"']?\s*(?:=>|:=|[:=])\s*)(?![\"'\\]|\[redacted\])[^\s\"'&;,}}]+"
        ),
        rf"\1{HIDDEN}",
    ),
    # a line of .env or an export: names in capitals, where KEY, AUTH, DSN and the like say enough
    (
        re.compile(
            r"(\b[A-Z][A-Z0-9_]{0,80}?(?:KEY|TOKEN|SECRET|PASS|PWD|AUTH|DSN|SALT|CREDENTIALS|PRIVATE|WEBHOOK(?:_URL)?)"
            r"(?:_[A-Z0-9]+)?\s*=\s*)(?:\"[^\"\n]+\"|'[^'\n]+'|(?![\"']|\[redacted\])[^\s\"']+)"
        ),
        rf"\1{HIDDEN}",
    ),
    # on command lines
    (re.compile(rf"(?i)((?:^|\s)--?{_NAMES}(?:\s+|=))(?![-\[])(\"[^\"]+\"|'[^']+'|[^\s\"']+)"), rf"\1{HIDDEN}"),
    (re.compile(r"((?:^|\s)(?:-u|--user|--proxy-user)[\s=]+[\"']?[^\s:\"']+:)[^\s\"']+"), rf"\1{HIDDEN}"),
    (re.compile(r"(\b(?:mysql|mysqldump|mysqladmin|mariadb|sshpass)\b[^\n|;&]{0,200}?\s-p)\S+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)(\blogin\s+\S+\s+password\s+)\S+"), rf"\1{HIDDEN}"),  # .netrc
    (re.compile(r"(?i)(\bpass(?:word|phrase) (?:is|was|to) [\"'`]?)[^\s\"'`]+"), rf"\1{HIDDEN}"),
    # in addresses: user:password@, a token as the user, a token or signature as a parameter
    (re.compile(r"((?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/]+(@)"), rf"\1{HIDDEN}\2"),
    (re.compile(r"((?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://)[A-Za-z0-9_-]{16,}(@)"), rf"\1{HIDDEN}\2"),
    (
        re.compile(r"(?i)([?&#](?:[\w-]*(?:token|key|secret|signature|password|auth)|sig|sas)=)[^\s&#\"']+"),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"([?&#](?:code|state|nonce)=)[^\s&#\"']{16,}"), rf"\1{HIDDEN}"),  # of a login, not ?state=open
    (
        re.compile(
            r"(https://(?:hooks\.slack\.com/(?:services|workflows)|discord(?:app)?\.com/api/webhooks|"
            r"[\w.-]+\.webhook\.office\.com)/)[^\s\"'<>]+"
        ),
        rf"\1{HIDDEN}",
    ),
    # by the shape that their makers gave them
    (
        re.compile(
            r"\b((?:sk|rk|pk)_(?:live|test)_|whsec_|pypi-|dop_v1_|doo_v1_|shpat_|shpss_|lin_api_|sq0[a-z]{3}-|"
            r"glptt-|gldt-|glrt-|gl(?:pat|cbt|imt)-|gh[pousr]_|github_pat_|xapp-|xox[a-z]-|ATATT3|ya29\.|GOCSPX-|AGE-SECRET-KEY-1|hvs\.|hvb\.|"
            r"tskey-[a-z]+-|sntrys_|rubygems_|PMAK-|NRAK-|fo1_|fm2_)[A-Za-z0-9_./+=-]{8,}"
        ),
        rf"\1{HIDDEN}",
    ),
    # shorter beginnings, which names have too (npm_lifecycle_event): what follows must be one long word
    (re.compile(r"\b(npm_|hf_|r8_|secret_|ntn_|dapi|phc_|phx_|sbp_|pul-|EAAC)[A-Za-z0-9]{20,}"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b"), HIDDEN),
    (re.compile(r"\bSG\.[\w-]{16,}\.[\w-]{16,}"), HIDDEN),
    (re.compile(r"\b\d{8,10}:AA[\w-]{30,}"), HIDDEN),  # a Telegram bot
    (re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}(?:\.[\w-]*)?"), HIDDEN),
)
_LONG: Final = re.compile(r"(?<![A-Za-z0-9+_=-])[A-Za-z0-9+_=-]{28,}(?![A-Za-z0-9+_-])")
_BASE64: Final = re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{60,}={0,2}(?![A-Za-z0-9+/=])")
_KINDS: Final = (str.islower, str.isupper, str.isdigit)
_APART: Final = re.compile(r"[_-]")
SHORT: Final = 16  # characters; words of this length, joined by _ or -, are a name
CHANGES: Final = 0.42  # of neighbouring signs are of another kind: in random base 62 two thirds, in names a fifth

SLICE: Final = 20_000  # characters of each end of a text that are looked at; nobody condenses more of it
_RUN: Final = re.compile(r"\S{3000,}")  # a pattern tried at each sign of a long word would take its length squared
RUN: Final = 1_000  # characters of each end of such a word


def hide(text: str) -> str:
    """``text`` without secrets. Of a text longer than two SLICEs only both ends are kept, as of an endless word."""
    text = _KEY_BLOCK.sub(_KEY_HIDDEN, text)
    if len(text) > 2 * SLICE:
        text = f"{text[:SLICE]}\n…\n{text[-SLICE:]}"
    text = _RUN.sub(lambda run: f"{run[0][:RUN]} … {run[0][-RUN:]}", text)
    text = _without_tail_of_key(text)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    text = redact(text)
    text = _BASE64.sub(_hidden_if_random, text)
    return _LONG.sub(_hidden_if_random, text)


def _without_tail_of_key(text: str) -> str:
    """Of a key whose beginning was cut off before we saw it: all before its end that may belong to it."""
    while match := _KEY_END.search(text):
        before = text[: match.start()].rstrip(_IN_KEYS)
        text = f"{before} {_KEY_HIDDEN}{text[match.end() :]}"
    return text


_IN_KEYS: Final = string.ascii_letters + string.digits + string.whitespace + "+/=\\"


def _hidden_if_random(match: re.Match[str]) -> str:
    return HIDDEN if looks_random(match[0]) else match[0]


def looks_random(word: str) -> bool:
    """Capitals, small letters and digits mixed as no name mixes them. Commits and other hexadecimal ids are spared."""
    if max(map(len, _APART.split(word))) < SHORT:
        return False
    kinds = [next((n for n, is_kind in enumerate(_KINDS) if is_kind(sign)), len(_KINDS)) for sign in word]
    if not {0, 1, 2} <= set(kinds):
        return False
    changes = sum(left != right for left, right in itertools.pairwise(kinds))
    return changes >= CHANGES * (len(kinds) - 1)
