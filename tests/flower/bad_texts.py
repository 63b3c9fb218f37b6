"""A search for texts that hold a thread, or swell: every renderer, every filter of texts, every compiled pattern.

For seconds in the suite, for minutes in the benchmark. A text is bad when it takes more than SECONDS of CPU, or when
more comes of it than TIMES its length and MORE.
"""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from pygments.lexers import get_all_lexers

from briefs.services import specs
from core import logs, markdown, rendering
from tests.flower import patterns
from transcripts import telling
from transcripts.adapters import open_adapter
from transcripts.adapters.records import commits_in, plain
from transcripts.blanks import squeeze
from transcripts.events import Event, Kind
from transcripts.wording.hiding import hide
from worktrees import diffs

SECONDS: Final = 0.5
TRIES: Final = 3  # of a text that took longer
TIMES, MORE = 20, 64 * 1024
# Characters of a text that the patterns of a module are tried with: what its callers hand them at most, or much.
SIZES: Final = {
    "transcripts.adapters.records._AMENDING": 2_000,  # records.COMMAND
    "transcripts.commands": 4_000,
    "transcripts.segmentation": 4_000,  # a command is read to 4,000 characters; of an answer each sentence by itself
    "transcripts.wording": 10_000,
    "": 60_000,
}
ELSEWHERE: Final = ("core.render_process",)  # runs within bounds of its own
PIECES: Final = (
    "`", "``", "```", "~~~", "*", "**", "_", "__", "~~", "[", "]", "![", "](", ")", "(", "<", ">", "> ", "- ", "1. ",
    "* ", "- [ ] ", "#", "# ", "|", "|-|", "\n", "\n\n", "    ", "\t", " ", "\\", "&", "&amp;", "<a@b.c>",
    "http://a.b/", "#1 ",
    "@a ", "[a]", "[a]: /x\n", "[a](b)", "![a](b)", "---\n", "===\n", "a", "a b ", "é", "\U0001f33b",
    "{", "}", '"', "'", ";", "s{", "=", "<!--", "-->", "<x>", "/*", "*/", "%", "$", ":", "::", "x=1\n",
    "\x00", "\ud800", "\u2028", "\r",
)  # fmt: skip
LANGUAGES: Final = sorted(aliases[0] for _, aliases, _, _ in get_all_lexers() if aliases)


class Slow(BaseException):
    """More than SECONDS."""


@dataclass
class Report:
    runs: int = 0
    slowest: float = 0.0
    slowest_of: str = ""
    bad: list[str] = field(default_factory=list)


def run(seconds: float, seed: int) -> Report:
    """Search until the time is over. Call in the main thread: a timer breaks off what takes too long."""
    chance = random.Random(seed)
    report = Report()
    tried = [found for found in patterns.compiled() if not found.name.startswith(ELSEWHERE)]
    pumps = [(found, patterns.Pump(found)) for found in tried]
    chance.shuffle(pumps)
    end = time.monotonic() + seconds
    at = 0
    while time.monotonic() < end:
        found, pump = pumps[at % len(pumps)]
        at += 1
        text = _for(found, pump.text(_size(found), chance))
        _try(report, found.name, text, lambda found=found, text=text: found.apply(text))
        if at % 3 == 0:
            name = chance.choice(list(FILTERS))
            text = made(chance) if chance.random() < 0.6 else chance.choice(pumps)[1].text(40_000, chance)
            _try(report, name, text, lambda name=name, text=text: FILTERS[name](text))
    return report


def made(chance: random.Random) -> str:
    """A text of markup: some pieces in turns, after a beginning, many times; code in any language now and then."""
    size = chance.choice((2_000, 20_000, 60_000, 250_000))
    unit = "".join(chance.choices(PIECES, k=chance.randint(1, 5)))
    head = "".join(chance.choices(PIECES, k=chance.randint(0, 6)))
    if chance.random() < 0.4:
        head, size = f"```{chance.choice(LANGUAGES)}\n{head}", min(size, 30_000)
    ends = chance.choice(("", "\n", "\n\n", "".join(chance.choices(PIECES, k=3))))
    return f"{head}{unit * (size // len(unit))}{ends}"


def _for(found: patterns.Found, text: str) -> str:
    return squeeze(text) if found.name.startswith(("transcripts.segmentation", "transcripts.commands")) else text


