"""``python -m bench [NAME …]``: run the benchmarks, print one table, write bench/results.json.

Exit code 0: everything is within its limit; 1: something is over it; 2: something could not be measured.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime

from bench import (
    board,
    cuts,
    dispatch,
    fuzz,
    idle,
    ingest,
    page,
    push,
    recall,
    report,
    review,
    segmenting,
    sockets,
    texts,
    transcript,
    up,
)
from bench.report import Row

BENCHMARKS: dict[str, Callable[[], list[Row]]] = {
    "recall": recall.measure,
    "board": board.measure,
    "page": page.measure,
    "push": push.measure,
    "sockets": sockets.measure,
    "dispatch": dispatch.measure,
    "ingest": ingest.measure,
    "segmenting": segmenting.measure,
    "cuts": cuts.measure,
    "review": review.measure,
    "transcript": transcript.measure,
    "idle": idle.measure,
    "up": up.measure,
    "fuzz": fuzz.measure,
    "texts": texts.measure,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Run the benchmarks and print one table.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)} (default: all of them)")
    names = parser.parse_args().names
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark '{sorted(unknown)[0]}'; there are {', '.join(BENCHMARKS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C does: what was started is ended
    began = datetime.now(UTC)
    rows: list[Row] = []
    failures: dict[str, str] = {}
    for name in names or BENCHMARKS:
        begun = time.monotonic()
        print(f"{name} …", end=" ", file=sys.stderr, flush=True)
        try:
            rows += BENCHMARKS[name]()
        except Exception as error:
            traceback.print_exc()
            failures[name] = f"{type(error).__name__}: {error}"
        print(f"{time.monotonic() - begun:.0f} s", file=sys.stderr)
        report.save(rows, failures, began)  # each time: a run that is broken off has not measured for nothing
    print(report.table(rows))
    for name, why in failures.items():
        print(f"{name} could not be measured: {why}")
    return 2 if failures else int(any(row.verdict == "OVER" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
