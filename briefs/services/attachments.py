"""Pictures on a brief: verified, encoded again by us, kept under the hash of what we made.

What a stranger sends is never served: Pillow decodes it within limits, and only our own encoding of the pixels is kept.
So a file that lies about its type, hides a script or explodes when decoded ends here, with a sentence.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from pathlib import Path
from typing import Final

from django.db import transaction
from PIL import Image, ImageOps, UnidentifiedImageError

from briefs import trace
from briefs.models import Actor, Attachment, Brief
from core.errors import Invalid, NotFound, TooLarge

MAX_BYTES: Final = 10_000_000
MAX_PIXELS: Final = 40_000_000  # 160 MB when decoded; a decompression bomb ends before it is decoded
MAX_FRAMES: Final = 200
FORMATS: Final = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}


def attach(brief: Brief, data: bytes, *, actor: Actor, name: str = "") -> Attachment:
    """Keep a picture (png, jpeg, webp or gif, at most 10 MB) with a brief. The same picture twice stays one.

    Raises TooLarge, or Invalid for what is no such picture.
    """
    if len(data) > MAX_BYTES:
        raise TooLarge(f"A picture has at most {MAX_BYTES // 1_000_000} MB; this one has {len(data) / 1e6:.1f}.")
    encoded, media_type, width, height = encode(data)
    digest = hashlib.sha256(encoded).hexdigest()
    name = " ".join(trace.clean(Path(name.replace("\\", "/")).name).split())[:120]
    with transaction.atomic():
        trace.lock(brief)
        found = Attachment.objects.filter(brief=brief, digest=digest).first()
        if found is not None:
            return found
        attachment = Attachment.objects.create(
            brief=brief,
            digest=digest,
            media_type=media_type,
            name=name,
            width=width,
            height=height,
            size=len(encoded),
            actor=actor,
        )
        _store(attachment.path, encoded)  # before the commit: a row never points at a file that is not there
    return attachment


def encode(data: bytes) -> tuple[bytes, str, int, int]:
    """Decode and encode again: the pixels stay; metadata, appended data and everything else go."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=list(FORMATS)) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise TooLarge(f"A picture has at most {MAX_PIXELS // 1_000_000} million pixels.")
                frames = getattr(image, "n_frames", 1)
                if frames > MAX_FRAMES or frames * image.width * image.height > 4 * MAX_PIXELS:
                    raise TooLarge(f"An animation has at most {MAX_FRAMES} frames; show less of it.")
                return _save(image, frames)
    except (UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Invalid("This is no picture that can be shown; send a png, jpeg, webp or gif.") from None
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, OverflowError, MemoryError) as error:
        raise Invalid("This picture is damaged and cannot be shown; save it again as png.") from error


def _save(image: Image.Image, frames: int) -> tuple[bytes, str, int, int]:
    kind, out = str(image.format), io.BytesIO()
    if frames > 1 and kind in {"GIF", "WEBP"}:
        image.save(out, format=kind, save_all=True)
        width, height = image.size
    else:
        still = ImageOps.exif_transpose(image)
        width, height = still.size
        if kind == "GIF":
            kind = "PNG"  # a still picture needs no palette
        if kind == "JPEG":
            still.convert("RGB").save(out, format="JPEG", quality=88)
        else:
            clean = still if still.mode in {"RGB", "RGBA", "L", "LA"} else still.convert("RGBA")
            clean.info.clear()  # text chunks, profiles, locations
            clean.save(out, format=kind, **({"lossless": True} if kind == "WEBP" else {"optimize": True}))
    return out.getvalue(), FORMATS[kind], width, height


def _store(path: Path, data: bytes) -> None:
    """Write once, by rename: two writers of the same hash write the same bytes."""
    if path.exists():
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def find(brief: Brief, digest: str) -> Attachment:
    """A picture of this brief (whoever may see the brief may see it). Raises NotFound."""
    attachment = Attachment.objects.filter(brief=brief, digest=digest).first()
    if attachment is None or not attachment.path.is_file():
        raise NotFound(f"Brief #{brief.pk} has no such picture.")
    return attachment
