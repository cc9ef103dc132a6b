"""What a maintainer sends of a security to its conditioner: a run, begun by Begin, numbered without a hole.

Units, for every field of that name in this project:

    *_ns          int, UTC nanoseconds since 1970-01-01
    price         int, quote currency per unit of base, in units of 10**-price_scale
    size          int, base currency at that price, in units of 10**-size_scale; 0 removes the level
    position      int, epoch * 2**40 + number of a record in its line's journal (wire.names)
    marks         {line: position}: every record before it is reflected in this message or one before
    effective_ns  the exchange time made monotonic in id order; it alone decides the window
    start_ns      the first moment of the window
    chain         (first_id, last_id, image_id, hash): updates without a hole, the image a reader
                  starts from (None for trades) and the book's hash after last_id (b"" for trades)

Columns are little-endian int64 unless the name says otherwise (``*_u1``: one byte a row), packed as bytes.
A message is a fact and never changes.  Fields may be added at the end with a default; they are
never renamed, retyped or reused.
"""

import msgspec

ABSENT = -(2**63)
"""Stands in an int64 column where the exchange gave no value (a market order has no price)."""

Chain = tuple[int, int, int | None, bytes]
Marks = dict[str, int]


class Begin(msgspec.Struct, frozen=True, array_like=True, tag="begin"):
    """A run starts: what follows continues a checkpoint.

    ``windows`` gives for each feed the newest window (``start_ns``) that is already final: what
    falls into it or before it was stored by an earlier run and is not written again.
    """

    security: str
    run: int
    number: int
    marks: Marks
    book: str
    """``l2`` or ``l3``."""
    has_ids: bool
    """False for a feed without update ids (Coinbase ``level2_batch``)."""
    windows: dict[str, int]


class Changes(msgspec.Struct, frozen=True, array_like=True, tag="changes"):
    """Updates of one window and one chain, in id order.

    The levels of update i are the next ``bid_counts[i]`` bids, then ``ask_counts[i]`` asks.  ``old_sizes`` is
    empty where the window's Cut will have no ``every_ms``.
    """

    security: str
    run: int
    number: int
    marks: Marks
    start_ns: int
    price_scale: int
    size_scale: int
    first_ids: bytes
    last_ids: bytes
    times_ns: bytes
    effective_ns: bytes
    received_ns: bytes
    bid_counts: bytes
    ask_counts: bytes
    prices: bytes
    sizes: bytes
    old_sizes: bytes


class Orders(msgspec.Struct, frozen=True, array_like=True, tag="orders"):
    """Order events (L3) of one window and one chain, in id order.

    ``kinds_u1`` and ``reasons_u1`` are venue.api.OrderKind and Reason; ``sides_u1`` is 0 for buy and
    1 for sell; ``order_ids`` and ``taker_ids`` are 16 bytes an event (zeros: none).  ``sizes`` is
    the event's own size (received, open: what rests; done: what was left; match: what was traded;
    change: the new size), ``old_sizes`` and ``old_prices`` are a change's, ``funds`` has a scale
    of its own.
    """

    security: str
    run: int
    number: int
    marks: Marks
    start_ns: int
    price_scale: int
    size_scale: int
    funds_scale: int
    ids: bytes
    times_ns: bytes
    effective_ns: bytes
    received_ns: bytes
    kinds_u1: bytes
    sides_u1: bytes
    reasons_u1: bytes
    prices: bytes
    sizes: bytes
    old_prices: bytes
    old_sizes: bytes
    funds: bytes
    trade_ids: bytes
    order_ids: bytes
    taker_ids: bytes
    named: bool = False
    """The ids are names (book.naming), not the exchange's."""


class Trades(msgspec.Struct, frozen=True, array_like=True, tag="trades"):
    """Trades of one window, in trade-id order; ``sides_u1`` is the aggressor's, 0 buy, 1 sell."""

    security: str
    run: int
    number: int
    marks: Marks
    start_ns: int
    price_scale: int
    size_scale: int
    ids: bytes
    times_ns: bytes
    effective_ns: bytes
    received_ns: bytes
    sides_u1: bytes
    prices: bytes
    sizes: bytes


class Cut(msgspec.Struct, frozen=True, array_like=True, tag="cut"):
    """What was sent of a window may be written; *final*: nothing more will fall into it."""

    security: str
    run: int
    number: int
    marks: Marks
    feed: str
    """``changes``, ``orders`` or ``trades``."""
    start_ns: int
    chains: tuple[Chain, ...]
    every_ms: int
    final: bool
    read: Marks = {}
    """Per line the reading position: no record at or past it is in this message or one before it, so that
    what is made of it may leave when all before is synced (empty: the marks say that)."""


