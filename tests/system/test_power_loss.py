"""A power loss costs what was not synced yet, with a row in the ledger, and the database never has more.

The real journal writer, maintainer, checkpoints, conditioner and database writer run in this process, so
that each instant can be chosen: what a disk may lose is then thrown away from a seed, and all start again.

what                        may be lost
newest segment              bytes after the last sync: cut off, or some sectors of them zero or garbage
newest checkpoint           half written beside its name, its name, or (no file system should) its end
everything else             nothing: it was synced before anybody was told
"""

import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from book.checkpoint import Rounds, later
from book.maintainer import Output, Saved
from condition.conditioner import Conditioner
from journal.collected import gather
from journal.group import Kind
from journal.payload import Command, Connection, Payload, Rest, pack
from journal.reader import Reader, Skipped
from journal.rows import Row
from journal.segment import SEGMENT_HEADER_BYTES, segments_in
from journal.writer import Writer
from store.documents import to_bson
from store.history import Archive
from store.outcome import Verdict
from store.rebuild import rebuild
from store.verify import verify
from store.waiting import Entry
from store.writer import Writer as Store
from tests.embedded import Server, mongo, mongo_server
from tests.rounds import pack_round
from tests.unit.book.play import NAME, RECIPE, START, depth, maintainer, snapshot, trade
from tests.unit.store.test_rebuild import documents as with_receipts
from wire.messages import Answer, Policy, Synced
from wire.names import BUCKETS, EVERY_SECURITY
from wire.runs import Marks
from wire.settings import load_settings

pytestmark = [pytest.mark.faults, pytest.mark.mongo]

__all__ = ["mongo", "mongo_server"]

LINE = "binance/a"
LINES = frozenset([LINE])
S = 1_000_000_000
SECTOR = 512
LIVES = 4


class Market:
    """What the venue says: ids that never stop, and a book of a few levels."""

    def __init__(self, draw: random.Random) -> None:
        self.draw, self.now_ns, self.update_id, self.trade_id = draw, START, 100, 0
        self.bids = {"10": "1", "9": "1"}

    def pass_ns(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1000) * 1_000_000

    def update(self) -> bytes:
        self.update_id += 1
        price, size = str(self.draw.randint(5, 10)), str(self.draw.randint(1, 99))
        self.bids[price] = size
        return depth("XUSDT", self.update_id, self.update_id, self.now_ns, [(price, size)])

    def trade(self) -> bytes:
        self.trade_id += 1
        return trade("XUSDT", self.trade_id, self.now_ns)

    def snapshot(self) -> bytes:
        return snapshot(self.update_id, sorted(self.bids.items()))


