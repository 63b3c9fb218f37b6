"""One line for any call, a diff for any change, and nothing that a model writes breaks it."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcripts import telling
from transcripts.events import Event, Kind, Status, Todo


def call(tool: str, given: object, **fields) -> telling.Told:
    text = given if isinstance(given, str) else json.dumps(given)
    return telling.call(Event(1, Kind.CALL, "k", text, tool=tool, **fields), "/srv/app")


def result(text: str, **fields) -> Event:
    return Event(1, Kind.RESULT, "k", text, **fields)


@pytest.mark.parametrize(
    ("tool", "given", "line"),
    [
        ("Bash", {"command": "git status"}, "git status"),
        ("Bash", {"command": "git add .\ngit commit"}, "git add . git commit"),
        ("Read", {"file_path": "/srv/app/core/live.py"}, "core/live.py"),
        ("Read", {"file_path": "/etc/hosts", "offset": 30, "limit": 20}, "/etc/hosts:30–49"),
        ("Grep", {"pattern": "def publish", "path": "/srv/app/flower"}, "def publish in flower"),
        ("Glob", {"pattern": "**/*.py", "path": "/srv/app"}, "**/*.py"),
        ("WebFetch", {"url": "https://example.org/", "prompt": "x"}, "https://example.org/"),
        ("Task", {"description": "Look around", "prompt": "Look"}, "Look around"),
        ("exec_command", {"cmd": "rg --files"}, "rg --files"),
        ("shell", {"command": ["bash", "-lc", "ls"]}, "bash -lc ls"),
        ("write_stdin", {"session_id": 4, "chars": ""}, "waits for output"),
        ("ExitPlanMode", {"plan": "# The plan\n\n1. Do"}, "The plan 1. Do"),
        ("mcp__flower__recall_brief", {"brief": 12}, "12"),
        ("unheard_of", {"a": 1, "b": "two"}, "a: 1 · b: two"),
        ("unheard_of", "[1, 2", "[1, 2"),
    ],
)
def test_a_call_is_one_line(tool, given, line):
    assert call(tool, given).line == line


def test_an_mcp_tool_is_named_with_its_server():
    assert call("mcp__flower__recall_brief", {"brief": 1}).tool == "flower · recall_brief"


def test_an_edit_is_a_diff_with_its_counts():
    old = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\n"
    told = call("Edit", {"file_path": "/srv/app/a.py", "old_string": old, "new_string": old.replace("five", "FIVE\n5")})
    (diff,) = told.diffs
    assert (told.line, told.added, told.deleted, diff.path) == ("a.py", 2, 1, "a.py")
    assert [(line.kind, line.text) for line in diff.lines] == [
        ("context", "one"), ("context", "two"), ("context", "three"), ("context", "four"),
        ("deleted", "five"), ("added", "FIVE"), ("added", "5"),
        ("context", "six"), ("context", "seven"), ("context", "eight"), ("context", "nine"),
    ]  # fmt: skip


def test_what_is_far_from_a_change_is_a_gap():
    old = "\n".join(f"line {number}" for number in range(40))
    (diff,) = call("Edit", {"file_path": "a", "old_string": old, "new_string": old.replace("line 20", "changed")}).diffs
    kinds = [line.kind for line in diff.lines]
    assert kinds == ["gap", *["context"] * 3, "deleted", "added", *["context"] * 3, "gap"]


def test_edits_of_one_call_are_one_diff():
    edits = [{"old_string": "a", "new_string": "b"}, {"old_string": "c\nd", "new_string": ""}]
    told = call("MultiEdit", {"file_path": "x.py", "edits": edits})
    assert (told.added, told.deleted) == (1, 3)


def test_a_patch_is_a_diff_for_each_file():
    patch = (
        "*** Begin Patch\n*** Update File: /srv/app/a.py\n@@ def f():\n-    return 1\n+    return 2\n"
        "*** Add File: b.txt\n+new\n*** Delete File: c.txt\n*** End Patch\n"
    )
    told = call("apply_patch", {"input": patch})
    assert told.line == "a.py, b.txt, c.txt"
    assert [(diff.status, diff.added, diff.deleted) for diff in told.diffs] == [
        ("", 1, 1),
        ("added", 1, 0),
        ("deleted", 0, 0),
    ]
    assert call("exec_command", {"cmd": f"apply_patch <<'EOF'\n{patch}EOF"}).diffs[0].path == "a.py"


def test_a_list_of_things_to_do_says_how_far_it_is():
    todos = (Todo("Read", Status.DONE), Todo("Write", Status.ACTIVE), Todo("Test", Status.PENDING))
    told = call("TodoWrite", {"todos": []}, todos=todos)
    assert told.line == "1 of 3 done · Write"
    assert told.todos[0] == ("done", "Read")


def test_a_large_write_is_cut_and_counted():
    told = call("Write", {"file_path": "a", "content": "x\n" * 5000})
    assert (told.added, len(told.diffs[0].lines), told.diffs[0].left_out) == (5000, telling.DIFF_LINES, 4700)


def test_two_large_texts_are_compared_in_bounded_time():
    old, new = "\n".join(["a", "b"] * 4000), "\n".join(["b", "c"] * 4000)
    begun = time.monotonic()
    told = call("Edit", {"file_path": "a", "old_string": old, "new_string": new})
    assert time.monotonic() - begun < 2
    assert told.added == told.deleted == 8000


def test_a_result_is_clipped_and_says_its_size():
    shown = telling.result(result("\n".join(f"line {number}" for number in range(200))))
    assert (shown.first, shown.lines, shown.is_cut, shown.text.count("\n") + 1) == ("line 0", 200, True, 40)
    assert not telling.result(result("one\ntwo\n")).is_cut


def test_what_codex_says_before_an_output_is_left_out():
    text = "Chunk ID: 1\nWall time: 0.1 seconds\nProcess exited with code 0\nOutput:\nhello\n"
    assert telling.result(result(text, tool="exec_command")).first == "hello"


def test_an_error_shows_its_first_lines():
    shown = telling.error(result("<tool_use_error>File has not been read yet.</tool_use_error>", is_error=True))
    assert shown.text == "File has not been read yet."


KEYS = ["file_path", "edits", "command", "questions", "options", "plan", "input", "todos", "offset"]
KEYS += ["old_string", "new_string", "pattern", "limit", "x"]
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=8,
)
TOOLS = ["Bash", "Read", "Edit", "MultiEdit", "Write", "apply_patch", "Task", "AskUserQuestion", "ExitPlanMode", "Grep",
         "write_stdin", "TodoWrite", "NotebookEdit", "mcp__", "mcp__a", ""]  # fmt: skip


@given(st.sampled_from(TOOLS), ANY)
def test_any_arguments_are_told(tool, arguments):
    told = call(tool, arguments)
    assert "\n" not in told.line and len(told.line) <= 400
