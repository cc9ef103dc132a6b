"""Healed trades are stored once and the same wherever the worker and the conditioner are started again."""

import pytest

from condition import codec
from tests.journaled import unpacked
from tests.unit.book.play import NAME, Story
from tests.unit.book.test_healing import answer, body
from tests.unit.condition.test_with_book import Recorder

FIRST, LAST = 8, 13


def told() -> Story:
    """Return a story in which trades 8 to 13 are missing and come in three answers, late and twice."""
    story = Story().begin()
    for trade_id in (*range(1, FIRST), *range(LAST + 1, 30)):
        story.trade(2 * trade_id, trade_id)
    times = {trade_id: story.at(2 * trade_id) for trade_id in range(FIRST, LAST + 1)}
    for n, ids in enumerate(([11, 12], [8], [8, 9, 10, 11], [13], [13])):
        answer(story, 60 + 2 * n, body(ids, times), (FIRST, LAST))
        story.trade(61 + 2 * n, 30 + n)
    return story.quiet_until(90)


@pytest.mark.parametrize("checkpoint_every", [1, 7])
def test_a_restart_between_any_two_groups_stores_the_same(checkpoint_every: int) -> None:
    groups = unpacked(told().groups)
    whole = Recorder(10, NAME, len(groups))
    for group in groups:
        whole.feed(group)
    whole.finish()
    healed = {name: d for name, d in whole.stored.items() if "|h" in name}
    seconds = [int(name.split("|")[2]) % 100 for name in healed]
    assert seconds == [10, 20]
    assert [codec.decode_trades(d.fields).ids.tolist() for d in healed.values()] == [[8, 9], [10, 11, 12, 13]]
    [row] = [d for d in whole.stored.values() if d.collection == "gaps"]
    assert (row.id, row.covered, row.fields["state"]) == (f"{NAME}|trades|8", 2, "healed")
    from_checkpoint = 0
    for at in range(1, len(groups)):
        broken = Recorder(10, NAME, checkpoint_every)
        for group in groups[:at]:
            broken.feed(group)
        broken.restart(groups)
        broken.finish()
        from_checkpoint += broken.from_checkpoint
        assert broken.content() == whole.content(), f"restarted after group {at}"
    assert from_checkpoint > len(groups) // 3
