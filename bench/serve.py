"""``python -m flower.up`` with the baselines beside it: the same processes and flags, but web serves bench.asgi."""

from __future__ import annotations

import sys
from dataclasses import replace

from flower import up

FLOWER, WITH_BASELINES = "flower.asgi:application", "bench.asgi:application"
programs = up.programs


def programs_with_baselines(flower: up.env.Environment) -> list[up.Program]:
    table = programs(flower)
    assert sum(FLOWER in program.argv for program in table) == 1, "flower/up.py starts web in another way than before"
    return [
        replace(program, argv=[WITH_BASELINES if word == FLOWER else word for word in program.argv])
        for program in table
    ]


if __name__ == "__main__":
    up.SETTINGS = "bench.settings"
    up.programs = programs_with_baselines
    sys.exit(up.main(sys.argv[1:]))
