"""The agent of bench/dispatch.py: the first thing that it does is to look at the clock."""

import time

NOW = time.time()

import os  # noqa: E402

with open(os.path.join(os.environ["BENCH_STAMPS"], os.environ["FLOWER_DISPATCH"] + ".tmp"), "w") as file:
    file.write(repr(NOW))
os.replace(file.name, file.name.removesuffix(".tmp"))
