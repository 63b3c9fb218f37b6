"""What this room tells the higher ones, in the transaction of the change: they listen, it imports none of them."""

from __future__ import annotations

from typing import Final

from django.dispatch import Signal

# brief: its status changed, or one of its switches, or what it waits for; who listens looks at it as it is then.
stirred: Final = Signal()
