"""Finds the blocks of a security, by ranges of ``start`` that are bounded on both sides.

Never "the newest before T": the embedded server sorts for that in memory.  A search takes the headers near T
first, for there the block mostly is.  Else it goes on from there in steps that double until one holds a
block, and halves that step towards T.  Every question is answered by the index (security, start).

A merged block (condition.merging) starts before the windows whose rows it holds.  Those that may lie around a
moment are named by the grid, a handful, and asked for by ``_id``; blocks that lie over one another, for a
moment or because rows came late, are given together (a *cluster*), without those whose ids another one holds.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from bson.datetime_ms import DatetimeMS
from pymongo.database import Database

from condition.merging import ladder, merged_id, span_of
from store.documents import NS_PER_S, READING, date_ns, date_of, merged_seconds
from store.headers import BOOK_KINDS, TRADE_KINDS, Block, Chain, clusters, header, order, uncovered
from store.unreadable import Damaged

__all__ = ["BOOK_KINDS", "TRADE_KINDS", "Block", "Blocks", "Chain", "header", "order"]

Document = tuple[str, dict[str, Any]]
"""Kind and what is stored."""

LAST_NS = 2**63 - 1
NEAR = 16
"""Windows whose headers are asked for before anything is known: 5 kB."""
FEW = 4 * NEAR
"""Of one kind: windows may have parts, and clocks differ."""
CLOSE = 2
"""Windows that are asked for whole: the moment mostly lies in the last one, or before its first row."""
FAR_NS = 3600 * NS_PER_S
"""Where nothing is this near it is asked whether anything lies before: the server looks through all of it."""
HEADERS_AT_ONCE = 500
"""Windows whose headers are asked for together: 150 kB."""
WIDEST = 16
"""Times as many where few lie, as of merged ones: 2.4 MB should the next lie close again."""
BODIES_AT_ONCE = 64
"""Windows that are asked for together, those between two images at once: some MB of a busy security."""
_HEADERS = {"body": 0, "receipts": 0}
_LAST_TIMES = {"start": 1, "last_effective": 1, "last_time": 1}
_ROW_FIELDS: dict[str, tuple[type, ...]] = {
    "feed": (str,),
    "state": (str,),
    "covered": (int,),
    "first_id": (int,),
    "last_id": (int, type(None)),
}
_HOUR_NS = 3600 * NS_PER_S


Stored = tuple[Block, dict[str, Any]]
"""A block's header, and its document."""

LeftOut = dict[str, int] | None
Find = Callable[[str, Sequence[str], int, int], list[Document]]

GRID_S = 3600
"""Of merged blocks, where the database does not say."""


