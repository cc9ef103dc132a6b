"""What a setting may be: functions from a variable's text to the value it stands for.

Each raises ValueError with what is allowed; wire.settings puts the variable and its text before it.
"""

import base64
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from wire.names import BUCKETS, MOST_LINES, VENUES, BadSecurity, parse_security, venue_of

_HOUR_S = 3600
_DAY_S = 86400
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_LEVELS = ("Debug", "Info", "Warning", "Error", "Critical")
_DIGITS = 19
"""More than any number here needs."""
_DATABASE_BYTES = 63
"""MongoDB's limit of a database's name."""

_HOST_AND_PORT = re.compile(r"[A-Za-z0-9._\-\[\]:]+")
_ENDPOINTS = "host:port[,host:port] or a mongodb:// URI"
_URI = re.compile(r"mongodb(\+srv)?://.")


class Secret:
    """A text that no log, error or ``repr`` shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def number(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return the check of a whole number of *least* to *most*."""
    allowed = f"a whole number from {least} {'on' if most is None else f'to {most}'}"

    def check(text: str) -> int:
        digits = text.strip()
        is_number = digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS
        if not is_number or not least <= int(digits) <= (int(digits) if most is None else most):
            raise ValueError(allowed)
        return int(digits)

    return check


def plain(text: str) -> str:
    """Return the text, where it is text."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("text in UTF-8") from error
    return text


def one_of(*words: str) -> Callable[[str], str]:
    """Return the check of one of *words*."""

    def check(text: str) -> str:
        if text not in words:
            raise ValueError(f"{', '.join(map(repr, words[:-1]))} or {words[-1]!r}")
        return text

    return check


def level(text: str) -> str:
    """Return the name of a severity."""
    return one_of(*_LEVELS)(text.strip().capitalize())


def switch(text: str) -> bool:
    """Return whether *text* means yes."""
    word = text.strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError("True or False")


def folder(text: str) -> Path:
    """Return the whole path."""
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise ValueError(f"a folder, {Path(text).parts[0]} of which exists") from error


def securities(text: str) -> tuple[str, ...]:
    """Return the names, each once."""
    try:
        names = tuple(dict.fromkeys(parse_security(name) for name in text.split(",") if name.strip()))
    except BadSecurity as error:
        raise ValueError(f"a comma-separated list of venue:SYMBOL ({error})") from error
    if any(venue_of(name) not in VENUES for name in names):
        raise ValueError(f"securities of {' and '.join(VENUES)}")
    return names


def lines_of(text: str) -> dict[str, int]:
    """Return how many lines each venue has: ``2`` of every one, or ``binance=2``, where others have 1.

    Raises:
        ValueError: neither.
    """
    counts = {str(count): count for count in range(1, MOST_LINES + 1)}
    if text.strip() in counts:
        return dict.fromkeys(VENUES, counts[text.strip()])
    named = [[word.strip() for word in part.split("=")] for part in text.split(",")]
    given = {each[0]: counts[each[1]] for each in named if len(each) == 2 and each[1] in counts}
    if len(given) < len(named) or not set(given) <= set(VENUES):
        example = ",".join(f"{venue}={count}" for venue, count in zip(VENUES, counts, strict=False))
        raise ValueError(f"1 or 2, or as {example}")
    return {**dict.fromkeys(VENUES, 1), **given}


def lines(text: str) -> str:
    """Return the text, which ``lines_of`` understands."""
    lines_of(text)
    return text.strip()


def frequency(text: str) -> int:
    """Return the milliseconds between Binance's depth updates."""
    if text.strip() not in ("100", "1000"):
        raise ValueError("100 or 1000")
    return int(text)


def window(text: str) -> int:
    """Return seconds that divide an hour."""
    seconds = number(1, _HOUR_S)(text)
    if _HOUR_S % seconds:
        raise ValueError("a whole number of seconds that divides 3600")
    return seconds


def span(text: str) -> int:
    """Return seconds that divide a day, or 0."""
    seconds = number(0, _DAY_S)(text)
    if seconds and _DAY_S % seconds:
        raise ValueError("0 or a whole number of seconds that divides 86400")
    return seconds


def address(*schemes: str) -> Callable[[str], str]:
    """Return the check of an address of one of *schemes*."""
    allowed = " or ".join(f"{scheme}://host[:port]" for scheme in schemes)

    def check(text: str) -> str:
        try:
            parts = urlsplit(text)
            sound = parts.scheme in schemes and parts.hostname and (parts.port is None or parts.port > 0)
        except ValueError:
            sound = False
        if not sound or parts.path.strip("/") or not _HOST_AND_PORT.fullmatch(parts.netloc):
            raise ValueError(f"{allowed} without a path")
        return f"{parts.scheme}://{parts.netloc}"

    return check


def database(text: str) -> str:
    """Return a name that MongoDB takes."""
    if len(plain(text).encode()) > _DATABASE_BYTES or any(c in '/\\. "$*<>:|?\0' for c in text):
        raise ValueError('1 to 63 bytes without / \\ . " $ * < > : | ? and spaces')
    return text


def endpoint(text: str) -> Secret:
    """Return where a database is."""
    is_uri = _URI.match(text) is not None
    hosts = (text.partition("://")[2] if is_uri else text).partition("/")[0].rpartition("@")[2].split(",")
    if not is_uri and not all(_HOST_AND_PORT.fullmatch(each.strip()) for each in text.split(",")):
        raise ValueError(_ENDPOINTS)
    if not all(_has_sound_port(host.strip()) for host in hosts):
        raise ValueError(f"{_ENDPOINTS}, with ports from 1 to 65535")
    return Secret(text)


def _has_sound_port(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").port != 0
    except ValueError:
        return False


def base64_secret(text: str) -> Secret:
    """Return a key that Coinbase made."""
    try:
        sound = bool(base64.b64decode(text, validate=True))
    except ValueError:
        sound = False
    if not sound:
        raise ValueError("the secret as Coinbase gives it, which is base64")
    return Secret(text)


def certificates(text: str) -> Path:
    """Return the path of a file that can be read."""
    try:
        path = Path(text).expanduser()
        with path.open("rb"):
            return path
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "no such path"
        raise ValueError(f"a file that can be read ({reason})") from error


port = number(1, 65535)
workers = number(1, BUCKETS)
socket = address("ws", "wss")
site = address("http", "https")