class Life:
    """The logger from a start to the end of the power."""

    def __init__(self, root: Path, market: Market, store: Store, number: int) -> None:
        self.market, self.draw, self._store = market, market.draw, store
        self.journal, self.checkpoints = root / "journal" / "binance-a", root / "checkpoints"
        self._before = root / "before"
        self._writer = Writer(
            self.journal, LINE, segment_bytes=6000, now_ns=lambda: market.now_ns, witness=root / "epoch"
        )
        self._synced = self._newest()
        self._ticked_ns = market.now_ns
        self._half_round = False
        self._rounds = Rounds(self.checkpoints, 0, range(BUCKETS))
        self._done: dict[str, Marks] = self._rounds.done()
        self._lost: list[Skipped] = []
        self._reader = Reader(self.journal, self._lost.append)
        self._maintainer = maintainer(RECIPE)
        self._conditioner = Conditioner(window_ns=RECIPE.window_ns, reply_to="", token=1, lines=LINES)
        self._maintainer.restore(
            Saved(name, entry.born, self._rounds.state(name, self._done.get(name, {})))
            for name, entry in self._rounds.securities().items()
        )
        for bucket in range(BUCKETS):
            self._condition(self._maintainer.begin(bucket, number))
        searched = self._rounds.searched(LINE, range(BUCKETS))
        self._maintainer.read[LINE] = searched
        self._reader.seek(min(searched, self._maintainer.cursor(LINE, searched)))
        self._record(Kind.CONNECTION, EVERY_SECURITY, Connection("open", ""))
        self._record(Kind.COMMAND, NAME, Command("add", "depth", 100, (Policy(),), 1))

    # --- what happens -----------------------------------------------------------------------

    def step(self) -> None:
        """Let something happen, and each stage do its part or not."""
        self.market.pass_ns(self.draw.choice([0.01, 0.1, 0.3, 1.5]))
        while self.market.now_ns - self._ticked_ns >= S:
            self._ticked_ns += S
            self._append(Kind.TICK, [(self._ticked_ns, EVERY_SECURITY, 0, b"")])
        what = self.draw.random()
        if what < 0.75:
            self._frames([self.market.update() for _ in range(self.draw.randint(1, 4))])
        else:
            self._frames([self.market.trade()])
        if self.draw.random() < 0.8:
            self._read()
            if self._maintainer.securities[NAME].wishes_snapshot:
                self.snapshot()
        if self.draw.random() < 0.25:
            self._sync()
        if self.draw.random() < 0.5:
            self._put()
        if self.draw.random() < 0.08:
            self._checkpoint()

    def snapshot(self) -> None:
        """Let the venue answer the line's question for the whole book."""
        body = self.market.snapshot()
        self._record(Kind.REST, NAME, Rest("depth", "connection", 200, self.market.now_ns, "/", 0, body))

    def end(self) -> None:
        """Stop in order."""
        self._read()
        self._checkpoint()
        self._condition(self._maintainer.cut_open())
        self._sync()
        self._put()
        self._writer.close()
        assert not len(self._conditioner.outbox)

    def lose_power(self) -> None:
        """End at once, and throw away what no disk was made to keep."""
        if self.draw.random() < 0.5:
            self._read()
        if self.draw.random() < 0.5:
            self._checkpoint()
            self._half_round = True
        self._writer.close()
        self._tear_journal()
        if self._half_round:
            self._tear_checkpoint()

    # --- the stages -------------------------------------------------------------------------

    def _frames(self, payloads: list[bytes]) -> None:
        self._append(Kind.FRAME, [(self.market.now_ns, NAME, 1, payload) for payload in payloads])

    def _record(self, kind: Kind, security: str, content: Payload) -> None:
        connection = int(kind is Kind.CONNECTION)
        self._append(kind, [(self.market.now_ns, security, connection, pack(content))])

    def _append(self, kind: Kind, rows: list[Row]) -> None:
        self._writer.append(kind, rows)
        newest = segments_in(self.journal)[-1].path
        if newest != self._synced[0]:
            self._synced = newest, SEGMENT_HEADER_BYTES  # the one before was synced when it was left

    def _newest(self) -> tuple[Path, int]:
        path = segments_in(self.journal)[-1].path
        return path, path.stat().st_size

    def _sync(self) -> None:
        position = self._writer.sync()
        self._synced = self._newest()
        self._conditioner.synced(Synced(LINE, position))

    def _read(self) -> None:
        while groups := self._reader.read(1 << 16):
            for group in groups:
                while self._lost and self._lost[0].next <= group.first:
                    skipped = self._lost.pop(0)
                    if skipped.next > skipped.first:
                        self._condition(self._maintainer.lost(LINE, skipped.next))
                self._condition(self._maintainer.feed(group))

    def _condition(self, outputs: list[Output]) -> None:
        for output in outputs:
            assert self._conditioner.take(output.messages, 0) == []

    def _put(self) -> None:
        while due := list(self._conditioner.outbox.due()):
            outcomes = self._store.put([Entry(document, to_bson(document)) for document in due])
            assert {outcome.verdict for outcome in outcomes} <= {Verdict.STORED, Verdict.HAD}
            self._conditioner.answer(Answer(stored=tuple(each.key for each in due)), 0)
        for done in self._conditioner.done().values():
            for security, marks in done.marks.items():
                self._done[security] = later(self._done.get(security, {}), marks)

    def _checkpoint(self) -> None:
        self._half_round = False
        shutil.rmtree(self._before, ignore_errors=True)
        shutil.copytree(self.checkpoints, self._before)
        states = [security.dump() for security in self._maintainer.securities.values()]
        data = pack_round(range(BUCKETS), self._maintainer.read, self._done, states)
        self._rounds.write(data, self._done)

    # --- the end of the power ---------------------------------------------------------------

    def _tear_journal(self) -> None:
        path, synced = self._synced
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.truncate(self.draw.choice([size, self.draw.randint(synced, size)]))
            size = os.fstat(file.fileno()).st_size
            for begin in range(synced, size, SECTOR):
                length = min(SECTOR - begin % SECTOR, size - begin)
                fate = self.draw.random()
                if fate < 0.3:
                    file.seek(begin)
                    file.write(bytes(length) if fate < 0.2 else self.draw.randbytes(length))

    def _tear_checkpoint(self) -> None:
        newest = max(self.checkpoints.iterdir())
        data = newest.read_bytes()
        half = data[: self.draw.randint(0, len(data))]
        shutil.rmtree(self.checkpoints)
        shutil.copytree(self._before, self.checkpoints)
        match self.draw.choice(["beside", "gone", "cut"]):
            case "beside":
                newest.with_name(f"{newest.name}.new").write_bytes(half)
            case "cut":
                newest.write_bytes(half)


