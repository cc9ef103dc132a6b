"""What ``obl`` prints as JSON, field by field."""

import json
from typing import Any

import numpy as np

from condition.codec import ChangeColumns, OrderColumns, TradeColumns
from store import shapes
from store.answers import Book, Changes, Gap, OrderEvents, Span, Trades
from store.fold import Orders
from venue.api import OrderKind, Reason
from wire.runs import ABSENT

T = 1_723_204_800_250_000_000
W = 1_723_204_800_000_000_000
ID = bytes.fromhex("d50ec98477a8460ab95866f114b0de9b")
ROW = {
    "_id": "binance:BTCUSDT|book|11",
    "security": "binance:BTCUSDT",
    "feed": "book",
    "first_id": 11,
    "last_id": None,
    "from": T,
    "to": None,
    "cause": "network",
    "noticed_by": "book",
    "state": "open",
}


def column(*values: int) -> Any:
    return np.array(values, np.int64)


def ids(*values: bytes) -> Any:
    return np.frombuffer(b"".join(values), np.uint8).reshape(-1, 16)


def levels(*rows: tuple[int, int]) -> Any:
    return np.array(rows, np.int64).reshape(-1, 2)


def book(**fields: Any) -> Book:
    given: dict[str, Any] = {
        "security": "binance:BTCUSDT",
        "time_ns": T,
        "update_id": 10,
        "bids": levels((2683800, 150), (2683700, 5)),
        "asks": levels((2683900, 1)),
        "price_scale": 2,
        "size_scale": 3,
        "certified": (2600000, None),
        "continuity": "proven",
        "orders": None,
        "stale": False,
        "effective_ns": T,
        "visible_ns": T,
    }
    return Book(**(given | fields))


def test_a_book() -> None:
    assert shapes.book(book()) == {
        "security": "binance:BTCUSDT",
        "time": "2024-08-09T12:00:00.250Z",
        "update_id": 10,
        "certified": {"bid_low": "26000", "ask_high": None},
        "bids": [["26838", "0.15"], ["26837", "0.005"]],
        "asks": [["26839", "0.001"]],
        "continuity": "proven",
        "stale": False,
    }


def test_a_book_to_a_depth_and_of_a_feed_without_ids() -> None:
    shown = shapes.book(book(update_id=None, security="coinbase:BTC-USD", continuity="unverifiable"), depth=1)
    assert (shown["bids"], shown["update_id"]) == ([["26838", "0.15"]], None)
    assert shown["time"] == "2024-08-09T12:00:00.250000Z"


def test_a_book_by_orders_is_in_queue_order_and_cut_by_levels() -> None:
    order_ids = ids(ID, bytes(15) + b"\1", bytes(15) + b"\2")
    orders = Orders(2, column(100, 100, 200), column(1, 2, 3), order_ids, column(1, 2, 3), column(1, 1, 0))
    one = book(price_scale=0, size_scale=0, orders=orders)
    name = "d50ec984-77a8-460a-b958-66f114b0de9b"
    assert shapes.book(one, depth=1, orders=True)["bids"] == [
        ["100", "1", name],
        ["100", "2", "00000000-0000-0000-0000-000000000001"],
    ]


def changes(visible_ns: int, first_id: int, *, has_ids: bool = True) -> Changes:
    rows = ChangeColumns(
        column(first_id),
        column(first_id + 1),
        column(visible_ns),
        column(visible_ns),
        column(visible_ns + 7),
        column(1),
        column(1),
        column(2683800, 2683900),
        column(0, 1500),
    )
    return Changes("binance:BTCUSDT", W, 2, 3, has_ids, column(visible_ns), rows)


def trades(*moments: int) -> Trades:
    n = len(moments)
    columns = (column(*range(n)), column(*moments), column(*moments), column(*moments))
    rows = TradeColumns(*columns, column(*([1] * n)), column(*([2683850] * n)), column(*([5] * n)))
    return Trades("binance:BTCUSDT", W, 2, 3, rows)


