from __future__ import annotations

from django.db import models


class SearchText(models.Model):
    """A brief's title and spec as they are searched (briefs/folding.py), beside the brief: its row is read often."""

    brief = models.OneToOneField("briefs.Brief", on_delete=models.CASCADE, primary_key=True, related_name="search_text")
    title = models.TextField()
    spec = models.TextField()

    def __str__(self) -> str:
        return f"search text of #{self.brief_id}"
