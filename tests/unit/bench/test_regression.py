"""A stage that costs a third more than was accepted is found, and one that the machine disturbed is not."""

import json

from tests.bench.regression import RATIOS, WORSE, worse

KNOWN = {"book": 2.0, "store": 1.0}


def test_only_what_is_worse_by_more_than_it_may_be_is_named() -> None:
    assert worse({"book": 2.0 * WORSE, "store": 0.5}, KNOWN) == {}
    assert worse({"book": 3.0, "store": 1.0}, KNOWN) == {"book": 1.5}


def test_there_is_something_to_compare_with_for_both_markets() -> None:
    known = json.loads(RATIOS.read_text())
    assert set(known) == {"binance_spot_ETHUSDT_20240808", "synthetic"}
    assert all(set(each) == {"ingest", "book", "condition", "store", "total"} for each in known.values())
