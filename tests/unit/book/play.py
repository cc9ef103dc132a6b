"""Plays a journal to a maintainer and looks at what comes out."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgpack
import msgspec
import numpy as np

from book.maintainer import Maintainer, Output, Saved
from book.windows import Recipe
from journal.group import Group
from tests.journaled import Journal, unpacked
from venue import VENUES
from venue.decimals import text
from wire.names import BUCKETS
from wire.runs import Audit, Begin, Changes, Cut, Healed, Image, Mark, Orders, RunMessage, Trades

S = 1_000_000_000
START = 1_700_000_000 * S
RECIPE = Recipe(window_ns=10 * S, images_s=600, order_images_s=3600)
EVERY_BUCKET = range(BUCKETS)


def maintainer(recipe: Recipe = RECIPE) -> Maintainer:
    return Maintainer(VENUES, recipe, EVERY_BUCKET)


def play(groups: Sequence[bytes], recipe: Recipe = RECIPE) -> tuple[Maintainer, list[RunMessage]]:
    """Return the maintainer after *groups*, and all it said."""
    made = maintainer(recipe)
    return made, list(messages(made, unpacked(groups)))


def messages(made: Maintainer, groups: Iterable[Group]) -> Iterator[RunMessage]:
    """Yield what *made* says of *groups*, and in the end what waits to be said with the next tick."""
    for group in groups:
        for output in made.feed(group):
            yield from output.messages
    for security in made.securities.values():
        security.settle()
        yield from security.flush()


def of_type(said: Iterable[RunMessage], kind: type) -> list[Any]:
    return [message for message in said if isinstance(message, kind)]


def ints(column: bytes) -> list[int]:
    return list(np.frombuffer(column, dtype="<i8").tolist())


def olds(message: Changes) -> list[int] | list[None]:
    """Return the old size of each level; Nones where the window is not stored net, for then none comes."""
    return ints(message.old_sizes) or [None] * len(ints(message.prices))


def copied(made: Maintainer, recipe: Recipe = RECIPE) -> Maintainer:
    """Return another maintainer that goes on from the checkpoints of *made*, as they lie on disk."""
    other = maintainer(recipe)
    saved = []
    for security in made.securities.values():
        state = msgpack.unpackb(msgpack.packb(security.dump()), strict_map_key=False)
        saved.append(Saved(security.name, security.born, state))
    other.restore(saved)
    other.read = dict(made.read)
    return other


def stored(said: Iterable[RunMessage]) -> dict[Any, Any]:
    """Return what the conditioner would make of *said*: per document all its rows, or its last version."""
    documents: dict[Any, Any] = {}
    for message in said:
        key: tuple[Any, ...]
        match message:
            case Healed():
                key = (message.security, "healed", message.start_ns, ints(message.ids)[0])
                documents[key] = _rows(message)
            case Changes() | Orders() | Trades():
                key = (message.security, type(message).__name__, message.start_ns)
                documents.setdefault(key, []).extend(_rows(message))
            case Cut():
                key = (message.security, "cut", message.feed, message.start_ns)
                documents[key] = (message.chains, message.every_ms, message.final)
            case Begin() | Mark():
                pass
            case _:
                name = message.update_id if isinstance(message, Image | Audit) else message.first_id
                key = (message.security, type(message).__name__, name)
                bare = msgspec.structs.replace(message, run=0, number=0, marks={}, read={})
                documents[key] = bare
    return documents


def _rows(message: Changes | Orders | Trades | Healed) -> list[Any]:
    prices = [text(abs(p), message.price_scale) for p in ints(message.prices)]
    sizes = [text(abs(s), message.size_scale) for s in ints(message.sizes)]
    if not isinstance(message, Changes):
        columns = (ints(message.ids), ints(message.effective_ns), ints(message.times_ns), prices, sizes)
        return [(*row, side) for row, side in zip(zip(*columns, strict=True), message.sides_u1, strict=True)]
    before = [old if old is None else text(old, message.size_scale) for old in olds(message)]
    levels = iter(zip(prices, sizes, before, strict=True))
    heads = (message.first_ids, message.last_ids, message.times_ns, message.effective_ns)
    counts = zip(ints(message.bid_counts), ints(message.ask_counts), strict=True)
    rows = []
    for head, (bids, asks) in zip(zip(*map(ints, heads), strict=True), counts, strict=True):
        rows.append((*head, [next(levels) for _ in range(bids)], [next(levels) for _ in range(asks)]))
    return rows


def depth(
    symbol: str, first: int, last: int, time_ns: int, bids: Sequence[Any] = (), asks: Sequence[Any] = ()
) -> bytes:
    """Return a Binance depth frame."""
    data = {"e": "depthUpdate", "E": time_ns // 1_000_000, "s": symbol, "U": first, "u": last}
    return msgspec.json.encode(
        {"stream": f"{symbol.lower()}@depth@100ms", "data": {**data, "b": list(bids), "a": list(asks)}}
    )


def trade(symbol: str, trade_id: int, time_ns: int, price: str = "10.5", size: str = "1") -> bytes:
    """Return a Binance trade frame."""
    data = {"e": "trade", "E": 0, "s": symbol, "t": trade_id, "p": price, "q": size}
    data |= {"T": time_ns // 1_000_000, "m": True, "M": True}
    return msgspec.json.encode({"stream": f"{symbol.lower()}@trade", "data": data})


def snapshot(last: int, bids: Sequence[Any] = (("10", "1"),), asks: Sequence[Any] = (("11", "1"),)) -> bytes:
    """Return a Binance REST body."""
    return msgspec.json.encode({"lastUpdateId": last, "bids": list(bids), "asks": list(asks)})


def old_trades(ids: Iterable[int], time_ns: int, price: str = "10.5") -> bytes:
    """Return what Binance says of the trades *ids* over REST."""
    rows = [{"id": n, "price": price, "qty": "1", "time": time_ns // 1_000_000} for n in ids]
    return msgspec.json.encode([row | {"isBuyerMaker": True} for row in rows])


NAME = "binance:XUSDT"


class Story:
    """A journal of one Binance security, told line by line; times are seconds after START."""

    def __init__(self, *, per_group: int = 1) -> None:
        self.journal = Journal("binance/a", per_group=per_group)
        self.epoch = 1

    def begin(self, *, since_ns: int = 1, **add: Any) -> "Story":
        self.journal.start(START)
        self.journal.add(START, NAME, "depth", since_ns=since_ns, **add)
        return self

    def at(self, seconds: float) -> int:
        return START + int(seconds * 1000) * 1_000_000

    def update(
        self,
        seconds: float,
        first: int,
        last: int | None = None,
        bids: Sequence[Any] = (),
        asks: Sequence[Any] = (),
        *,
        connection: int = 1,
        time: float | None = None,
    ) -> "Story":
        time_ns = self.at(seconds if time is None else time)
        payload = depth("XUSDT", first, first if last is None else last, time_ns, bids, asks)
        self.journal.frame(self.at(seconds), NAME, payload, connection)
        return self

    def trade(
        self, seconds: float, trade_id: int, *, time: float | None = None, connection: int = 1
    ) -> "Story":
        payload = trade("XUSDT", trade_id, self.at(seconds if time is None else time))
        self.journal.frame(self.at(seconds), NAME, payload, connection)
        return self

    def snapshot(
        self, seconds: float, last: int, *rows: Any, cause: str = "subscribe", levels: int = 0
    ) -> "Story":
        self.journal.rest(self.at(seconds), NAME, snapshot(last, *rows), cause=cause, levels=levels)
        return self

    def quiet_until(self, seconds: float) -> "Story":
        self.journal.ticks_until(self.at(seconds))
        return self

    @property
    def groups(self) -> list[bytes]:
        self.journal.flush()
        return self.journal.groups

    def said(self, recipe: Recipe = RECIPE) -> list[RunMessage]:
        return play(self.groups, recipe)[1]


__all__ = ["Output"]
