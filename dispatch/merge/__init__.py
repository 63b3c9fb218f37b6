"""Merging to MAIN's branch, one at a time for each branch, in plumbing: nothing runs in MAIN.

merge-tree -> a commit of the merged tree, in no branch yet -> the project's gates in a scratch worktree of it ->
compare-and-swap of the ref -> a two-way refresh of MAIN's files that refuses rather than overwrites local changes.
Until the swap it may be called off: either the cancel's UPDATE finds the row, or the one that marks it as ``landing``.

Every step is repeatable. The commit's id is kept before the ref moves, so a successor of a killed worker can tell
whether it landed; the gates run in holders, so it finds them running or ended. If a step fails, everything is as it
was, the request is ``finished`` again, and the reason stands on the trace.

By step: queue (whose turn it is, and the way of one merge), plan, gates, landing; record writes how it ended.
"""

from .gates import sweep_scratch
from .queue import ask, clear_away, give_up, step

__all__ = ["ask", "clear_away", "give_up", "step", "sweep_scratch"]
