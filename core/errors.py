"""Refusals: the one family of exceptions that is meant for the reader.

A service that will not do a thing raises a Refusal with one sentence that says what is wrong and what to do.
Every door (page, tool, command, admin action) shows that sentence as it is. Anything else that escapes is a bug.
"""

from __future__ import annotations


class Refusal(Exception):
    """A request that was understood and is refused; nothing was changed.

    Arguments: ``sentence``, one sentence for the reader; ``detail``, more lines (command output, a list of files)
    for the page and the trace, never secrets.
    """

    status_code = 409

    def __init__(self, sentence: str, *, detail: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.detail = detail


class Invalid(Refusal):
    """The input itself is wrong, whatever the state of things."""

    status_code = 400


class Unauthenticated(Refusal):
    """No token, or one that is unknown, expired or revoked."""

    status_code = 401


class Forbidden(Refusal):
    """The caller is known and may not do this."""

    status_code = 403


class NotFound(Refusal):
    """There is no such thing, or the caller may not know that there is."""

    status_code = 404


class WrongMethod(Invalid):
    """The address is there and takes another HTTP method: it was typed, say, and is a form's."""

    status_code = 405


class TooLarge(Invalid):
    """The input is longer than the limit that the sentence names."""

    status_code = 413


class Conflict(Refusal):
    """Somebody or something else was first: a stale version, a lost claim, an old fence."""
