"""Where sessions are cut, and what their segments are called, against public sessions whose commits are known.

The scorer and its data (``segbench``) are no part of this repository: without them beside the checkout nothing is
measured. It runs flower's command as anybody's, once with the commits of the sessions and once with them hidden.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.pairs import Spread
from bench.report import Row
from bench.system import ROOT

SCORER = ROOT.parent / "shared" / "segbench"
# set, commits hidden, figure, limit, whether it is a ceiling
LIMITS = [
    ("entire-claude", False, "pk", 0.15, True),
    ("entire-claude", False, "f1", 0.72, False),
    ("entire-claude", True, "pk", 0.21, True),
    ("entire-claude", True, "f1", 0.57, False),
    ("concat", False, "pk", 0.25, True),
    ("concat", False, "f1", 0.60, False),
    ("concat", True, "pk", 0.25, True),
    ("concat", True, "f1", 0.60, False),
    ("entire-claude", False, "rouge_outcome", 0.22, False),
    *(
        (group, hidden, "generic_titles", 0.08, True)
        for group in ("entire-claude", "concat")
        for hidden in (False, True)
    ),
    *((group, hidden, "bad_tiling", 0, True) for group in ("entire-claude", "concat") for hidden in (False, True)),
    *((group, hidden, "no_answer", 0, True) for group in ("entire-claude", "concat") for hidden in (False, True)),
]
WORDS = ("rouge_outcome", "generic_titles")


def measure(scorer: Path = SCORER) -> list[Row]:
    if not scorer.is_dir():
        return []
    found = {hidden: _figures(scorer, hidden) for hidden in (False, True)}
    rows = []
    for group, hidden, name, limit, is_ceiling in LIMITS:
        own, naive = (found[hidden][group][method] for method in ("the command", "every user prompt"))
        said = f"{group}: {name}{', commits hidden' if hidden else ''}"
        rows.append(
            Row(
                f"{'words' if name in WORDS else 'cuts'}-{group}{'-hidden' if hidden else ''}-{name.replace('_', '-')}",
                said,
                f"{own[name]:.3f}",
                f"{naive[name]:.3f}",
                Spread.of([own[name]]),
                limit,
                unit="",
                wanted="at most" if is_ceiling else "at least",
            )
        )
    return rows


def _figures(scorer: Path, hidden: bool) -> dict[str, Any]:
    """The scorer's figures by set and method."""
    command = f"{sys.executable} {ROOT / 'manage.py'} segment_transcript {{files}} --json"
    with tempfile.TemporaryDirectory(prefix="flower-bench-") as folder:
        path = Path(folder) / "figures.json"
        given = [sys.executable, "score.py", "--cmd", command, "--json", str(path)]
        subprocess.run(
            [*given, *(["--mask-commits"] if hidden else [])], cwd=scorer, check=True, stdout=subprocess.DEVNULL
        )
        told = json.loads(path.read_text())
    return dict(told.get("sets", told))