def test_changes() -> None:
    assert list(shapes.changes(changes(T, 11))) == [
        {
            "type": "changes",
            "time": "2024-08-09T12:00:00.250Z",
            "recv_time": "2024-08-09T12:00:00.250000007Z",
            "first_id": 11,
            "update_id": 12,
            "bids": [["26838", "0"]],
            "asks": [["26839", "1.5"]],
        }
    ]
    [without] = shapes.changes(changes(T, 11, has_ids=False))
    assert (without["first_id"], without["update_id"]) == (None, None)


def test_a_trade() -> None:
    assert list(shapes.trades(trades(T))) == [
        {
            "security": "binance:BTCUSDT",
            "id": 0,
            "time": "2024-08-09T12:00:00.250Z",
            "recv_time": "2024-08-09T12:00:00.250Z",
            "price": "26838.5",
            "size": "0.005",
            "side": "sell",
        }
    ]


def test_order_events_have_what_the_exchange_gave_and_nothing_else() -> None:
    two = (column(T, T),) * 3
    rows = OrderColumns(
        column(7, 8),
        *two,
        column(OrderKind.RECEIVED, OrderKind.MATCH),
        column(0, 1),
        column(Reason.NONE, Reason.STP),
        column(ABSENT, 500),
        column(ABSENT, 3),
        column(ABSENT, ABSENT),
        column(ABSENT, ABSENT),
        column(12345, ABSENT),
        column(ABSENT, 99),
        ids(ID, ID),
        ids(bytes(16), ID),
    )
    name = "d50ec984-77a8-460a-b958-66f114b0de9b"
    common = {"type": "order", "time": "2024-08-09T12:00:00.250000Z", "recv_time": "2024-08-09T12:00:00.250Z"}
    assert list(shapes.order_events(OrderEvents("coinbase:BTC-USD", W, 2, 0, 4, rows))) == [
        {**common, "event": "received", "update_id": 7, "order_id": name, "side": "buy", "funds": "1.2345"},
        {
            **common,
            "event": "match",
            "update_id": 8,
            "order_id": name,
            "side": "sell",
            "price": "5",
            "size": "3",
            "trade_id": 99,
            "reason": "stp",
            "taker_order_id": name,
        },
    ]


def test_a_row_of_the_ledger() -> None:
    assert shapes.gap(ROW) == {
        "incident": ROW["_id"],
        "security": "binance:BTCUSDT",
        "feed": "book",
        "first_id": 11,
        "last_id": None,
        "from": "2024-08-09T12:00:00.250Z",
        "to": None,
        "cause": "network",
        "noticed_by": "book",
        "state": "open",
    }


def test_coverage() -> None:
    span = Span("binance:BTCUSDT", "book", 1, 9, T, T + 1_000_000, 2, 3)
    assert shapes.coverage(span) == {
        "security": "binance:BTCUSDT",
        "feed": "book",
        "from": "2024-08-09T12:00:00.250Z",
        "to": "2024-08-09T12:00:00.251Z",
        "first_id": 1,
        "last_id": 9,
        "documents": 2,
        "rows": 3,
    }


def test_a_replay_sorts_trades_in_among_what_the_book_did_and_is_json() -> None:
    gap = Gap("binance:BTCUSDT", "book", 13, 15, T + 20, None)
    again = book(effective_ns=T + 20)
    answers = [book(), changes(T + 10, 11), gap, again, changes(T + 30, 16), trades(T, T + 10, T + 25)]
    lines = list(shapes.replay(answers))
    assert [line["type"] for line in lines] == [
        "image",
        "trade",
        "changes",
        "trade",
        "gap",
        "image",
        "trade",
        "changes",
    ]
    assert json.loads(json.dumps(lines)) == lines
    assert (lines[4]["first_id"], lines[4]["cause"], lines[4]["state"]) == (13, None, "open")
