"""What is traded: names, scales and steps; those of the known symbols are like 2026's, others made up."""

import zlib
from dataclasses import dataclass

_QUOTES = ("USDT", "USDC", "FDUSD", "BTC", "ETH", "EUR", "USD")

_PRICES = {"BTC": 63_550, "ETH": 1_775, "SOL": 142, "BNB": 610, "LTC": 88, "XRP": 2, "DOGE": 1}
"""About where a market of these starts, in whole units of the quote currency."""


@dataclass(frozen=True)
class Instrument:
    """A symbol; *tick* and *lot* are in units of the scales, *start_price* too."""

    venue: str
    symbol: str
    base: str
    quote: str
    price_scale: int
    size_scale: int
    tick: int
    lot: int
    start_price: int
    lots_log10: float
    """Sizes reach 10 to this power of lots."""
    open_for_s: int = 0
    """Seconds that the market has been open already: its ids have gone on as fast as any market's here."""

    @property
    def first_number(self) -> int:
        """Update id or sequence before the first event: large, as the exchanges' are."""
        return 60_000_000_000 + self.hash * 16 + self.open_for_s * 1000

    @property
    def first_trade(self) -> int:
        """Id of the first trade."""
        return 1_000_000_000 + self.hash + self.open_for_s * 100

    @property
    def hash(self) -> int:
        """A number of its own, for ids that differ between symbols."""
        return zlib.crc32(f"{self.venue}:{self.symbol}".encode())


def _price_of(base: str, price_scale: int) -> int:
    whole = _PRICES.get(base)
    if whole is None:
        whole = 1 + zlib.crc32(base.encode()) % 500
    return whole * int(10**price_scale)


def binance(symbol: str) -> Instrument:
    """Return the spot instrument *symbol*, as ``BTCUSDT``."""
    quote = next((quote for quote in _QUOTES if symbol.endswith(quote) and symbol != quote), "USDT")
    base = symbol.removesuffix(quote)
    price_scale, size_scale = (2, 5) if base in ("BTC", "ETH") else (4, 2)
    return Instrument(
        venue="binance",
        symbol=symbol,
        base=base,
        quote=quote,
        price_scale=price_scale,
        size_scale=size_scale,
        tick=1,
        lot=1,
        start_price=_price_of(base, price_scale),
        lots_log10=6.0 if size_scale == 5 else 5.0,
    )


def coinbase(product: str) -> Instrument:
    """Return the product *product*, as ``BTC-USD``."""
    base, _, quote = product.partition("-")
    price_scale, size_scale = (2, 8) if base in ("BTC", "ETH") else (4, 6)
    return Instrument(
        venue="coinbase",
        symbol=product,
        base=base,
        quote=quote,
        price_scale=price_scale,
        size_scale=size_scale,
        tick=1,
        lot=1,
        start_price=_price_of(base, price_scale),
        lots_log10=9.0 if size_scale == 8 else 8.0,
    )
