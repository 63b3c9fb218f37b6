"""What a tool call and its result say to a reader: one line, a diff, the first lines. Pure presentation.

What comes in was written by a model: any arguments are told somehow, nothing raises, and what is kept is bounded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import Any, Final

import orjson

from transcripts import paths
from transcripts.events import Event, Status

LINE: Final = 160  # characters of a summary
DIFF_LINES: Final = 300  # shown of one call; the rest is counted
COMPARED: Final = 250_000  # old lines x new lines that are compared; more are told as replaced
PAIRS: Final = 10_000  # of equal lines among them: difflib looks at each up to as often as there are lines
COMPARED_IN_ALL: Final = 1_000_000  # the same product, of all edits of one call
CONTEXT: Final = 3
RESULT_LINES: Final = 40
RESULT_CHARACTERS: Final = 6_000
FIRST_LINES: Final = 6  # of an error

Given = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """``kind``: context, added, deleted or gap."""

    kind: str
    text: str

    @property
    def sign(self) -> str:
        return {"added": "+", "deleted": "−"}.get(self.kind, " ")


@dataclass(slots=True)
class Diff:
    """Changes of one file."""

    path: str
    status: str = ""  # added, deleted, moved; empty: changed
    lines: list[Line] = field(default_factory=list)
    added: int = 0
    deleted: int = 0
    left_out: int = 0
    compared: int = 0  # old lines x new lines

    def keep(self, kind: str, text: str) -> None:
        self.added += kind == "added"
        self.deleted += kind == "deleted"
        if len(self.lines) < DIFF_LINES:
            self.lines.append(Line(kind, text[:2000]))
        else:
            self.left_out += 1


@dataclass(slots=True)
class Told:
    """A call as its reader sees it. ``line`` is one line; the others stand under it when it is unfolded."""

    tool: str
    line: str = ""
    aside: str = ""  # what the agent itself says of the call
    is_code: bool = True  # the line: a command, a path, a pattern
    command: str = ""
    diffs: list[Diff] = field(default_factory=list)
    text: str = ""  # in markdown: a plan, the orders of a sub-agent
    todos: list[tuple[str, str]] = field(default_factory=list)  # status, text
    given: list[tuple[str, str]] = field(default_factory=list)  # name, value: what is told no better way

    @property
    def added(self) -> int:
        return sum(diff.added for diff in self.diffs)

    @property
    def deleted(self) -> int:
        return sum(diff.deleted for diff in self.diffs)


@dataclass(frozen=True, slots=True)
class Shown:
    """A result's text, cut for the page. ``lines``: how many it has as a whole."""

    first: str  # its first line with words
    text: str
    lines: int
    is_cut: bool
    characters: int


def call(event: Event, cwd: str = "") -> Told:
    """One call. Paths within ``cwd`` are told relative to it."""
    given = arguments(event.text)
    name = event.tool or "tool"
    near = Near(cwd)
    if tell := _TELLERS.get(name.casefold()):
        told = tell(name, given, near)
    elif event.command:
        told = _shell(name, {"command": event.command}, near)
    else:
        told = _any(name, given, near)
    if event.command and not told.command:
        told.command = event.command
        told.line = told.line or one_line(event.command, LINE)
    told.aside = told.aside or one_line(str(event.data.get("description") or ""), LINE)
    if event.todos:
        told.todos = [(str(todo.status), todo.text) for todo in event.todos]
        told.line, told.is_code = _progress(event), False
        told.given = []
    if not told.line and not told.diffs and event.text not in ("", "{}", "null"):
        told.line = one_line(event.text, LINE)
    if told.line == told.aside:
        told.aside = ""
    return told


def result(event: Event) -> Shown:
    shown = clipped(_bare(event.text), RESULT_LINES, RESULT_CHARACTERS)
    if event.tool.casefold() in _FILES:  # how a file begins says nothing of it
        return replace(shown, first="")
    return shown


def error(event: Event) -> Shown:
    """The first lines of what went wrong: they stand on the page unfolded."""
    return clipped(_TAGS.sub("", _bare(event.text)).strip("\n"), FIRST_LINES, 900)


