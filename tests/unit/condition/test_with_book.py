"""The real maintainer and the conditioner together, on recorded exchange data.

Stopped and restarted between any two groups, from a checkpoint not past *done*, they store the same
documents; what the blocks hold is what the exchange sent; and it is as small as it is said to be.
"""

from collections import Counter
from typing import Any

import bson
import msgpack
import pytest

from book.maintainer import Maintainer, Saved
from book.windows import Recipe
from condition import codec
from condition.conditioner import Conditioner
from journal.group import Group, unpack_group
from tests.journaled import groups_of_capture
from venue import VENUES
from wire.messages import Answer, Document, Policy
from wire.names import BUCKETS, bucket_of

SECOND = 1_000_000_000
ETH = "binance_spot_ETHUSDT_20240808"

pytestmark = pytest.mark.captures


class Recorder:
    """Groups in, the newest versions of the documents out; a checkpoint after some of the groups."""

    def __init__(self, window_s: int, security: str, checkpoint_every: int) -> None:
        self.checkpoint_every = checkpoint_every
        self.groups = 0
        self.recipe = Recipe(window_s * SECOND, 5 * window_s, 5 * window_s)
        self.security, self.bucket = security, bucket_of(security)
        self.stored: dict[str, Document] = {}
        self.saved: list[tuple[int, Saved]] = []
        self.runs = 0
        self.start(Maintainer(VENUES, self.recipe, range(BUCKETS)))

    def start(self, maintainer: Maintainer) -> None:
        self.runs += 1
        self.maintainer = maintainer
        self.conditioner = Conditioner(
            window_ns=self.recipe.window_ns, reply_to="", token=self.runs, lines=frozenset()
        )
        self.take([m for output in maintainer.begin(self.bucket, self.runs << 20) for m in output.messages])

    def take(self, messages: list[Any]) -> None:
        self.conditioner.take(messages, 0)
        for document in self.conditioner.outbox.due():
            kept = self.stored.get(document.name)
            if kept is None or kept.covered < document.covered:
                self.stored[document.name] = document
            self.conditioner.answer(Answer(had=(document.key,)), 0)

    def feed(self, group: Group) -> None:
        for output in self.maintainer.feed(group):
            self.take(output.messages)
        self.groups += 1
        security = self.maintainer.securities.get(self.security)
        if security is not None and self.groups % self.checkpoint_every == 0:
            state = msgpack.unpackb(msgpack.packb(security.dump()), strict_map_key=False)
            saved = Saved(self.security, security.born, state)
            self.saved.append((security.positions[group.line], saved))

    def restart(self, groups: list[Group]) -> None:
        """Lose everything but the checkpoints not past done, and read the journal again from there."""
        done = self.conditioner.done()
        marks = done[self.bucket].marks[self.security] if done else {}
        position = max(marks.values(), default=-1)
        usable = [saved for at, saved in self.saved if at <= position]
        maintainer = Maintainer(VENUES, self.recipe, range(BUCKETS))
        maintainer.restore(usable[-1:])
        begin = maintainer.cursor(groups[0].line, 0)
        self.from_checkpoint = bool(usable)
        self.saved = self.saved[: len(usable)]
        self.start(maintainer)
        for group in groups:
            if group.next_position > begin:
                self.feed(group)

    def finish(self) -> None:
        self.take([m for output in self.maintainer.cut_open() for m in output.messages])

    def content(self) -> dict[str, Any]:
        return {name: (d.covered, d.start_ns, d.fields) for name, d in self.stored.items()}


def groups_of(name: str, symbol: str, until: int | None, policy: Policy | None = None) -> list[Group]:
    packed = groups_of_capture(name, [symbol], per_group=4, policy=policy, until=until)
    return [unpack_group(data) for data in packed]


@pytest.mark.parametrize(
    ("name", "symbol", "until", "policy", "checkpoint_every", "restarts"),
    [
        (ETH, "ETHUSDT", 600, None, 2, 12),
        (ETH, "ETHUSDT", 600, Policy(every_ms=500), 2, 6),
        ("coinbase_full_BTC-USD_20160312", "BTC-USD", 400, None, 12, 3),
        ("coinbase_full_BTC-USD_20160312", "BTC-USD", 400, Policy(order_ids=False), 12, 3),
        ("coinbase_level2batch_BTC-USD_ETH-USD_20260707", "ETH-USD", 300, None, 12, 3),
    ],
)
def test_a_restart_between_any_two_groups_stores_the_same(
    name: str, symbol: str, until: int, policy: Policy | None, checkpoint_every: int, restarts: int
) -> None:
    groups = groups_of(name, symbol, until, policy)
    security = f"{name.partition('_')[0]}:{symbol}"
    whole = Recorder(1, security, len(groups))
    for group in groups:
        whole.feed(group)
    whole.finish()
    from_checkpoint = 0
    for at in range(1, len(groups), max(1, len(groups) // restarts)):
        broken = Recorder(1, security, checkpoint_every)
        for group in groups[:at]:
            broken.feed(group)
        broken.restart(groups)
        broken.finish()
        from_checkpoint += broken.from_checkpoint
        assert broken.content() == whole.content(), f"restarted after group {at}"
    assert from_checkpoint, "the test tries what it is meant to try"
    kinds = Counter(document.collection for document in whole.stored.values())
    assert kinds["images"] >= 1
    assert kinds["orders" if "full" in name else "changes"] >= 2


def test_ten_second_windows_of_ethusdt_take_at_most_three_point_two_bytes_a_change() -> None:
    recorder = Recorder(10, "binance:ETHUSDT", 1 << 30)
    for group in groups_of(ETH, "ETHUSDT", None):
        recorder.feed(group)
    recorder.finish()
    changes = [d for d in recorder.stored.values() if d.collection == "changes"]
    levels = sum(d.fields["levels"] for d in changes)
    size = sum(len(bson.encode({"_id": d.id, "security": d.security, **d.fields})) for d in changes)
    assert levels > 100_000
    assert size / levels < 3.2
    trades = [d for d in recorder.stored.values() if d.collection == "trades"]
    rows = sum(d.fields["rows"] for d in trades)
    assert rows == 6_106
    assert sum(len(d.fields["body"]) + len(d.fields["receipts"]) for d in trades) / rows < 6
    ids = [n for d in trades for n in codec.decode_trades(d.fields).ids.tolist()]
    assert ids == list(range(ids[0], ids[0] + rows))
    print(f"{size / levels:.3f} bytes a change as BSON")
