"""Hostile texts as names: of files, people, projects, views; and as the targets of every kind of link."""

from __future__ import annotations

import dataclasses
import io
import re
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from briefs import trace
from briefs.models import Actor, Brief, Link, Project, SavedView
from briefs.services import briefs
from core.errors import Refusal
from tests.briefs.test_hostile import NAMES, PAYLOADS, acting
from tests.factories import agent, make_brief, operator

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
JSON = {"Accept": "application/json"}
DISPOSITION = re.compile(r"""inline; filename(="(?:[^"\\\r\n<>]|\\["\\])*"|\*=utf-8''[^"\r\n<>;]*)""")


@pytest.fixture(autouse=True)
def home(tmp_path, settings):
    settings.FLOWER = dataclasses.replace(settings.FLOWER, home=tmp_path)


@pytest.fixture(scope="module")
def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (4, 3), "teal").save(out, format="PNG")
    return out.getvalue()


def harmless(browser: Client, *addresses: str) -> None:
    for address in addresses:
        answer = browser.get(address)
        assert answer.status_code == 200, address
        assert acting(answer.content.decode()) == [], address


@pytest.mark.parametrize("payload", NAMES)
def test_as_the_name_of_a_picture(browser, project, png, payload):
    brief = make_brief("Show", project)
    sent = {"picture": SimpleUploadedFile(f"{payload}.png", png, content_type="image/png")}
    answer = browser.post(f"/briefs/{brief.pk}/attachments/", sent, headers=JSON)
    assert answer.status_code == 200
    made = answer.json()
    briefs.note(brief, f"look: {made['markdown']}", actor=operator())
    page = browser.get(brief.get_absolute_url()).content.decode()
    assert acting(page) == []
    shown = re.findall(r'<img src="([^"]*)" alt="[^"<>]*" loading="lazy">', page)
    assert shown == [made["url"]], "one picture, whatever it is called"
    served = browser.get(made["url"])
    assert served.content[:4] == b"\x89PNG" and served.headers["Content-Type"] == "image/png"
    assert DISPOSITION.fullmatch(served["Content-Disposition"])


@pytest.mark.parametrize("payload", NAMES)
def test_as_the_names_of_people_projects_and_views(browser, project, payload):
    mike = operator()
    writer = Actor.objects.create(ref=f"agent {payload}"[:100], kind="agent")  # whatever got into the database
    Project.objects.filter(pk=project.pk).update(
        slug=payload[:60],
        root=f"/tmp/{payload}"[:200],
        setup_command=payload,
        gates=[payload],
        main_branch=payload[:60],
    )
    project.refresh_from_db()
    brief = Brief.objects.create(title=payload[:200], project=project, created_by=writer, updated_at=project.created_at)
    other = Brief.objects.create(
        title=f"2 {payload}"[:200], project=project, created_by=writer, updated_at=project.created_at
    )
    trace.append(brief, "participant_joined", actor=writer, data={"role": payload})
    briefs.note(brief, f"@{payload} said so", actor=writer)
    SavedView.objects.create(actor=mike, name=payload[:60], query=f"q={payload}"[:1000])
    User.objects.filter(pk=int(browser.session["_auth_user_id"])).update(username=payload[:140])
    typed = quote(payload)
    harmless(
        browser,
        "/briefs/",
        "/briefs/?view=columns",
        f"/briefs/?q={typed}&project={typed}&actor={typed}&status={typed}&sort={typed}&kind={typed}",
        f"/palette/?q={typed}",
        f"/briefs/{brief.pk}/?actor={typed}&kind={typed}",
        f"/briefs/{brief.pk}/completions/?q=@agent",
        f"/briefs/find/?q=2&but={brief.pk}",
        f"/briefs/duplicates/?body={typed}",
        f"/briefs/{other.pk}/trace/1/" if other.trace_seq else f"/briefs/{other.pk}/",
        "/scratchpads/?q=" + typed,
    )
    shown = browser.get("/briefs/").content.decode()
    assert f"#{brief.pk}" in shown


@pytest.mark.parametrize("payload", NAMES)
def test_as_the_target_of_a_link_of_any_kind(browser, project, payload):
    brief, writer = make_brief("Linked", project), agent()
    for kind in Link.Kind.values:
        for relation in Link.Relation.values:
            Link.objects.create(
                brief=brief, kind=kind, relation=relation, target=payload[:300], label=payload[:100], actor=writer
            )
        trace.append(brief, "link_added", actor=writer, data={"kind": kind, "target": payload, "label": payload})
    page = browser.get(brief.get_absolute_url()).content.decode()
    assert acting(page) == []
    targets = re.findall(r'<a href="(\w+):', re.search(r'<section id="links".*?</section>', page, re.S)[0])
    assert set(targets) <= {"http", "https"}


@pytest.mark.parametrize("payload", NAMES)
def test_as_a_name_that_somebody_types(browser, project, payload):
    """Taken and shown as it is, or refused with a sentence; it acts in neither case."""
    brief = make_brief("Typed", project)
    forms = [
        (f"/briefs/{brief.pk}/title/", {"title": payload[:200]}),
        (f"/briefs/{brief.pk}/links/", {"kind": "url", "target": payload, "relation": "reference", "label": payload}),
        (f"/briefs/{brief.pk}/links/", {"kind": payload, "target": payload, "relation": payload, "label": payload}),
        (f"/briefs/{brief.pk}/dependencies/", {"other": payload}),
        (f"/briefs/{brief.pk}/questions/", {"question": payload, "options": payload}),
        (f"/briefs/{brief.pk}/projects/", {"project": payload, "change": payload}),
        (f"/briefs/{brief.pk}/status/", {"status": payload, "why": payload}),
        (f"/briefs/{brief.pk}/dispatch/", {"kind": payload, "agent": payload, "branch": payload, "base": payload}),
        ("/briefs/views/", {"name": payload[:60], "query": f"?q={payload}"}),
        ("/briefs/capture/", {"body": payload, "project": payload}),
        ("/projects/add/", {"path": payload, "slug": payload, "main_branch": payload, "gates": payload}),
        ("/scratchpads/new/", {"name": payload[:120], "content": payload}),
    ]
    headers = HTMX if len(payload) % 2 else {}  # each form is answered with panels by some and with a page by others
    for address, typed in forms:
        answer = browser.post(address, typed, headers=headers)
        assert answer.status_code < 500, address
        assert acting(answer.content.decode()) == [], address
    harmless(browser, "/briefs/", f"/briefs/{brief.pk}/")


def test_a_payload_is_no_user_name_and_no_slug(project):
    from briefs.services import projects

    taken = []
    for payload in PAYLOADS:
        try:
            projects.add(project.root, slug=payload)
            taken.append(payload)
        except Refusal:
            pass
    assert taken == []
