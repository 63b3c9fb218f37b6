"""Pictures of a brief over HTTP: taken from those who may write, served to those who may read, and to nobody else."""

from __future__ import annotations

import dataclasses
import io
import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from briefs.models import Attachment, Project, Token, TraceEntry
from briefs.services import actors, attachments, briefs
from tests.factories import agent, make_brief, operator

JSON = {"Accept": "application/json"}


@pytest.fixture(autouse=True)
def home(tmp_path, settings):
    settings.FLOWER = dataclasses.replace(settings.FLOWER, home=tmp_path)


def picture(size: tuple[int, int] = (40, 30), kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "teal").save(out, format=kind)
    return out.getvalue()


def sent(data: bytes | None = None, name: str = "shot [1](x).png") -> dict[str, object]:
    return {"picture": SimpleUploadedFile(name, picture() if data is None else data, content_type="image/png")}


@pytest.mark.django_db
def test_a_picture_is_kept_and_comes_back_as_markdown(browser, project):
    brief = make_brief("Show", project)
    answer = browser.post(f"/briefs/{brief.pk}/attachments/", sent(), headers=JSON).json()
    made = Attachment.objects.get()
    assert answer == {
        "markdown": f"![shot 1 x .png](/briefs/{brief.pk}/attachments/{made.digest})",
        "url": f"/briefs/{brief.pk}/attachments/{made.digest}",
        "name": "shot 1 x .png",
    }
    briefs.note(brief, answer["markdown"], actor=operator())
    page = browser.get(brief.get_absolute_url()).content.decode()
    assert f'<a class="picture" href="{answer["url"]}"' in page
    assert f'<img src="{answer["url"]}" alt="shot 1 x .png" loading="lazy">' in page


@pytest.mark.django_db
def test_it_is_served_with_headers_of_its_own(browser, project):
    brief = make_brief("Show", project)
    made = attachments.attach(brief, picture(), actor=operator(), name='a"b\r\nX: y.png')
    response = browser.get(made.get_absolute_url())
    assert response.content == made.path.read_bytes()
    assert response.headers["Content-Type"] == "image/png"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Disposition"].startswith("inline; filename=")
    assert "\n" not in response.headers["Content-Disposition"]
    assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response.headers["Cache-Control"] == "private, max-age=31536000, immutable"


@pytest.mark.django_db
def test_without_a_script_the_picture_becomes_a_note(browser, project):
    brief = make_brief("Show", project)
    response = browser.post(f"/briefs/{brief.pk}/attachments/", {**sent(), "body": "look here"})
    assert response.headers["Location"] == f"/briefs/{brief.pk}/#note"
    said = TraceEntry.objects.filter(brief=brief, kind="note").get().body
    assert said == f"look here\n\n![shot 1 x .png]({Attachment.objects.get().get_absolute_url()})"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("data", "sentence"),
    [(b"", "no picture"), (b"<svg onload=alert(1)>", "no picture"), (picture()[:60], "damaged")],
    ids=["empty", "svg", "cut"],
)
def test_what_is_no_picture_is_refused_and_the_words_stay(browser, project, data, sentence):
    brief = make_brief("Show", project)
    answer = browser.post(f"/briefs/{brief.pk}/attachments/", sent(data or b"x"), headers=JSON)
    assert answer.status_code == 400 and sentence in answer.json()["error"]
    page = browser.post(f"/briefs/{brief.pk}/attachments/", {**sent(data or b"x"), "body": "my words"})
    assert page.status_code == 400 and "my words</textarea>" in page.content.decode()
    assert browser.post(f"/briefs/{brief.pk}/attachments/", {"body": "x"}).status_code == 400
    assert not Attachment.objects.exists()
    brief.refresh_from_db()
    assert brief.trace_seq == 2


@pytest.mark.django_db
def test_nobody_else_sees_or_sends_one(project, tmp_path):
    brief = make_brief("Show", project)
    made = attachments.attach(brief, picture(), actor=operator())
    other = Project.objects.create(slug="other", root=str(tmp_path / "other"), main_branch="main")
    limited, _ = actors.issue_token(operator("reader"), Token.Scope.READONLY, project=other)
    address = made.get_absolute_url()
    assert Client().get(address).status_code == 302
    assert Client().post(f"/briefs/{brief.pk}/attachments/", sent()).status_code == 302
    assert Client(headers={"Authorization": f"Bearer {limited}"}).get(address).status_code == 404
    run, _ = actors.issue_token(agent(), Token.Scope.RUN, brief=make_brief("Elsewhere"), run=1)
    assert Client(headers={"Authorization": f"Bearer {run}"}).get(address).status_code == 404
    own, _ = actors.issue_token(agent(), Token.Scope.RUN, brief=brief, run=1)
    worker = Client(headers={"Authorization": f"Bearer {own}"})
    assert worker.get(address).status_code == 200, "a worker may look at what its brief shows"
    assert worker.post(f"/briefs/{brief.pk}/attachments/", sent()).status_code == 403
    assert worker.get(f"/briefs/{brief.pk}/").status_code == 403
    assert Attachment.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("digest", ["", "x", "..%2f..%2fetc%2fpasswd", "0" * 64, "a" * 300])
def test_strange_addresses_lead_nowhere(browser, project, digest):
    brief = make_brief("Show", project)
    assert browser.get(f"/briefs/{brief.pk}/attachments/{digest}").status_code in {404, 405}


@pytest.mark.django_db
def test_a_picture_from_elsewhere_is_a_link(browser, project):
    brief = make_brief("Track", project, spec="![pixel](https://evil.example/p.png) ![x](/admin/logout/)")
    page = browser.get(brief.get_absolute_url()).content.decode()
    assert not re.search(r"<img[^>]+(evil|admin)", page)
    assert '<a href="https://evil.example/p.png"' in page


# --- how much may be sent, at the real door ---------------------------------------------------------------------------


def multipart(data: bytes) -> tuple[bytes, str]:
    head = b'--b\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    return head + data + b"\r\n--b--\r\n", "multipart/form-data; boundary=b"


@pytest.mark.slow
def test_ten_megabytes_are_taken_there_and_nowhere_else(web_process):
    big, kind = multipart(b"\x89PNG\r\n\x1a\n" + b"x" * 9_900_000)
    bearer, address = f"Bearer {web_process.token('operator')}", "/briefs/1/attachments/"

    def post(path: str, data: bytes = big, who: str = bearer, content: str = kind) -> tuple[int, bytes]:
        return web_process.request(path, data, Authorization=who, Content_Type=content, Accept="application/json")[::2]

    status, said = post(address)
    assert status in {400, 404} and b"larger than" not in said, "it was read, and judged as a picture"
    for path in (
        "/briefs/1/note/",
        "/briefs/1/attachments",
        "/briefs/1/attachments/x",
        "/mcp",
        "/briefs/x/attachments/",
    ):
        status, said = post(path)
        assert status == 413 and b"1,000,000 bytes" in said, path
    agents = f"Bearer {web_process.token('agent')}"
    for refused in (post(address, who="Bearer nobody"), post(address, who=agents), post(address, content="text/plain")):
        assert refused[0] == 413 and b"1,000,000 bytes" in refused[1]
    status, said = post(address, multipart(b"x" * 10_200_000)[0])
    assert status == 413 and b"10,100,000 bytes" in said