def _bare(text: str) -> str:
    """What a program wrote, without what Codex says of its run before it."""
    if text.startswith(("Chunk ID:", "Exit code:", "Wall time:")):
        head, marked, output = text.partition("\nOutput:\n")
        if marked and len(head) < 400:
            return output
    return text


def clipped(text: str, lines: int, characters: int) -> Shown:
    kept = text[:characters].split("\n")
    shown = "\n".join(kept[:lines])
    count = text.count("\n") + 1 - text.endswith("\n") if text else 0
    first = next((line.strip() for line in kept if line.strip()), "")
    return Shown(one_line(first, LINE), shown, count, len(shown) < len(text.rstrip("\n")), len(text))


def one_line(text: str, most: int) -> str:
    line = " ".join(text[: most * 4].split())
    return line if len(line) <= most and len(text) <= most * 4 else f"{line[: most - 1]}…"


def arguments(text: str) -> Given:
    """The arguments of a call; those that are no object are told under ``input``."""
    try:
        value = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        value = text
    if isinstance(value, dict):
        return value
    return {"input": value} if value not in ("", None) else {}


class Near:
    """Paths as somebody says them who stands in a folder."""

    def __init__(self, cwd: str) -> None:
        self.cwd = cwd

    def __call__(self, path: Any) -> str:
        return paths.below(_text(path), self.cwd)


# --- each tool --------------------------------------------------------------------------------------------------------

_FILES: Final = frozenset({"read", "notebookread"})
_TAGS: Final = re.compile(r"</?(?:tool_use_error|error|system-reminder)>")


def _shell(name: str, given: Given, near: Near) -> Told:
    command = given.get("command", given.get("cmd", ""))
    words = " ".join(map(str, command)) if isinstance(command, list) else _text(command)
    told = Told(name, one_line(words, LINE), command=words)
    if "*** Begin Patch" in words:
        told.diffs = patched(words, near)
        told.line = _files(told.diffs)
    return told


def _read(name: str, given: Given, near: Near) -> Told:
    path = near(given.get("file_path") or given.get("notebook_path") or given.get("path"))
    first, count = given.get("offset"), given.get("limit")
    if isinstance(first, int) or isinstance(count, int):
        begin = first if isinstance(first, int) else 1
        path += f":{begin}" + (f"–{begin + count - 1}" if isinstance(count, int) else "")
    return Told(name, one_line(path, LINE))


def _edit(name: str, given: Given, near: Near) -> Told:
    path = near(given.get("file_path"))
    edits = given.get("edits") if isinstance(given.get("edits"), list) else [given]
    diff = Diff(path)
    for number, each in enumerate(edits or []):
        if isinstance(each, dict):
            if number:
                diff.keep("gap", "")
            _compare(diff, _text(each.get("old_string")), _text(each.get("new_string")))
    told = Told(name, one_line(path, LINE), diffs=[diff])
    if any(isinstance(each, dict) and each.get("replace_all") for each in edits or []):
        told.aside = "everywhere in the file"
    return told


def _write(name: str, given: Given, near: Near) -> Told:
    path = near(given.get("file_path") or given.get("path"))
    diff = Diff(path, "added")
    for line in _lines(_text(given.get("content"))):
        diff.keep("added", line)
    return Told(name, one_line(path, LINE), diffs=[diff])


def _notebook(name: str, given: Given, near: Near) -> Told:
    path = near(given.get("notebook_path"))
    diff = Diff(path)
    for line in _lines(_text(given.get("new_source"))):
        diff.keep("added", line)
    return Told(name, one_line(path, LINE), aside=_text(given.get("edit_mode")), diffs=[diff])


def _apply(name: str, given: Given, near: Near) -> Told:
    diffs = patched(_text(given.get("input") or given.get("patch")), near)
    return Told(name, _files(diffs), diffs=diffs)


