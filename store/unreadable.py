"""Why the archive gives no answer; each is one line that says what to do.

exception        means                                                        who may pass it over
UnknownSecurity  nothing is stored under that name
NotStored        the moment is before the first or after the last update
InHole           updates are missing there; ``row`` is the ledger's           gaps="include" or "exclude"
Damaged          a document contradicts its checksum, its chain or its hash
"""

from typing import Any

from wire.names import venue_of
from wire.times import iso


class Unreadable(Exception):
    """The archive has no good answer."""


class UnknownSecurity(Unreadable):
    """Nothing is stored of this security."""


class NotStored(Unreadable):
    """The moment lies outside what is stored; ``moment_ns`` is the nearest one that is inside."""

    def __init__(self, security: str, moment_ns: int, what: str) -> None:
        super().__init__(f"{security}: {what} {iso(moment_ns, venue_of(security))}")
        self.security = security
        self.moment_ns = moment_ns


class InHole(Unreadable):
    """Updates are missing; ``row`` is the row of the ledger, None where it has none."""

    def __init__(self, security: str, first_id: int, last_id: int | None, row: dict[str, Any] | None) -> None:
        ids = f"{first_id} to {'?' if last_id is None else last_id}"
        why = f"ledger row {row['_id']}, cause {row['cause']}" if row else "the ledger has no row"
        super().__init__(f"{security}: ids {ids} are missing ({why}); --gaps include reads on")
        self.security = security
        self.first_id = first_id
        self.last_id = last_id
        self.row = row


class Damaged(Unreadable):
    """A document cannot be what was written; it is named."""

    def __init__(self, identity: str, why: str) -> None:
        super().__init__(f"{identity} is damaged: {why}")
        self.identity = identity
