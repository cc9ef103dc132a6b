"""Takes a round of checkpoints a few securities at a time: every frame would wait for hundreds at once.

state    event                        next state  output
IDLE     a round is due               TAKING      (how far the lines were read is noted: who is named later is
                                                  searched for from there)
TAKING   a round is due               TAKING
TAKING   some time                    TAKING      the states of the next securities
TAKING   some time, no security left  IDLE        the round, on disk
TAKING   securities are taken back    IDLE        (what was taken of them is no longer what they are)

Each state is exact at its security's own positions, so the securities of a round need not stand at one place.
"""

from collections import deque
from collections.abc import Mapping

from book.checkpoint import Packing, Rounds
from book.maintainer import Maintainer
from wire.log import log
from wire.names import bucket_of
from wire.runs import Marks


class Keeper:
    """Takes the rounds of one worker; *done* is what it has heard, as it grows."""

    def __init__(self, rounds: Rounds, maintainer: Maintainer, done: Mapping[str, Marks]) -> None:
        self._rounds, self._maintainer, self._done = rounds, maintainer, done
        self._packing: Packing | None = None
        self._left: deque[str] = deque()

    def begin(self) -> None:
        """Begin a round, unless one is being taken."""
        if self._packing is None:
            made = self._maintainer
            done = {name: marks for name, marks in self._done.items() if bucket_of(name) in made.buckets}
            self._packing = Packing(sorted(made.buckets), made.read, done)
            self._left = deque(made.securities)

    def drop(self) -> None:
        """Let go what was taken of a round."""
        self._packing = None

    def some(self, most: int | None = None) -> bool:
        """Take the states of the next *most* securities (None: all); say whether there is more to do."""
        packing = self._packing
        if packing is None:
            return False
        for _ in range(len(self._left) if most is None else min(most, len(self._left))):
            packing.add(self._maintainer.securities[self._left.popleft()].dump())
        if self._left:
            return True
        self._packing = None
        data = packing.data()
        try:
            self._rounds.write(data, self._done)
        except OSError as error:
            # nothing is lost: the rounds before stand, and the journals are kept until one can be written
            log.error('event=no_checkpoint reason="%s"', error)
        else:
            log.debug("event=checkpoint bytes=%d", len(data))
        return False
