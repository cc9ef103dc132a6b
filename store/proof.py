"""Proves the blocks of one feed, piece by piece in id order, with one book that is carried forward.

event                                 the book that is carried
chain that starts, its image sound    the image's
rows                                  has them applied
image on the way                      stays, if it has the image's hash; else becomes the image
end of an entry                       stays, if it has the entry's hash; else is unknown
a bad block, a hole without a row     is unknown
unknown, an image comes               the image's
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from store.blocks import BOOK_KINDS, Block, Chain, header
from store.fold import Fold, fold_of
from store.ledger import LedgerCheck
from store.pieces import Piece
from store.tally import Tally
from store.unreadable import Damaged
from store.walk import End, Join

LoadImage = Callable[[int, int], Mapping[str, Any]]
"""(update id, a time at or after its window's start) -> the image; raises Damaged where it is not stored."""


class FeedProof:
    """What one feed of one security has been proven to be; a feed of trades has no book."""

    def __init__(self, tally: Tally, ledger: LedgerCheck, load: LoadImage, grid_ns: int) -> None:
        self._tally = tally
        self._ledger = ledger
        self._load = load
        self._grid_ns = grid_ns
        """Merged blocks that lie in one piece of it may divide an entry."""
        self._images: list[int] = []
        """Update ids of images that are still to be met, ascending."""
        self._before: End | None = None
        self._base_id: int | None = None
        """Rows up to here only lead to where the walk begins."""
        self._fold: Fold | None = None
        self._image_id: int | None = None
        """Of the newest image that was met."""
        self._chain_start = 0
        self._waiting = 0
        """Ids since the last hash that was compared: a part of a window ended inside an entry."""
        self._unhashed: End | None = None
        self._torn = False
        """Whether what lies before the next piece is not known, which was told."""

    # --- in ----------------------------------------------------------------------------------

    def images(self, update_ids: Iterable[int]) -> None:
        """Take the ids of the images of the windows that come next."""
        for update_id in update_ids:
            if self._base_id is None or update_id > self._base_id:
                insort(self._images, update_id)

    def start_after(self, image_id: int, time_ns: int) -> None:
        """Begin with the book of the image *image_id*, whose window starts at or before *time_ns*."""
        self._base_id = self._chain_start = image_id
        self._fold = self._met(image_id, time_ns)

    def start_without_book(self) -> None:
        """Begin where no image leads to, which was told: nothing of the book is known there."""
        self._torn = True

    def damaged(self, kind: str, stored: Mapping[str, Any], start_ns: int, error: Damaged) -> None:
        """Note that a block cannot be read; its header may still say which ids it holds."""
        self._tally.wrong(start_ns, error.identity, str(error))
        self._fold = None
        self._forget_waiting()
        try:
            block = header(kind, stored)
        except Damaged:
            self._before, self._torn = None, True
            return
        for chain in block.chains:
            end = End(block, chain)
            self._ledger.entry(self._before, end)
            self._before = end
            if kind in BOOK_KINDS:
                self._meet_before(chain.last_id + 1, block.end_ns - 1)

    def piece(self, piece: Piece) -> None:
        """Prove the next piece."""
        end = End(piece.block, piece.chain)
        known = self._tally.bad
        join = self._ledger.entry(self._before, end)
        unexplained = self._torn or (join is Join.HOLE and self._tally.bad > known)
        self._torn = False
        before, self._before = self._before, end
        if self._base_id is not None:
            if piece.chain.last_id <= self._base_id:
                return
            if before is None and piece.chain.first_id > self._base_id + 1:
                self._wrong(piece, f"the ids after image {self._base_id} that lead to it are not stored")
                self._fold = None
            self._base_id = None
            join = Join.CONTINUES if join is Join.FIRST else join
        times = piece.rows.times_ns
        self._tally.read(int(times[0]), int(times[-1]))
        self._check_part(end)
        if piece.block.kind in BOOK_KINDS:
            self._book(piece, join, unexplained=unexplained)
        elif piece.block.has_ids:
            self._tally.proven += len(piece)
        else:
            self._tally.unverifiable += len(piece)

    def finish(self) -> None:
        """Prove what is left when no piece comes any more."""
        if self._unhashed is not None:
            self._check_part(None)
        while self._images:
            self._met(self._images.pop(0), 2**63 - 1)

    # --- chains ------------------------------------------------------------------------------

    def _book(self, piece: Piece, join: Join, *, unexplained: bool) -> None:
        chain, until_ns = piece.chain, piece.block.end_ns - 1
        if join is not Join.CONTINUES:
            self._fold = None
        met = self._meet_before(chain.first_id, until_ns)
        if met and join is Join.CONTINUES:
            identity = f"{self._tally.security}|image|{met[-1]}"
            self._tally.wrong(piece.block.start_ns, identity, "it is the book after no update that is stored")
        if chain.image_id == int(piece.last_ids[0]):
            self._chain_start = chain.first_id
            self._drop_images(chain.image_id)
            self._fold = self._met(chain.image_id, until_ns)
            self._apply(piece, piece.after_id(chain.image_id))
            return
        if join is Join.CONTINUES:
            self._check_image(piece)
        elif not unexplained:
            self._wrong(piece, f"its chain from {chain.first_id} on does not start at an image of its own")
        self._apply(piece, piece)

    def _check_image(self, piece: Piece) -> None:
        """Check that the image which *piece* names is stored and lies in its chain."""
        image_id = piece.chain.image_id
        if image_id == self._image_id:
            return
        if image_id is None or not self._chain_start <= image_id <= piece.chain.last_id:
            self._wrong(piece, f"it names image {image_id}, which is not of its chain")
            return
        try:
            self._load(image_id, piece.block.end_ns - 1)
        except Damaged as error:
            self._tally.wrong(piece.block.start_ns, error.identity, str(error))
        self._image_id = image_id

    def _check_part(self, after: End | None) -> None:
        """Check that an entry without a hash was only cut by the end of a part."""
        before, self._unhashed = self._unhashed, None
        if before is None:
            return
        block, last_id = before.block, before.chain.last_id
        if after is None or not self._divided(block, after.block):
            self._tally.wrong(block.start_ns, block.id, f"there is no hash of the book after {last_id}")
            self._forget_waiting()

    def _divided(self, block: Block, after: Block) -> bool:
        """Say whether an entry may go on from *block* to *after*: parts of a window, or of a merged span."""
        if block.merged or after.merged:
            return block.start_ns // self._grid_ns == after.start_ns // self._grid_ns
        return (after.start_ns, after.part) == (block.start_ns, block.part + 1)

    # --- rows --------------------------------------------------------------------------------

    def _apply(self, piece: Piece, rest: Piece) -> None:
        """Apply *rest*, the rows of *piece* that the book lacks, and compare hashes on the way."""
        chain, start_ns = piece.chain, piece.block.start_ns
        ids = chain.last_id - chain.first_id + 1 if piece.block.has_ids else len(piece)
        try:
            while self._images and self._images[0] <= chain.last_id:
                update_id = self._images.pop(0)
                upto = bisect_right(rest.last_ids, update_id)
                self._add(rest.cut(0, upto))
                rest = rest.cut(upto, len(rest))
                if update_id == chain.last_id:
                    self._compare(piece, ids)
                    ids = 0
                elif update_id not in piece.last_ids:
                    identity = f"{self._tally.security}|image|{update_id}"
                    self._tally.wrong(start_ns, identity, "it is the book in the middle of a row")
                    self._fold = None
                self._fold = self._met(update_id, piece.block.end_ns - 1, compare=self._fold)
            self._add(rest)
        except Damaged as error:
            self._tally.wrong(start_ns, error.identity, str(error))
            self._fold = None
            self._forget_waiting()
            self._drop_images(chain.last_id)
            return
        if ids:
            self._compare(piece, ids)

    def _add(self, rows: Piece) -> None:
        if self._fold is not None and len(rows):
            self._fold.apply(rows)

    def _compare(self, piece: Piece, ids: int) -> None:
        """Compare the book's hash at the end of *piece*, and count its *ids*."""
        chain: Chain = piece.chain
        self._waiting += ids
        if self._fold is None:
            self._forget_waiting(unverifiable=True)
        elif not chain.hash:
            self._unhashed = End(piece.block, chain)
        elif self._fold.hash() != chain.hash:
            self._wrong(piece, f"the book rebuilt up to {chain.last_id} has another hash")
            self._fold = None
            self._forget_waiting()
        else:
            if piece.block.has_ids:
                self._tally.proven += self._waiting
            else:
                self._tally.unverifiable += self._waiting
            self._waiting = 0

    def _forget_waiting(self, *, unverifiable: bool = False) -> None:
        if unverifiable:
            self._tally.unverifiable += self._waiting
        self._waiting, self._unhashed = 0, None

    # --- images ------------------------------------------------------------------------------

    def _meet_before(self, first_id: int, until_ns: int) -> list[int]:
        """Meet the images of updates before *first_id*, which are in no row; return their ids."""
        count = bisect_left(self._images, first_id)
        met, self._images = self._images[:count], self._images[count:]
        for update_id in met:
            fold = self._met(update_id, until_ns)
            self._fold = fold if update_id == first_id - 1 else None
        return met

    def _drop_images(self, last_id: int) -> None:
        """Pass over the images up to *last_id*: those of them that matter are met otherwise."""
        self._images = self._images[bisect_right(self._images, last_id) :]

    def _met(self, update_id: int, until_ns: int, *, compare: Fold | None = None) -> Fold | None:
        """Return the book to go on with from image *update_id*: *compare* where it has the same hash."""
        self._image_id = update_id
        try:
            image = self._load(update_id, until_ns)
            self._tally.documents += 1
            fold = fold_of(image, verify=True)
        except Damaged as error:
            self._tally.wrong(until_ns, error.identity, str(error))
            return compare
        if compare is None:
            return fold
        if compare.hash() != bytes(image["hash"]):
            self._tally.wrong(until_ns, str(image["_id"]), "the book rebuilt up to it has another hash")
            return fold
        return compare

    def _wrong(self, piece: Piece, why: str) -> None:
        self._tally.wrong(piece.block.start_ns, piece.block.id, why)
