"""Finding briefs by words: of any script, in any order, by their beginnings, without regard to case and accents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.db.models import Q, QuerySet

from briefs.folding import fold, words_of
from briefs.models import Brief, SearchText

FOUND: Final = 200  # briefs that are found by their specs at most
SPOKEN: Final = 3  # so many characters are looked for in specs, too; fewer stand in nearly all of them
_TEXTS: Final = frozenset({"title", "spec"})


def keep(brief: Brief) -> None:
    """Write down how a brief is searched: after each save that may have changed its title or spec."""
    SearchText.objects.update_or_create(brief=brief, defaults={"title": fold(brief.title), "spec": fold(brief.spec)})


def keep_all(briefs: Iterable[Brief]) -> None:
    """The same for briefs whose rows were made in bulk, which tells nobody."""
    rows = [SearchText(brief=brief, title=fold(brief.title), spec=fold(brief.spec)) for brief in briefs]
    SearchText.objects.bulk_create(rows, batch_size=200, ignore_conflicts=True)


def on_save(*, instance: Brief, update_fields: frozenset[str] | None = None, raw: bool = False, **_: Any) -> None:
    """Django's post_save of a brief: the services, the admin, and whatever else saves one."""
    if update_fields is None or _TEXTS & update_fields:
        keep(instance)


def in_titles(text: str) -> Q:
    """The briefs whose titles have all words of a text; punctuation alone is looked for as it is."""
    words = words_of(text)
    if _names_one(text):
        return Q(pk__in=[])
    if not words:
        return Q(title__icontains=text)
    titles = Q()
    for word in words:
        titles &= Q(title__contains=f" {word}")
    return Q(pk__in=SearchText.objects.filter(titles).order_by().values("brief"))


def in_specs(text: str, visible: QuerySet[Brief], limit: int = FOUND) -> Q:
    """Those of some briefs whose titles and specs together have all words: the ones that changed last.

    They are looked for once, and not by each count and group that the condition is part of.
    """
    if len(text) < SPOKEN:
        return Q(pk__in=[])
    rows = visible.filter(said(text)).order_by("-updated_at")
    return Q(pk__in=list(rows.values_list("pk", flat=True)[:limit]))


def said(text: str) -> Q:
    """The briefs whose titles and specs together have all words of a text."""
    words = words_of(text)
    if _names_one(text):
        return Q(pk__in=[])
    if not words:
        return Q(title__icontains=text) | Q(spec__icontains=text)
    texts = Q()
    for word in words:
        texts &= Q(title__contains=f" {word}") | Q(spec__contains=f" {word}")
    return Q(pk__in=SearchText.objects.filter(texts).order_by().values("brief"))


def numbered(text: str) -> Q:
    """The brief that ``36`` or ``#36`` names."""
    number = text.strip().removeprefix("#")
    good = number.isascii() and number.isdigit() and len(number) < 12
    return Q(pk=int(number)) if good else Q(pk__in=[])


def _names_one(text: str) -> bool:
    """Whether a text is ``#36``: that brief is meant, and no words."""
    rest = text.strip().removeprefix("#")
    return text.strip().startswith("#") and rest.isascii() and rest.isdigit()
