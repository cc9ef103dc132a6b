"""What the desk wants done, one class each, and what the shell knows of the moment."""

import msgspec

from wire.messages import Desired, Request


class Keep(msgspec.Struct, frozen=True):
    """Write the desired state to disk, then publish it."""

    desired: Desired


class Answer(msgspec.Struct, frozen=True):
    """Send *data* to the caller."""

    caller: bytes
    data: bytes


class Ask(msgspec.Struct, frozen=True):
    """Send *request* to a process; tell ``Desk.unreachable`` if it is not there."""

    process: str
    request: Request


class Signal(msgspec.Struct, frozen=True):
    """Have supervisord send the signal *name* to a process that cannot be asked, or does not obey."""

    process: str
    name: str


class Say(msgspec.Struct, frozen=True):
    """A fact for the log."""

    text: str


class StopAll(msgspec.Struct, frozen=True):
    """Stop every process, this one last."""


class StopSelf(msgspec.Struct, frozen=True):
    """Stop this process; supervisord starts it again."""


Effect = Keep | Answer | Ask | Signal | Say | StopAll | StopSelf


class Now(msgspec.Struct, frozen=True):
    """What the shell knows of the moment: monotonic seconds, UTC, the disk."""

    s: float
    ns: int
    free_bytes: int = 0
    reserve_bytes: int = 0
    database_again: bool = False
    """The database runs, as another process than the one that was last sent a signal."""
