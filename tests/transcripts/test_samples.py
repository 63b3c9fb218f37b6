"""Real logs (of public repositories; not part of this one): their counts, as their README has them."""

from __future__ import annotations

import re

import pytest

from tests.transcripts.logs import SAMPLES
from transcripts import ingest
from transcripts.adapters import NoTranscript, read
from transcripts.events import Kind
from transcripts.models import Block, Session

pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real logs are not here")

NOT_ONE = "happy-not-a-transcript"


def rows() -> list[tuple[str, int, str]]:
    """(file, records, what is said of it) of the README's table."""
    if not SAMPLES.is_dir():
        return []
    table = (SAMPLES / "README.md").read_text()
    found = re.findall(r"^\| ((?:claude|codex)/\S+\.jsonl) \| \d+ \| (\d+) \|(.*)\|$", table, re.M)
    return [(name, int(records), said) for name, records, said in found]


@pytest.mark.parametrize(("name", "records", "said"), rows(), ids=lambda value: value if "/" in str(value) else "")
def test_a_log_has_the_counts_of_its_readme(name, records, said):
    if NOT_ONE in name:
        with pytest.raises(NoTranscript):
            read(SAMPLES / name)
        return
    found = read(SAMPLES / name)
    counts = found.counts
    assert (counts.records, counts.invalid, counts.odd, counts.repeated) == (records, 0, 0, 0)
    if told := re.search(r"(\d+) (?:human )?prompts", said):
        commands = sum(event.kind is Kind.COMMAND for event in found.events) if "/claude" in f"/{name}" else 0
        assert counts.prompts + commands == int(told[1])
    compactions = re.search(r"-(\d)compact", name)
    assert counts.compactions == int(compactions[1] if compactions else 0)
    assert len({event.key for event in found.events}) == len(found.events)
    spent = [event.usage for event in found.events if event.usage]
    assert sum(usage.output for usage in spent) == counts.output
    assert sum(usage.cache_read for usage in spent) == counts.cache_read


@pytest.mark.django_db
def test_all_of_them_twice():
    taken = [ingest.take(SAMPLES / name) for name, _, _ in rows() if NOT_ONE not in name]
    before = list(Session.objects.order_by("pk").values())
    blocks = list(Block.objects.order_by("pk").values_list("pk", "last"))
    again = [ingest.take(SAMPLES / name) for name, _, _ in rows() if NOT_ONE not in name]
    assert sum(each.new_events for each in again) == 0
    assert [each.session for each in again] == [each.session for each in taken]
    assert list(Session.objects.order_by("pk").values()) == before
    assert list(Block.objects.order_by("pk").values_list("pk", "last")) == blocks
    size = sum((SAMPLES / name).stat().st_size for name, _, _ in rows() if NOT_ONE not in name)
    stored = sum(len(b.payload) + len(b.index) + len(b.keys) for b in Block.objects.iterator(chunk_size=5))
    assert stored < size / 4  # 1 GB of logs in 250 MB
