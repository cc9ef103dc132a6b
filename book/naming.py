"""Names for orders, where the exchange's ids are not to be stored (policy ``orders`` noids); pure.

An order is named once, 16 bytes as an id has: two little-endian int64, an update id and a number.

the order is first met                       update id              number
in the book that a chain or a policy         the last one before    its row in that book, from 1
begins with
as the order of an event                     the event's            0
as the taker of a match                      the match's            -1

So no two orders of a security have one name, and a name says nothing that the update ids and the order of the
queues do not.  No id has none: 16 zero bytes.  Once its ``done`` has come an order is forgotten.
"""

import struct
from typing import Any
from uuid import UUID

import numpy as np

from venue.api import OrderKind

ID_BYTES = 16
_NO_ID = bytes(ID_BYTES)
_NAME = struct.Struct("<qq")
_TAKER = -1


class Names:
    """The names of the orders of one book, and of those that were received and do not rest."""

    def __init__(self) -> None:
        self._names: dict[bytes, bytes] = {}

    def begin(self, order_ids: bytes, update_id: int) -> None:
        """Name the orders of a book that is as it was after *update_id*, and forget all others."""
        self._names = {
            order_id: _NAME.pack(update_id, row) for row, order_id in enumerate(_split(order_ids), 1)
        }

    def of_book(self, order_ids: bytes) -> bytes:
        """Return the names of orders that rest."""
        return b"".join([self._names[order_id] for order_id in _split(order_ids)])

    def of_events(
        self, update_ids: list[int], kinds_u1: bytes, order_ids: bytes, taker_ids: bytes
    ) -> tuple[bytes, bytes]:
        """Return the names of the orders and of the takers of events, in id order."""
        orders, takers = [], []
        rows = zip(update_ids, kinds_u1, _split(order_ids), _split(taker_ids), strict=True)
        for update_id, kind, order_id, taker_id in rows:
            orders.append(self._name(order_id, update_id, 0))
            takers.append(self._name(taker_id, update_id, _TAKER))
            if kind == OrderKind.DONE:
                self._names.pop(order_id, None)
        return b"".join(orders), b"".join(takers)

    def _name(self, order_id: bytes, update_id: int, number: int) -> bytes:
        if order_id == _NO_ID:
            return _NO_ID
        name = self._names.get(order_id)
        if name is None:
            name = self._names[order_id] = _NAME.pack(update_id, number)
        return name

    def dump(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"ids": b"".join(self._names), "names": b"".join(self._names.values())}

    def load(self, state: dict[str, Any]) -> None:
        """Become what ``dump`` returned."""
        self._names = dict(zip(_split(state["ids"]), _split(state["names"]), strict=True))


def name_text(name: bytes) -> str:
    """Return *name* as people read it.

    >>> name_text(_NAME.pack(8_123, 0)), name_text(_NAME.pack(8_000, 17))
    ('8123', '8000.17')
    """
    update_id, number = _NAME.unpack(name)
    return f"{update_id}.{number}" if number else str(update_id)


def order_texts(order_ids: bytes, *, named: bool) -> list[str]:
    """Return *order_ids*, 16 bytes each, as people read them: names, or the exchange's UUIDs."""
    ids = _split(order_ids)
    return [name_text(each) for each in ids] if named else [str(UUID(bytes=each)) for each in ids]


def name_bytes(text: str) -> bytes:
    """Return the name that ``name_text`` writes as *text*.

    Raises:
        ValueError: it is none.
    """
    update_id, _, number = text.partition(".")
    try:
        return _NAME.pack(int(update_id), int(number or 0))
    except struct.error as error:
        raise ValueError(f"{text} does not fit a name") from error


def _split(ids: bytes) -> list[bytes]:
    cells: list[bytes] = np.frombuffer(ids, dtype=f"V{ID_BYTES}").tolist()
    return cells
