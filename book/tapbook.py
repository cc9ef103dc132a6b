"""The book of one security as its tap's messages tell it (book.live), joined at any time; pure.

state    message                              next     handed out
WAITING  changes, order                       WAITING  nothing (kept, the newest ``MOST_KEPT``)
WAITING  a base that the kept ones reach      LIVE     the base as an image, then those after it
WAITING  a base from before the kept ones     WAITING  nothing
LIVE     the next changes or order            LIVE     it
LIVE     one at or before the last id         LIVE     nothing (in the book already)
LIVE     one beyond the next id               WAITING  a gap, cause ``tap``; the message is kept
LIVE     image                                LIVE     it: the book becomes it
LIVE     gap of the book                      WAITING  it
any      trade, audit, gap of the trades      same     it

A *base* is an image of the tap or the answer of ``obl book``.  A feed without ids is joined by an image of
the tap alone, and what the socket dropped of it cannot be seen.
"""

from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

Message = dict[str, Any]

MOST_KEPT = 100_000
"""While no base is there: more than a minute of the busiest feed."""

_BOOK = ("changes", "order")
_BOOK_GAPS = ("book", "orders")
_BOUGHT = "buy"


class TapBook:
    """The state; prices and sizes are the tap's decimal text."""

    def __init__(self) -> None:
        self.is_live = False
        self.has_ids = True
        self.update_id: int | None = None
        self.time = ""
        """Of the last update, as the tap has it."""
        self.levels: tuple[dict[str, str], dict[str, str]] = ({}, {})
        """Bids and asks, of a book of levels: size by price."""
        self.orders: dict[str, tuple[str, str, str]] | None = None
        """Of a book of orders: side, price and size by id, those of a price in queue order."""
        self._kept: deque[Message] = deque(maxlen=MOST_KEPT)

    @property
    def is_waiting_for_base(self) -> bool:
        """Whether asking for the book may help: something came that only lacks a base."""
        return not self.is_live and bool(self._kept)

    def rows(self) -> tuple[list[list[str]], list[list[str]]]:
        """Return bids and asks, best first: price and size, of orders also the id."""
        if self.orders is None:
            held = [[[price, size] for price, size in side.items()] for side in self.levels]
        else:
            held = [[], []]
            for name, (side, price, size) in self.orders.items():
                held[side != _BOUGHT].append([price, size, name])
        bids, asks = held
        bids.sort(key=lambda row: Decimal(row[0]), reverse=True)
        asks.sort(key=lambda row: Decimal(row[0]))
        return bids, asks

    def image(self) -> Message:
        """Return the book as an image of the tap."""
        bids, asks = self.rows()
        return {"type": "image", "time": self.time, "update_id": self.update_id, "bids": bids, "asks": asks}

    def take(self, message: Message) -> list[Message]:
        """Take the tap's next message; return what it comes to."""
        kind = message["type"]
        if kind == "image":
            return self._imaged(message)
        if kind == "gap" and message["feed"] in _BOOK_GAPS:
            # (the row comes again when the next chain has begun: its image is still to come)
            self.is_live = False
            return [message]
        if kind not in _BOOK:
            return [message]
        if not self.is_live:
            self._kept.append(message)
            return []
        return list(self._go_on(message))

    def base(self, answer: Message) -> list[Message]:
        """Take the answer of ``obl book``; return what can be handed out now, perhaps nothing."""
        self.has_ids = answer["continuity"] == "proven"
        if self.is_live or answer["stale"] or not self.has_ids:
            return []
        image = {name: answer[name] for name in ("time", "update_id", "bids", "asks")}
        return self._joined({"type": "image", **image})

    def _imaged(self, image: Message) -> list[Message]:
        if image["update_id"] is None:
            self.has_ids = False
        if self.is_live:
            self._become(image)
            return [image]
        if not self.has_ids:
            self._kept.clear()
        return self._joined(image)

    def _joined(self, image: Message) -> list[Message]:
        """Go live from *image*, if what was kept reaches back to it."""
        base_id = image["update_id"]
        after = [each for each in self._kept if base_id is None or each["update_id"] > base_id]
        if after and base_id is not None and _first_id(after[0]) > base_id + 1:
            return []
        self._become(image)
        self._kept.clear()
        self.is_live = True
        handed = [image]
        for number, message in enumerate(after):
            if not self.is_live:
                self._kept.extend(after[number:])
                break
            handed += self._go_on(message)
        return handed

    def _go_on(self, message: Message) -> Iterator[Message]:
        if self.has_ids and self.update_id is not None:
            if message["update_id"] <= self.update_id:
                return
            if _first_id(message) > self.update_id + 1:
                self.is_live = False
                self._kept.append(message)
                yield self._hole(message)
                return
        self._apply(message)
        yield message

    def _hole(self, message: Message) -> Message:
        """Return the gap that the socket left before *message*: it dropped what was not fetched in time."""
        ids = {"first_id": (self.update_id or 0) + 1, "last_id": _first_id(message) - 1}
        times = {"from": self.time, "to": message["time"]}
        return {"type": "gap", "feed": "book", **ids, **times, "cause": "tap", "state": "open"}

    def _become(self, image: Message) -> None:
        bids, asks = image["bids"], image["asks"]
        self.update_id, self.time = image["update_id"], image["time"]
        first = next(iter([*bids, *asks]), None)
        if first is not None and len(first) > 2:
            sides = (("buy", bids), ("sell", asks))
            self.orders = {name: (side, price, size) for side, rows in sides for price, size, name in rows}
            self.levels = ({}, {})
        else:
            self.orders = None
            self.levels = (dict(map(tuple, bids)), dict(map(tuple, asks)))

    def _apply(self, message: Message) -> None:
        self.update_id, self.time = message["update_id"], message["time"]
        if message["type"] == "order":
            self._order(message)
            return
        for side, name in zip(self.levels, ("bids", "asks"), strict=True):
            for price, size in message[name]:
                if size == "0":
                    side.pop(price, None)
                else:
                    side[price] = size

    def _order(self, message: Message) -> None:
        """Do what book.orders does: a larger size or another price goes to the back of the queue."""
        if self.orders is None:
            self.orders = {}
        orders, name, event = self.orders, message["order_id"], message["event"]
        held = orders.get(name)
        if event == "open":
            orders.pop(name, None)
            after = message["side"], message["price"], message["size"]
        elif held is None or event not in ("done", "match", "change"):
            return
        elif event == "done":
            after = *held[:2], "0"
        elif event == "match":
            after = *held[:2], _less(held[2], message["size"])
        else:
            after = held[0], message.get("price") or held[1], message.get("size") or held[2]
            if after[1] != held[1] or Decimal(after[2]) > Decimal(held[2]):
                del orders[name]
        if Decimal(after[2]) > 0:
            orders[name] = after
        else:
            orders.pop(name, None)


def _first_id(message: Message) -> int:
    first = message.get("first_id")
    return int(message["update_id"] if first is None else first)


def _less(size: str, by: str) -> str:
    left = Decimal(size) - Decimal(by)
    return f"{left.normalize():f}" if left > 0 else "0"
