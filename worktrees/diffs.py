"""A unified diff, as git writes it, taken apart for pages: files, hunks, numbered lines. Pure: no git, no models.

What comes in was written by anybody: any bytes parse, nothing raises, and what is kept is bounded. Beyond the bounds
lines are still counted, and `cut` says that they are not shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

# Begins the last line of a diff that was cut. "\" marks a remark, as in "\ No newline at end of file".
CUT = "\\ diff cut"

Kind = Literal["context", "added", "deleted"]
Status = Literal["added", "deleted", "modified", "renamed", "copied", "mode"]

_HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@ ?(.*)", re.DOTALL)
_KINDS: dict[str, Kind] = {" ": "context", "+": "added", "-": "deleted", "": "context"}
_ESCAPES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}
_ESCAPE = re.compile(r'\\([0-7]{3}|[abtnvfr"\\])')


@dataclass(slots=True)
class Line:
    """One line. `old` and `new` are its numbers on either side (None: not on that side); `text` has no marker."""

    kind: Kind
    old: int | None
    new: int | None
    text: str
    cut: bool = False
    no_newline: bool = False


@dataclass(slots=True)
class Hunk:
    """One run of changes. `heading` is the function or section that git names after the second @@."""

    old_start: int
    old_count: int
    new_start: int
    new_count: int
    heading: str
    lines: list[Line] = field(default_factory=list)


@dataclass(slots=True)
class File:
    """One file. `old_path` differs from `path` for renames and copies; modes are git's ("100755") where known."""

    path: str
    old_path: str
    status: Status = "modified"
    old_mode: str | None = None
    new_mode: str | None = None
    binary: bool = False
    hunks: list[Hunk] = field(default_factory=list)
    added: int = 0
    deleted: int = 0
    cut: bool = False

    @property
    def mode_changed(self) -> bool:
        """Whether both modes are known and differ: e.g. it became executable."""
        return self.old_mode is not None and self.new_mode is not None and self.old_mode != self.new_mode


@dataclass(slots=True)
class Diff:
    """A whole diff. `cut`: not everything is here; `added`, `deleted` and `total_files` count what was read."""

    files: list[File] = field(default_factory=list)
    total_files: int = 0
    added: int = 0
    deleted: int = 0
    cut: bool = False


def parse(diff: str | bytes, *, max_files: int = 500, max_lines: int = 20_000, max_line_length: int = 2_000) -> Diff:
    """Take a diff apart. Keeps at most `max_files` files, `max_lines` lines in all, and so many characters a line."""
    text = diff.decode("utf-8", "replace") if isinstance(diff, bytes) else diff
    return _Parser(max_files, max_lines, max_line_length).read(text)