def _size(found: patterns.Found) -> int:
    return next(size for room, size in SIZES.items() if found.name.startswith(room))


def _try(report: Report, name: str, text: str, call: Callable[[], Any]) -> None:
    report.runs += 1
    begun = time.process_time()
    extra = 0.0
    try:
        for left in reversed(range(TRIES)):
            try:
                with _timer():
                    extra = float(call() or 0) if name in RENDERERS else float(bool(call()) and 0)
                break
            except Slow:  # a text that is slow is slow each time; a collection of garbage, or a busy core, is not
                if not left:
                    raise
                begun = time.process_time()
    except Slow:
        report.bad.append(f"{name}: more than {SECONDS} CPU seconds for {len(text):,} characters: {_told(text)}")
    except Swollen as swollen:
        report.bad.append(f"{name}: {swollen} of {len(text):,} characters: {_told(text)}")
    took = time.process_time() - begun + extra
    if took > report.slowest:
        report.slowest, report.slowest_of = took, name
    if extra > SECONDS:
        report.bad.append(f"{name}: {extra:.2f} CPU seconds in its child for {len(text):,} characters: {_told(text)}")


def _told(text: str) -> str:
    return f"{text[:90]!r} … {text[-20:]!r}"


class Swollen(Exception):
    """More came of a text than may."""


def _too_slow(*_: object) -> None:
    raise Slow


@contextmanager
def _timer() -> Iterator[None]:
    before = signal.signal(signal.SIGVTALRM, _too_slow)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


# --- what texts go through --------------------------------------------------------------------------------------------


def _rendered(text: str) -> float:
    """The CPU seconds that the child took."""
    answer = rendering.render([text])[0]
    whole = len(answer.html.encode("utf-8", "replace"))
    if whole > TIMES * len(text.encode("utf-8", "replace")) + MORE:
        raise Swollen(f"{whole:,} bytes of HTML")
    return answer.seconds


def _resolved(text: str) -> None:
    names = markdown.Names({1: "A title " * 20}, {"a": ("/briefs/1/", "operator:a")})
    shown = markdown.render(text, names)
    if len(shown) > TIMES * len(text) + MORE:
        raise Swollen(f"{len(shown):,} characters of HTML")
    markdown.without_references(markdown.without_anchors(shown))


def _told_as_a_call(text: str) -> None:
    lines, half = text.replace(" ", "\n"), len(text) // 2
    for tool, given in (
        ("Edit", {"file_path": text[:300], "old_string": lines[:half], "new_string": lines[half:]}),
        ("Bash", {"command": text}),
        ("apply_patch", {"input": f"*** Begin Patch\n*** Update File: a\n{text}"}),
        ("mcp__a__b", {"x": text, "y": [len(text)] * 50}),
    ):
        telling.call(Event(1, Kind.CALL, "k", telling.orjson.dumps(_clean(given)).decode(), tool=tool))
    telling.result(Event(2, Kind.RESULT, "k", text))
    telling.error(Event(2, Kind.RESULT, "k", text))


def _clean(given: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for key, value in given.items()
    }


def _adapted(text: str) -> None:
    content = telling.orjson.dumps(text.encode("utf-8", "replace").decode()).decode()
    block = f'{{"type":"input_text","text":{content}}}'
    for program, line in (
        ("claude", f'{{"type":"user","uuid":"u","message":{{"role":"user","content":{content}}}}}'),
        (
            "codex",
            f'{{"type":"response_item","payload":{{"type":"message","role":"user","content":[{block}]}}}}',
        ),
    ):
        open_adapter(program, "x.jsonl").feed(1, line.encode())


def _compared(text: str) -> None:
    half = min(len(text) // 2, 30_000)
    specs.compare(text[:half].replace(" ", "\n"), text[-half:].replace(" ", "\n"))


RENDERERS: Final = frozenset({"markdown"})
FILTERS: Final[dict[str, Callable[[str], Any]]] = {
    "markdown": _rendered,
    "references": _resolved,
    "diff": lambda text: diffs.parse(f"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,9999 +1,9999 @@\n{text[:100_000]}"),
    "call": _told_as_a_call,
    "log": _adapted,
    "compare": _compared,
    "redact": logs.redact,
    "without_tokens": logs.without_tokens,
    "hide": hide,
    "literal": markdown.literal,
    "escape codes": plain,
    "commits": lambda text: commits_in(text, None),
}
