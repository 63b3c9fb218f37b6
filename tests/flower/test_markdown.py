"""Markdown: rendered, and nothing in it can act."""

from __future__ import annotations

import html
import re
import time

import pytest

from core.markdown import literal, render

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "![x](javascript:alert(1))",
    "<a href='vbscript:x'>x</a>",
    "<svg onload=alert(1)>",
    "<iframe src=//evil>",
    "<style>*{display:none}</style>",
    "<form action=/x><button>go</button></form>",
    "```html\n</code></pre><script>alert(1)</script>\n```",
    '```"><img src=x onerror=alert(1)>\nx\n```',
    "[x]: javascript:alert(1)\n\n[x]",
    "# <script>x</script>",
    "| <img src=x onerror=y> |\n|-|\n| x |",
    "<!-- --><script>x</script>",
    '<math><mi//xlink:href="data:x,<script>alert(1)</script>">',
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_and_does_nothing(text):
    html = render(text)
    tags = " ".join(re.findall(r"<[^>]*>", html))  # what the browser takes for markup; the rest is text
    assert not re.search(r"<(script|iframe|svg|style|form|math|button)", html)
    assert not re.search(r"\son\w+\s*=", tags)
    assert not re.search(r"""(href|src)\s*=\s*["']?\s*(javascript|vbscript|data):""", tags, re.IGNORECASE)


def test_the_usual_things_are_rendered():
    html = render(
        "# Title\n\n- [x] done\n- [ ] open\n\n```python\nprint('x')\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n~~old~~ https://example.org"
    )
    assert '<h1 id="h-title"' in html
    assert html.count('type="checkbox"') == 2
    assert '<span class="nb">print</span>' in html
    assert "<table>" in html
    assert "<s>old</s>" in html


def test_a_bare_address_is_a_link_without_the_sentence_around_it():
    html = render("See (https://example.org/a_(b)?c=1). Or **https://x.org/y**, not `https://z.org`.")
    assert re.findall(r'href="([^"]*)"', html) == ["https://example.org/a_(b)?c=1", "https://x.org/y"]
    assert render("ftp://x.org www.x.org mike@x.org javascript:alert(1) //x.org/y").count("href") == 0
    assert render("[words](https://x.org/#12) <https://y.org>").count("<a ") == 2


def test_a_table_keeps_the_alignment_of_its_columns():
    html = render("| a | b | c |\n|:-:|--:|---|\n| 1 | 2 | 3 |")
    assert re.findall(r"<td([^>]*)>", html) == [' align="center"', ' align="right"', ""]


def test_items_with_a_box_say_their_state_at_every_depth():
    html = render("- [ ] one\n  1. [X] two\n- [x]three\n- [ ](https://x.org) four\n\n[ ] no item")
    assert (html.count('aria-label="to do"'), html.count('aria-label="done"')) == (1, 1)
    assert html.count('class="contains-task-list"') == 2


@pytest.mark.parametrize(
    "bomb",
    [
        "[" * 20_000,
        "> " * 5_000 + "x",
        "- [ ] a\n" * 8_000,
        "![a](b)\n" * 7_000,
        "\n\n".join(["issue #1 " * 2_200] * 15),
        "\n\n".join(["https://a.b/(((( " * 1_100] * 15),
        "*a " * 50_000,
        "x" * 1_000_000,
        "|a" * 9_000 + "\n" + "|-" * 9_000,
        "`" * 19_999,
        "- " * 3_000 + "x",
        "![" * 9_000,
    ],
    ids=[
        "brackets",
        "quotes",
        "boxes",
        "pictures",
        "numbers",
        "addresses",
        "stars",
        "one line",
        "table",
        "ticks",
        "lists",
        "images",
    ],
)
def test_bombs_come_back_soon(bomb):
    start = time.monotonic()
    assert render(bomb)
    assert time.monotonic() - start < 20  # a hang, not a speed


def test_headings_cannot_take_ids_of_the_page():
    assert 'id="h-' in render("# csrf token")


@pytest.mark.parametrize(
    "text",
    [
        "Changed __init__.py, *args and a_b_c",
        "# no head",
        "1. no list",
        "> no quote",
        "a `b` [c](d) <e> &amp; \\_ ~~f~~",
        "=\n=",
    ],
)
def test_literal_text_is_shown_as_it_is(text):
    assert html.unescape(re.sub("<[^>]*>", "", render(literal(text)))).strip() == text


def test_literal_text_has_paragraphs_lists_and_addresses():
    shown = render(literal("One.\n\n- Two __a__\n- Three\n\nSee https://example.org/a_b"))
    assert "<p>One.</p>" in shown and "<li>Two __a__</li>" in shown and "<li>Three</li>" in shown
    assert 'href="https://example.org/a_b"' in shown