class Image(msgspec.Struct, frozen=True, array_like=True, tag="image"):
    """The whole book right after one update.

    L2: ``prices`` and ``sizes`` are ``bids`` bids best first, then ``asks`` asks best first.
    L3: one row an order, levels best first, orders of a level in queue order, with
    ``order_ids`` (16 bytes each), ``placed_ids`` (the update id that gave the order its place)
    and ``certain_u1`` (1 where its ``open`` was seen, so that its place is known).
    """

    security: str
    run: int
    number: int
    marks: Marks
    start_ns: int
    update_id: int
    time_ns: int
    effective_ns: int
    book: str
    price_scale: int
    size_scale: int
    certified: tuple[int | None, int | None]
    """Lowest bid and highest ask that the last snapshot vouches for; None: no limit."""
    hash: bytes
    bids: int
    asks: int
    prices: bytes
    sizes: bytes
    order_ids: bytes = b""
    placed_ids: bytes = b""
    certain_u1: bytes = b""
    read: Marks = {}
    """Per line the reading position: no record at or past it is in this message or one before it, so that
    what is made of it may leave when all before is synced (empty: the marks say that)."""
    named: bool = False
    """``order_ids`` are names (book.naming), not the exchange's."""


class Hole(msgspec.Struct, frozen=True, array_like=True, tag="hole"):
    """A row of the gap ledger; sent again when its end is known."""

    security: str
    run: int
    number: int
    marks: Marks
    feed: str
    """``book``, ``orders`` or ``trades``."""
    start_ns: int
    first_id: int
    last_id: int | None
    from_ns: int | None
    to_ns: int | None
    cause: str
    """venue network rotation own_restart disk clock removed desync"""
    noticed_by: str
    state: str
    """open healed suspect unverifiable"""
    covered: int
    """0 while the end is unknown, 1 once known, 2 healed."""
    read: Marks = {}
    """Per line the reading position: no record at or past it is in this message or one before it, so that
    what is made of it may leave when all before is synced (empty: the marks say that)."""


class Healed(msgspec.Struct, frozen=True, array_like=True, tag="healed"):
    """Trades that fill a hole, their ids without one: the part of one window, a block of its own at once."""

    security: str
    run: int
    number: int
    marks: Marks
    start_ns: int
    price_scale: int
    size_scale: int
    ids: bytes
    times_ns: bytes
    effective_ns: bytes
    """Between those of the trades around the hole."""
    received_ns: bytes
    sides_u1: bytes
    prices: bytes
    sizes: bytes
    read: Marks = {}
    """As in ``Cut``."""


class Audit(msgspec.Struct, frozen=True, array_like=True, tag="audit"):
    """The book after ``update_id`` compared with a fresh snapshot of the exchange, carried forward to it.

    ``levels`` rows (L3: orders) were compared inside ``certified``; ``levels - equal`` differ, of which at
    most 1,000 are named: by side (0 bid, 1 ask), best first.  A size is 0 where a book has no such row.
    """

    security: str
    run: int
    number: int
    marks: Marks
    start_ns: int
    update_id: int
    time_ns: int
    book: str
    price_scale: int
    size_scale: int
    certified: tuple[int | None, int | None]
    levels: int
    equal: int
    misplaced: int
    """Orders (L3) in queues whose order is another one."""
    sides_u1: bytes
    prices: bytes
    ours: bytes
    theirs: bytes
    order_ids: bytes = b""
    read: Marks = {}
    """Per line the reading position: no record at or past it is in this message or one before it, so that
    what is made of it may leave when all before is synced (empty: the marks say that)."""


def equal_pct(equal: int, levels: int) -> float:
    """Return what percentage of *levels* is *equal*, cut to four digits: 100 only where all are.

    >>> equal_pct(9_999_999, 10_000_000)
    99.9999
    """
    return equal * 1_000_000 // levels / 10_000 if levels else 100.0


class Mark(msgspec.Struct, frozen=True, array_like=True, tag="mark"):
    """Nothing to store, but the marks moved (sent each tick)."""

    security: str
    run: int
    number: int
    marks: Marks


RunMessage = Begin | Changes | Orders | Trades | Cut | Image | Hole | Healed | Audit | Mark
