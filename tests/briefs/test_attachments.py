"""Pictures: only what we decoded and encoded ourselves is kept."""

from __future__ import annotations

import dataclasses
import io
import struct
import zlib

import pytest
from PIL import Image

from briefs.services import attachments
from core.errors import Invalid, NotFound, TooLarge
from tests.factories import make_brief, operator

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(tmp_path, settings):
    settings.FLOWER = dataclasses.replace(settings.FLOWER, home=tmp_path)
    return tmp_path


def picture(kind: str, **options) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(out, format=kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_pictures_are_kept_under_the_hash_of_our_own_encoding(kind):
    brief = make_brief()
    data = picture(kind) + b"<script>alert(1)</script>"
    made = attachments.attach(brief, data, actor=operator(), name="../../etc/passwd<b>.png")
    stored = made.path.read_bytes()
    assert b"script" not in stored
    assert made.name == "passwd<b>.png"
    assert (made.width, made.height, made.size) == (40, 30, len(stored))
    assert Image.open(io.BytesIO(stored)).size == (40, 30)
    assert attachments.attach(brief, data, actor=operator()).pk == made.pk
    assert attachments.find(brief, made.digest) == made
    with pytest.raises(NotFound):
        attachments.find(make_brief("Other"), made.digest)


def test_metadata_goes():
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Location", "my secret home")
    made = attachments.attach(make_brief(), picture("PNG", pnginfo=info), actor=operator())
    assert b"secret" not in made.path.read_bytes()


def bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in a few kilobytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", Invalid),
        (b"hello", Invalid),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", Invalid),
        (b"GIF89a<script>alert(1)</script>", Invalid),
        (picture("PNG")[:60], Invalid),
        (picture("BMP"), Invalid),
        (picture("TIFF"), Invalid),
        (b"%PDF-1.4", Invalid),
        (bomb(), (Invalid, TooLarge)),
        (b"\0" * 10_000_001, TooLarge),
    ],
    ids=["empty", "text", "svg", "lying gif", "cut off", "bmp", "tiff", "pdf", "bomb", "large"],
)
def test_what_is_no_picture_is_refused_and_nothing_kept(data, error, home):
    brief = make_brief()
    with pytest.raises(error):
        attachments.attach(brief, data, actor=operator())
    assert not brief.attachments.exists()
    assert not list(home.rglob("attachments/*/*"))
