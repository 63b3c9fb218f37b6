"""A backup of a flower on MySQL or MariaDB, taken while agents work; it restores there and on SQLite.

On SQLite the same is in test_main_job.py, whose flower it uses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection

from tests.system.running import Bench, Flower

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@contextmanager
def database(suffix: str) -> Iterator[str]:
    """The URL of a database without tables, on the server of the suite."""
    given = connection.settings_dict
    name = f"{given['NAME']}_{suffix}"
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name}")
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    try:
        server = f"{given['HOST'] or '127.0.0.1'}:{given['PORT'] or 3306}"
        yield f"mysql://{given['USER']}:{given['PASSWORD']}@{server}/{name}"
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name}")


def test_a_backup_while_four_agents_work_restores_on_both_databases(tmp_path: Path):
    if connection.vendor != "mysql":
        pytest.skip("for MySQL")
    archive = tmp_path / "four.zip"
    with database("live") as live, database("restored") as restored:
        flower = Flower(tmp_path / "live", live)
        (tmp_path / "bench").mkdir()
        try:
            bench = Bench(flower.start(), tmp_path / "bench")
            bench.begin(bench.project("sample"))
            numbers = [bench.dispatch("sample", title=f"Work {number}") for number in range(4)]
            for number in numbers:
                bench.await_signal(f"token-{number}")
            flower.manage(["backup", str(archive), "--with-outputs"])
            for number in numbers:
                assert bench.call("brief_dispatch_cancel", dispatch=number, why="The test is over.")["ok"]
        finally:
            flower.clear_away()
        first, second = Flower(tmp_path / "on-sqlite"), Flower(tmp_path / "on-mysql", restored)
        told = [place.manage(["restore", str(archive)], ["trace_verify"]) for place in (first, second)]
        for said, verdict in told:
            assert re.search(r"4 processes ran then; they count as lost\nok [1-9]\d* entries$", said), said
            assert verdict == said.splitlines()[-1]
        assert told[0] == told[1]
        assert first.value("select count(*) from daemons_process where phase = 'lost'") == 4
