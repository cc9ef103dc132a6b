"""A maintainer of one security, small enough to be plainly right: records in, run messages out.

It keeps the promises of wire.runs and nothing else: windows by effective time, no message across a
window or a chain, marks, cuts, images when a window closes on an even number, holes where an id is missing.
Its messages depend on when they are flushed; what they mean does not.
"""

import copy
from typing import Any, NamedTuple

import numpy as np

from wire.runs import Begin, Changes, Cut, Hole, Image, Mark, RunMessage, Trades

SECURITY = "binance:TEST"
LINE = "binance/a"
STEP_NS = 100_000_000
WINDOW_NS = 10 * STEP_NS
PROVISIONAL_TICKS = 3
FINAL_TICKS = 6


class Record(NamedTuple):
    """``feed`` is ``changes``, ``trades`` or ``tick``; ``skip`` ids are missing before its ``count`` ids."""

    feed: str
    skip: int = 0
    count: int = 1
    later: int = 0
    levels: int = 1


class _Feed:
    def __init__(self) -> None:
        self.next_id = 1
        self.effective_ns = 0
        self.newest: int | None = None
        """Window of the newest update."""
        self.window: int | None = None
        self.silent = 0
        self.chains: list[list[Any]] = []
        self.rows: list[Any] = []
        self.image: int | None = None


class Maintainer:
    """State after the records before ``position``."""

    def __init__(self, every_ms: int = 0) -> None:
        self.position = 1
        self.every_ms = every_ms
        self.feeds = {"changes": _Feed(), "trades": _Feed()}
        self.out: list[Any] = []
        self.sizes: dict[int, int] = {}
        self.number = 0
        self.run = 0
        self.marks = {LINE: 1}

    def checkpoint(self) -> "Maintainer":
        """Return a copy to begin a run from; only right when flushed."""
        return copy.deepcopy(self)

    def begin(self, run: int) -> Begin:
        """Start a run: what is before ``position`` is stored for good."""
        self.run, self.number, self.out = run, 0, []
        self.marks = {LINE: self.position}
        windows = {n: f.newest * WINDOW_NS for n, f in self.feeds.items() if f.newest is not None}
        return Begin(SECURITY, run, 0, dict(self.marks), "l2", True, windows)

    def take(self, record: Record) -> None:
        """Take the next record; its messages come at the next flush."""
        if record.feed == "tick":
            for name, feed in self.feeds.items():
                self._tick(name, feed)
        else:
            self._update(record, self.feeds[record.feed])
        self.position += 1

    def flush(self) -> list[RunMessage]:
        """Return the messages since the last flush; only the last one says that all was reflected."""
        for name, feed in self.feeds.items():
            self._send_rows(name, feed)
        self._emit(Mark)
        messages = []
        for n, (kind, fields) in enumerate(self.out, 1):
            marks = {LINE: self.position} if n == len(self.out) else dict(self.marks)
            self.number += 1
            messages.append(kind(security=SECURITY, run=self.run, number=self.number, marks=marks, **fields))
        self.marks, self.out = {LINE: self.position}, []
        return messages

    def _emit(self, kind: Any, **fields: Any) -> None:
        self.out.append((kind, fields))

    def _tick(self, name: str, feed: _Feed) -> None:
        feed.silent += 1
        if feed.window is None:
            return
        if feed.silent == PROVISIONAL_TICKS:
            self._cut(name, feed, final=False)
        if feed.silent == FINAL_TICKS:
            self._cut(name, feed, final=True)

    def _update(self, record: Record, feed: _Feed) -> None:
        if record.skip and feed.newest is not None:
            self._send_rows(record.feed, feed)
            first, last = feed.next_id, feed.next_id + record.skip - 1
            self._emit(
                Hole,
                feed="book" if record.feed == "changes" else "trades",
                start_ns=feed.effective_ns // WINDOW_NS * WINDOW_NS,
                first_id=first,
                last_id=last,
                from_ns=feed.effective_ns,
                to_ns=None,
                cause="network",
                noticed_by="test",
                state="open",
                covered=1,
            )
            feed.next_id += record.skip
        effective = feed.effective_ns + record.later * STEP_NS
        window = effective // WINDOW_NS
        if feed.window is not None and window > feed.window:
            self._cut(record.feed, feed, final=True)
        if feed.window is None:
            feed.window, feed.chains = window, []
        first, last = feed.next_id, feed.next_id + record.count - 1
        if feed.chains and feed.chains[-1][1] == first - 1:
            feed.chains[-1][1] = last
        else:
            feed.chains.append([first, last])
        levels = []
        for n in range(record.levels):
            price = (last * 7 + n * 3) % 5 + n * 5
            levels.append((price, last % 4, self.sizes.get(price, 0)))
            self.sizes[price] = last % 4
        feed.rows.append((first, last, effective, self.position * 10, levels))
        feed.next_id, feed.effective_ns, feed.silent, feed.newest = last + 1, effective, 0, window

    def _cut(self, name: str, feed: _Feed, *, final: bool) -> None:
        self._send_rows(name, feed)
        assert feed.window is not None
        start = feed.window * WINDOW_NS
        book = name == "changes"
        chains = tuple(
            (a, b, feed.image if book else None, str(b).encode() if book else b"") for a, b in feed.chains
        )
        every = self.every_ms if book else 0
        self._emit(Cut, feed=name, start_ns=start, chains=chains, every_ms=every, final=final)
        if not final:
            return
        if book and feed.window % 2 == 0:
            self._image(feed, start)
        if feed.silent >= FINAL_TICKS:
            feed.effective_ns = start + WINDOW_NS
        feed.window = None

    def _image(self, feed: _Feed, start: int) -> None:
        feed.image = feed.next_id - 1
        prices = np.array(sorted(self.sizes), np.int64)
        sizes = np.array([self.sizes[price] for price in prices.tolist()], np.int64)
        self._emit(
            Image,
            start_ns=start,
            update_id=feed.image,
            time_ns=feed.effective_ns,
            effective_ns=feed.effective_ns,
            book="l2",
            price_scale=0,
            size_scale=0,
            certified=(None, None),
            hash=b"h",
            bids=0,
            asks=len(prices),
            prices=prices.tobytes(),
            sizes=sizes.tobytes(),
        )

    def _send_rows(self, name: str, feed: _Feed) -> None:
        runs: list[list[Any]] = []
        for row in feed.rows:
            if runs and runs[-1][-1][1] == row[0] - 1:
                runs[-1].append(row)
            else:
                runs.append([row])
        feed.rows = []
        for rows in runs:
            self._emit(Changes, **_changes(rows)) if name == "changes" else self._emit(
                Trades, **_trades(rows)
            )


