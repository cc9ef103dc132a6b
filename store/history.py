"""Reads the archive back: the book at any moment, and everything that happened between two.

    from store.history import Archive
    with Archive() as archive:
        book = archive.book_at("binance:BTCUSDT", "2026-07-07T12:00:00Z")

*The book at T* is the book after the longest run of updates, in id order, none of which has an effective time
later than T; of a conditioned security, at the last interval end that is not later than T.

gaps      a moment or a range in which updates are missing
error     raises InHole, which names the ledger's row
include   the last book before it, ``stale``; a range goes on with Gap and the next chain's image
exclude   None; a range goes on with the next chain's image

A security whose feed has no ids is read over the seams between its connections; its answers say
``unverifiable``.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from time import time_ns as now_ns
from types import TracebackType
from typing import Any, NamedTuple, Self

from pymongo import MongoClient

from store import ranges
from store.analysis import Analysis, span
from store.answers import (
    Answer,
    Book,
    Changes,
    Found,
    Gap,
    Gaps,
    OrderEvents,
    Span,
    Trades,
)
from store.blocks import BOOK_KINDS, GRID_S, LAST_NS, TRADE_KINDS, Block, Blocks
from store.connection import address, connect, where
from store.coverage import spans
from store.documents import NS_PER_S, READING, date_ns
from store.embedded import running
from store.fold import Fold, fold_of
from store.pieces import Piece, pieces_in
from store.source import Moment
from store.times import moment
from store.unreadable import Damaged, InHole, NotStored, UnknownSecurity, Unreadable
from store.walk import Join, end_after, hole, in_order, link
from store.writer import FORMAT_COLLECTION, FORMAT_ID, VERSION
from wire.names import parse_security
from wire.settings import load_settings

__all__ = ["Archive", "Damaged", "Gaps", "InHole", "NotStored", "UnknownSecurity", "Unreadable"]


class _Place(NamedTuple):
    """Where the book of a moment is."""

    last: Piece
    """Up to the last row that is visible."""
    earlier: list[Piece]
    """Those before it in its window, and in what lies over that."""
    start_ns: int
    """Of all of these: what is older was not read."""


class Archive(Analysis):
    """A database of the logger, read only."""

    def __init__(self, uri: str | None = None, database: str | None = None) -> None:
        """Connect to *uri*, or to where the settings of the environment say.

        The embedded server is started where it does not run, and ends with ``close``.

        Raises:
            BadSetting: the environment's settings cannot be used.
            NoDatabase: the embedded server has no archive, or does not start.
        """
        settings = load_settings(os.environ)
        with ExitStack() as opened:
            if uri is None:
                opened.enter_context(running(settings))
            client = connect(settings) if uri is None else MongoClient[dict[str, Any]](uri)
            opened.callback(client.close)
            self._opened = opened.pop_all()
        self.server = where(settings) if uri is None else address(uri)
        self._database = client.get_database(database or settings.mongodb_database, codec_options=READING)
        self._made: Blocks | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection, and the embedded server if this started it."""
        self._opened.close()

    @property
    def blocks(self) -> Blocks:
        """The database's blocks.

        Raises:
            UnknownSecurity: nothing was ever stored here.
            Unreadable: it was written by another version.
            PyMongoError: the database cannot be asked.
        """
        if self._made is None:
            made = self._database[FORMAT_COLLECTION].find_one({"_id": FORMAT_ID})
            if made is None:
                raise UnknownSecurity(f"the database {self._database.name!r} holds no archive")
            if made.get("version") != VERSION:
                raise Unreadable(
                    f"the archive has format {made.get('version')}; this program reads {VERSION}"
                )
            grid_s = made.get("compact_seconds", GRID_S)
            self._made = Blocks(self._database, made["window_seconds"] * NS_PER_S, grid_s)
        return self._made

    def securities(self) -> list[dict[str, Any]]:
        """Return what is or was recorded, by name: ``security recorder wanted policies``."""
        found = self._database["securities"].find()
        return sorted(({"security": each.pop("_id"), **each} for each in found), key=lambda s: s["security"])

    # --- the book at a moment ----------------------------------------------------------------

    def book_at(
        self, security: str, time: Moment, gaps: Gaps = "error", *, verify: bool = False
    ) -> Book | None:
        """Return the book at *time* (store.times says how it may be given).

        With *verify* every hash on the way is compared.  None only where *gaps* is ``exclude``.

        Raises:
            BadTime, BadSecurity: an argument is none.
            UnknownSecurity, NotStored, InHole, Damaged: see store.unreadable.
        """
        security, time_ns = parse_security(security), moment(time)
        if time_ns is None:
            time_ns = self.newest_book(security)
        found = self.fold_at(security, time_ns, gaps, verify=verify)
        return None if found is None else found.book(security)

    def newest_book(self, security: str) -> int:
        """Return the effective time of the last stored update.

        Raises:
            UnknownSecurity: nothing was ever recorded of it.
            Unreadable: nothing of its book is stored.
        """
        newest = self.blocks.newest(security, BOOK_KINDS, now_ns())
        if newest:
            return newest[-1].last_effective_ns
        self.known(security)
        raise Unreadable(f"no book of {security} is stored yet")

    def fold_at(self, security: str, time_ns: int, gaps: Gaps, *, verify: bool = False) -> Found | None:
        """Return the book at *time_ns* as something to go on from; None where *gaps* excludes it.

        Raises:
            as ``book_at``.
        """
        at, following = self._at(security, time_ns)
        stale = self._is_hole(security, at.last, following, gaps)
        if stale is None:
            return None
        return Found(self._build(security, at, verify=verify), at.last, stale)

    def _at(self, security: str, time_ns: int) -> tuple[_Place, Piece | None]:
        """Return where the book's last update is, and the piece that follows it.

        Raises:
            NotStored: every update is later, or all are earlier.
        """
        blocks, following = self.blocks, None
        kept_ns, _ = blocks.kept(security, "book")
        if time_ns < kept_ns:
            raise NotStored(security, kept_ns, "it is kept from a moment on,")
        window = blocks.whole_before(security, BOOK_KINDS, time_ns + 1)
        end_ns = max((block.end_ns for block, _ in window), default=0)
        last_ns = max((block.last_effective_ns for block, _ in window), default=0)
        if not window or time_ns > last_ns:
            following = self._first_after(security, end_ns)
            if following is None:
                self.newest_book(security)  # (which says so where there is none)
                raise NotStored(security, last_ns, "the last stored update is of")
        while window:
            start_ns = window[0][0].start_ns
            pieces = in_order([pieces_in(*each, receipts=False) for each in window])
            while pieces:
                piece = pieces.pop()
                visible = piece.visible_until(time_ns)
                if len(visible):
                    rest = piece.cut(len(visible), len(piece))
                    # (what follows the window is another document: mostly nobody has to look)
                    after = rest if len(rest) else following or self._first_after(security, end_ns)
                    return _Place(visible, pieces, start_ns), after
                following = piece
            window = blocks.whole_before(security, BOOK_KINDS, start_ns)
        first_ns = int(following.visible_ns[0]) if following is not None else 0
        raise NotStored(security, first_ns, "the first stored book is of")

    def _first_after(self, security: str, start_ns: int) -> Piece | None:
        """Return the first piece of the windows from *start_ns* on, if there is one."""
        later = self.blocks.after(security, BOOK_KINDS, start_ns)
        return self.pieces(security, later[:1])[0] if later else None

    def pieces(self, security: str, window: Sequence[Block]) -> list[Piece]:
        """Return the pieces of the blocks of *window* in order, without receive times."""
        found = [(block, self.blocks.document(block, security)) for block in window]
        return in_order([pieces_in(*each, receipts=False) for each in found])

    def _is_hole(self, security: str, piece: Piece, following: Piece | None, gaps: Gaps) -> bool | None:
        """Return whether updates are missing right after *piece*; None where *gaps* excludes that.

        Raises:
            InHole: they are, and *gaps* is ``error``.
        """
        if following is None or following.chain is piece.chain:
            return False
        joined = link(self.blocks, security, end_after(piece), end_after(following))
        if joined.join is not Join.HOLE:
            return False
        if gaps == "error":
            raise hole(security, joined)
        return None if gaps == "exclude" else True

    def _build(self, security: str, at: _Place, *, verify: bool) -> Fold:
        """Return the book after the last row of *at*."""
        last = at.last
        image_id, update_id = last.chain.image_id, int(last.last_ids[-1])
        if image_id is None:
            raise Damaged(last.block.id, "its chain names no image")
        image = self.blocks.image(security, image_id, last.block.end_ns - 1)
        fold, applied_id = fold_of(image, verify=verify), image_id
        for piece in self._from_image(security, image, at):
            rest = piece.after_id(applied_id)
            if not len(rest):
                continue
            if int(rest.first_ids[0]) > applied_id + 1:
                break
            fold.apply(rest)
            applied_id = int(rest.last_ids[-1])
            if verify and piece.ends_entry and fold.hash() != piece.chain.hash:
                raise Damaged(piece.block.id, f"the book after {applied_id} has another hash")
        if applied_id != update_id:
            missing = f"the ids after {applied_id} that lead from image {image_id} to it are not stored (yet)"
            raise Damaged(last.block.id, missing)
        return fold

    def _from_image(self, security: str, image: dict[str, Any], at: _Place) -> Iterator[Piece]:
        """Yield the pieces from the image's window to the last, which is cut already."""
        low_ns, first_id, block = date_ns(image["start"]), at.last.chain.first_id, at.last.block
        of = block.kind, block.has_ids
        for together in self.blocks.stored(security, (block.kind,), low_ns, at.start_ns):
            needed = [
                each
                for each in together
                if (each[0].kind, each[0].has_ids) == of
                and each[0].chains[-1].last_id > image["update_id"]
                and each[0].chains[0].first_id < first_id
            ]
            pieces = in_order([pieces_in(*each, receipts=False) for each in needed])
            yield from (piece for piece in pieces if piece.chain.first_id < first_id)
        for piece in at.earlier:
            if (piece.block.kind, piece.block.has_ids) == of and piece.chain.first_id < first_id:
                yield piece
        yield at.last

    # --- what happened between two moments ---------------------------------------------------

    def replay(
        self, security: str, start: Moment, end: Moment, *, trades: bool = False, gaps: Gaps = "error"
    ) -> Iterator[Answer]:
        """Yield the book at *start*, then what happened after it and before *end*, window by window.

        A Book comes again wherever the changes alone do not lead on: after a hole or a seam.

        Raises:
            as ``book_at``, at once or on the way.
        """
        return ranges.replay(self, parse_security(security), *span(start, end), trades, gaps)

    def changes(
        self, security: str, start: Moment, end: Moment, gaps: Gaps = "error"
    ) -> Iterator[Changes | Gap]:
        """Yield the changes of levels in ``[start, end)``; an L3 security's are folded from its orders.

        Raises:
            InHole, Damaged, UnknownSecurity: see store.unreadable.
        """
        return ranges.changes(self, parse_security(security), *span(start, end), gaps)

    def orders(
        self, security: str, start: Moment, end: Moment, gaps: Gaps = "error"
    ) -> Iterator[OrderEvents | Gap]:
        """Yield the order events in ``[start, end)`` of an L3 security.

        Raises:
            InHole, Damaged, UnknownSecurity: see store.unreadable.
        """
        return ranges.orders(self, parse_security(security), *span(start, end), gaps)

    def trades(
        self, security: str, start: Moment, end: Moment, gaps: Gaps = "error"
    ) -> Iterator[Trades | Gap]:
        """Yield the trades in ``[start, end)``, in trade-id order.

        Raises:
            InHole, Damaged, UnknownSecurity: see store.unreadable.
        """
        return ranges.trades(self, parse_security(security), *span(start, end), gaps)

    def within(self, security: str, start: Moment, end: Moment, *, trades: bool) -> None:
        """Return if the stored book (or the trades) of *security* reaches into ``[start, end)``.

        Raises:
            NotStored: the range lies wholly before or after it.
            Unreadable: there is none.
        """
        security, (low, high) = parse_security(security), span(start, end)
        kinds, what = (TRADE_KINDS, "trade") if trades else (BOOK_KINDS, "update")
        newest, oldest = self.blocks.newest(security, kinds, now_ns()), self.blocks.after(security, kinds, 0)
        if not newest or not oldest:
            raise Unreadable(f"no {what} of {security} is stored yet")
        if low > newest[-1].last_effective_ns:
            raise NotStored(security, newest[-1].last_effective_ns, f"the last stored {what} is of")
        if high <= oldest[0].first_time_ns:
            raise NotStored(security, oldest[0].first_time_ns, f"the first stored {what} is of")

    def serve(
        self, security: str, start: Moment, end: Moment, speed: float, endpoint: str, gaps: Gaps = "error"
    ) -> int:
        """Publish what happened in ``[start, end)`` on the ZeroMQ *endpoint*, as the live tap would have.

        It begins when somebody subscribes; *speed* 1 is real time, 0 as fast as the subscribers take it.
        Returns how many messages there were.

        Raises:
            zmq.ZMQError: the endpoint cannot be bound.
            as ``replay``, on the way.
        """
        from store.serving import serve  # (a reader needs no sockets)

        answers = self.replay(security, start, end, trades=True, gaps=gaps)
        return serve(answers, parse_security(security), speed, endpoint)

    def gaps(self, security: str | None = None) -> list[dict[str, Any]]:
        """Return the rows of the gap ledger, by security and time."""
        rows = []
        for name in self._names(security):
            rows += self.blocks.gap_rows(name, 0, LAST_NS)
        return rows

    def audits(self, security: str | None = None) -> list[dict[str, Any]]:
        """Return the comparisons with fresh snapshots, by security and time (condition/FORMAT.md)."""
        return [row for name in self._names(security) for row in self.blocks.audit_rows(name)]

    def coverage(self, security: str | None = None) -> Iterator[Span]:
        """Yield what is stored without a hole, by security, feed and time."""
        for name in self._names(security):
            yield from spans(self.blocks, name)

    def known(self, security: str) -> None:
        """Return if *security* is or was recorded.

        Raises:
            UnknownSecurity: it never was.
        """
        row = self._database["securities"].find_one({"_id": security})
        # one whose recording the venue refused has a row and nothing else
        if row is None or not (row.get("wanted") or self._is_stored(security)):
            raise UnknownSecurity(f"nothing is stored of {security}: obl coverage lists what is")

    def _is_stored(self, security: str) -> bool:
        return self.blocks.has_any(security, (*BOOK_KINDS, *TRADE_KINDS), 0, LAST_NS)

    def _names(self, security: str | None) -> list[str]:
        if security is None:
            return [each["security"] for each in self.securities()]
        name = parse_security(security)
        self.known(name)
        return [name]
