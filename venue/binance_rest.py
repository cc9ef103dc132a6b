"""Binance spot's REST interface: depth, exchangeInfo and trades (protocols.md 1.5)."""

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import quote, urlencode

import msgspec

from venue.api import BookSnapshot, Instrument, Level, RestRequest, Side, Trade, UnknownFrame
from venue.checks import GARBAGE, check_number, check_prices, one_line
from venue.decimals import scale_of
from venue.times import LAST_MS, NS_PER_MS

_VENUE = "binance"
_DEPTHS = ((100, 5), (500, 25), (1000, 50), (5000, 250))
"""Limit and weight of a depth request (rest-api.md)."""

_EXCHANGE_INFO_WEIGHT = 20
_TRADES_WEIGHT = 25
_TRADES_LIMIT = 1000

_CHUNK = 100
"""Symbols in one exchangeInfo request: some 2 kB of URL, where proxies refuse 8 kB."""

_Id = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Ms = Annotated[int, msgspec.Meta(ge=0, le=LAST_MS)]
_Symbol = Annotated[str, msgspec.Meta(min_length=1)]


class _Failure(msgspec.Struct):
    code: int
    msg: str


class _Body(msgspec.Struct):
    lastUpdateId: _Id  # noqa: N815 - the venue's name
    bids: list[Level]
    asks: list[Level]


class _Filter(msgspec.Struct):
    filterType: str  # noqa: N815
    tickSize: str = ""  # noqa: N815
    stepSize: str = ""  # noqa: N815


class _SymbolInfo(msgspec.Struct):
    symbol: _Symbol
    status: str
    filters: list[_Filter]
    baseAssetPrecision: int = 8  # noqa: N815
    quoteAssetPrecision: int = 8  # noqa: N815


class _ExchangeInfo(msgspec.Struct):
    symbols: list[_SymbolInfo]


class _RestTrade(msgspec.Struct):
    id: _Id
    price: str
    qty: str
    time: _Ms
    isBuyerMaker: bool  # noqa: N815


_body = msgspec.json.Decoder(_Body)
_exchange_info = msgspec.json.Decoder(_ExchangeInfo)
_rest_trades = msgspec.json.Decoder(list[_RestTrade])
_failure = msgspec.json.Decoder(_Failure)


def snapshot_request(symbol: str, feed: str, levels: int) -> RestRequest:
    """Return the cheapest depth request that holds *levels* a side; it never holds more than 5000."""
    if feed != "depth":
        raise ValueError(f"{_VENUE} has no feed {feed!r}")
    limit, weight = _limit(levels)
    return RestRequest(f"/api/v3/depth?symbol={quote(symbol, safe='')}&limit={limit}", weight)


def _limit(levels: int) -> tuple[int, int]:
    return next(((n, weight) for n, weight in _DEPTHS if 0 < levels <= n), _DEPTHS[-1])


def snapshot(symbol: str, feed: str, body: bytes, levels: int) -> BookSnapshot:  # noqa: ARG001
    """Decode a depth body; it has no time.  ``limit`` is what ``snapshot_request`` asked for."""
    try:
        book = _body.decode(body)
        check_prices(body, book.bids, book.asks)
    except GARBAGE as error:
        raise UnknownFrame(f"not a depth of {_VENUE}: {error}") from error
    return BookSnapshot(symbol, book.lastUpdateId, None, book.bids, book.asks, _limit(levels)[0])


def instruments_request(symbols: Sequence[str]) -> list[RestRequest]:
    """Return exchangeInfo requests of up to 100 symbols each; an unknown symbol spoils its request."""
    chunks = [symbols[start : start + _CHUNK] for start in range(0, len(symbols), _CHUNK)]
    return [
        RestRequest(f"/api/v3/exchangeInfo?{urlencode(_named(chunk))}", _EXCHANGE_INFO_WEIGHT)
        for chunk in chunks
    ]


def _named(chunk: Sequence[str]) -> dict[str, str]:
    if len(chunk) == 1:
        return {"symbol": chunk[0]}
    return {"symbols": msgspec.json.encode(list(chunk)).decode()}


def instruments(body: bytes) -> dict[str, Instrument]:
    """Decode exchangeInfo: scales from tickSize and stepSize (0: that rule is off)."""
    try:
        found = _exchange_info.decode(body).symbols
        return {each.symbol: _instrument(each) for each in found}
    except GARBAGE as error:
        raise UnknownFrame(f"not an exchangeInfo of {_VENUE}: {error}") from error


def _instrument(info: _SymbolInfo) -> Instrument:
    tick = next((f.tickSize for f in info.filters if f.filterType == "PRICE_FILTER"), "")
    step = next((f.stepSize for f in info.filters if f.filterType == "LOT_SIZE"), "")
    return Instrument(
        info.symbol,
        # HALT, BREAK, CANCEL_ONLY, END_OF_DAY, PRE_TRADING, POST_TRADING: no trades for now
        {"TRADING": "trading", "AUCTION_MATCH": "auction"}.get(info.status, "halted"),
        scale_of(tick) if tick.strip("0.") else info.quoteAssetPrecision,
        scale_of(step) if step.strip("0.") else info.baseAssetPrecision,
    )


def trades_request(symbol: str, first_id: int, last_id: int) -> RestRequest:
    """Return the request for up to 1000 trades from *first_id* (not on data-api.binance.vision)."""
    limit = max(1, min(_TRADES_LIMIT, last_id - first_id + 1))
    query = urlencode({"symbol": symbol, "fromId": first_id, "limit": limit})
    return RestRequest(f"/api/v3/historicalTrades?{query}", _TRADES_WEIGHT)


def trades(symbol: str, body: bytes) -> list[Trade]:
    """Decode a body of trades, in id order."""
    try:
        rows = sorted(_rest_trades.decode(body), key=lambda row: row.id)
        for row in rows:
            check_number(row.price, above_zero=True)
            check_number(row.qty)
    except GARBAGE as error:
        raise UnknownFrame(f"not trades of {_VENUE}: {error}") from error
    return [
        Trade(symbol, r.id, r.time * NS_PER_MS, r.price, r.qty, Side.SELL if r.isBuyerMaker else Side.BUY)
        for r in rows
    ]


_MEANINGS = {
    451: (
        "this place is blocked by Binance: set BINANCE_REST_URL=https://data-api.binance.vision and "
        "BINANCE_WS_URL=wss://data-stream.binance.vision (market data only), or go through HTTPS_PROXY"
    ),
    403: "the web application firewall refused it: too many requests, or a malformed one; wait some minutes",
    418: "this IP is banned for requests after 429 (2 minutes to 3 days): wait for Retry-After",
    429: "over the request limit of this IP: wait for Retry-After, or the IP is banned",
}
_CODES = {
    -1121: "the venue has no such symbol: check its spelling, or remove it",
    -1003: "too much request weight, or the IP is banned: wait for Retry-After",
}


def refusal(status: int, body: bytes) -> str:
    """Return one line that says what an HTTP error means and what to do (protocols.md 1.1, 1.5)."""
    try:
        answer = _failure.decode(body)
    except GARBAGE:
        answer = None
    said = one_line(f"{answer.msg} (code {answer.code})" if answer is not None else "no reason given")
    meaning = _MEANINGS.get(status)
    if meaning is None and answer is not None:
        meaning = _CODES.get(answer.code)
    if meaning is None:
        meaning = "the venue's own trouble: asked again later" if status >= 500 else "the request was refused"
    return f"{_VENUE}: HTTP {status}: {meaning}; it said: {said}"