def int64s(values: list[int]) -> bytes:
    return np.array(values, np.int64).tobytes()


def _changes(rows: list[Any]) -> dict[str, Any]:
    levels = [level for row in rows for level in row[4]]
    return {
        "start_ns": rows[0][2] // WINDOW_NS * WINDOW_NS,
        "price_scale": 0,
        "size_scale": 0,
        "first_ids": int64s([row[0] for row in rows]),
        "last_ids": int64s([row[1] for row in rows]),
        "times_ns": int64s([row[2] for row in rows]),
        "effective_ns": int64s([row[2] for row in rows]),
        "received_ns": int64s([row[3] for row in rows]),
        "bid_counts": int64s([0 for row in rows]),
        "ask_counts": int64s([len(row[4]) for row in rows]),
        "prices": int64s([level[0] for level in levels]),
        "sizes": int64s([level[1] for level in levels]),
        "old_sizes": int64s([level[2] for level in levels]),
    }


def _trades(rows: list[Any]) -> dict[str, Any]:
    ids = [number for row in rows for number in range(row[0], row[1] + 1)]
    times = [row[2] for row in rows for _ in range(row[0], row[1] + 1)]
    return {
        "start_ns": rows[0][2] // WINDOW_NS * WINDOW_NS,
        "price_scale": 0,
        "size_scale": 0,
        "ids": int64s(ids),
        "times_ns": int64s(times),
        "effective_ns": int64s(times),
        "received_ns": int64s([row[3] for row in rows for _ in range(row[0], row[1] + 1)]),
        "sides_u1": bytes(number % 2 for number in ids),
        "prices": int64s(ids),
        "sizes": int64s(ids),
    }
