"""What goes to the conditioners: one queue of messages for each, sent as one ZeroMQ message a batch.

event                              outcome
a Subscribe with a new token       its bucket's queued messages are dropped: a new run is to begin
messages of a bucket               queued for the endpoint that subscribed to it; dropped if none did
the socket has no room             they stay, and the worker takes no more groups (``blocked``)
"""

from wire.messages import Message, Subscribe, pack_all
from wire.names import bucket_of
from wire.runs import RunMessage

BATCH_BYTES = 1 << 20
"""A queued batch of about this much is sent before more is read."""


class Queues:
    """The pure part: who subscribed to what, and what waits for them."""

    def __init__(self) -> None:
        self._endpoints: dict[int, str] = {}
        self._tokens: dict[int, int] = {}
        self._waiting: dict[str, list[Message]] = {}

    @property
    def blocked(self) -> bool:
        """Say whether something could not be sent yet."""
        return any(self._waiting.values())

    def subscribed(self, message: Subscribe) -> bool:
        """Note *message*; say whether a new run has to begin."""
        if self._tokens.get(message.bucket) == message.token:
            return False
        for waiting in self._waiting.values():
            waiting[:] = [each for each in waiting if not _is_of(each, message.bucket)]
        self._tokens[message.bucket] = message.token
        self._endpoints[message.bucket] = message.endpoint
        return True

    def put(self, bucket: int, messages: list[RunMessage]) -> None:
        """Queue *messages* of a security of *bucket*; nobody wants them: they come again from the journal."""
        endpoint = self._endpoints.get(bucket)
        if endpoint is not None:
            self._waiting.setdefault(endpoint, []).extend(messages)

    def batches(self) -> list[tuple[str, bytes]]:
        """Return what is to be sent to each endpoint; ``sent`` takes it off."""
        return [(endpoint, pack_all(waiting)) for endpoint, waiting in self._waiting.items() if waiting]

    def sent(self, endpoint: str) -> None:
        """Note that all that waited for *endpoint* is on its way."""
        self._waiting[endpoint] = []


def _is_of(message: Message, bucket: int) -> bool:
    return bucket_of(getattr(message, "security", "")) == bucket
