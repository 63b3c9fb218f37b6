"""Nobody's text holds a thread: rendering ends in time and within bounds of size, and a bad text harms only itself."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import psutil
import pytest

from core import markdown, rendering
from core.rendering import Plain
from flower.env import BASE_DIR

TICKS = "`" * 8_000 + "\n" + "x\n" * 40_000
LINKS = "[a]: http://x/" + "A" * 9_900 + "\n\n" + "[a]\n\n" * 9_000
PERL = "```perl\n" + "s{" * 9_000
# Loops that no bound on a text's length ends: what the next input does that nobody thought of.
ENDLESS = "slow " * 4


@pytest.fixture
def pool(monkeypatch):
    made = rendering.Pool(3)
    monkeypatch.setattr(rendering, "_pool", made)
    monkeypatch.setattr(markdown, "_kept", markdown.Kept(markdown.KEPT_BYTES))
    yield made
    made.close()


@pytest.fixture
def program(pool, monkeypatch, tmp_path):
    """A render process with a fault: returns the function that gives it a body, which sees ``text``."""

    def with_fault(body: str) -> None:
        source = (BASE_DIR / "core" / "render_process.py").read_text()
        fault = "\n".join(f"    {line}" for line in body.splitlines())
        head = "def render(text: str) -> Answer:\n"
        assert head in source
        (tmp_path / "render_process.py").write_text(source.replace(head, head + fault + "\n", 1))
        monkeypatch.setattr(rendering, "_PROGRAM", tmp_path / "render_process.py")

    return with_fault


@pytest.mark.parametrize("text", [TICKS, LINKS, PERL], ids=["ticks", "links", "perl"])
def test_the_texts_that_once_froze_the_web_process(text, pool):
    """43 s with the interpreter held; 90 MB of HTML; 7 s and 432 KB."""
    (answer,) = rendering.render([text])
    assert answer.seconds < 0.5
    began = time.process_time()
    shown = markdown.render(text)
    assert time.process_time() - began < 0.2  # ours: the rest was a child's
    assert len(shown.encode()) <= 20 * len(text) + 64 * 1024


def test_code_that_is_slow_to_colour_is_shown_without_and_the_rest_as_ever():
    shown = markdown.render(f"# Title\n\n{PERL}\n```\n\nand **this**\n")
    assert '<h1 id="h-title"' in shown and "<strong>this</strong>" in shown
    assert '<pre><code class="language-perl">s{s{' in shown and "as-written" not in shown


def test_a_text_that_is_beyond_the_bounds_is_shown_as_it_was_written_with_a_sentence():
    found = markdown.look(LINKS)
    assert (found.plain, found.marked) in {(Plain.LARGE, ""), (Plain.SLOW, "")}
    shown = markdown.render(LINKS)
    assert shown.startswith('<p class="as-written">Shown as it was written: ')
    assert "<pre>[a]: http://x/AAAA" in shown
    assert markdown.look("x" * 400_001).plain is Plain.LONG
    assert markdown.look("x" * 20_001).plain is Plain.LONG


def test_references_do_not_swell_a_text_beyond_the_bound():
    text = "#1 " * 6_000
    shown = markdown.render(text, markdown.Names({1: "A title that is long " * 9}))
    assert shown.count("<a ") > 500
    assert len(shown) <= 20 * len(text) + 64 * 1024
    assert shown.count("#1") == 6_000


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("if 'slow' in text:\n    while True: pass", Plain.SLOW),
        # an extension that does not come back to the interpreter cannot be interrupted: the kernel ends it
        ("if 'slow' in text:\n    signal.signal(signal.SIGVTALRM, signal.SIG_IGN)\n    while True: pass", Plain.SLOW),
        ("if 'slow' in text:\n    bytearray(1 << 30)", Plain.LARGE),
        ("if 'slow' in text:\n    ctypes.string_at(0)", Plain.LARGE),
        ("if 'slow' in text:\n    raise ValueError('an unforeseen text')", Plain.FAULT),
    ],
    ids=["loop", "deaf", "memory", "crash", "error"],
)
def test_whatever_a_text_does_it_does_to_itself(program, body, why):
    program(body)
    answers = rendering.render(["*one*", ENDLESS, "*two*"])
    assert [answer.plain for answer in answers] == [None, why, None]
    assert [answer.html for answer in answers] == ["<p><em>one</em></p>\n", "", "<p><em>two</em></p>\n"]


def test_what_was_given_up_is_not_tried_at_each_view(program, pool, tmp_path):
    count = tmp_path / "count"
    count.write_text("")
    seen = f"os.utime({str(count)!r}, (os.stat({str(count)!r}).st_mtime + 1,) * 2)"
    program(f"if 'slow' in text:\n    {seen}\n    while True: pass")
    os.utime(count, (100, 100))
    for _ in range(3):
        assert markdown.look(ENDLESS).plain is Plain.SLOW
    assert count.stat().st_mtime == 101


def test_many_slow_texts_on_a_page_take_little_more_than_one(program, pool):
    program("if 'slow' in text:\n    while True: pass")
    texts = [f"{ENDLESS}{number}" for number in range(30)]
    with rendering.one_page():
        answers = rendering.render([*texts, "*well*"])
    assert sum(answer.seconds for answer in answers) < 1.5
    assert [answer.plain for answer in answers[:-1]] == [Plain.SLOW] * 30
    assert answers[-1].html == "<p><em>well</em></p>\n"
    assert [answer.is_passing for answer in answers[:1] + answers[-2:-1]] == [False, True]


def test_a_slow_text_delays_only_itself(program, pool):
    program("if 'slow' in text:\n    while True: pass")
    rendering.render(["warm"])
    with ThreadPoolExecutor(8) as threads:
        slow = [threads.submit(rendering.render, [f"{ENDLESS}{number}"]) for number in range(2)]
        quick = threads.submit(rendering.render, ["*quick*"])
        assert quick.result()[0].html
        assert not all(one.done() for one in slow)  # it went past them
        assert [one.result()[0].plain for one in slow] == [Plain.SLOW] * 2


def test_threads_share_a_few_children(pool):
    with ThreadPoolExecutor(12) as threads:
        found = list(threads.map(lambda number: rendering.render([f"**{number}**"])[0].html, range(60)))
    assert found == [f"<p><strong>{number}</strong></p>\n" for number in range(60)]
    assert 1 <= pool.count <= 3 and len(pool.free) == pool.count


def test_the_children_of_a_large_process_stay(pool):
    """What a parent used at most is inherited by the figure that getrusage tells; 200 MB are used here, and freed."""
    size = 200 * 1024 * 1024
    held = bytearray(size)
    held[::4096] = b"x" * len(held[::4096])
    rendering.render(["*one*"])
    (child,) = pool.free
    rendering.render(["*two*"])
    assert pool.free == [child] and len(held) == size


def test_a_child_that_somebody_killed_is_replaced_at_once(pool):
    rendering.render(["*one*"])
    (child,) = pool.free
    child.process.kill()
    child.process.wait()
    assert rendering.render(["*two*"])[0].html == "<p><em>two</em></p>\n"


def test_a_child_that_cannot_be_started_leaves_texts_as_they_were_written(pool, monkeypatch):
    monkeypatch.setattr(rendering, "_PROGRAM", BASE_DIR / "flower" / "nothing.py")
    assert [answer.plain for answer in rendering.render(["*one*", "*two*"])] == [Plain.BUSY] * 2
    assert pool.count == 0
    monkeypatch.undo()


def test_what_is_kept_is_bounded_and_so_is_one_entry():
    kept = markdown.Kept(100_000)
    for number in range(100):
        kept.put(b"%d" % number, markdown.Rendered("x" * 9_000))
    assert kept.size <= 100_000
    assert kept.get(b"99") is not None and kept.get(b"0") is None
    kept.put(b"big", markdown.Rendered("x" * 90_000))
    assert kept.get(b"big") is None and kept.get(b"99") is not None
    kept.put(b"99", markdown.Rendered("", plain=Plain.SLOW), seconds=0.001)
    time.sleep(0.002)
    assert kept.get(b"99") is None


def test_children_end_with_their_parent_however_it_ends():
    script = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); from core import rendering\n"
        "rendering.render(['*one*']); print(rendering._pool.free[0].process.pid, flush=True)\n"
        "os.kill(os.getpid(), int(sys.argv[2])) if sys.argv[2] != '0' else None"
    )
    for number in (signal.SIGKILL, 0):
        command = [sys.executable, "-c", script, str(BASE_DIR), str(int(number))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == -number, done.stderr
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(int(done.stdout)).wait(10)


def test_a_child_has_no_secret_and_no_file_of_ours(pool, monkeypatch):
    monkeypatch.setenv("FLOWER_SECRET_KEY", "hidden")
    rendering.render(["x"])
    child = psutil.Process(pool.free[0].process.pid)
    assert set(child.environ()) <= {"PATH", "LC_ALL", "LC_CTYPE"}
    assert child.cwd() == "/"
    assert not child.net_connections()


def test_the_pages_of_such_texts_answer_soon_and_healthz_meanwhile(web_process):
    token = web_process.token("operator")
    headers = {"Authorization": f"Bearer {token}"}
    slowest = 0.0
    done = threading.Event()

    def ask() -> None:
        nonlocal slowest
        while not done.is_set():
            began = time.monotonic()
            assert web_process.request("/healthz")[0] == 200
            slowest = max(slowest, time.monotonic() - began)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        brief = web_process.scene["mine"]
        for text in (TICKS, LINKS, PERL):
            form = f"text={quote(text)}".encode()
            status, _, body = web_process.request(f"/briefs/{brief}/preview/", form, "POST", **headers)
            assert status == 200
            assert len(body) <= 20 * len(text) + 64 * 1024 + 20_000
    finally:
        done.set()
        asker.join()
    assert slowest < 5  # it was 43 s
