"""The watch process: ``python -m flower.watch``. What it does is in transcripts/watch.py; here it gets its roots, its
pulse and its end."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flower.settings")
    import django

    django.setup()
    from django.conf import settings

    from flower.backup import marker
    from flower.celery import leave_pulse
    from transcripts.watch import Watch

    marker.stop_if_unfinished(settings.FLOWER.home)
    watch = Watch(settings.FLOWER.transcript_roots, beat=lambda: leave_pulse("watch"))

    def end(*_: Any) -> None:
        watch.end()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    watch.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
