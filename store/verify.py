"""Walks what is stored of a security and proves it (``obl verify``), in bounded memory for any length.

checked                          how
each block and image             checksums of body and receipts, format, rows inside its chains and its window
ids                              contiguous inside an entry and from entry to entry; a hole is a row of the
                                 ledger, and every row is what it says (store.ledger)
chains                           start at an image that is stored and lies in the chain
the book                         rebuilt once, carried forward: its hash is that of every entry's end and of
                                 every image on the way (store.proof)

What is wrong is counted and the first of it named; the walk goes on behind it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from store.blocks import BOOK_KINDS, LAST_NS, TRADE_KINDS, Block, Blocks, header, order
from store.documents import NS_PER_S, date_ns
from store.headers import clusters
from store.ledger import LedgerCheck
from store.pieces import Piece, check_block, pieces_of
from store.proof import FeedProof
from store.tally import Tally
from store.unreadable import Damaged
from store.walk import in_order

Told = Callable[[str, int], None]
"""Called on the way with the security and the time that was reached."""

_FEEDS = ((BOOK_KINDS, frozenset(("book", "orders"))), (TRADE_KINDS, frozenset(("trades",))))


def verify(
    blocks: Blocks, security: str, low_ns: int = 0, high_ns: int = LAST_NS, told: Told | None = None
) -> Tally:
    """Walk the windows of *security* that have a part in ``[low_ns, high_ns)`` and return what was found.

    The book's walk begins at the image that leads to them, however long before *low_ns* that is.

    Raises:
        PyMongoError: the database cannot be asked.
    """
    tally = Tally(security)
    low_ns -= low_ns % blocks.window_ns
    for kinds, feeds in _FEEDS:
        kept_ns, _ = blocks.kept(security, "book" if kinds == BOOK_KINDS else "trades")
        _Walk(blocks, tally, kinds, feeds).run(max(low_ns, min(kept_ns, high_ns)), high_ns, told)
    return tally


class _Walk:
    """Of one feed."""

    def __init__(self, blocks: Blocks, tally: Tally, kinds: Sequence[str], feeds: frozenset[str]) -> None:
        self._blocks = blocks
        self._tally = tally
        self._kinds = kinds
        self._feeds = feeds
        self._ledger = LedgerCheck(tally.wrong)
        grid_ns = blocks.lengths[0] * NS_PER_S
        self._proof = FeedProof(tally, self._ledger, self._image, grid_ns)

    def run(self, low_ns: int, high_ns: int, told: Told | None) -> None:
        try:
            low_ns, first_ns = self._start(low_ns, high_ns)
            blocks = self._blocks.batches(self._tally.security, self._kinds, first_ns, high_ns)
            for end_ns, found in blocks:
                self._beside(low_ns, end_ns)
                self._windows(found)
                low_ns = end_ns
                if told is not None:
                    told(self._tally.security, end_ns)
            self._beside(low_ns, high_ns)
        except Damaged as error:  # of a header beyond which nothing can be found
            self._tally.wrong(low_ns, error.identity, str(error))
        self._proof.finish()

    def _start(self, low_ns: int, high_ns: int) -> tuple[int, int]:
        """Return from when on all is read, and where its first block is.

        That is before *low_ns* where the book of the first window after it comes from an earlier image.
        """
        window = self._blocks.reaching(self._tally.security, self._kinds, low_ns)
        if not window:
            return low_ns, high_ns
        first, chain = window[0], window[0].chains[0]
        low_ns = min(low_ns, first.start_ns)
        if first.kind not in BOOK_KINDS or chain.image_id is None or chain.image_id >= chain.first_id:
            return low_ns, first.start_ns
        try:
            image = self._image(chain.image_id, first.end_ns - 1)
        except Damaged as error:
            self._tally.wrong(first.start_ns, error.identity, str(error))
            self._proof.start_without_book()
            return low_ns, first.start_ns
        self._proof.start_after(chain.image_id, first.end_ns - 1)
        # a merged block around the image begins earlier
        leading = self._blocks.reaching(self._tally.security, self._kinds, date_ns(image["start"]))
        start_ns = min([date_ns(image["start"]), *(block.start_ns for block in leading)])
        return start_ns, start_ns

    def _image(self, update_id: int, until_ns: int) -> dict[str, Any]:
        return self._blocks.image(self._tally.security, update_id, until_ns)

    def _beside(self, low_ns: int, high_ns: int) -> None:
        """Read the ledger's rows and the names of the images that belong to the blocks of a range."""
        try:
            rows = self._blocks.gap_rows(self._tally.security, low_ns, high_ns - 1)
        except Damaged as error:
            self._tally.wrong(low_ns, error.identity, str(error))
            rows = []
        ours = [row for row in rows if row["feed"] in self._feeds]
        self._tally.documents += len(ours)
        self._ledger.add(ours)
        if self._kinds == BOOK_KINDS:
            self._proof.images(self._blocks.image_ids(self._tally.security, low_ns, high_ns))

    def _windows(self, found: list[tuple[str, dict[str, Any]]]) -> None:
        """Prove the blocks of some windows."""
        readable: list[tuple[Block, str, dict[str, Any]]] = []
        for kind, stored in found:
            self._tally.documents += 1
            try:
                readable.append((header(kind, stored), kind, stored))
            except Damaged as error:
                self._proof.damaged(kind, stored, _start_of(stored), error)
        readable.sort(key=lambda triple: order(triple[0]))
        documents = {block.id: (kind, stored) for block, kind, stored in readable}
        for together in clusters(block for block, _, _ in readable):
            self._cluster([(block, *documents[block.id]) for block in together])

    def _cluster(self, together: list[tuple[Block, str, dict[str, Any]]]) -> None:
        """Prove blocks that lie over one another, or the parts of one window."""
        sound: list[list[Piece]] = []
        apart = self._kinds == BOOK_KINDS and not any(block.merged for block, _, _ in together)
        for block, kind, stored in together:
            try:
                pieces = pieces_of(kind, stored)
                check_block(block, stored, pieces, self._blocks.lengths)
            except Damaged as error:
                self._prove(sound)
                sound = []
                self._proof.damaged(kind, stored, block.start_ns, error)
            else:
                sound.append(pieces)
                if apart:
                    self._prove(sound)
                    sound = []
        self._prove(sound)

    def _prove(self, sound: list[list[Piece]]) -> None:
        for piece in in_order(sound):
            self._proof.piece(piece)


def _start_of(stored: dict[str, Any]) -> int:
    try:
        return date_ns(stored["start"])
    except (KeyError, TypeError, ValueError):
        return 0