def _search(name: str, given: Given, near: Near) -> Told:
    words = _text(given.get("pattern") or given.get("query") or given.get("q"))
    where = near(given.get("path")).removeprefix(".") or _text(given.get("glob"))
    return Told(name, one_line(f"{words} in {where}" if where else words, LINE))


def _fetch(name: str, given: Given, near: Near) -> Told:
    told = Told(name, one_line(_text(given.get("url")), LINE))
    told.given = _others(given, {"url"})
    return told


def _helper(name: str, given: Given, near: Near) -> Told:
    kind = _text(given.get("subagent_type") or given.get("agent_type"))
    words = one_line(_text(given.get("description") or given.get("prompt") or given.get("message")), LINE)
    orders = _text(given.get("prompt") or given.get("message"))
    return Told(name, words, aside=kind, is_code=False, text=orders)


def _plan(name: str, given: Given, near: Near) -> Told:
    plan = _text(given.get("plan"))
    return Told(name, one_line(plan.lstrip("# "), LINE), is_code=False, text=plan)


def _ask(name: str, given: Given, near: Near) -> Told:
    rows = given.get("questions")
    asked = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    text = "\n\n".join(
        f"**{_text(row.get('question'))}**\n"
        + "\n".join(
            f"- {_text(one.get('label'))}: {_text(one.get('description'))}"
            for one in row.get("options") or ()
            if isinstance(one, dict)
        )
        for row in asked
        if isinstance(row.get("options") or [], list)
    )
    return Told(name, one_line(" · ".join(_text(row.get("question")) for row in asked), LINE), is_code=False, text=text)


def _said(name: str, given: Given, near: Near) -> Told:
    """A tool whose one argument says it all."""
    names = ("skill", "command", "subject", "bash_id", "shell_id", "task_id", "taskId", "session_id", "path")
    word = next((given[each] for each in names if given.get(each) not in (None, "")), "")
    words = word if isinstance(word, str) else str(word)
    return Told(name, one_line(words, LINE), one_line(_text(given.get("args")), 60), given=_others(given, set()))


def _keys(name: str, given: Given, near: Near) -> Told:
    """What is typed into a program that runs; often nothing, to see what it has written."""
    typed = _text(given.get("chars"))
    return Told(
        name, one_line(typed, LINE) or "waits for output", is_code=bool(typed.strip()), given=_others(given, set())
    )


def _any(name: str, given: Given, near: Near) -> Told:
    server, tool = "", name
    if name.startswith("mcp__"):
        _, server, tool = [*name.split("__", 2), ""][:3]
    told = Told(f"{server} · {tool}" if server else name, given=_others(given, set()))
    texts = [f"{key}: {one_line(_value(value), 60)}" for key, value in list(given.items())[:4]]
    told.line = one_line(texts[0].split(": ", 1)[1] if len(given) == 1 else " · ".join(texts), LINE) if texts else ""
    told.is_code = False
    return told


_TELLERS: Final[dict[str, Callable[[str, Given, Near], Told]]] = {
    **dict.fromkeys(("bash", "shell", "exec_command", "local_shell", "shell_command"), _shell),
    **dict.fromkeys(("read", "notebookread", "ls", "view_image"), _read),
    **dict.fromkeys(("edit", "multiedit"), _edit),
    **dict.fromkeys(("grep", "glob", "websearch", "web_search", "tool_search", "toolsearch"), _search),
    **dict.fromkeys(("task", "agent", "spawn_agent"), _helper),
    **dict.fromkeys(
        ("skill", "slashcommand", "taskcreate", "taskupdate", "taskoutput", "bashoutput", "killbash", "killshell"),
        _said,
    ),
    "write": _write,
    "write_stdin": _keys,
    "notebookedit": _notebook,
    "apply_patch": _apply,
    "webfetch": _fetch,
    "exitplanmode": _plan,
    "askuserquestion": _ask,
}  # fmt: skip


