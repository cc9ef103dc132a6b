"""Every line subscribes to all of a feed with update ids, and only the first to a book without them."""

import pytest

from ingest.setting import subscription_of
from venue import binance, coinbase
from wire.settings import load_settings

KEY = {"COINBASE_API_KEY": "k", "COINBASE_API_SECRET": "ZGVtbw==", "COINBASE_API_PASSPHRASE": "p"}


@pytest.mark.parametrize("letter", ["a", "b"])
def test_a_feed_with_ids_is_recorded_whole_by_every_line(letter: str) -> None:
    depth = subscription_of(load_settings({}), binance, f"binance/{letter}")
    full = subscription_of(load_settings(KEY), coinbase, f"coinbase/{letter}")
    assert [(each.feed, each.channels, each.reason) for each in (depth, full)] == [
        ("depth", "depth", ""),
        ("full", "full", ""),
    ]


def test_a_book_without_ids_is_recorded_by_the_first_line_alone_and_the_other_says_so() -> None:
    first, second = (subscription_of(load_settings({}), coinbase, f"coinbase/{letter}") for letter in "ab")
    assert (first.feed, first.channels, first.reason) == (
        "level2_batch",
        "level2_batch",
        "no COINBASE_API_KEY",
    )
    assert (second.feed, second.channels) == ("level2_batch", "matches")
    assert "only the first line has the book" in second.reason
