"""Coinbase's subscriptions and who may have them (protocols.md 2.2, 2.4).

A request is done whole or not at all; the answer to either is the total state or one error.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

ALIASES = {"level2_batch": "level2_50", "ticker_batch": "ticker_1000"}

LOCKED = frozenset({"full", "level3", "level2", "user", "balance"})
"""Channels that need authentication."""

OFFERED = frozenset({"full", "matches", "heartbeat", "level2_50", "ticker"})
"""Channels that this simulator sends."""

KNOWN = LOCKED | OFFERED | {"ticker_1000", "status", "auctionfeed", "rfq_matches"}

LOCKED_REASON = (
    "level2, level3, and full channels now require authentication. "
    "https://docs.cloud.coinbase.com/exchange/docs/websocket-auth"
)

CLOCK_S = 30
"""A signature may be this much older or newer than the server's time."""

_FIELDS = ("signature", "key", "passphrase", "timestamp")


@dataclass(frozen=True)
class Account:
    """The key that the exchange knows; *secret* is base64."""

    key: str
    secret: str
    passphrase: str

    def __repr__(self) -> str:
        return "Account(***)"


class Refused(Exception):
    """The request is answered with an error frame."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(reason)
        self.message = message

    def frame(self) -> bytes:
        """Return the error frame."""
        return error(self.message, str(self))


class Done(NamedTuple):
    """What a request came to: the answer, and the (channel, product) pairs that are new."""

    answer: bytes
    new: list[tuple[str, str]]


def error(message: str, reason: str = "") -> bytes:
    """Return an error frame; the reason is left out where there is none."""
    body = {"type": "error", "message": message}
    return msgspec.json.encode(body | {"reason": reason} if reason else body)


def sign(secret: str, timestamp: str) -> str:
    """Return the signature of a subscribe message.

    Raises:
        ValueError: the secret is not base64.
    """
    prehash = f"{timestamp}GET/users/self/verify".encode()
    return base64.b64encode(hmac.new(base64.b64decode(secret), prehash, hashlib.sha256).digest()).decode()


def authenticate(message: dict[str, Any], account: Account | None, now_s: float) -> bool:
    """Say whether *message* is signed.

    Without an *account* every complete signature of the right time is taken.

    Raises:
        Refused: it is signed wrongly.
    """
    values = [message.get(name) for name in _FIELDS]
    if not all(isinstance(value, str) and value for value in values):
        return False
    signature, key, passphrase, timestamp = (str(value) for value in values)
    try:
        late = abs(float(timestamp) - now_s) > CLOCK_S
    except ValueError:
        late = True
    if late:
        raise _unauthorized("request timestamp expired")
    if account is None:
        return True
    if key != account.key:
        raise _unauthorized("invalid api key")
    try:
        right = hmac.compare_digest(signature, sign(account.secret, timestamp))
    except (binascii.Error, TypeError):
        right = False
    if not right:
        raise _unauthorized("invalid signature")
    if passphrase != account.passphrase:
        raise _unauthorized("invalid passphrase")
    return True


def _unauthorized(reason: str) -> Refused:
    return Refused("Sorry, you could not be authenticated: Bad Request", reason)


class Subscriptions:
    """The channels of one connection."""

    def __init__(self, products: Collection[str], account: Account | None) -> None:
        self._products, self._account = products, account
        self.channels: dict[str, dict[str, None]] = {}

    def do(self, text: str, now_s: float) -> Done:
        """Do what a client's message asks.

        Raises:
            Refused: nothing was changed.
        """
        try:
            message = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Refused("Malformed JSON", "") from None
        kind = message.get("type") if isinstance(message, dict) else None
        if kind not in ("subscribe", "unsubscribe"):
            raise Refused("Failed to parse message", f"{kind} is not a valid type")
        failed = f"Failed to {kind}"
        wanted = [(name, tuple(products)) for name, products in _asked(message, failed)]
        new: list[tuple[str, str]] = []
        if kind == "unsubscribe":
            for name, products in wanted:
                self._drop(name, products)
        else:
            signed = authenticate(message, self._account, now_s)
            for name, products in wanted:
                self._check(name, products, failed, signed=signed)
            for name, products in wanted:
                held = self.channels.setdefault(name, {})
                new += [(name, product) for product in products if product not in held]
                held |= dict.fromkeys(products)
        return Done(self._state(), list(dict.fromkeys(new)))

    def _check(self, name: str, products: tuple[str, ...], failed: str, *, signed: bool) -> None:
        if name not in KNOWN:
            raise Refused(failed, f"{name} is not a valid channel")
        if name in LOCKED and not signed:
            raise Refused(failed, LOCKED_REASON)
        if name not in OFFERED:
            raise Refused(failed, f"{name} is not offered by this simulator")
        if not products:
            raise Refused(failed, f"You need to specify at least one product ID for channel {name}")
        for product in products:
            if product not in self._products:
                raise Refused(failed, f"{product} is not a valid product")

    def _drop(self, name: str, products: tuple[str, ...]) -> None:
        held = self.channels.get(name, {})
        for product in products or tuple(held):
            held.pop(product, None)
        if not held:
            self.channels.pop(name, None)

    def _state(self) -> bytes:
        channels = [
            {"name": name, "product_ids": list(products), "account_ids": None}
            for name, products in self.channels.items()
        ]
        return msgspec.json.encode({"type": "subscriptions", "channels": channels})


def _asked(message: dict[str, Any], failed: str) -> list[tuple[str, list[str]]]:
    """Return (channel, products) as asked; products at the root are added to all channels."""
    root, channels = message.get("product_ids", []), message.get("channels", [])
    if not isinstance(root, list) or not isinstance(channels, list) or not channels:
        raise Refused(failed, "You need to specify at least one channel")
    out: list[tuple[str, list[str]]] = []
    for channel in channels:
        own = channel.get("product_ids", []) if isinstance(channel, dict) else []
        name = channel.get("name") if isinstance(channel, dict) else channel
        products = [*own, *root] if isinstance(own, list) else []
        if not isinstance(name, str) or not all(isinstance(product, str) for product in products):
            raise Refused(failed, "channels and product_ids must be names")
        out.append((ALIASES.get(name, name), products))
    return out
