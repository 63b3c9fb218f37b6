"""flower: teams of coding agents over git worktrees. See ARCHITECTURE.md."""

from flower.celery import app as celery_app

__all__ = ["celery_app"]