class _Parser:
    def __init__(self, max_files: int, max_lines: int, max_line_length: int) -> None:
        self.diff = Diff()
        self.max_files = max_files
        self.lines_left = max_lines
        self.max_line_length = max_line_length
        self.file: File | None = None
        self.hunk: Hunk | None = None
        self.last: Line | None = None
        self.old = self.new = self.old_left = self.new_left = 0

    def read(self, text: str) -> Diff:
        # Only "\n" ends a line: splitlines() would also cut at form feeds and U+2028 inside the text.
        lines = text.split("\n")
        if lines[-1] == "":
            lines.pop()
        for at, line in enumerate(lines):
            if line.startswith(CUT):
                self.diff.cut = True
                if self.file:
                    self.file.cut = True
            elif self.old_left > 0 or self.new_left > 0:
                self._in_hunk(line)
            elif line.startswith("\\"):
                if self.last:
                    self.last.no_newline = True
            else:
                self._header(line, lines[at + 1] if at + 1 < len(lines) else "")
        return self.diff

    def _in_hunk(self, line: str) -> None:
        """A line of the hunk that is open: the header's counts say where it ends, so "--- x" can be content."""
        if line.startswith("\\"):
            if self.last:
                self.last.no_newline = True
            return
        kind = _KINDS.get(line[:1])
        if kind is None:  # the counts lied: leave the hunk
            self.old_left = self.new_left = 0
            self._header(line, "")
            return
        assert self.file and self.hunk
        old = new = None
        if kind != "added":
            old, self.old, self.old_left = self.old, self.old + 1, self.old_left - 1
        if kind != "deleted":
            new, self.new, self.new_left = self.new, self.new + 1, self.new_left - 1
        if kind == "added":
            self.file.added += 1
            self.diff.added += 1
        elif kind == "deleted":
            self.file.deleted += 1
            self.diff.deleted += 1
        self.last = None
        if self.lines_left <= 0:
            self.file.cut = self.diff.cut = True
            return
        self.lines_left -= 1
        text = line[1:]
        self.last = Line(kind, old, new, text[: self.max_line_length], cut=len(text) > self.max_line_length)
        self.hunk.lines.append(self.last)

    def _header(self, line: str, following: str) -> None:
        if line.startswith("diff --git "):
            old, new = _both_names(line.removeprefix("diff --git "))
            self._start(File(path=new, old_path=old))
        elif line.startswith(("diff --cc ", "diff --combined ")):
            name = _unquoted(line.split(" ", 2)[2])
            self._start(File(path=name, old_path=name))
        elif line.startswith("--- ") and following.startswith("+++ ") and (not self.file or self.file.hunks):
            self._start(File(path="", old_path=""))  # a plain diff, without git's headers
            self._about_file(line)
        elif self.file and (found := _HUNK.match(line)):
            self._open(found)
        elif self.file and not self.file.hunks:
            self._about_file(line)

    def _start(self, file: File) -> None:
        self.file, self.hunk, self.last = file, None, None
        self.diff.total_files += 1
        if len(self.diff.files) < self.max_files:
            self.diff.files.append(file)
        else:
            self.diff.cut = True

    def _open(self, found: re.Match[str]) -> None:
        assert self.file
        old_start, new_start = int(found[1]), int(found[3])
        old_count, new_count = int(found[2] or "1"), int(found[4] or "1")
        self.old, self.new, self.old_left, self.new_left = old_start, new_start, old_count, new_count
        self.hunk = Hunk(old_start, old_count, new_start, new_count, found[5][: self.max_line_length])
        self.last = None
        if self.lines_left > 0:
            self.file.hunks.append(self.hunk)
        else:
            self.file.cut = self.diff.cut = True

    def _about_file(self, line: str) -> None:
        """One of git's lines between "diff --git" and the first hunk."""
        file = self.file
        assert file
        word, _, rest = line.partition(" ")
        if word == "---":
            if (name := _one_name(rest)) is not None:
                file.old_path = name
                file.path = file.path or name
        elif word == "+++":
            if (name := _one_name(rest)) is not None:
                file.path = name
                file.old_path = file.old_path or name
            else:
                file.status = "deleted"
            if not file.old_path:
                file.old_path = file.path
        elif line.startswith("new file mode "):
            file.status, file.new_mode = "added", _word(line)
        elif line.startswith("deleted file mode "):
            file.status, file.old_mode = "deleted", _word(line)
        elif line.startswith("old mode "):
            file.old_mode = _word(line)
        elif line.startswith("new mode "):
            file.new_mode = _word(line)
            if file.status == "modified":
                file.status = "mode"
        elif line.startswith(("rename from ", "copy from ")):
            file.status = "renamed" if word == "rename" else "copied"
            file.old_path = _unquoted(line.split(" ", 2)[2])
        elif line.startswith(("rename to ", "copy to ")):
            file.path = _unquoted(line.split(" ", 2)[2])
        elif line.startswith(("Binary files ", "GIT binary patch")):
            file.binary = True
        # A mode change together with a change of content is a modification that also changed the mode.
        content = line.startswith(("index ", "--- ", "Binary files ", "GIT binary patch"))
        if file.status == "mode" and content:
            file.status = "modified"


def _word(line: str) -> str:
    return line.rsplit(" ", 1)[1].strip()


def _one_name(written: str) -> str | None:
    """The path of a "---" or "+++" line; None for /dev/null."""
    if not written.startswith('"'):
        written = written.split("\t", 1)[0]  # git ends a name that has spaces with a tab; diff -u adds a time
    name = _unquoted(written)
    if name == "/dev/null":
        return None
    return name[2:] if name.startswith(("a/", "b/")) else name


def _both_names(written: str) -> tuple[str, str]:
    """The two names of a "diff --git" line.

    Unquoted names are not separated clearly ("a/x b/y b/x b/y"). They only matter where no other line names the
    file, and there both are the same: so the middle is taken.
    """
    if written.startswith('"'):
        closing = re.search(r'(?<!\\)(?:\\\\)*"', written[1:])
        end = closing.end() + 1 if closing else len(written)
        old, new = written[:end], written[end + 1 :]
    elif written.endswith('"') and ' "' in written:
        old, _, rest = written.partition(' "')
        new = '"' + rest
    else:
        middle = len(written) // 2
        old, new = written[:middle], written[middle + 1 :]
        if old[2:] != new[2:]:
            old, _, rest = written.partition(" b/")
            new = f"b/{rest}"
    return _one_name(old) or old, _one_name(new) or new


def _unquoted(name: str) -> str:
    """A name as git wrote it; C-quoted ones ("caf\\303\\251") are read, bad UTF-8 is replaced."""
    if not (len(name) >= 2 and name.startswith('"') and name.endswith('"')):
        return name
    parts: list[bytes] = []
    at = 0
    inner = name[1:-1]
    for escape in _ESCAPE.finditer(inner):
        parts.append(inner[at : escape.start()].encode("utf-8", "surrogateescape"))
        code = escape[1]
        parts.append(bytes([_ESCAPES[code] if code in _ESCAPES else int(code, 8) & 0xFF]))
        at = escape.end()
    parts.append(inner[at:].encode("utf-8", "surrogateescape"))
    return b"".join(parts).decode("utf-8", "replace")
