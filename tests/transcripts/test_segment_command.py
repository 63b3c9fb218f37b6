"""manage.py segment_transcript: one JSON object a file and line, without a database."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from flower.env import BASE_DIR

SHARED = BASE_DIR.parent / "shared" / "transcripts"
KEYS = {
    "first_line", "last_line", "title", "status", "summary", "outcome", "next_steps", "key_decisions", "open_questions",
    "started_at", "ended_at",
}  # fmt: skip


def line(**fields) -> str:
    return json.dumps(
        {"sessionId": "s1", "cwd": "/w", "timestamp": "2026-01-05T09:00:00.000Z", "version": "2.1.0", **fields}
    )


def session(path: Path) -> Path:
    """Three records of Claude Code and a tick after them that tells nothing."""
    text = [{"type": "text", "text": "The lexer drops comments before the parser sees them."}]
    path.write_text(
        "\n".join(
            [
                line(
                    type="user",
                    uuid="u1",
                    parentUuid=None,
                    message={"role": "user", "content": "does the parser keep “comments”?"},
                ),
                line(
                    type="assistant",
                    uuid="u2",
                    parentUuid="u1",
                    message={"id": "m1", "role": "assistant", "content": text},
                ),
                line(type="progress", uuid="u3", parentUuid="u2", data={"type": "hook_progress"}),
            ]
        )
        + "\n"
    )
    return path


def run(*arguments: str) -> tuple[list[dict], int]:
    out, code = StringIO(), 0
    try:
        call_command("segment_transcript", *arguments, stdout=out)
    except SystemExit as end:
        code = int(end.code or 0)
    return [json.loads(text) for text in out.getvalue().splitlines()], code


def test_segments_of_a_file_reach_to_its_last_line(tmp_path):
    path = str(session(tmp_path / "a.jsonl"))
    (answer,), code = run(path, "--json", "--no-llm")
    assert (answer["file"], code) == (path, 0)
    (only,) = answer["segments"]
    assert set(only) >= KEYS
    assert (only["first_line"], only["last_line"], only["status"]) == (1, 3, "done")
    assert only["title"] == "does the parser keep “comments”?"
    assert only["started_at"] == "2026-01-05T09:00:00+00:00"


def test_a_file_that_cannot_be_read_gets_a_sentence_and_the_others_go_on(tmp_path):
    broken = tmp_path / "broken.jsonl"
    broken.write_text("this is\nno transcript\n")
    answers, code = run(
        str(tmp_path / "missing.jsonl"), str(broken), str(tmp_path), str(session(tmp_path / "a.jsonl")), "--json"
    )
    assert code == 1
    assert [("error" in answer, "segments" in answer) for answer in answers] == [(True, False)] * 3 + [(False, True)]


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the public transcripts beside this checkout")
def test_public_transcripts_are_tiled_and_worded():
    answers, _ = run(
        *sorted(str(path) for path in SHARED.glob("c*/*.jsonl") if path.stat().st_size < 1_000_000), "--json"
    )
    outlines = [answer["segments"] for answer in answers if answer.get("segments")]
    assert len(outlines) > 12
    short = total = 0
    for segments in outlines:
        assert [one["first_line"] for one in segments] == [1, *(one["last_line"] + 1 for one in segments[:-1])]
        titles = [one["title"] for one in segments]
        assert len(set(titles)) == len(titles)
        assert all(title and len(title) <= 160 for title in titles)
        short += sum(len(title.split()) >= 3 and len(title) <= 80 for title in titles)
        total += len(titles)
    assert short >= 0.9 * total
