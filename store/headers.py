"""The headers of stored blocks: what they hold, and which of them lie over one another, pure.

A block of a window and a merged one (condition.merging) may hold the same ids for a moment: compaction writes
the merged one first.  Their times lie inside one another, for both are pieces of one grid.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bson.errors import BSONError

from store.documents import date_ns, merged_seconds, part_of
from store.unreadable import Damaged

BOOK_KINDS = ("changes", "orders")
"""A window of a book is in one of these two collections."""
TRADE_KINDS = ("trades",)


class Chain(NamedTuple):
    """Ids that follow one another without a hole, the image to start from and the book's hash at the end."""

    first_id: int
    last_id: int
    image_id: int | None
    hash: bytes


class Block(NamedTuple):
    """The header of a stored block, as condition/FORMAT.md has it."""

    kind: str
    id: str
    start_ns: int
    end_ns: int
    part: int
    merged: bool
    chains: tuple[Chain, ...]
    every_ns: int
    rows: int
    levels: int
    covered: int
    has_ids: bool
    price_scale: int
    size_scale: int
    funds_scale: int
    first_time_ns: int
    first_effective_ns: int
    last_time_ns: int
    last_effective_ns: int
    order_ids: bool = True
    """Of orders: whether they have the exchange's ids, not names (book.naming)."""


def header(kind: str, stored: Mapping[str, Any]) -> Block:
    """Return the header of the stored block.

    Raises:
        Damaged: a field is missing or of another type.
    """
    try:
        return Block(
            kind=kind,
            id=stored["_id"],
            start_ns=date_ns(stored["start"]),
            end_ns=date_ns(stored["end"]),
            part=part_of(stored["_id"]),
            merged=merged_seconds(stored["_id"]) is not None,
            chains=tuple(_chain(*entry) for entry in stored["chains"]),
            every_ns=stored.get("every_ms", 0) * 1_000_000,
            rows=stored["rows"],
            levels=stored.get("levels", stored["rows"]),
            covered=stored["covered"],
            has_ids=stored.get("has_ids", True),
            price_scale=stored["price_scale"],
            size_scale=stored["size_scale"],
            funds_scale=stored.get("funds_scale", 0),
            first_time_ns=stored["first_time"],
            first_effective_ns=stored.get("first_effective", stored["first_time"]),
            last_time_ns=stored["last_time"],
            last_effective_ns=stored.get("last_effective", stored["last_time"]),
            order_ids=stored.get("order_ids", True),
        )
    except (KeyError, TypeError, ValueError, BSONError) as error:
        raise Damaged(str(stored.get("_id")), f"its header has no {error}") from error


def _chain(first_id: int, last_id: int, image_id: int | None, mark: bytes) -> Chain:
    return Chain(first_id, last_id, image_id, bytes(mark))


def order(block: Block) -> tuple[int, int, int]:
    """Return what the blocks of a security are sorted by."""
    # trades that filled a hole came later than what follows them: only their ids say where they belong
    place = block.chains[0].first_id if block.kind in TRADE_KINDS else block.last_effective_ns
    return block.start_ns, place, block.part


def clusters(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Yield the blocks, which come by their starts, in groups whose times do not overlap."""
    together: list[Block] = []
    end_ns = 0
    for block in blocks:
        if together and block.start_ns >= end_ns:
            yield together
            together, end_ns = [], 0
        together.append(block)
        end_ns = max(end_ns, block.end_ns)
    if together:
        yield together


def uncovered(blocks: list[Block]) -> list[Block]:
    """Return *blocks* without those all of whose ids a longer merged one of them holds."""
    merged = [block for block in blocks if block.merged]
    if not merged or len(blocks) == 1:
        return blocks
    return [block for block in blocks if not any(_holds(longer, block) for longer in merged)]


def _holds(longer: Block, block: Block) -> bool:
    if (longer.kind, longer.has_ids) != (block.kind, block.has_ids):
        return False
    if not (longer.start_ns <= block.start_ns and block.end_ns <= longer.end_ns):
        return False
    if longer is block or (block.merged and longer.end_ns - longer.start_ns <= block.end_ns - block.start_ns):
        return False
    return holds(longer.chains, block)


def holds(entries: Sequence[tuple[int, int, int | None, bytes]], block: Block) -> bool:
    """Say whether *entries*, which are in order, hold all ids of *block*."""
    firsts = [entry[0] for entry in entries]
    places = [max(0, bisect_right(firsts, chain.first_id) - 1) for chain in block.chains]
    return all(_held(entries[place:], chain) for place, chain in zip(places, block.chains, strict=True))


def _held(entries: Iterable[tuple[int, int, int | None, bytes]], chain: Chain) -> bool:
    next_id = chain.first_id
    for first_id, last_id, *_ in entries:
        if first_id > next_id:
            return False
        next_id = max(next_id, last_id + 1)
        if next_id > chain.last_id:
            return True
    return False
