"""What the exchange says of itself: which ids it sent to nobody."""

from tests.simulator.heard import BOOK, NOWHERE, TRADES, Account, Lost

DEPTH = b'{"stream":"x","data":{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":%d,"u":%d,"b":[],"a":[]}}'
TRADE = b'{"e":"trade","E":1,"s":"BTCUSDT","t":%d,"p":"1","q":"1"}'
DONE = b'{"type":"done","product_id":"BTC-USD","sequence":%d,"order_id":"x"}'
MATCH = b'{"type":"match","trade_id":%d,"product_id":"BTC-USD","sequence":%d}'


def test_ids_between_two_frames_are_lost_until_a_book_that_reaches_their_end() -> None:
    account = Account()
    account.wrote(1, DEPTH % (1, 4))
    account.gave("BTCUSDT", b'{"lastUpdateId":20,"bids":[]}')
    account.wrote(2, DEPTH % (7, 9))
    assert account.lost("BTCUSDT", BOOK) == [Lost(5, 6, NOWHERE)]
    account.gave("BTCUSDT", b'{"lastUpdateId":5,"bids":[]}')
    account.gave("BTCUSDT", b'{"lastUpdateId":8,"bids":[]}')
    assert account.lost("BTCUSDT", BOOK) == [Lost(5, 6, 8)]


def test_what_another_connection_was_sent_is_not_lost() -> None:
    account = Account()
    for first in range(1, 40):
        if first % 5:
            account.wrote(1, TRADE % first)
        if first % 5 != 1:
            account.wrote(2, TRADE % first)
    account.wrote(1, TRADE % 41)
    assert account.lost("BTCUSDT", TRADES) == [Lost(40, 40, 40)]


def test_a_frame_that_comes_too_late_is_lost() -> None:
    account = Account()
    for sequence in (1, 3, 2, 4):
        account.wrote(1, DONE % sequence)
    assert account.lost("BTC-USD", BOOK) == [Lost(2, 2, NOWHERE)]


def test_a_match_is_of_the_book_and_a_trade() -> None:
    account = Account()
    account.wrote(1, MATCH % (7, 1))
    account.wrote(1, b'{"type":"heartbeat","sequence":2,"last_trade_id":8,"product_id":"BTC-USD"}')
    account.wrote(1, MATCH % (9, 3))
    assert account.lost("BTC-USD", BOOK) == [Lost(2, 2, NOWHERE)]
    assert account.lost("BTC-USD", TRADES) == [Lost(8, 8, 8)]
