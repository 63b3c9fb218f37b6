"""Do the services of the environment answer? Asked by ``make test-services``; exit 1 and a sentence if one does not."""

from __future__ import annotations

import os
import socket
import sys
from urllib.parse import urlsplit


def main() -> int:
    for name, port in (("DATABASE_URL", 3306), ("REDIS_URL", 6379), ("MEILI_URL", 7700)):
        url = os.environ.get(name, "")
        parts = urlsplit(url)
        if not url or parts.scheme in {"sqlite", "unix"}:
            continue
        where = (parts.hostname or "127.0.0.1", parts.port or port)
        try:
            socket.create_connection(where, timeout=5).close()
        except OSError as error:
            print(
                f"Nothing answers at {where[0]}:{where[1]} ({error.strerror or error}); "
                f"start the service, or set {name} to one that runs.",
                file=sys.stderr,
            )
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
