"""What the session wants done: its whole output, one class each.

The process does them in the order given; a ``Record`` is appended to the journal before any action
after it is done.
"""

from typing import Literal, NamedTuple

from journal.payload import Command, Connection
from venue.api import RestRequest
from wire.messages import Wanted


class Dial(NamedTuple):
    """Open a websocket; answered by ``Session.opened`` or ``Session.lost``."""

    connection: int


class Send(NamedTuple):
    """Send one websocket frame now.  A text may hold a signature: it is never logged."""

    connection: int
    kind: Literal["text", "ping", "pong"]
    payload: bytes


class Hang(NamedTuple):
    """Close a websocket without waiting; not answered."""

    connection: int


class Ask(NamedTuple):
    """Make a REST request; answered by ``Session.answered`` with the same Ask."""

    number: int
    what: Literal["depth", "instrument", "trades"]
    cause: str
    securities: tuple[str, ...]
    """Whom it concerns; the body is journalled under the one security, or under all of the line."""
    levels: int
    request: RestRequest


class Record(NamedTuple):
    """Append to the journal."""

    security: str
    connection: int
    payload: Command | Connection


class Remember(NamedTuple):
    """Keep on disk which securities the journal has added and not removed, before what follows."""

    securities: tuple[Wanted, ...]


class Say(NamedTuple):
    """One line for the log."""

    level: Literal["info", "warning", "error"]
    text: str


Action = Dial | Send | Hang | Ask | Record | Remember | Say
