"""The one table, and bench/results.json."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from bench.pairs import Spread
from bench.system import ROOT

RESULTS = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Row:
    """One figure that is held to a limit, or (``limit`` None) that explains another one."""

    name: str
    what: str
    flower: str  # as it is to be read, with its unit
    baseline: str
    ratio: Spread  # what the limit is about; where it is no ratio, `unit` says what it is
    limit: float | None
    unit: str = "x"
    wanted: Literal["at least", "at most"] = "at most"
    details: dict[str, Any] = field(default_factory=dict)  # for results.json

    @property
    def verdict(self) -> str:
        if self.limit is None:
            return ""
        good = self.ratio.median >= self.limit if self.wanted == "at least" else self.ratio.median <= self.limit
        return "ok" if good else "OVER"


HEAD = ("name", "what", "flower", "baseline", "ratio: median (min to max)", "limit", "")


def table(rows: Sequence[Row]) -> str:
    lines = [HEAD, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([texts[0], "-" * sum(widths, 2 * len(widths) - 2), *texts[1:]])


def _cells(row: Row) -> tuple[str, ...]:
    ratio = _number(row.ratio.median, row.unit)
    if row.ratio.count > 1:
        ratio += f" ({_number(row.ratio.low)} to {_number(row.ratio.high)}, n={row.ratio.count})"
    sign = {"at least": "≥", "at most": "≤"}[row.wanted]
    limit = "" if row.limit is None else f"{sign} {_number(row.limit, row.unit)}"
    return (row.name, row.what, row.flower, row.baseline, ratio, limit, row.verdict)


def _number(value: float, unit: str = "") -> str:
    text = f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"
    return f"{text} {unit}".rstrip()


def save(rows: Sequence[Row], failures: dict[str, str], began: datetime) -> None:
    """Write results.json: the rows with all their details, and what they were measured on."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    document = {
        "began": began.isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip() or None,
        "machine": {
            "cores": os.cpu_count(),
            "load": os.getloadavg(),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "rows": [{**asdict(row), "verdict": row.verdict} for row in rows],
        "failures": failures,
    }
    RESULTS.write_text(json.dumps(document, indent=1, default=str) + "\n")
