"""Paths as logs have them: of this machine, or of a Windows one, where both slashes part names. Pure.

Those of Windows are kept with forward slashes and a capital drive, so that one and the same file is one.
"""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache
from typing import Final

_WINDOWS: Final = re.compile(r"[A-Za-z]:[\\/]|\\\\[^\\/]")  # a drive, or a server


def is_windows(path: str) -> bool:
    """Does it begin as an absolute path of Windows does?"""
    return _WINDOWS.match(path) is not None


def plain(path: str, cwd: str = "") -> str:
    """With forward slashes only, where it is a path of Windows, or a relative one below a folder there (``cwd``)."""
    if "\\" not in path and not is_windows(path):
        return path
    if not is_windows(path) and (path.startswith(("/", "~")) or not is_windows(cwd)):
        return path
    slashed = path.replace("\\", "/")
    return slashed[0].upper() + slashed[1:] if slashed[1:2] == ":" else slashed


@lru_cache(maxsize=512)
def absolute(path: str, cwd: str) -> str:
    """A path as it can be compared: joined to the working directory, without dots."""
    known = plain(path, cwd)
    joined = known if known.startswith(("/", "~")) or is_windows(known) else posixpath.join(plain(cwd), known)
    return posixpath.normpath(joined)


def below(path: str, folder: str) -> str:
    """The path as somebody says it who stands in the folder: "." for the folder itself, the whole one outside of it."""
    if not folder:
        return path
    known, top = plain(path, folder), plain(folder).rstrip("/") + "/"
    if known.rstrip("/") + "/" == top:
        return "."
    return known.removeprefix(top) if known.startswith(top) else path


def name_of(path: str) -> str:
    """The last part."""
    name = path.rstrip("/").rpartition("/")[2]
    return name.rstrip("\\").rpartition("\\")[2] if "\\" in name and (is_windows(path) or "/" not in path) else name
