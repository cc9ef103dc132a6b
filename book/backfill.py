"""What the answer to a request for old trades comes to.

answer                                  outcome
200                                     its trades go into the holes (book.healing)
200 that leaves ids of the page out,    a try for the page that was asked for; after some its ids are
or cannot be read; 4xx                  given up
418, 429, 5xx                           nothing: the line asks again
"""

from book.tape import Print
from book.trades import TradeFeed
from journal.group import Record
from journal.payload import Rest
from venue.api import UnknownFrame, Venue

_LATER = (403, 418, 429, 451)
"""Refusals that pass: the page is asked for again."""


def answered(feed: TradeFeed, record: Record, rest: Rest, venue: Venue, symbol: str) -> None:
    """Work off *rest*, an answer that *record* holds."""
    page = feed.healing.page
    if page is None or rest.status in _LATER or not 200 <= rest.status < 500:
        return
    is_answer = venue.trades_request(symbol, *page).path == rest.path
    feed.heal(_prints(record, rest, venue, symbol) if rest.status == 200 else [])
    if is_answer and feed.healing.page == page:
        feed.tried()


def _prints(record: Record, rest: Rest, venue: Venue, symbol: str) -> list[Print]:
    try:
        trades = venue.trades(symbol, rest.body)
    except UnknownFrame:
        return []
    place = record.position, record.recv_ns, record.connection, record.line
    return [Print(each.id, each.time_ns, each.price, each.size, each.side, *place) for each in trades]
