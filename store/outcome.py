"""What became of each document of a write: the table that decides between progress, patience and loss.

outcome   what the server or the driver said                                 then
STORED    no error                                                           answered, forgotten
AGAIN     duplicate key at the first try (11000, 11001, 12582)               written once more at once
HAD       duplicate key at the second try                                    answered, forgotten
REFUSED   10334 17280 17419 17420 too large; 121 fails validation; 2 9 14    kept as a file, answered,
          22 52 56 57 no document this server takes; the driver cannot       forgotten
          encode it
RETRY     everything else: no primary, network, time-out, write concern      held, tried again
          not met (stored perhaps, but not promised), not authorised,
          out of space, unknown codes

Why a duplicate key is tried again: two writers may put two versions of a new document at the same instant.
Both filters find nothing, both insert, and the one that covers more may be the one that fails.  At the
second try the document is there, so either the filter finds it or it covers as much.

Unknown means RETRY, for a document that waits is safe and a document refused by mistake is not.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, NamedTuple

from bson.errors import BSONError
from pymongo.errors import BulkWriteError, DocumentTooLarge, OperationFailure, PyMongoError

_DUPLICATE = frozenset({11000, 11001, 12582})
_UNSTORABLE = frozenset({2, 9, 14, 22, 52, 56, 57, 121, 10334, 17280, 17419, 17420})


class Verdict(Enum):
    """What became of one document."""

    STORED = "stored"
    AGAIN = "again"
    HAD = "had"
    REFUSED = "refused"
    RETRY = "retry"


class Outcome(NamedTuple):
    """The verdict on one document and, where it is bad, the reason in one line."""

    verdict: Verdict
    reason: str = ""


STORED = Outcome(Verdict.STORED)
HAD = Outcome(Verdict.HAD)


def one_line(error: BaseException) -> str:
    """Return what *error* says, in one line, without the driver's topology dump."""
    text = str(error).partition(", full error:")[0].partition(" (configured timeouts:")[0]
    return " ".join(text.split()) or type(error).__name__


Tell = Callable[[PyMongoError], str]
"""Says in one line what an error means."""


def of_bulk(error: BulkWriteError | None, count: int, tell: Tell = one_line) -> list[Outcome]:
    """Return the outcome of each of the *count* documents of one unordered bulk write, in order.

    *error* is None where the write raised nothing; *tell* gives the reason of what is tried again.
    """
    if error is None:
        return [STORED] * count
    details: dict[str, Any] = dict(error.details or {})
    outcomes = [STORED] * count
    unmet: Sequence[dict[str, Any]] = details.get("writeConcernErrors") or ()
    if unmet:
        code, text = int(unmet[0].get("code", 0)), unmet[0].get("errmsg", "no reason given")
        reason = tell(OperationFailure(f"write concern not met: {text}", code))
        outcomes = [Outcome(Verdict.RETRY, reason)] * count
    for each in details.get("writeErrors") or ():
        outcome = _of_code(int(each.get("code", 0)), str(each.get("errmsg", "")), tell)
        if not unmet or outcome.verdict is Verdict.REFUSED:
            outcomes[int(each["index"])] = outcome
    return outcomes


def of_failure(
    error: PyMongoError | BSONError | OverflowError, count: int, tell: Tell = one_line
) -> list[Outcome]:
    """Return the outcome of each of *count* documents of a write that failed as a whole.

    What the driver cannot encode is refused only when it stands alone, for else nobody knows which it is.
    """
    if unencodable(error) and count == 1:
        return [Outcome(Verdict.REFUSED, one_line(error))]
    reason = tell(error) if isinstance(error, PyMongoError) else one_line(error)
    return [Outcome(Verdict.RETRY, reason)] * count


def unencodable(error: BaseException) -> bool:
    """Whether the driver could not even send one of the documents."""
    return isinstance(error, BSONError | DocumentTooLarge | OverflowError)


def second(outcome: Outcome) -> Outcome:
    """Return *outcome* of a second try: a key that is still there belongs to what covers as much."""
    return HAD if outcome.verdict is Verdict.AGAIN else outcome


def _of_code(code: int, text: str, tell: Tell) -> Outcome:
    if code in _DUPLICATE:
        return Outcome(Verdict.AGAIN)
    reason = f"{code}: {' '.join(text.split())}"
    if code in _UNSTORABLE:
        return Outcome(Verdict.REFUSED, reason)
    return Outcome(Verdict.RETRY, tell(OperationFailure(reason, code)))