def _progress(event: Event) -> str:
    """Of the agent's own list: how far it is, and what it is at."""
    done = sum(todo.status == Status.DONE for todo in event.todos)
    active = next((todo.text for todo in event.todos if todo.status == Status.ACTIVE), "")
    told = f"{done} of {len(event.todos)} done"
    return one_line(f"{told} · {active}" if active else told, LINE)


def _files(diffs: list[Diff]) -> str:
    names = [diff.path for diff in diffs]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return one_line(", ".join(names[:3]), LINE - len(more)) + more


def _others(given: Given, told: set[str]) -> list[tuple[str, str]]:
    return [(str(key), _value(value)[:20_000]) for key, value in given.items() if key not in told][:40]


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value, option=orjson.OPT_INDENT_2 if len(str(value)) > 80 else 0).decode()
    except orjson.JSONEncodeError:
        return str(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


# --- diffs ------------------------------------------------------------------------------------------------------------


def _compare(diff: Diff, old: str, new: str) -> None:
    before, after = _lines(old), _lines(new)
    for tag, a, b, c, d in _changes(diff, before, after):
        if tag == "equal":
            _quiet(diff, before[a:b], is_head=a == 0, is_tail=b == len(before))
            continue
        for line in before[a:b]:
            diff.keep("deleted", line)
        for line in after[c:d]:
            diff.keep("added", line)


def _changes(diff: Diff, before: list[str], after: list[str]) -> list[tuple[str, int, int, int, int]]:
    head = 0
    while head < min(len(before), len(after)) and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < min(len(before), len(after)) - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    a, b = len(before) - tail, len(after) - tail
    size = (a - head) * (b - head)
    diff.compared += size
    if size <= COMPARED and diff.compared <= COMPARED_IN_ALL and _pairs(before[head:a], after[head:b]) <= PAIRS:
        middle = SequenceMatcher(None, before[head:a], after[head:b], autojunk=False).get_opcodes()
        inner = [(str(tag), i + head, j + head, k + head, m + head) for tag, i, j, k, m in middle]
    else:
        inner = [("replace", head, a, head, b)]
    ends = [("equal", 0, head, 0, head)] if head else []
    return [*ends, *inner, *([("equal", a, len(before), b, len(after))] if tail else [])]


def _pairs(before: list[str], after: list[str]) -> int:
    there = Counter(after)
    return sum(count * there[line] for line, count in Counter(before).items())


def _quiet(diff: Diff, lines: list[str], *, is_head: bool, is_tail: bool) -> None:
    """What is the same on both sides: the lines next to a change, and a gap for the others."""
    head, tail = (0 if is_head else CONTEXT), (0 if is_tail else CONTEXT)
    if len(lines) <= head + tail + 1:
        head, tail = len(lines), 0
    for line in lines[:head]:
        diff.keep("context", line)
    if len(lines) > head + tail:
        diff.keep("gap", "")
    for line in lines[len(lines) - tail :]:
        diff.keep("context", line)


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


_FILE: Final = re.compile(r"\*\*\* (Add|Update|Delete) File: (.+)")
_STATUS: Final = {"Add": "added", "Delete": "deleted", "Update": ""}
_KINDS: Final = {"+": "added", "-": "deleted", " ": "context"}


def patched(patch: str, near: Near) -> list[Diff]:
    """The files of an ``apply_patch``."""
    return list(_patched(patch, near))[:200]


def _patched(patch: str, near: Near) -> Iterator[Diff]:
    diff: Diff | None = None
    for line in patch.split("\n"):
        if found := _FILE.match(line):
            if diff:
                yield diff
            diff = Diff(near(found[2].strip()), _STATUS[found[1]])
        elif line.startswith("*** "):
            if diff and line.startswith("*** Move to: "):
                diff.path, diff.status = f"{diff.path} → {near(line[13:].strip())}", "moved"
            elif diff and line.startswith("*** End Patch"):
                break
        elif diff and line.startswith("@@"):
            if diff.lines:
                diff.keep("gap", line[2:].strip(" @"))
        elif diff:
            kind = _KINDS.get(line[:1])
            diff.keep(kind or "context", line[1:] if kind else line)
    if diff:
        yield diff
