"""From a line in an agent's log to the segment page in a browser: how long a person waits to see it.

A log of 500 steps, or of 250 MB, is known to a running flower, and its outline is open in Chromium. Each round appends
what a program writes at once (a prompt, an answer, a call with its result) and looks at the clock when the page's last
segment ends with the newest event: the watch has read the log, the worker has cut it anew, the socket has told, the
page has asked. Page and log are on one machine and one clock. The figure is the 95th percentile, beside nothing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from bench import board, ingest, segmenting
from bench.pairs import Spread
from bench.report import Row
from bench.system import System, running

STEPS = 500
ROUNDS = 40
LARGE = 250  # MB
LIMIT = 1.5  # seconds, of the 95th percentile
PATIENCE = 20.0
PAUSE = 0.25  # seconds between two rounds: an agent thinks
SEES = """() => {
    const last = () => Number(document.querySelector("[data-last] footer a.num").title.match(/to e(\\d+)/)[1]);
    window.seen = [[last(), Date.now()]];
    new MutationObserver(() => {
        const now = last();
        if (now !== window.seen.at(-1)[0]) window.seen.push([now, Date.now()]);
    }).observe(document.body, {subtree: true, childList: true, attributes: true});
}"""


def measure(steps: int = STEPS, rounds: int = ROUNDS, megabytes: int = LARGE) -> list[Row]:
    chromium = os.environ.get("FLOWER_CHROMIUM") or shutil.which("chromium")
    if not chromium:
        raise RuntimeError("there is no Chromium on PATH or in FLOWER_CHROMIUM")
    with running() as system, sync_playwright() as playwright:
        system.command("project_add", str(board.repository(system.home / "repo", 1)), "--slug", "bench")
        folder = system.home / "transcripts" / "projects" / "-srv-garden"
        small, large = folder / "bench.jsonl", folder / f"{ingest.SESSION}.jsonl"
        folder.mkdir(parents=True)
        small.write_text("".join(f"{json.dumps(record)}\n" for record in segmenting.records(steps)))
        ingest.write(large, megabytes)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        try:
            page = browser.new_page(base_url=f"http://127.0.0.1:{system.port}")
            page.goto(system.login)
            found = [_watched(system, page, log, rounds) for log in (small, large)]
        finally:
            browser.close()
    named = (("review-live", f"{steps} steps"), ("review-large", f"{megabytes} MB"))
    return [_row(name, size, seconds) for (name, size), seconds in zip(named, found, strict=True)]


def _row(name: str, size: str, seconds: list[float]) -> Row:
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, round(len(ordered) * 0.95))]
    return Row(
        name,
        f"a line in a log of {size} to the segment page in Chromium, p95",
        f"p50 {ordered[len(ordered) // 2]:.2f} s, p95 {p95:.2f} s",
        "",
        Spread(ordered[0], p95, ordered[-1], len(ordered)),
        LIMIT,
        unit="s",
        details={"seconds": [round(each, 3) for each in seconds]},
    )


def _watched(system: System, page: Page, log: Path, rounds: int) -> list[float]:
    """Let flower read the log and follow it, and open its outline; then write to it."""
    told = json.loads(system.command("ingest_transcripts", str(log), "--project", "bench"))
    page.goto(f"/sessions/{told['session']}/segments/")
    return _rounds(page, log, rounds)


def _rounds(page: Page, log: Path, rounds: int) -> list[float]:
    page.evaluate(SEES)
    seconds = []
    writer = segmenting.Log(log.stem)
    writer.count = 100_000  # its ids are nobody else's
    for number in range(-2, rounds):
        (shown, _) = page.evaluate("window.seen.at(-1)")
        records = [
            writer.user(f"And now the part number {number} of the garden, please"),
            writer.assistant([{"type": "text", "text": f"I look at part {number} of the garden."}]),
            *writer.call("Read", {"file_path": f"/srv/garden/part{number}.py"}, "x = 1\n" * 40),
        ]
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")  # or nobody is at work
        lines = "".join(f"{json.dumps(record | {'timestamp': now})}\n" for record in records)
        written = time.time()
        with log.open("a") as file:
            file.write(lines)
        took = _until_seen(page, shown + len(records), written)
        if number >= 0:
            seconds.append(took)
        time.sleep(PAUSE)
    return seconds


def _until_seen(page: Page, count: int, written: float) -> float:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        seen = page.evaluate("window.seen")
        if at := next((at for events, at in seen if events >= count), None):
            return at / 1000 - written
        time.sleep(0.02)
    said = re.sub(r"\s+", " ", page.inner_text("main"))[:300]
    raise RuntimeError(f"the page did not show event {count} in {PATIENCE:g} s: {said}")
