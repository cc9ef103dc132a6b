"""Each thing that a server or the driver may say has one meaning: the table of store.outcome."""

import pytest
from bson.errors import InvalidDocument
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DocumentTooLarge,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from store.outcome import HAD, STORED, Outcome, Verdict, of_bulk, of_failure, second


def bulk(*errors: tuple[int, int], concern: str = "") -> BulkWriteError:
    write_errors = [{"index": index, "code": code, "errmsg": "why"} for index, code in errors]
    concerns = [{"code": 64, "errmsg": concern}] if concern else []
    return BulkWriteError({"writeErrors": write_errors, "writeConcernErrors": concerns})


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (11000, Verdict.AGAIN),
        (11001, Verdict.AGAIN),
        (10334, Verdict.REFUSED),
        (17419, Verdict.REFUSED),
        (121, Verdict.REFUSED),
        (2, Verdict.REFUSED),
        (13, Verdict.RETRY),
        (14031, Verdict.RETRY),
        (112, Verdict.RETRY),
        (10107, Verdict.RETRY),
        (987654, Verdict.RETRY),
    ],
)
def test_a_write_error_judges_its_own_document_only(code: int, verdict: Verdict) -> None:
    outcomes = of_bulk(bulk((1, code)), 3)
    assert [each.verdict for each in outcomes] == [Verdict.STORED, verdict, Verdict.STORED]


def test_no_error_means_all_are_stored() -> None:
    assert of_bulk(None, 2) == [STORED, STORED]


def test_what_the_majority_did_not_confirm_is_not_called_stored_nor_had() -> None:
    outcomes = of_bulk(bulk((0, 11000), (1, 10334), concern="waiting for replication timed out"), 3)
    assert [each.verdict for each in outcomes] == [Verdict.RETRY, Verdict.REFUSED, Verdict.RETRY]
    assert outcomes[2].reason == "write concern not met: waiting for replication timed out"


@pytest.mark.parametrize(
    "error",
    [
        ServerSelectionTimeoutError("nobody"),
        AutoReconnect("gone"),
        NetworkTimeout("slow"),
        NotPrimaryError("stepped down"),
        OperationFailure("not authorised", 13),
        OperationFailure("out of disk space", 14031),
    ],
)
def test_a_write_that_failed_as_a_whole_is_tried_again(error: PyMongoError) -> None:
    assert [each.verdict for each in of_failure(error, 2)] == [Verdict.RETRY] * 2


@pytest.mark.parametrize(
    "error", [InvalidDocument("a set"), DocumentTooLarge("17 MB"), OverflowError("2**64")]
)
def test_what_the_driver_cannot_send_is_refused_only_when_it_stands_alone(error: PyMongoError) -> None:
    assert [each.verdict for each in of_failure(error, 1)] == [Verdict.REFUSED]
    assert [each.verdict for each in of_failure(error, 2)] == [Verdict.RETRY] * 2


def test_a_key_that_is_still_there_at_the_second_try_belongs_to_what_covers_as_much() -> None:
    assert second(Outcome(Verdict.AGAIN)) == HAD
    assert second(STORED) == STORED
