"""One pure module for each exchange: bytes in, messages out.  ``VENUES`` names them."""

from venue import binance, coinbase
from venue.api import Venue

VENUES: dict[str, Venue] = {binance.NAME: binance, coinbase.NAME: coinbase}
"""By name; mypy checks each module against the protocol."""

__all__ = ["VENUES"]