def kept_ids(journal: Path) -> tuple[set[int], set[int]]:
    """Return the ids of the updates and of the trades that the journal still has."""
    updates, trades = set(), set()
    for group in Reader(journal).groups(0):
        if group.kind is Kind.FRAME:
            for record in group.records():
                said = json.loads(record.payload)["data"]
                (updates.add(said["u"]) if "u" in said else trades.add(said["t"]))
    return updates, trades


def stored_ids(archive: Archive) -> tuple[set[int], set[int]]:
    """Return the ids of the updates and of the trades that the database has."""
    found: list[set[int]] = [set(), set()]
    for ids, kinds in zip(found, (("changes",), ("trades",)), strict=True):
        for together in archive.blocks.stored(NAME, kinds, 0, 1 << 62):
            for first, last, *_ in (chain for block, _ in together for chain in block.chains):
                ids.update(range(first, last + 1))
    return found[0], found[1]


def documents(database: Database[Any]) -> dict[str, Any]:
    return {
        name: {field: value for field, value in each.items() if not field.startswith("receipts")}
        for name, each in with_receipts(database).items()
    }


@pytest.mark.parametrize(
    "seed", range(int(os.environ.get("POWER_LOSSES_FROM", "0")), int(os.environ.get("POWER_LOSSES", "4")))
)
def test_nothing_but_the_unsynced_is_lost_and_the_database_has_no_more(
    seed: int, mongo: Database[Any], mongo_server: Server, tmp_path: Path
) -> None:
    settings = load_settings({"DATA_DIR": str(tmp_path), "WINDOW_SECONDS": "10"})
    market = Market(random.Random(seed))
    store = Store(mongo, settings.recorder_id(), 10)
    store.prepare()
    first_id = market.update_id + 1
    with Archive(mongo_server.uri, mongo.name) as archive:
        for number in range(1, LIVES + 1):
            life = Life(tmp_path, market, store, number)
            for step in range(market.draw.randint(20, 150)):
                if step == 3:
                    life.snapshot()
                life.step()
            if number == LIVES:
                life.end()
                break
            life.lose_power()
            journal, database = kept_ids(life.journal), stored_ids(archive)
            assert [have - kept for have, kept in zip(database, journal, strict=True)] == [set(), set()]
            market.pass_ns(market.draw.choice([1, 20, 100]))
            for _ in range(market.draw.randint(0, 5)):
                market.update()
        assert verify(archive.blocks, NAME).first_bad is None
        rows = [row for row in archive.gaps(NAME) if row["feed"] == "book"]
        missing = set(range(min(stored_ids(archive)[0]), market.update_id + 1)) - stored_ids(archive)[0]
        named = {n for row in rows for n in range(row["first_id"], row["last_id"] + 1)}
        assert (missing, {row["cause"] for row in rows} - {"own_restart", "disk"}) == (named, set())
        assert first_id in kept_ids(life.journal)[0] | named
    again = mongo.client[f"{mongo.name}_again"]
    try:
        rebuild(again, settings, gather([life.journal], tmp_path / "together"), [])
        assert documents(mongo) == documents(again)
    finally:
        mongo.client.drop_database(again.name)
