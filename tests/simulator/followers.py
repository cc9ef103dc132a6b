"""Books kept by the exchanges' documented rules from nothing but frames and REST bodies.

Written without a look at the engine or at the project's own book: an independent oracle for both
(protocols.md 1.6, 2.8, 2.10).  Numbers are ``Decimal``: exact.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

Frame = dict[str, Any]


class Hole(Exception):
    """A number of the feed is missing."""


def text(value: Decimal) -> str:
    """Return *value* without exponent or trailing zeros, as the truth is written."""
    shown = format(value, "f")
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


class Levels:
    """Price -> size of both sides."""

    def __init__(self) -> None:
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}

    def put(self, side: dict[Decimal, Decimal], rows: Iterable[Sequence[Any]]) -> None:
        """Set each level to its absolute size; nothing removes it."""
        for row in rows:
            price, size = Decimal(row[0]), Decimal(row[1])
            if size:
                side[price] = size
            else:
                side.pop(price, None)

    def rows(self) -> tuple[list[list[str]], list[list[str]]]:
        """Return (bids, asks), best first."""
        bids = [[text(price), text(self.bids[price])] for price in sorted(self.bids, reverse=True)]
        asks = [[text(price), text(self.asks[price])] for price in sorted(self.asks)]
        return bids, asks

    def crossed(self) -> bool:
        """Say whether a bid is not below every ask."""
        return bool(self.bids and self.asks) and max(self.bids) >= min(self.asks)


class BinanceFollower(Levels):
    """Snapshot and diff events of one symbol."""

    def __init__(self, snapshot: Frame) -> None:
        super().__init__()
        self.id: int = snapshot["lastUpdateId"]
        self.put(self.bids, snapshot["bids"])
        self.put(self.asks, snapshot["asks"])

    def follow(self, event: Frame) -> bool:
        """Apply an event; False: it was older.

        Raises:
            Hole: events are missing before it.
        """
        if event["u"] <= self.id:
            return False
        if event["U"] > self.id + 1:
            raise Hole(f"{self.id + 1} .. {event['U'] - 1}")
        self.put(self.bids, event["b"])
        self.put(self.asks, event["a"])
        self.id = event["u"]
        return True


class Level2Follower(Levels):
    """Coinbase's level2_batch: a snapshot, then absolute levels."""

    def follow(self, frame: Frame) -> None:
        """Apply a snapshot or an l2update."""
        if frame["type"] == "snapshot":
            self.bids.clear()
            self.asks.clear()
            self.put(self.bids, frame["bids"])
            self.put(self.asks, frame["asks"])
            return
        for side, price, size in frame["changes"]:
            self.put(self.bids if side == "buy" else self.asks, [(price, size)])


class FullFollower:
    """Coinbase's full channel: orders by id, in the order in which they came to their price."""

    def __init__(self, snapshot: Frame) -> None:
        self.id: int = snapshot["sequence"]
        self._orders: dict[str, list[Any]] = {}
        self._places = 0
        for side in ("bids", "asks"):
            for price, size, order in snapshot[side]:
                self._place(order, "buy" if side == "bids" else "sell", Decimal(price), Decimal(size))

    def follow(self, message: Frame) -> bool:
        """Apply a message; False: it was older.

        Raises:
            Hole: messages are missing before it.
        """
        if message["type"] == "activate" or message["sequence"] <= self.id:
            return False
        if message["sequence"] != self.id + 1:
            raise Hole(f"{self.id + 1} .. {message['sequence'] - 1}")
        self.id += 1
        match message["type"]:
            case "open":
                price, size = Decimal(message["price"]), Decimal(message["remaining_size"])
                self._place(message["order_id"], message["side"], price, size)
            case "match":
                self._reduce(message["maker_order_id"], Decimal(message["size"]))
            case "done":
                self._orders.pop(message["order_id"], None)
            case "change":
                self._change(message)
            case _:
                pass
        return True

    def rows(self) -> tuple[list[list[str]], list[list[str]]]:
        """Return the orders (bids, asks) as [price, size, id], best first, in queue order."""
        sides: list[list[list[str]]] = []
        for side, sign in (("buy", -1), ("sell", 1)):
            mine = [(sign * row[1], row[3], order) for order, row in self._orders.items() if row[0] == side]
            found = [(self._orders[order], order) for _, _, order in sorted(mine)]
            sides.append([[text(row[1]), text(row[2]), order] for row, order in found])
        return sides[0], sides[1]

    def _place(self, order: str, side: str, price: Decimal, size: Decimal) -> None:
        self._places += 1
        self._orders[order] = [side, price, size, self._places]

    def _reduce(self, order: str, size: Decimal) -> None:
        row = self._orders[order]
        row[2] -= size
        if not row[2]:
            del self._orders[order]

    def _change(self, message: Frame) -> None:
        row = self._orders.get(message["order_id"])
        if row is None or "new_size" not in message:
            return
        price, size = Decimal(message.get("new_price", row[1])), Decimal(message["new_size"])
        if price == row[1] and size <= row[2]:
            row[2] = size
        else:
            self._place(message["order_id"], row[0], price, size)