class Blocks:
    """The blocks of one database."""

    def __init__(self, database: Database[dict[str, Any]], window_ns: int, grid_s: int = GRID_S) -> None:
        self._database = database
        self.window_ns = window_ns
        self.lengths = ladder(grid_s, window_ns // NS_PER_S)
        """Seconds that a merged block may have."""

    def before(self, security: str, kinds: Sequence[str], end_ns: int) -> list[Block]:
        """Return the newest window's blocks that start before *end_ns*, and all that lie over them.

        None where there is none.  The first of them starts first.
        """
        newest = self._newest_before(security, kinds, end_ns)
        if not newest:
            return newest
        root_ns = self._root(security, kinds, newest[0].start_ns)
        if root_ns < newest[0].start_ns:
            newest = self._headers(security, kinds, root_ns, end_ns)
        return uncovered(newest)

    def _newest_before(self, security: str, kinds: Sequence[str], end_ns: int) -> list[Block]:
        step = NEAR * self.window_ns
        high = max(0, end_ns - step)
        near = self._headers(security, kinds, high, end_ns)
        if near:
            return _window_of(near, -1)
        is_there = False
        while high > 0:
            if step >= FAR_NS and not is_there:
                is_there = self.has_any(security, kinds, 0, high)
                if not is_there:
                    return []
            low = max(0, high - step)
            if self.has_any(security, kinds, low, high):
                return self._newest(security, kinds, low, high)
            high, step = low, 2 * step
        return []

    def whole_before(self, security: str, kinds: Sequence[str], end_ns: int) -> list[Stored]:
        """Return what ``before`` does, with the documents."""
        found = self._found(security, kinds, max(0, end_ns - CLOSE * self.window_ns), end_ns)
        newest_ns = max((date_ns(each["start"]) for _, each in found), default=end_ns - 1)
        root_ns = self._root(security, kinds, newest_ns)
        if not found and root_ns == newest_ns:
            window = self.before(security, kinds, end_ns)
            if not window:
                return []
            root_ns = window[0].start_ns
        if not found or root_ns < newest_ns:
            found = self._found(security, kinds, root_ns, end_ns)
        return _uncovered(each for each in _in_order(found) if each[0].start_ns >= root_ns)

    def after(self, security: str, kinds: Sequence[str], start_ns: int) -> list[Block]:
        """Return the parts of the oldest window that starts at *start_ns* or later, if there is one."""
        return uncovered(self._oldest_after(security, kinds, start_ns, LAST_NS))

    def reaching(self, security: str, kinds: Sequence[str], time_ns: int) -> list[Block]:
        """Return the blocks of the oldest window that ends after *time_ns*, a window's start."""
        root_ns = self._root(security, kinds, time_ns)
        return self.after(security, kinds, root_ns)

    def _oldest_after(self, security: str, kinds: Sequence[str], start_ns: int, until_ns: int) -> list[Block]:
        step = NEAR * self.window_ns
        low = min(until_ns, start_ns + step)
        near = self._headers(security, kinds, start_ns, low)
        if near:
            return _window_of(near, 0)
        if not self.has_any(security, kinds, low, until_ns):
            return []
        while low < until_ns:
            high = min(until_ns, low + step)
            if self.has_any(security, kinds, low, high):
                return self._oldest(security, kinds, low, high)
            low, step = high, 2 * step
        return []

    def newest(self, security: str, kinds: Sequence[str], about_ns: int) -> list[Block]:
        """Return the parts of the newest window of all; *about_ns* is where it is looked for first."""
        if not self.has_any(security, kinds, about_ns, LAST_NS):
            return self.before(security, kinds, about_ns)
        low, step = about_ns, _HOUR_NS
        while self.has_any(security, kinds, min(LAST_NS, low + step), LAST_NS):
            low, step = low + step, 2 * step
        return self._newest(security, kinds, low, min(LAST_NS, low + step))

    def newest_ns(self, security: str, kinds: Sequence[str], *about_ns: int) -> int:
        """Return the newest effective time, 0 of none: one question a kind finds it near one of *about_ns*.

        Raises:
            Damaged: a header does not say.
        """
        for each_ns in about_ns:
            near = self.few(security, kinds, max(0, each_ns - NEAR * self.window_ns))
            if near:
                # (what was merged before ends before the newest: that was so when it was made)
                return max(last_ns for _, last_ns in near)
        newest = self.newest(security, kinds, about_ns[0])
        return max((block.last_effective_ns for block in newest), default=0)

    def few(self, security: str, kinds: Sequence[str], low_ns: int) -> list[tuple[int, int]] | None:
        """Return start and last effective time of what starts from *low_ns* on; None: that is much.

        Raises:
            Damaged: a header does not say.
        """
        asked = _range(security, low_ns, LAST_NS)
        all_found = []
        for kind in kinds:
            found = list(self._collection(kind).find(asked, _LAST_TIMES, limit=FEW))
            if len(found) == FEW:
                return None
            all_found += found
        try:
            return [
                (date_ns(each["start"]), int(each.get("last_effective", each["last_time"])))
                for each in all_found
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise Damaged(f"{security}|{kinds[0]}", f"one of its newest headers has no {error}") from error

    def has_any(self, security: str, kinds: Sequence[str], low_ns: int, high_ns: int) -> bool:
        """Say whether a window starts in ``[low_ns, high_ns)``."""
        asked = _range(security, low_ns, high_ns)
        return low_ns < high_ns and any(
            self._collection(kind).find_one(asked, {"_id": 1}) is not None for kind in kinds
        )

    def between(
        self, security: str, kinds: Sequence[str], low_ns: int, high_ns: int, *, whole: bool = False
    ) -> Iterator[list[Block]]:
        """Yield the blocks of the windows that lie in ``[low_ns, high_ns)``, in order, by clusters.

        When *whole* with those whose ids another one holds.
        """
        headers = partial(self._found, left_out=_HEADERS)
        for _, found in self._chunks(
            security, kinds, (low_ns, high_ns), HEADERS_AT_ONCE, headers, widest=WIDEST
        ):
            together = clusters(sorted((header(*each) for each in found), key=order))
            yield from together if whole else map(uncovered, together)

    def stored(
        self, security: str, kinds: Sequence[str], low_ns: int, high_ns: int
    ) -> Iterator[list[Stored]]:
        """Yield the documents of the windows that lie in ``[low_ns, high_ns)``, in order, by clusters."""
        for _, found in self.batches(security, kinds, low_ns, high_ns):
            pairs = _in_order(found)
            documents = {block.id: document for block, document in pairs}
            for together in clusters(block for block, _ in pairs):
                yield [(block, documents[block.id]) for block in uncovered(together)]

    def batches(
        self, security: str, kinds: Sequence[str], low_ns: int, high_ns: int
    ) -> Iterator[tuple[int, list[Document]]]:
        """Yield some windows' documents at a time, as they lie, with the time before which they start.

        No cluster is divided: the first may begin before *low_ns*, the last may end after *high_ns*.
        Nothing in them has been looked at: one that is damaged hides no other.
        """
        return self._chunks(security, kinds, (low_ns, high_ns), BODIES_AT_ONCE, self._found)

    def _chunks(
        self,
        security: str,
        kinds: Sequence[str],
        bounds: tuple[int, int],
        windows: int,
        find: Find,
        widest: int = 1,
    ) -> Iterator[tuple[int, list[Document]]]:
        low_ns, high_ns = bounds
        times, step = 1, windows * self.window_ns
        if low_ns < high_ns:
            low_ns = self._root(security, kinds, low_ns)
        while low_ns < high_ns:
            end = min(high_ns, low_ns + times * step)
            found = find(security, kinds, low_ns, end)
            reach = max((_end_of(each) for _, each in found), default=end)
            if reach > end:
                found += find(security, kinds, end, reach)
                end = reach
            times = min(2 * times, widest) if len(found) < windows // 4 else 1
            if found:
                yield end, found
            low_ns = end if found else self._next(security, kinds, end, high_ns)

    def kept(self, security: str, feed: str) -> tuple[int, int]:
        """Return since when the *feed* (``book``, ``trades``) is kept, and the floor of what is stored.

        Both are 0 where nothing was deleted (store.retention).
        """
        row = self._collection("securities").find_one({"_id": security}, {"kept_from": 1}) or {}
        kept = row.get("kept_from", {}).get(feed)
        return (date_ns(kept["from"]), date_ns(kept["floor"])) if kept else (0, 0)

    def document(self, block: Block, security: str) -> dict[str, Any]:
        """Return the whole document of *block*.

        Raises:
            Damaged: it is gone.
        """
        key = {"_id": block.id, "security": security, "start": date_of(block.start_ns)}
        found: dict[str, Any] | None = self._collection(block.kind).find_one(key)
        if found is None:
            raise Damaged(block.id, "it was removed while it was read")
        return found

    def image(self, security: str, update_id: int, until_ns: int) -> dict[str, Any]:
        """Return the document of the image right after *update_id*, made in a window up to *until_ns*.

        Raises:
            Damaged: there is none.
        """
        identity = f"{security}|image|{update_id}"
        key = {"_id": identity, "security": security, "start": {"$lte": date_of(until_ns)}}
        found: dict[str, Any] | None = self._collection("images").find_one(key)
        if found is None:
            raise Damaged(identity, "a chain starts from this image and it is not stored")
        return found

    def image_ids(self, security: str, low_ns: int, high_ns: int) -> list[int]:
        """Return the update ids of the images of the windows from *low_ns* to before *high_ns*, in order."""
        found = self._collection("images").find(_range(security, low_ns, high_ns), {"_id": 1})
        ids = (each["_id"].rpartition("|")[2] for each in found)
        return sorted(int(update_id) for update_id in ids if update_id.isdecimal())

    def gap_rows(self, security: str, low_ns: int, high_ns: int) -> list[dict[str, Any]]:
        """Return the ledger's rows whose windows start in ``[low_ns, high_ns]``, by their first ids.

        Raises:
            Damaged: a row has no ids.
        """
        found = list(self._collection("gaps").find(_range(security, low_ns, min(LAST_NS, high_ns + 1))))
        for row in found:
            for name, kinds in _ROW_FIELDS.items():
                if not isinstance(row.get(name), kinds):
                    raise Damaged(str(row["_id"]), f"a row of the ledger whose {name} is {row.get(name)!r}")
        return sorted(found, key=lambda row: (row["start"], row["first_id"]))

    def audit_rows(self, security: str) -> list[dict[str, Any]]:
        """Return the audits, by their update ids, which rise with time."""
        found = self._collection("audits").find(_range(security, 0, LAST_NS))
        return sorted(found, key=lambda row: (row["start"], row["update_id"]))

    def _collection(self, name: str) -> Any:
        return self._database.get_collection(name, codec_options=READING)

    def _next(self, security: str, kinds: Sequence[str], low_ns: int, high_ns: int) -> int:
        """Return where to go on at or after *low_ns*: a pause may be years long."""
        ahead = self._oldest_after(security, kinds, low_ns, high_ns) if low_ns < high_ns else []
        return ahead[0].start_ns if ahead else high_ns

    def _newest(self, security: str, kinds: Sequence[str], low: int, high: int) -> list[Block]:
        while high - low > self.window_ns * NEAR:
            middle = (low + high) // 2
            if self.has_any(security, kinds, middle, high):
                low = middle
            else:
                high = middle
        return _window_of(self._headers(security, kinds, low, high), -1)

    def _oldest(self, security: str, kinds: Sequence[str], low: int, high: int) -> list[Block]:
        while high - low > self.window_ns * NEAR:
            middle = (low + high) // 2
            if self.has_any(security, kinds, low, middle):
                high = middle
            else:
                low = middle
        return _window_of(self._headers(security, kinds, low, high), 0)

    def _headers(self, security: str, kinds: Sequence[str], low_ns: int, high_ns: int) -> list[Block]:
        found = self._found(security, kinds, low_ns, high_ns, _HEADERS)
        return sorted((header(*each) for each in found), key=order)

    def _found(
        self, security: str, kinds: Sequence[str], low_ns: int, high_ns: int, left_out: LeftOut = None
    ) -> list[Document]:
        # (leaving the receipts out, some percent of a block, costs the embedded server as much again)
        asked = _range(security, low_ns, high_ns)
        return [(kind, each) for kind in kinds for each in self._collection(kind).find(asked, left_out)]

    def _root(self, security: str, kinds: Sequence[str], time_ns: int) -> int:
        """Return where the longest merged block begins that holds rows before and from *time_ns* on.

        That is *time_ns* where there is none.
        """
        spans = [span_of(time_ns, seconds) for seconds in self.lengths]
        spans = [span for span in spans if span.start_ns < time_ns]
        if not spans:
            return time_ns
        starts = _range(security, spans[0].start_ns, time_ns)
        for kind in kinds:
            asked = {"_id": {"$in": [merged_id(security, kind, span) for span in spans]}, **starts}
            found = self._collection(kind).find(asked, {"start": 1})
            time_ns = min([time_ns, *(date_ns(each["start"]) for each in found)])
        return time_ns


def _end_of(stored: dict[str, Any]) -> int:
    """Return where the merged block *stored* ends; 0 of any other, and where it does not say."""
    seconds, start = merged_seconds(str(stored["_id"])), stored.get("start")
    if seconds is None or not isinstance(start, DatetimeMS):
        return 0
    return date_ns(start) + seconds * NS_PER_S


def _in_order(found: list[Document]) -> list[Stored]:
    return sorted(((header(*each), each[1]) for each in found), key=lambda pair: order(pair[0]))


def _uncovered(pairs: Iterable[Stored]) -> list[Stored]:
    found = list(pairs)
    kept = {block.id for block in uncovered([block for block, _ in found])}
    return [pair for pair in found if pair[0].id in kept]


def _window_of(blocks: list[Block], place: int) -> list[Block]:
    start_ns = blocks[place].start_ns if blocks else 0
    return [block for block in blocks if block.start_ns == start_ns]


def _range(security: str, low_ns: int, high_ns: int) -> dict[str, Any]:
    """Return the question for the windows that start in ``[low_ns, high_ns)``."""
    low, high = -(-low_ns // 1_000_000), -(-high_ns // 1_000_000)
    return {
        "security": security,
        "start": {"$gte": date_of(low * 1_000_000), "$lt": date_of(high * 1_000_000)},
    }
