"""One lock for how briefs hang together: who is part of what, who waits for whom, and who has ended.

A check of the whole graph (is there a circle? does anything still hold this brief back?) is only true while nobody
else changes it, and briefs' own locks do not meet: two people may each add one half of a circle. SQLite's transactions
are one at a time anyway.
"""

from __future__ import annotations

from django.db import connection

from briefs.models import GraphLock


def lock() -> None:
    """Take it until the end of the transaction. Before any brief's own lock, so that nobody waits in a ring."""
    if not connection.features.has_select_for_update:
        return
    row = GraphLock.objects.select_for_update().filter(pk=1)
    if not list(row):
        GraphLock.objects.get_or_create(pk=1)
        list(row)
